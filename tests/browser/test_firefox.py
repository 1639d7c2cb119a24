"""The page in a second engine."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.browser.firefox import firefox_in
from tests.conftest import RunningService


def test_a_photo_is_shown_in_firefox_as_well(site: RunningService, scene: Path, tmp_path: Path) -> None:
    with firefox_in(tmp_path) as firefox:
        firefox.open(site.url)
        firefox.choose("#file", scene)
        firefox.until("document.querySelector('#facts').textContent.startsWith('scene.png')")
        heatmap = np.asarray(firefox.shot("#heatmap")).astype(int).sum(axis=2)
        quarter = len(heatmap) // 4
        assert heatmap[-quarter:].mean() > 2 * heatmap[:quarter].mean(), "the table in front is brighter than the wall"

        firefox.run("document.querySelector('#tab-space').click()")
        assert firefox.run("document.querySelector('#space-frame .missing').hidden"), "there is WebGL"
        firefox.run("document.querySelector('#space-frame').focus()")
        before = np.asarray(firefox.shot("#space-frame")).astype(int)
        assert before.std() > 20, "something is drawn"
        for _ in range(6):
            firefox.press("\ue012")  # the left arrow
        after = np.asarray(firefox.shot("#space-frame")).astype(int)
        assert np.abs(after - before).mean() > 5, "it has turned"

        firefox.until("!document.querySelector('#kept-note').hidden")
        firefox.open(site.url)
        firefox.until("document.querySelector('#facts').textContent.startsWith('scene.png')")
        assert "nothing was sent" in firefox.run("document.querySelector('#kept-note').textContent")
        assert firefox.complaints == []
