"""depthsvc's Python API from a photo's file to a 16-bit PNG of the photo's size, as the part "zoo" runs it.

python -m benchmarks.own_depth prepare MODEL WEIGHTS SHA256 ENGINE
python -m benchmarks.own_depth answer MODEL WEIGHTS SHA256 ENGINE PHOTO OUTPUT
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from benchmarks.answering import answer_lines
from depthsvc import DepthEstimator


def _estimator(model: str, weights: str, sha256: str, engine: str) -> DepthEstimator:
    return DepthEstimator(model, weights=weights, weights_sha256=sha256, engine=engine, worker_threads=1)


def prepare(model: str, weights: str, sha256: str, engine: str) -> None:
    """Leave the engine's file in the cache."""
    _estimator(model, weights, sha256, engine)


def answer(model: str, weights: str, sha256: str, engine: str, photo: str, output: str) -> None:
    """Answer photos, one a line."""
    estimator = _estimator(model, weights, sha256, engine)

    def once() -> tuple[int, int]:
        depth = estimator.depth(Path(photo))
        depth.save(output, format="png16")
        width, height = estimator.pipeline.limits.network_size(depth.width, depth.height, None)
        return height, width

    answer_lines(once)


def main() -> None:
    verbs: dict[str, Callable[..., None]] = {"prepare": prepare, "answer": answer}
    verbs[sys.argv[1]](*sys.argv[2:])


if __name__ == "__main__":
    main()
