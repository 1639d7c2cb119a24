"""The page in a second engine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.browser.firefox import Firefox, firefox_in
from tests.conftest import RunningService

LEFT = "\ue012"


@pytest.fixture(scope="module")
def firefox(site: RunningService, scene: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Firefox]:
    """A Firefox that shows a photo and its depth. In the end nothing may have gone wrong unseen."""
    with firefox_in(tmp_path_factory.mktemp("firefox")) as firefox:
        firefox.open(site.url)
        firefox.choose("#file", scene)
        shown(firefox)
        yield firefox
        assert firefox.complaints == []


def shown(firefox: Firefox) -> None:
    firefox.until("document.querySelector('#facts').textContent.startsWith('scene.png')")


def test_a_photo_is_shown_with_its_depth(firefox: Firefox) -> None:
    heatmap = np.asarray(firefox.shot("#heatmap")).astype(int).sum(axis=2)
    quarter = len(heatmap) // 4
    assert heatmap[-quarter:].mean() > 2 * heatmap[:quarter].mean(), "the table in front is brighter than the wall"


def test_the_three_dimensional_view_turns(firefox: Firefox) -> None:
    if not firefox.run("Boolean(document.createElement('canvas').getContext('webgl2'))"):
        pytest.skip("Firefox has no WebGL on this machine; Mesa's software renderer is enough")
    firefox.run("document.querySelector('#tab-space').click()")
    firefox.until("!document.querySelector('#space-frame').hasAttribute('aria-busy')")
    firefox.run("document.querySelector('#space-frame').focus()")
    before = np.asarray(firefox.shot("#space-frame")).astype(int)
    assert before.std() > 20, "something is drawn"
    for _ in range(6):
        firefox.press(LEFT)
    after = np.asarray(firefox.shot("#space-frame")).astype(int)
    assert np.abs(after - before).mean() > 5, "it has turned"


def test_the_photo_survives_a_reload(firefox: Firefox, site: RunningService) -> None:
    firefox.until("!document.querySelector('#kept-note').hidden")
    firefox.open(site.url)
    shown(firefox)
    assert "nothing was sent" in firefox.run("document.querySelector('#kept-note').textContent")
