"""The README's pictures: the page with a sample, and a strip of photo, heatmap and 3-D view.

`python -m training.pictures` takes them with Chromium, from a service with the embedded model that it starts itself.
"""

from __future__ import annotations

import argparse
import io
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright

DOCS = Path(__file__).parents[1] / "docs"

_SWITCHES = ("--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--ignore-gpu-blocklist")
_BROWSERS = ("chromium", "chromium-browser", "google-chrome")
_SCENES = ("street", "coffee", "table")
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
            sheet.paste(tile.resize(_TILE, Image.Resampling.LANCZOS), (x * width, y * height))
    return sheet


def _tiles(page: Page, address: str, scene: str) -> list[Image.Image]:
    _open(page, address, scene)
    page.add_style_tag(content=".frame { border-radius: 0 !important; background: #fff !important }")
    tiles = [_shot(page, "#photo-frame"), _shot(page, "#heatmap-frame")]
    page.click("#tab-space")
    page.wait_for_selector("#space-frame[aria-busy]", state="detached")
    for _ in range(3):
        page.press("#space-frame", "ArrowRight")
    return [*tiles, _shot(page, "#space-frame")]


def main() -> None:
    """Take the README's pictures."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--output", type=Path, default=DOCS)
    output: Path = parser.parse_args().output
    output.mkdir(parents=True, exist_ok=True)
    path = next(filter(None, map(shutil.which, _BROWSERS)), None)
    if path is None:
        parser.error("Chromium is needed")
    with _service() as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=_SWITCHES)
        width, height = _PAGE
        page = browser.new_page(viewport={"width": width, "height": height}, reduced_motion="reduce", bypass_csp=True)
        _open(page, address, "street")
        page.mouse.move(0, 0)
        shot = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
        shot.quantize(256, kmeans=1, dither=Image.Dither.FLOYDSTEINBERG).save(output / "page.png", optimize=True)
        strip = _strip([_tiles(page, address, scene) for scene in _SCENES])
        strip.save(output / "strip.jpg", quality=86, optimize=True)
        browser.close()


if __name__ == "__main__":
    main()
