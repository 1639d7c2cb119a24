"""Zooming photo and heatmap together."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import FloatRect

from tests.browser.conftest import StartVisit, Visit
from tests.browser.test_page import PHONE, nearness


def box_of(visit: Visit) -> FloatRect:
    box = visit.page.locator("#heatmap-frame").bounding_box()
    assert box
    return box


def point_at(visit: Visit, x: float, y: float) -> None:
    """Put the mouse on a place of the heatmap's frame."""
    box = box_of(visit)
    visit.page.mouse.move(box["x"] + x * box["width"], box["y"] + y * box["height"])


def transforms(visit: Visit) -> list[str]:
    script = "() => ['photo', 'heatmap'].map((id) => document.getElementById(id).style.transform)"
    return list(visit.page.evaluate(script))


def test_both_pictures_are_zoomed_and_sharp_when_they_rest(visit: Visit, scene: Path) -> None:
    page = visit.upload(scene).page
    page.select_option("#colormap", "gray")
    point_at(visit, 0.3, 0.76)
    before = nearness(visit)
    box = box_of(visit)
    page.mouse.dblclick(box["x"] + box["width"] / 4, box["y"] + box["height"] / 4)
    page.wait_for_selector("#heatmap-detail", state="visible")
    photo, heatmap = transforms(visit)
    assert photo == heatmap
    assert photo.endswith(" scale(2)")
    left, top = (float(percent) / 200 for percent in re.findall(r"-([\d.]+)%", photo))
    assert (left, top) == pytest.approx((0.125, 0.125), abs=0.005)
    height, width = visit.size("heatmap")
    whole, detail = (
        np.frombuffer(visit.pixels(name), np.uint8).reshape(height, width, 4)[..., 0].astype(int)
        for name in ("heatmap", "heatmap-detail")
    )
    y, x = round(top * height), round(left * width)
    part = whole[y : y + height // 2, x : x + width // 2]
    assert np.abs(detail[::2, ::2][: part.shape[0], : part.shape[1]] - part).mean() < 3
    point_at(visit, 0.5, 0.9)
    page.mouse.down()
    point_at(visit, 0.5, 0.4)
    page.mouse.up()
    point_at(visit, (0.3 - left) / 0.5, (0.76 - top) / 0.5 - 0.5)
    assert abs(nearness(visit) - before) <= 3, "the picture has followed the mouse"
    page.click("#zoom-whole")
    assert transforms(visit) == ["", ""]
    assert page.locator("#heatmap-detail").is_hidden()


def test_zoom_ends_at_four_times_the_photos_pixels_and_lets_the_page_scroll(visit: Visit, scene: Path) -> None:
    page = visit.upload(scene).page
    point_at(visit, 0.5, 0.5)
    for _ in range(12):
        page.mouse.wheel(0, -300)
    page.wait_for_selector("#zoom-in:disabled")
    assert page.inner_text("#zoom-percent") == "400 %"
    page.focus("#heatmap-frame")
    for _ in range(20):
        page.keyboard.press("Shift+ArrowRight")
    assert page.locator("#heatmap-frame .cursor").is_visible(), "the picture follows the cursor of the keyboard"
    for _ in range(5):
        page.keyboard.press("-")
    assert transforms(visit) == ["", ""]
    page.mouse.wheel(0, 200)
    page.wait_for_function("() => scrollY > 0")


class Fingers:
    """Fingers on the heatmap's frame, as the screen of a phone reports them."""

    def __init__(self, visit: Visit) -> None:
        visit.page.locator("#heatmap-frame").scroll_into_view_if_needed()
        self._box = box_of(visit)
        self._send = visit.page.context.new_cdp_session(visit.page).send

    def glide(self, *ways: tuple[tuple[float, float], tuple[float, float]], steps: int = 8) -> None:
        """Put a finger at the beginning of each way, move them all to the ends, and lift them."""
        self._touch("touchStart", [start for start, _ in ways])
        for step in range(1, steps + 1):
            done = step / steps
            self._touch("touchMove", [(x + done * (u - x), y + done * (v - y)) for (x, y), (u, v) in ways])
        self._touch("touchEnd", [])

    def _touch(self, type: str, places: list[tuple[float, float]]) -> None:
        points = [
            {"x": self._box["x"] + x * self._box["width"], "y": self._box["y"] + y * self._box["height"], "id": id}
            for id, (x, y) in enumerate(places)
        ]
        self._send("Input.dispatchTouchEvent", {"type": type, "touchPoints": points})


def shown_part(visit: Visit) -> tuple[float, float, float]:
    """Left, top and side of the part of the picture that is seen, as fractions of the picture's sides."""
    photo, heatmap = transforms(visit)
    assert photo == heatmap
    if not photo:
        return 0, 0, 1
    numbers = re.fullmatch(r"translate\((\S+)%, (\S+)%\) scale\((\S+)\)", photo)
    assert numbers
    right, down, scale = map(float, numbers.groups())
    return -right / 100 / scale, -down / 100 / scale, 1 / scale


def test_two_fingers_zoom_and_one_moves_the_picture(start_visit: StartVisit, scene: Path) -> None:
    visit = start_visit(**PHONE).upload(scene)
    fingers = Fingers(visit)
    fingers.glide(((0.4, 0.5), (0.2, 0.5)), ((0.6, 0.5), (0.8, 0.5)))
    left, top, part = shown_part(visit)
    assert part == pytest.approx(1 / 3, rel=0.1), "three times as far apart"
    assert (left + part / 2, top + part / 2) == pytest.approx((0.5, 0.5), abs=0.05), "the middle has stayed"
    visit.page.wait_for_selector("#heatmap-detail", state="visible")
    scrolled = visit.page.evaluate("scrollY")
    fingers.glide(((0.3, 0.3), (0.6, 0.7)))
    moved = shown_part(visit)
    assert moved == pytest.approx((left - 0.3 * part, top - 0.4 * part, part), abs=0.02), "the picture has followed"
    assert visit.page.evaluate("scrollY") == scrolled
    assert visit.page.evaluate("visualViewport.scale") == 1, "the page itself is not zoomed"
    fingers.glide(((0.1, 0.5), (0.4, 0.5)), ((0.9, 0.5), (0.5, 0.5)))
    assert shown_part(visit) == (0, 0, 1)


def test_one_finger_scrolls_the_page_over_a_whole_picture(start_visit: StartVisit, scene: Path) -> None:
    visit = start_visit(**PHONE).upload(scene)
    fingers = Fingers(visit)
    before = visit.page.evaluate("scrollY")
    fingers.glide(((0.5, 0.9), (0.5, 0.1)))
    visit.page.wait_for_function("before => scrollY > before", arg=before)
    assert shown_part(visit) == (0, 0, 1)
