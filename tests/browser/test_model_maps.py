"""One photo by every model of a service, of which these tests tell the page that there are several."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from playwright.sync_api import expect

from tests.browser.conftest import StartVisit, Visit
from tests.browser.test_models import DEPTH, EMBEDDED, METRIC, choose, offer


def _open(visit: Visit) -> Visit:
    """Open the comparison by the keyboard."""
    visit.page.locator("#by-model summary").focus()
    visit.page.keyboard.press("Enter")
    return visit


def _captions(visit: Visit, count: int) -> list[str]:
    """What is said under the maps, once all are there."""
    expect(visit.page.locator("#model-maps p", has_text=re.compile(r"\d (ms|毫秒)$"))).to_have_count(count)
    return visit.page.locator("#model-maps p").all_inner_texts()


def _colours(visit: Visit, number: int) -> NDArray[np.int32]:
    """The pixels of a map, (count, 4)."""
    return np.frombuffer(visit.pixels(f"model-map-{number}"), np.uint8).reshape(-1, 4).astype(np.int32)


def test_a_service_with_one_model_has_nothing_to_compare(visit: Visit, scene: Path) -> None:
    visit.upload(scene)
    expect(visit.page.locator("#by-model")).to_be_hidden()


def test_the_maps_of_all_models_have_their_names_and_times(visit: Visit, scene: Path) -> None:
    asked = offer(visit, EMBEDDED, METRIC)
    visit.upload(scene)
    assert asked == [None], "nothing is sent before somebody asks"
    assert _captions(_open(visit), 2) == ["embedded 24 ms", "metric 24 ms"]
    assert asked == [None, "metric"], "the depth that is shown is not computed again"
    names = [name.get_attribute("aria-labelledby") for name in visit.page.locator("#model-maps canvas").all()]
    assert [visit.page.inner_text(f"#{name}") for name in names] == ["embedded 24 ms", "metric 24 ms"]
    choose(visit, "metric")
    assert _captions(visit, 2) == ["embedded 24 ms", "metric 24 ms"]
    assert asked == [None, "metric", "metric"], "another model on display changes nothing here"


def test_they_have_the_colours_of_the_heatmap(visit: Visit, scene: Path) -> None:
    """Both have the same numbers: what is near for one is far for the other."""
    offer(visit, EMBEDDED, METRIC)
    _captions(_open(visit.upload(scene)), 2)
    first, second = (visit.pixels(f"model-map-{number}") for number in (0, 1))
    assert first != second
    visit.page.check("#invert")
    assert visit.pixels("model-map-0") != first
    visit.page.uncheck("#invert")
    assert visit.pixels("model-map-0") == first
    visit.page.select_option("#colormap", "gray")
    red, green, blue = visit.pixels("model-map-1")[:3]
    assert red == green == blue


def test_they_are_in_one_scale(visit: Visit, scene: Path) -> None:
    """Scale and shift do not count where there is no unit; metres do, and what is inverted stays so."""
    same = {**EMBEDDED, "name": "same", "depth": 3 * DEPTH + 5}
    inverted = {**EMBEDDED, "name": "inverted", "depth": 10 - DEPTH}
    offer(visit, EMBEDDED, same, inverted)
    _captions(_open(visit.upload(scene)), 3)
    own, other, reverse = (_colours(visit, number) for number in range(3))
    assert np.abs(own - other).max() <= 12, "the numbers are rounded to float16"
    assert np.abs(own - reverse[::-1]).max() <= 12

    distance = 1 / DEPTH.astype(float)
    metres = {**METRIC, "depth": distance}
    farther = {**METRIC, "name": "farther", "depth": 2 * distance}
    offer(visit, EMBEDDED, metres, farther)
    _captions(_open(visit.upload(scene)), 3)
    own, exact, far = (_colours(visit, number) for number in range(3))
    assert np.abs(own - exact).max() <= 12
    assert np.abs(far - exact).max() > 50, "what is twice as far looks farther"


def test_another_photo_is_compared_anew_and_a_closed_comparison_sends_nothing(
    visit: Visit, scene: Path, tmp_path: Path
) -> None:
    asked = offer(visit, EMBEDDED, METRIC)
    _captions(_open(visit.upload(scene)), 2)
    other = tmp_path / "other.png"
    other.write_bytes(scene.read_bytes())
    visit.upload(other)
    _captions(visit, 2)
    assert asked == [None, "metric", None, "metric"]
    _open(visit).page.wait_for_selector("#model-maps", state="hidden")
    visit.upload(scene)
    assert asked[4:] == [None]
    visit.page.click("#clear")
    expect(visit.page.locator("#model-maps li")).to_have_count(0)


def test_a_model_that_fails_says_why_and_is_asked_again_later(visit: Visit, scene: Path) -> None:
    offer(visit, EMBEDDED, METRIC)
    visit.upload(scene)
    visit.page.route(
        re.compile(r"model=metric"),
        lambda route: route.fulfill(status=413, json={"code": "too_expensive", "detail": "Too large."}),
        times=1,
    )
    _open(visit)
    expect(visit.page.locator("#model-maps p").last).to_contain_text(
        "metric This photo would take the service too long"
    )
    _open(visit)
    assert _captions(_open(visit), 2)[1] == "metric 24 ms"


@pytest.mark.parametrize("width", [1280, 360])
def test_it_speaks_chinese_and_fits_any_screen(start_visit: StartVisit, scene: Path, axe: str, width: int) -> None:
    visit = start_visit(locale="zh-CN", viewport={"width": width, "height": 800}, bypass_csp=True)
    offer(visit, {**EMBEDDED, "name": "embedded_" * 6}, METRIC)
    assert _captions(_open(visit.upload(scene)), 2)[1] == "metric 24 毫秒"
    assert visit.page.inner_text("#by-model summary") == "用每个模型估计这张照片"
    assert visit.page.evaluate("document.documentElement.scrollWidth") == width
    boxes = [canvas.bounding_box() for canvas in visit.page.locator("#model-maps canvas").all()]
    assert len({round(box["y"]) for box in boxes if box}) == 1, "they are side by side"
    visit.page.add_script_tag(content=axe)
    found = visit.page.evaluate("axe.run('#by-model', { resultTypes: ['violations'] })")["violations"]
    assert [violation["id"] for violation in found] == []
