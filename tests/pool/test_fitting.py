"""How many workers there are, and how long they may take, where the settings leave it open."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from depthsvc.errors import ConfigurationError
from depthsvc.machine.cgroup import ControlGroups
from depthsvc.model.choice import EngineChoice, EngineName
from depthsvc.model.registry import registered
from depthsvc.model.spec import PreparedModel, VerifiedFile
from depthsvc.pool import fitting
from depthsvc.pool.fitting import deadline_s, with_idle_cpus, with_threads, worker_bytes, workers_that_fit
from depthsvc.settings import Settings, read_settings


def prepared(name: str, tmp_path: Path, size: int, engine: EngineName = EngineName.TORCHSCRIPT) -> PreparedModel:
    """A model whose file has this size, without its content."""
    path = tmp_path / f"{name}-{engine}"
    with path.open("wb") as file:
        file.truncate(size)
    return PreparedModel(registered(name).spec, VerifiedFile(path, ""), EngineChoice(engine))


@pytest.fixture
def dpt_large(tmp_path: Path) -> PreparedModel:
    return prepared("dpt_large", tmp_path, 1_376_000_000)


@pytest.fixture
def embedded(tmp_path: Path) -> PreparedModel:
    return prepared("embedded", tmp_path, 12_000_000)


@pytest.fixture(autouse=True)
def _eight_cpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))
    monkeypatch.setattr(ControlGroups, "cpus", lambda _: None)


def machine(monkeypatch: pytest.MonkeyPatch, gigabytes: float) -> None:
    monkeypatch.setattr(fitting, "available_memory_bytes", lambda: round(gigabytes * 1e9))


def settings(**given: object) -> Settings:
    return read_settings(given)


def test_there_are_as_many_workers_as_cpus_or_as_the_memory_allows(
    monkeypatch: pytest.MonkeyPatch, dpt_large: PreparedModel, embedded: PreparedModel
) -> None:
    for gigabytes, workers in ((2.4, 1), (4, 3), (64, 8)):
        machine(monkeypatch, gigabytes)
        assert workers_that_fit(settings(), (dpt_large,)) == workers
    machine(monkeypatch, 4)
    assert workers_that_fit(settings(), (embedded,)) == 8
    assert workers_that_fit(settings(), (dpt_large, embedded)) == 3


def test_only_engines_that_map_weights_share_them(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, dpt_large: PreparedModel
) -> None:
    others = [
        prepared("dpt_large", tmp_path, 1_376_000_000, engine)
        for engine in (EngineName.OPENVINO, EngineName.ONNXRUNTIME)
    ]
    others.append(replace(dpt_large, custom=True))
    machine(monkeypatch, 8)
    assert workers_that_fit(settings(), (dpt_large,)) == 8
    for model in others:
        assert workers_that_fit(settings(), (model,)) < 4


def test_workers_that_are_asked_for_stay_or_are_refused(
    monkeypatch: pytest.MonkeyPatch, dpt_large: PreparedModel
) -> None:
    machine(monkeypatch, 3.5)
    assert workers_that_fit(settings(workers=1), (dpt_large,)) == 1
    with pytest.raises(
        ConfigurationError, match=r"4 worker\(s\) with dpt_large need about 4\.\d GB .* Use --workers 3"
    ):
        workers_that_fit(settings(workers=4), (dpt_large,))
    machine(monkeypatch, 1.5)
    with pytest.raises(ConfigurationError, match=r"1 worker\(s\) .* this machine has 1\.5 GB\. Use a smaller model"):
        workers_that_fit(settings(), (dpt_large,))


def test_engines_that_rearrange_weights_need_more(tmp_path: Path, dpt_large: PreparedModel) -> None:
    openvino = prepared("dpt_large", tmp_path, 1_376_000_000, EngineName.OPENVINO)
    assert worker_bytes(settings(), (openvino,)) > worker_bytes(settings(), (dpt_large,)) + 1e9


def test_a_deadline_gives_a_slow_model_time_unless_it_is_set(dpt_large: PreparedModel, embedded: PreparedModel) -> None:
    assert deadline_s(settings(), (embedded,)) == 30
    assert 60 < deadline_s(settings(), (embedded, dpt_large)) < 300
    assert deadline_s(settings(deadline_s=20), (dpt_large,)) == 20


def test_every_model_gets_the_threads_of_its_worker(dpt_large: PreparedModel, embedded: PreparedModel) -> None:
    assert [model.choice.threads for model in with_threads((dpt_large, embedded), 3)] == [3, 3]


def test_a_photo_alone_uses_two_cpus_with_an_engine_whose_threads_sleep(
    tmp_path: Path, embedded: PreparedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    openvino = prepared("embedded", tmp_path, 1, EngineName.OPENVINO)
    assert [model.choice.threads for model in with_idle_cpus((embedded, openvino))] == [1, 2]
    assert [model.choice.threads for model in with_idle_cpus(with_threads((openvino,), 4))] == [4]
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0})
    assert [model.choice.threads for model in with_idle_cpus((openvino,))] == [1]
