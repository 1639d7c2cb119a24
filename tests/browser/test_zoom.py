"""Zooming photo and heatmap together."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import FloatRect

from tests.browser.conftest import Visit
from tests.browser.test_page import nearness


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
