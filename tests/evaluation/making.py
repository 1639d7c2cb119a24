"""Data of one's own and models that need no network, for the tests of this folder."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np

from depthsvc.batch.estimators import Estimator, Facts, Result
from depthsvc.evaluation.accuracy import Floats
from depthsvc.evaluation.contenders import Contender
from depthsvc.imaging.encode import tiff
from depthsvc.imaging.spec import DepthKind

SIZE = (48, 64)
"""Height and width of photos."""


def depth_of(number: int) -> Floats:
    """Metres, (h, w): a slope with a box in front of it."""
    depth = np.tile(np.linspace(8, 2, SIZE[0], dtype=np.float32)[:, None], (1, SIZE[1]))
    depth[10:30, 5 + number % 30 : 25 + number % 30] = 1.5
    return depth


def make_data(folder: Path, count: int) -> Path:
    """Photos whose first pixel says their number, in the simple layout."""
    (folder / "rgb").mkdir(parents=True)
    (folder / "depth").mkdir()
    for number in range(count):
        depth = depth_of(number)
        shade = np.clip(255 / depth, 0, 255).astype(np.uint8)
        photo = np.dstack([shade, shade, shade])
        photo[0, 0] = number
        cv2.imwrite(str(folder / f"rgb/{number:03}.png"), photo)
        cv2.imwrite(str(folder / f"depth/{number:03}.png"), (depth * 1000).astype(np.uint16))
    return folder


class Guesser:
    """Knows the depth of `make_data`'s photos, more or less."""

    def __init__(self, wrong_by: Callable[[int], float], kind: DepthKind) -> None:
        self._wrong_by = wrong_by
        self._kind = kind
        self._counting = threading.Lock()
        self.asked = 0

    def estimate(self, photo: bytes) -> Result:
        with self._counting:
            self.asked += 1
        pixels = cv2.imdecode(np.frombuffer(photo, np.uint8), cv2.IMREAD_COLOR)
        assert pixels is not None
        number = int(pixels[0, 0, 0])
        noise = np.random.default_rng(number).normal(0, 1, SIZE)
        metres = depth_of(number) * np.exp(self._wrong_by(number) * noise).astype(np.float32)
        values = metres if self._kind is DepthKind.METRES else 50 + 100 / metres
        return Result(tiff(values.astype(np.float32)), Facts("guesser", str(self._kind), None, None, 0.25))

    def peak_memory(self) -> int | None:
        return 123_000_000


def contender(
    name: str = "guesser",
    *,
    wrong_by: Callable[[int], float] = lambda number: 0.01 * number,
    kind: DepthKind = DepthKind.INVERSE_DEPTH,
    made_by: str = "first",
    estimator: Estimator | None = None,
) -> Contender:
    @contextmanager
    def opened() -> Iterator[Estimator]:
        yield estimator or Guesser(wrong_by, kind)

    return Contender(name, kind, {"made_by": made_by, "engine": "none"}, opened, 3)
