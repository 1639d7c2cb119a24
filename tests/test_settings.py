from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from depthsvc.machine.capacity import available_cpus
from depthsvc.settings import Settings, markdown_table, unknown_variables

TABLE = Path(__file__).parents[1] / "docs/settings.md"


def test_defaults_are_those_of_the_contract() -> None:
    settings = Settings()
    assert (settings.host, settings.port, settings.model) == ("127.0.0.1", 7860, "auto")
    assert (settings.engine, settings.precision, settings.device) == ("torchscript", "fp32", "cpu")
    assert settings.max_upload_bytes == 32_000_000
    assert settings.max_pixels == 120_000_000


@pytest.mark.parametrize(
    ("given", "device"),
    [("cpu", "cpu"), ("auto", "auto"), ("cuda", "cuda:0"), ("cuda:0", "cuda:0"), ("cuda:11", "cuda:11")],
)
def test_a_device_is_named_as_pytorch_does(given: str, device: str) -> None:
    settings = Settings(device=given)
    assert settings.device == device
    assert settings.engine_choice.device == pickle.loads(pickle.dumps(settings.device)) == device


def test_levels_of_the_log_may_be_written_in_capitals() -> None:
    assert Settings(log_level="WARNING").log_level == "warning"


def test_variables_set_what_is_not_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEPTHSVC_PORT", "8000")
    monkeypatch.setenv("DEPTHSVC_MODEL", "embedded")
    assert Settings().port == 8000
    assert Settings(port=9000).port == 9000
    assert Settings(port=9000).model == "embedded"


def test_the_cpus_are_shared_out_among_the_workers() -> None:
    assert Settings(workers=1).threads_per_worker == available_cpus()
    assert Settings(workers=256).threads_per_worker == 1
    assert Settings(workers=1, worker_threads=3).threads_per_worker == 3


def test_a_misspelt_variable_or_argument_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEPTHSVC_WROKERS", "4")
    monkeypatch.setenv("DEPTHSVC_MAGIC", "4")
    assert unknown_variables() == {"DEPTHSVC_MAGIC": [], "DEPTHSVC_WROKERS": ["DEPTHSVC_WORKERS"]}
    with pytest.raises(ValidationError, match="wrokers"):
        Settings(wrokers=4)  # type: ignore[call-arg]


@pytest.mark.parametrize(
    "bad",
    [
        {"port": 70000},
        {"workers": 0},
        {"engine": "magic"},
        {"precision": "fp8"},
        {"device": "gpu"},
        {"device": "cuda:-1"},
        {"device": "cuda:01"},
        {"device": "cuda:0 "},
        {"device": ""},
        {"deadline_s": 0},
        {"weights_sha256": "70d6b9c8"},
        {"weights_sha256": f"{'0' * 64},70d6b9c8"},
        {"max_megapixels": 1000},
        {"model": ""},
        {"model": " , "},
        {"drain_s": float("inf")},
        {"client_timeout_s": "nan"},
        {"api_keys": " , "},
        {"api_keys": ""},
        {"log_level": "loud"},
    ],
)
def test_values_that_cannot_work_are_refused(bad: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=next(iter(bad))):
        Settings(**bad)


def test_the_hashes_of_several_models_vouch_for_any_of_them() -> None:
    hashes = "A" * 64, "b" * 64
    one, two = Settings(weights_sha256=hashes[0]), Settings(model="a.pt,b.pt", weights_sha256=",".join(hashes))
    assert (one.weights_locations.sha256, one.weights_locations.trusted_sha256) == ("a" * 64, ("a" * 64,))
    assert (two.weights_locations.sha256, two.weights_locations.trusted_sha256) == (None, ("a" * 64, "b" * 64))


def test_the_table_of_settings_is_documented() -> None:
    assert markdown_table() in TABLE.read_text()
