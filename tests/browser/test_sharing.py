"""What the page gives to the clipboard."""

from __future__ import annotations

import base64
from pathlib import Path

import numpy as np

from tests.browser.conftest import StartVisit, downloaded
from tests.browser.test_page import slide
from tests.conftest import opened

READ = """async () => {
    const [item] = await navigator.clipboard.read();
    const bytes = new Uint8Array(await (await item.getType("image/png")).arrayBuffer());
    return btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));
}"""


def test_heatmap_and_link_can_be_copied(start_visit: StartVisit, scene: Path) -> None:
    visit = start_visit(permissions=["clipboard-read", "clipboard-write"]).upload(scene)
    page = visit.page
    page.select_option("#colormap", "viridis")
    page.check("#invert")
    slide(visit, "far", 12)
    visit.view("compare")
    page.click("#copy")
    page.wait_for_function("() => document.querySelector('#saving').textContent.includes('heatmap is in')")
    copied = opened(base64.b64decode(page.evaluate(READ)))
    _, saved = downloaded(visit, "heatmap")
    assert (np.asarray(copied.convert("RGB")) == np.asarray(opened(saved).convert("RGB"))).all()
    page.click("#share")
    page.wait_for_function("() => document.querySelector('#saving').textContent.includes('link is in the clipboard')")
    link = page.evaluate("navigator.clipboard.readText()")
    assert link == f"{visit.origin}/#view=compare&colormap=viridis&invert=1&far=12"
    other = start_visit(locale="zh-CN", path=link.removeprefix(visit.origin)).upload(scene)
    assert other.page.evaluate("location.hash && document.querySelector('#result').dataset.view") == "compare"
    _, again = downloaded(other, "heatmap")
    assert again == saved


def test_a_link_that_says_what_cannot_be_is_followed_as_far_as_it_can(start_visit: StartVisit, scene: Path) -> None:
    visit = start_visit(path="/#view=garden&colormap=mauve&far=90&near=<b>&invert=1").upload(scene)
    chosen = visit.page.evaluate(
        "() => [document.querySelector('#result').dataset.view, "
        "...['colormap', 'far', 'near'].map((id) => document.getElementById(id).value)]"
    )
    assert chosen == ["heatmap", "inferno", "90", "100"]
    assert visit.page.is_checked("#invert")
