"""Several photos at once."""

from __future__ import annotations

import io
import re
import zipfile
from pathlib import Path

import numpy as np
from playwright.sync_api import Route

from tests.browser.conftest import Visit, downloaded
from tests.conftest import opened


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
    _, shown = downloaded(visit, "heatmap")
    with page.expect_download() as download:
        page.click("#series-zip")
    with zipfile.ZipFile(io.BytesIO(Path(download.value.path()).read_bytes())) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == ["one-depth.png", "one-depth-2.png"]
        for name in archive.namelist():
            assert (np.asarray(opened(archive.read(name))) == np.asarray(opened(shown))).all()


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
    states = visit.page.locator("#series-list button").evaluate_all("all => all.map(({ dataset }) => dataset.state)")
    assert states == ["done"] + 99 * ["failed"]
    assert len(sent) <= 2, "one at a time"
