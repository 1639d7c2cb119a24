"""Several photos at once."""

from __future__ import annotations

import io
import re
import zipfile
from pathlib import Path

import pytest
from playwright.sync_api import FilePayload, Route

from tests.browser.conftest import Visit, downloaded


def copies(scene: Path, folder: Path, *names: str) -> list[Path]:
    """Files of these names: the scene, or what is no photo for a name with "broken" in it."""
    paths = [folder / name for name in names]
    for path in paths:
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"\x89PNG\r\n\x1a\n" if "broken" in path.name else scene.read_bytes())
    return paths


def test_several_photos_are_sent_one_at_a_time(visit: Visit, scene: Path, tmp_path: Path) -> None:
    paths = copies(scene, tmp_path, "one.png", "broken.png", "other/one.png")
    page = visit.page
    page.set_input_files("#file", paths)
    page.wait_for_function("() => document.querySelector('#series-count').textContent.startsWith('2 of 3')")
    page.wait_for_selector("#waiting", state="hidden")
    tiles = page.locator("#series-list button")
    assert [tile.get_attribute("data-state") for tile in tiles.all()] == ["done", "failed", "done"]
    assert "damaged" in tiles.nth(1).inner_text()
    assert page.inner_text("#facts").startswith("one.png"), "the first is shown"
    tiles.nth(1).click()
    assert page.inner_text("#failed-words").startswith("This file is damaged")
    visit.requests.clear()
    tiles.nth(2).click()
    page.wait_for_selector("#series-list li:nth-child(3) [aria-current=true]")
    assert [request.url for request in visit.requests if request.method == "POST"] == []


def test_a_series_can_be_cancelled_and_has_an_end(visit: Visit, scene: Path, tmp_path: Path) -> None:
    sent: list[Route] = []

    def answer_the_first(route: Route) -> None:
        sent.append(route)
        if len(sent) == 1:
            route.continue_()

    visit.page.route(re.compile(r"/depth\?"), answer_the_first)
    visit.page.set_input_files("#file", copies(scene, tmp_path, *(f"{number}.png" for number in range(102))))
    visit.page.wait_for_selector("#series-list [data-state=done]")
    assert "the first of 102" in visit.page.inner_text("#series-most")
    assert visit.page.inner_text("#progress-count") == "Photo 2 of 100"
    visit.page.click("#cancel")
    assert visit.page.locator("#series").is_hidden(), "one photo is left, and needs no strip"
    assert visit.page.inner_text("#facts").startswith("0.png")
    assert len(sent) <= 2, "one at a time"


def states(visit: Visit) -> list[str]:
    script = "all => all.map(({ dataset, title }) => `${title} ${dataset.state}`)"
    return list(visit.page.locator("#series-list button").evaluate_all(script))


def test_further_photos_join_the_others_until_all_are_cleared(visit: Visit, scene: Path, tmp_path: Path) -> None:
    one, two, broken, three = copies(scene, tmp_path, "one.png", "two.png", "broken.png", "three.png")
    page = visit.upload(one).page
    held: list[Route] = []
    page.route(re.compile(r"/depth\?"), lambda route: route.continue_() if held else held.append(route))
    page.set_input_files("#file", two)
    page.wait_for_selector("#waiting:visible")
    page.set_input_files("#file", [broken, three])
    assert states(visit) == ["one.png done", "two.png busy", "broken.png waiting", "three.png waiting"]
    assert page.inner_text("#progress-count") == "Photo 2 of 4"
    held[0].continue_()
    visit.shown("three.png")
    assert states(visit) == ["one.png done", "two.png done", "broken.png failed", "three.png done"]
    visit.upload(scene)
    assert states(visit) == ["one.png done", "two.png done", "three.png done", "scene.png done"]
    page.click("#clear")
    assert page.get_attribute("body", "data-state") == "empty"
    for part in ("#series", "#result", "#clear"):
        assert page.locator(part).is_hidden()
    visit.upload(two)
    assert page.locator("#series").is_hidden()


def test_all_photos_are_computed_again_the_one_that_is_shown_first(visit: Visit, scene: Path, tmp_path: Path) -> None:
    page = visit.page
    page.set_input_files("#file", copies(scene, tmp_path, "one.png", "two.png"))
    page.wait_for_selector("#series-list li:nth-child(2) [data-state=done]")
    page.click("#series-list li:nth-child(2) button")
    visit.shown("two.png")
    held: list[Route] = []
    page.route(re.compile(r"/depth\?"), lambda route: held.append(route))
    page.select_option("#detail-choice", "1.5")
    page.wait_for_selector("#waiting:visible")
    assert states(visit) == ["one.png waiting", "two.png busy"]
    page.click("#cancel")
    assert states(visit) == ["one.png done", "two.png done"], "nothing is lost"
    assert page.locator("#series-list li:nth-child(2) [aria-current=true]").count() == 1


@pytest.mark.parametrize(
    ("kind", "suffix", "extension"),
    [("heatmap", "-depth", "png"), ("png16", "-depth16", "png"), ("npy", "-depth", "npy"), ("ply", "-points", "ply")],
)
def test_all_results_in_one_file(
    visit: Visit, scene: Path, tmp_path: Path, kind: str, suffix: str, extension: str
) -> None:
    page = visit.page
    page.set_input_files("#file", copies(scene, tmp_path, "one.png", "other/one.png"))
    page.wait_for_selector("#series-list li:nth-child(2) [data-state=done]")
    _, single = downloaded(visit, kind)
    page.select_option("#series-kind", kind)
    with page.expect_download() as download:
        page.click("#series-zip")
    assert download.value.suggested_filename == f"depth-{kind}.zip"
    with zipfile.ZipFile(io.BytesIO(Path(download.value.path()).read_bytes())) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == [f"one{suffix}.{extension}", f"one{suffix}-2.{extension}"]
        assert all(archive.read(name) == single for name in archive.namelist())


def test_names_in_the_archive_mean_the_same_on_every_system(visit: Visit, scene: Path) -> None:
    page = visit.page
    names = ["..\\..\\12:30.png", "<img src=x onerror=alert(1)>.png"]
    photos: list[FilePayload] = [
        {"name": name, "mimeType": "image/png", "buffer": scene.read_bytes()} for name in names
    ]
    page.set_input_files("#file", photos)
    page.wait_for_selector("#series-list li:nth-child(2) [data-state=done]")
    assert [name.split(" done")[0] for name in states(visit)] == names
    with page.expect_download() as download:
        page.click("#series-zip")
    with zipfile.ZipFile(Path(download.value.path())) as archive:
        assert archive.namelist() == [".._.._12_30-depth.png", "_img src=x onerror=alert(1)_-depth.png"]


def test_the_archive_offers_what_the_buttons_make_in_the_browser(visit: Visit) -> None:
    offered = visit.page.locator("#series-kind option").evaluate_all("all => all.map(({ value }) => value)")
    buttons = visit.page.locator("[data-save]").evaluate_all("all => all.map(({ dataset }) => dataset.save)")
    assert [kind for kind in buttons if kind in offered] == offered
    assert set(buttons) - set(offered) == {"mesh", "normals", "refocused", "stereo", "sway"}
