"""The pictures of README.md and docs/gallery.md.

`python -m training.pictures` takes them with Chromium, from a service with the embedded model that it starts itself.
Motion comes from the page's own video of the 3-D view, and from photos refocused from near to far.
"""

from __future__ import annotations

import argparse
import io
import math
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import av
import numpy as np
from PIL import Image, ImageOps
from playwright.sync_api import Page, sync_playwright

from depthsvc import DepthEstimator

DOCS = Path(__file__).parents[1] / "docs"
SAMPLES = Path(__file__).parents[1] / "src/depthsvc/web/samples"

_SWITCHES = ("--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--ignore-gpu-blocklist")
_BROWSERS = ("chromium", "chromium-browser", "google-chrome")
_PHOTOS = ("coffee", "cat", "astronaut")
_FOCUSED = "coffee"
_FOCUS_PATH = ((0.45, 0.6), (0.5, 0.05))
"""From where to where the focus goes, as fractions of width and height."""
_SWAYING = "cat"
_MOVING_WIDTH = 400
_FRAMES = 24
_LOOP_S = 4.0
_COLOURS = 96
_PAGE = (1360, 900)
_TILE = (400, 300)
_GAP = 8


@contextmanager
def _service() -> Iterator[str]:
    """The address of a running service."""
    command = [
        sys.executable,
        "-m",
        "depthsvc",
        "serve",
        "--model",
        "embedded",
        "--port",
        "0",
        "--workers",
        "1",
        "--log-level",
        "warning",
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        try:
            found = next(filter(None, (re.search(r"http://\S+", line) for line in process.stdout)), None)
            if found is None:
                raise RuntimeError("the service did not start")
            yield found.group()
        finally:
            process.terminate()


def _open(page: Page, address: str, scene: str) -> None:
    page.goto(address)
    page.wait_for_selector("body[data-ready]")
    page.click(f"[data-sample={scene}]")
    page.wait_for_function("name => document.querySelector('#facts').textContent.startsWith(name)", arg=f"{scene}.jpg")


def _shot(page: Page, selector: str) -> Image.Image:
    """A screenshot of a part of the page, once it has been drawn."""
    page.evaluate("new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)))")
    return Image.open(io.BytesIO(page.locator(selector).screenshot())).convert("RGB")


def _strip(rows: Sequence[Sequence[Image.Image]]) -> Image.Image:
    """Pictures in rows, one row per sample, on white."""
    width, height = (size + _GAP for size in _TILE)
    sheet = Image.new("RGB", (width * len(rows[0]) - _GAP, height * len(rows) - _GAP), "white")
    for y, row in enumerate(rows):
        for x, tile in enumerate(row):
            sheet.paste(
                ImageOps.fit(tile, _TILE, Image.Resampling.LANCZOS, centering=(0.5, 0.25)), (x * width, y * height)
            )
    return sheet


def _tiles(page: Page, address: str, scene: str) -> list[Image.Image]:
    _open(page, address, scene)
    page.add_style_tag(
        content=".frame { border-radius: 0 !important; background: #fff !important } .name { display: none }"
    )
    tiles = [_shot(page, "#photo-frame"), _shot(page, "#heatmap-frame")]
    page.click("#tab-space")
    page.wait_for_selector("#space-frame[aria-busy]", state="detached")
    for _ in range(3):
        page.press("#space-frame", "ArrowRight")
    return [*tiles, _shot(page, "#space-frame")]


def _moving(frames: Sequence[Image.Image], seconds: float, path: Path) -> None:
    """Save an animation that loops."""
    height = round(_MOVING_WIDTH * frames[0].height / frames[0].width)
    small = [frame.resize((_MOVING_WIDTH, height), Image.Resampling.LANCZOS) for frame in frames]
    first, *others = (frame.quantize(_COLOURS, dither=Image.Dither.NONE) for frame in small)
    first.save(path, save_all=True, append_images=others, duration=round(1000 * seconds / len(frames)), loop=0)


def _sway(page: Page, address: str, path: Path) -> None:
    """The page's own video of the 3-D view."""
    _open(page, address, _SWAYING)
    page.click("#tab-space")
    page.wait_for_selector("#space-frame[aria-busy]", state="detached")
    with page.expect_download(timeout=120_000) as download, tempfile.TemporaryDirectory() as folder:
        page.click("[data-save=sway]")
        video = Path(folder, "sway.webm")
        download.value.save_as(video)
        with av.open(video) as container:
            frames = [Image.fromarray(frame.to_ndarray(format="rgb24")) for frame in container.decode(video=0)]
        _moving(frames[:: math.ceil(len(frames) / _FRAMES)], _LOOP_S, path)


def _focus(estimator: DepthEstimator, path: Path) -> None:
    """From near to far and back."""
    photo = SAMPLES / f"{_FOCUSED}.jpg"
    near, far = np.array(_FOCUS_PATH)
    points = near + np.linspace(0, 1, _FRAMES // 2)[:, None] * (far - near)
    frames = [Image.fromarray(estimator.bokeh(photo, focus=tuple(point), strength=0.9).pixels) for point in points]
    _moving([*frames, *frames[::-1]], _LOOP_S, path)


def _results(estimator: DepthEstimator) -> Image.Image:
    """One photo's results in a row: with and without the photo's edges, normals, and in red and cyan."""
    photo = SAMPLES / f"{_PHOTOS[0]}.jpg"
    pictures = [
        estimator.depth(photo, refine=False).to_image(),
        estimator.depth(photo).to_image(),
        Image.fromarray(estimator.normals(photo).pixels),
        Image.fromarray(estimator.stereo(photo, layout="anaglyph").pixels),
    ]
    return _strip([pictures])


def main() -> None:
    """Take the README's pictures."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--output", type=Path, default=DOCS)
    output: Path = parser.parse_args().output
    gallery = output / "gallery"
    gallery.mkdir(parents=True, exist_ok=True)
    estimator = DepthEstimator("embedded")
    _results(estimator).save(gallery / "results.jpg", quality=86, optimize=True)
    _focus(estimator, gallery / "refocus.gif")
    path = next(filter(None, map(shutil.which, _BROWSERS)), None)
    if path is None:
        parser.error("Chromium is needed")
    with _service() as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=_SWITCHES)
        width, height = _PAGE
        page = browser.new_page(viewport={"width": width, "height": height}, reduced_motion="reduce", bypass_csp=True)
        _open(page, address, _PHOTOS[0])
        page.mouse.move(0, 0)
        shot = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
        shot.quantize(256, kmeans=1, dither=Image.Dither.FLOYDSTEINBERG).save(output / "page.png", optimize=True)
        strip = _strip([_tiles(page, address, scene) for scene in _PHOTOS])
        strip.save(output / "strip.jpg", quality=86, optimize=True)
        _sway(page, address, gallery / "sway.gif")
        browser.close()


if __name__ == "__main__":
    main()
