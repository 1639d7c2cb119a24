"""The report of an evaluation in a browser without a network."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Browser

from depthsvc.evaluation.pictures import Pictures
from depthsvc.evaluation.report import write_report
from tests.evaluation.making import contender, make_data
from tests.evaluation.test_run import USUAL, evaluate, records_in, sources_in


@pytest.fixture
def report(tmp_path: Path) -> Path:
    second = make_data(tmp_path / ("second_" * 9), 4)
    for part in ("rgb", "depth"):
        (second / part / "000.png").rename(second / part / f"{'2011_09_26_drive_0002_sync_image_' * 4}.png")
    sources = sources_in(make_data(tmp_path / "first", 4), second)
    models = [contender("good"), contender("bad", wrong_by=lambda _: 0.1), contender("worse", wrong_by=lambda _: 0.2)]
    summary, _ = evaluate(tmp_path / "out", sources, *models)
    with records_in(tmp_path / "out", USUAL) as records:
        write_report(tmp_path / "report.html", summary, sources, records, Pictures(tmp_path / "out/pictures"))
    return tmp_path / "report.html"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 360])
def test_it_is_shown_whole_and_asks_for_nothing(
    browser: Browser, report: Path, scheme: Literal["light", "dark"], width: int
) -> None:
    context = browser.new_context(color_scheme=scheme, viewport={"width": width, "height": 800}, offline=True)
    page = context.new_page()
    complaints: list[str] = []
    requests: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("request", lambda request: requests.append(request.url.partition(":")[0]))
    page.goto(report.as_uri())
    page.wait_for_load_state()
    assert complaints == []
    assert set(requests) <= {"file", "data"}
    assert page.evaluate("[...document.images].every(image => image.naturalWidth > 1000)")
    assert page.evaluate("document.images.length") == 3 * 2 * 3
    assert page.evaluate("document.documentElement.scrollWidth") == width
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert ground == {"light": "rgb(251, 250, 248)", "dark": "rgb(20, 18, 26)"}[scheme]
    drawn = page.locator("svg circle").count()
    assert drawn == 3 * 3 + 2 * 3  # an interval a source and their mean, time and memory
    context.close()
