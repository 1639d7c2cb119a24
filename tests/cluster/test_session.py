from __future__ import annotations

import pytest
import ray

from depthsvc.cluster.session import connected
from depthsvc.settings import Settings


@pytest.mark.parametrize(("cpus", "warned"), [(7.0, True), (8.0, False)])
def test_a_cluster_with_too_few_cpus_is_told_of(
    cpus: float, warned: bool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(ray, "init", lambda *_, **__: None)
    monkeypatch.setattr(ray, "shutdown", lambda: None)
    monkeypatch.setattr(ray, "cluster_resources", lambda: {"CPU": cpus})
    settings = Settings(ray=True, ray_address="192.0.2.1:6379", workers=4, worker_threads=2)
    with connected(settings, 8):
        assert ("waiting for CPUs: 8 are needed, and the cluster has 7 now" in caplog.text) is warned
