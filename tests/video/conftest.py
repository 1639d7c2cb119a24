"""What tests of videos share."""

from __future__ import annotations

import pytest

from depthsvc import DepthEstimator
from depthsvc.pipeline.stages import Pipeline


@pytest.fixture(scope="session")
def pipelines(_own_settings: None) -> list[Pipeline]:
    """Two networks of one model, as two workers have them."""
    return [DepthEstimator("embedded", engine="onnxruntime", worker_threads=1).pipeline for _ in range(2)]
