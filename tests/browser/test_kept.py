"""Photos that the browser keeps until the next visit."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest

from tests.browser.conftest import StartVisit, Visit, downloaded
from tests.browser.test_series import copies, states

STORED = """async () => {
    const { Shelf } = await import("/static/series/shelf.js");
    return (await new Shelf(() => {}).entries()).map(({ name }) => name);
}"""


def reopened(visit: Visit) -> Visit:
    """The page after a reload, once it shows what it has kept; other visits' requests are forgotten."""
    visit.page.wait_for_selector("#kept-note:visible")
    visit.requests.clear()
    visit.page.reload()
    visit.page.wait_for_selector("#kept-note[data-words=keptAgain]:visible")
    return visit


def test_a_result_survives_a_reload_and_is_not_sent_again(visit: Visit, scene: Path) -> None:
    _, before = downloaded(visit.upload(scene), "npy")
    reopened(visit).shown("scene.png")
    assert "nothing was sent" in visit.page.inner_text("#kept-note")
    _, after = downloaded(visit, "npy")
    assert after == before
    assert [request.url for request in visit.requests if request.method == "POST"] == []
    downloaded(visit, "normals")  # the service gets the photo itself
    visit.page.click("[data-sample=cat]")
    visit.shown("cat.jpg")
    visit.page.wait_for_selector("#kept-note[data-words=keptNote]:visible")


def test_a_strip_survives_with_the_photo_that_was_open(visit: Visit, scene: Path, tmp_path: Path) -> None:
    page = visit.page
    page.set_input_files("#file", copies(scene, tmp_path, "one.png", "broken.png", "two.png"))
    page.wait_for_selector("#series-list li:nth-child(3) [data-state=done]")
    page.click("#series-list li:nth-child(3) button")
    visit.shown("two.png")
    reopened(visit).shown("two.png")
    assert states(visit) == ["one.png done", "two.png done"]
    page.select_option("#detail-choice", "1.5")
    page.wait_for_function("() => !document.querySelector('#series-list [data-state]:not([data-state=done])')")
    assert states(visit) == ["one.png done", "two.png done"], "kept photos can be sent again"
    page.wait_for_selector("#waiting", state="hidden")
    reopened(visit).shown("two.png")


DAMAGED = """(wanted) => new Promise((resolve, reject) => {
    const request = indexedDB.open(`depthsvc ${new URL(document.baseURI).pathname}`, 1);
    request.onsuccess = () => {
        const transaction = request.result.transaction("photos", "readwrite");
        const store = transaction.objectStore("photos");
        store.getAll().onsuccess = ({ target }) => {
            for (const record of target.result) {
                if (!wanted.includes(record.parts.photo.name)) continue;
                store.put({ ...record, parts: { ...record.parts, seen: new Blob(["no picture"]) } });
            }
        };
        transaction.oncomplete = () => resolve(request.result.close());
        transaction.onabort = reject;
    };
})"""
"""Stored pictures of these names are no pictures any more."""


def test_a_picture_that_the_browser_has_lost_takes_no_other_along(visit: Visit, scene: Path, tmp_path: Path) -> None:
    page = visit.page
    page.set_input_files("#file", copies(scene, tmp_path, "one.png", "two.png", "three.png"))
    page.wait_for_selector("#series-list li:nth-child(3) [data-state=done]")
    page.click("#series-list li:nth-child(3) button")
    visit.shown("three.png")
    page.wait_for_selector("#kept-note:visible")
    page.evaluate(DAMAGED, ["one.png", "three.png"])
    reopened(visit).shown("two.png")
    assert states(visit) == ["one.png done", "two.png done"]
    with page.expect_download() as download:
        page.click("#series-zip")
    with zipfile.ZipFile(Path(download.value.path())) as archive:
        assert archive.namelist() == ["two-depth.png"]
    assert page.inner_text("#series-saved").endswith("Photos that the browser has lost, and that are not in it: 1.")
    page.click("#series-list li:nth-child(1) button")
    page.wait_for_selector("#failure:visible")
    assert states(visit) == ["one.png failed", "two.png done"]
    page.click("#series-list li:nth-child(2) button")
    visit.shown("two.png")


def test_a_record_that_cannot_be_read_takes_no_other_along(start_visit: StartVisit, scene: Path) -> None:
    unreadable = """
        const known = IDBObjectStore.prototype.get;
        IDBObjectStore.prototype.get = function (key) {
            if (!window.refused) window.refused = key;
            if (key === window.refused) this.transaction.abort();
            return known.call(this, key);
        };
    """
    visit = start_visit(script=unreadable)
    page = visit.page
    page.set_input_files("#file", [scene])
    visit.shown("scene.png")
    page.click("[data-sample=cat]")
    visit.shown("cat.jpg")
    reopened(visit).shown("cat.jpg")
    assert page.locator("#series").is_hidden(), "one photo is left, and needs no strip"


def test_clearing_forgets(visit: Visit, scene: Path) -> None:
    page = visit.upload(scene).page
    page.wait_for_selector("#kept-note:visible")
    page.click("#clear")
    page.wait_for_function(f"async () => !(await ({STORED})()).length")
    visit.open()
    page.wait_for_load_state("networkidle")
    assert page.get_attribute("body", "data-state") == "empty"


@pytest.mark.parametrize(
    "forbid",
    [
        "indexedDB.open = () => { throw new DOMException('denied', 'SecurityError'); };",
        "IDBObjectStore.prototype.put = () => { throw new DOMException('full', 'QuotaExceededError'); };",
        "Object.defineProperty(window, 'indexedDB', { value: undefined });",
    ],
)
def test_where_nothing_can_be_kept_nothing_else_is_missing(start_visit: StartVisit, scene: Path, forbid: str) -> None:
    visit = start_visit(script=forbid).upload(scene)
    downloaded(visit, "heatmap")
    assert visit.page.locator("#kept-note").is_hidden()
    visit.page.click("#clear")
    visit.open().upload(scene)


def test_the_newest_are_kept_where_not_all_can_be(lasting_visit: Visit) -> None:
    script = """async () => {
        const { Shelf } = await import("/static/series/shelf.js");
        const { Entry } = await import("/static/series/entry.js");
        const { Kept } = await import("/static/photo/kept.js");
        const shelf = new Shelf(() => {});
        const entryOf = (name) => {
            const photo = new File([new Uint8Array(40e6)], name);
            const parts = { photo, seen: photo, isShrunk: false, about: {}, values: new Blob(), width: 1, height: 1 };
            return Entry.of(Date.now(), new Kept(parts));
        };
        let told;
        const kept = new Promise((resolve) => (told = resolve));
        new Shelf(told).keep(["one", "two", "three"].map(entryOf));
        const isKept = await kept;
        const names = (await shelf.entries()).map(({ name }) => name);
        shelf.keep([]);
        return [isKept, ...names];
    }"""
    assert lasting_visit.page.evaluate(script) == [True, "two", "three"]


def test_depth_comes_back_as_it_was(lasting_visit: Visit) -> None:
    values = np.random.default_rng(4).random(12, np.float32).astype(np.float16).astype(np.float32)
    expression = """(async () => {
        const picture = { photo: new File(["a"], "a.png"), seen: new Blob(), width: 4, height: 3, stem: "a",
            depth: { values: numbers[0], width: 4, height: 3, model: "m" } };
        return [(await page.Kept.of(picture).depth()).values];
    })()"""
    [back] = lasting_visit.computed("/static/photo/kept.js", expression, values)
    assert (back == values).all()
