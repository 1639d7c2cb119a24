"""How a pool is configured for a GPU, with answers in place of the child processes that would ask it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from depthsvc.errors import ConfigurationError, DeviceLost
from depthsvc.machine.capacity import available_cpus
from depthsvc.model.choice import Device, EngineChoice
from depthsvc.model.engines.devices import Gpus
from depthsvc.model.gpus import GpuMemory, find_gpus, measured_memory
from depthsvc.model.prepare import prepare
from depthsvc.model.spec import PreparedModel, ResolvedModel
from depthsvc.options import HeatmapOptions
from depthsvc.pool import launch
from depthsvc.pool.launch import engine_text, pool_config
from depthsvc.pool.worker import reply
from depthsvc.server.lifecycle import _workers_text
from depthsvc.settings import Settings
from tests.model.gpus import gpu

CHOSEN: dict[str, Any] = {"model": "embedded", "device": "auto"}
GIGABYTE = 10**9


@pytest.fixture
def children(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[Any]]:
    """What child processes answer on a machine with these GPUs; returns the functions that they were given."""

    def answer(*gpus: Any, free_gb: int = 20, worker_gb: int = 5) -> list[Any]:
        asked: list[Any] = []

        def prepared(model: ResolvedModel, _: object, choice: EngineChoice) -> PreparedModel:
            return PreparedModel(model.spec, model.file, choice)

        def measured(models: tuple[PreparedModel, ...]) -> GpuMemory:
            return GpuMemory(models[0].choice.device, free_gb * GIGABYTE, worker_gb * GIGABYTE)

        answers: dict[Callable[..., Any], Callable[..., Any]] = {
            find_gpus: lambda: Gpus(gpus, "" if gpus else "PyTorch finds no GPU", "Buy one."),
            prepare: prepared,
            measured_memory: measured,
        }

        def run_in_child(function: Any, *arguments: Any) -> Any:
            asked.append(function)
            return answers[function](*arguments)

        monkeypatch.setattr(launch, "run_in_child", run_in_child)
        return asked

    return answer


def test_on_a_gpu_its_memory_decides_the_number_of_workers(children: Callable[..., list[Any]]) -> None:
    children(gpu(0, free_gb=1), gpu(1))
    config = pool_config(Settings(**CHOSEN))
    assert config.workers == 3  # 0.8 * 20 // 5
    assert config.worker.models[0].choice == EngineChoice(
        threads=max(1, available_cpus() // 3), device=Device("cuda:1")
    )
    assert engine_text(config.worker.models[0]) == "torchscript, fp32 on cuda:1"
    text = _workers_text(Settings(**CHOSEN), config)
    assert text.endswith("each, as cuda:1 has 20.0 GB of free memory, and each takes 5.0 GB")


def test_a_batch_with_fewer_photos_takes_fewer_workers(children: Callable[..., list[Any]]) -> None:
    children(gpu(0))
    assert pool_config(Settings(**CHOSEN), most=2).workers == 2
    assert pool_config(Settings(**CHOSEN), most=9).workers == 3


@pytest.mark.parametrize("by", ["argument", "variable"])
def test_a_number_of_workers_that_somebody_sets_is_kept(
    by: str, children: Callable[..., list[Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = children(gpu(0))
    if by == "variable":
        monkeypatch.setenv("DEPTHSVC_WORKERS", "7")
    config = pool_config(Settings(**CHOSEN | ({"workers": 7} if by == "argument" else {})))
    assert (config.workers, config.gpu) == (7, None)
    assert measured_memory not in asked


def test_without_a_gpu_auto_is_the_cpu_with_its_own_number_of_workers(children: Callable[..., list[Any]]) -> None:
    children()
    config = pool_config(Settings(**CHOSEN))
    assert (config.workers, config.worker.models[0].choice) == (
        available_cpus(),
        Settings(model="embedded").engine_choice,
    )
    assert _workers_text(Settings(**CHOSEN), config).startswith(f"{config.workers}, 1 thread(s) each, about 0.")


def test_nobody_looks_for_gpus_unless_asked_to(children: Callable[..., list[Any]]) -> None:
    asked = children(gpu(0))
    assert pool_config(Settings(model="embedded")).worker.models[0].choice.device == "cpu"
    assert asked == [prepare]


def test_a_gpu_that_is_absent_is_reported_before_a_model_is_downloaded(
    children: Callable[..., list[Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    children(gpu(0))
    monkeypatch.delattr(launch, "resolve")
    with pytest.raises(ConfigurationError, match=r"device cuda:1 is not available: this machine has cuda:0 \(Fake 0\)"):
        pool_config(Settings(**CHOSEN | {"device": "cuda:1"}))


def test_ray_runs_on_cpus(children: Callable[..., list[Any]]) -> None:
    children(gpu(0))
    with pytest.raises(ConfigurationError, match="--device auto cannot be combined with --ray"):
        pool_config(Settings(**CHOSEN, ray=True))


class _Lost:
    def answer(self, data: bytes, options: HeatmapOptions) -> None:
        raise DeviceLost("cuda:0 does not work in this process any more")


def test_a_worker_that_has_lost_its_gpu_ends_instead_of_failing_every_photo() -> None:
    with pytest.raises(DeviceLost):
        reply(_Lost(), b"", HeatmapOptions())  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("given", "serving", "threads"), [({}, True, 2), ({}, False, 1), ({"worker_threads": 1}, True, 1)]
)
def test_only_a_service_gives_idle_cpus_to_a_photo_alone(
    given: dict[str, Any], serving: bool, threads: int, children: Callable[..., list[Any]]
) -> None:
    children()
    settings = Settings(model="embedded", engine="openvino", workers=available_cpus(), **given)
    config = pool_config(settings, serving=serving)
    assert config.worker.models[0].choice.threads == min(threads, available_cpus())
    assert config.worker.max_photo_cost == (settings.max_photo_cost if serving else float("inf"))
