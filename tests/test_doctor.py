from __future__ import annotations

import json
import os
import socket
import sys
import tempfile
from pathlib import Path

import pytest
from click.testing import CliRunner

from depthsvc.cli import main
from depthsvc.cli.doctor import checks, machine, model
from depthsvc.cli.doctor.configuration import Configuration
from depthsvc.cli.doctor.finding import Check, Finding, fine
from depthsvc.machine import capacity
from depthsvc.machine.cgroup import ControlGroups
from depthsvc.model.engines import devices, kinds
from depthsvc.model.engines.devices import Gpus
from depthsvc.settings import Settings
from tests.conftest import RunningService
from tests.model.gpus import gpu

NAMES = [
    "version",
    "python",
    "processor",
    "cpus",
    "memory",
    "gpus",
    "settings",
    "engines",
    "extras",
    "weights",
    "cache",
    "temporary",
    "proxies",
    "certificates",
    "port",
    "self-test",
]


def found(name: str, *options: str) -> tuple[str, str]:
    """Status and sentence of one check."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checks, "CHECKS", [check for check in checks.CHECKS if check.name == name])
        result = CliRunner().invoke(main, ["doctor", "--json", *options])
    report = json.loads(result.stdout)
    assert report["ok"] == (result.exit_code == 0)
    [check] = report["checks"]
    assert check["name"] == name
    assert report["ok"] == (check["status"] != "wrong")
    return check["status"], check["sentence"]


def test_a_healthy_machine(cache_dir: Path) -> None:
    options = ["--port", "0", "--model", "embedded", "--workers", "1"]
    result = CliRunner().invoke(main, ["doctor", *options], terminal_width=200)
    assert result.exit_code == 0, result.output
    assert [line.split()[1] for line in result.stdout.splitlines() if line[:1].strip()][:-1] == NAMES
    assert result.stdout.endswith("\nNothing is wrong.\n")
    assert "embedded on torchscript, fp32: 960 x 720 photo in" in " ".join(result.stdout.split())


def test_the_report_for_programs_has_stable_keys() -> None:
    result = CliRunner().invoke(main, ["doctor", "--json", "--port", "0", "--model", "embedded"])
    report = json.loads(result.stdout)
    assert list(report) == ["ok", "version", "checks"]
    assert [check["name"] for check in report["checks"]] == NAMES
    assert {tuple(check) for check in report["checks"]} == {("name", "status", "sentence")}


def test_a_broken_check_is_a_row_and_the_others_follow(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: Configuration) -> Finding:
        raise ZeroDivisionError("the machine is on fire\x1b[2J\udc80")

    monkeypatch.setattr(checks, "CHECKS", [Check("broken", broken), Check("next", lambda _: fine("well"))])
    result = CliRunner().invoke(main, ["doctor"])
    assert result.exit_code == 1
    assert result.stdout == (
        "wrong  broken       the machine is on fire\N{REPLACEMENT CHARACTER}[2J\N{REPLACEMENT CHARACTER}\n"
        "ok     next         well\n\nwrong: broken\n"
    )


def test_settings_and_where_they_come_from(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("depthsvc_port", "8000")
    monkeypatch.setenv("DEPTHSVC_QUEUE_SIZE", "64")
    monkeypatch.setenv("DEPTHSVC_API_KEYS", "first-secret,second-secret")
    status, sentence = found("settings", "--deadline-s", "5")
    assert status == "ok"
    assert "port is 8000 (depthsvc_port)" in sentence
    assert "deadline_s is 5.0 (--deadline-s)" in sentence
    assert "api_keys is **********, ********** (DEPTHSVC_API_KEYS)" in sentence
    assert "queue_size" not in sentence  # as by default


def test_invalid_settings_are_all_named_and_the_rest_is_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEPTHSVC_PORT", "harbour")
    status, sentence = found("settings", "--workers", "none", "--queue-size", "9")
    assert status == "wrong"
    assert "DEPTHSVC_PORT: Input should be a valid integer" in sentence
    assert "--workers: Input should be a valid integer" in sentence
    assert "queue_size is 9 (--queue-size)" in sentence
    assert found("version", "--workers", "none")[0] == "ok"


def test_a_misspelt_variable_is_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEPTHSVC_WROKERS", "2")
    status, sentence = found("settings")
    assert status == "note"
    assert "without effect: DEPTHSVC_WROKERS" in sentence


def test_the_quota_is_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(4)))
    (tmp_path / "cpu.max").write_text("150000 100000")
    (tmp_path / "memory.max").write_text(str(1 << 30))
    (tmp_path / "membership").write_text("0::/\n")
    groups = ControlGroups(tmp_path, tmp_path / "membership")
    monkeypatch.setattr(capacity, "ControlGroups", lambda: groups)
    assert found("cpus") == ("ok", "2 CPUs of 4, by the quota of the control group; workers: 2, threads of each: 1")
    status, sentence = found("memory")
    assert status == "note"
    assert sentence.startswith("1.0 GiB. The largest photos may need 2.0 GiB with 2 workers")


def test_more_threads_than_cpus_are_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    status, sentence = found("cpus", "--workers", "200", "--worker-threads", "2")
    assert status == "note"
    assert "more threads than CPUs" in sentence


def test_an_old_processor_is_noted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "cpuinfo").write_text("model name : Abacus\nflags : sse2\n")
    monkeypatch.setattr(devices, "_CPU_INFO", tmp_path / "cpuinfo")
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    status, sentence = found("processor")
    assert (status, sentence.partition(".")[0]) == ("note", "Abacus: no vector instructions are known")


def test_a_missing_engine_and_a_missing_extra_are_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kinds, "find_spec", lambda package: None if package == "openvino" else object())
    status, sentence = found("engines", "--engine", "openvino")
    assert (status, "pip install 'depthsvc[openvino]'" in sentence) == ("wrong", True)
    monkeypatch.setattr(model, "_version", lambda package: None if package == "ray" else "1")
    assert found("extras")[0] == "ok"
    assert found("extras", "--ray") == (
        "wrong",
        f"The settings need the extra ray. Install it: {sys.executable} -m pip install 'depthsvc[ray]'",
    )


def test_a_model_that_the_engine_cannot_run_is_noted() -> None:
    pytest.importorskip("ncnn")
    status, sentence = found("engines", "--engine", "ncnn", "--model", "dpt_hybrid")
    assert status == "note"
    assert sentence.endswith("ncnn cannot run dpt_hybrid, which runs on torchscript instead.")
    assert found("engines", "--engine", "ncnn", "--model", "midas_small")[0] == "ok"


def test_weights_that_are_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DEPTHSVC_DOWNLOAD")
    where = ["--cache-dir", str(tmp_path)]
    assert found("weights", *where)[1].endswith(f"The next start downloads it to {tmp_path / 'weights'}.")
    assert found("weights", *where, "--no-download")[0] == "note"
    assert found("weights", *where, "--no-download", "--model", "midas_small")[0] == "wrong"
    assert found("weights", "--model", "missing.onnx") == ("wrong", "missing.onnx does not exist or is not a file.")
    assert found("self-test", *where, "--model", "midas_small") == (
        "note",
        "not done: download the weights first, with depthsvc weights fetch midas_small.",
    )
    assert list(tmp_path.iterdir()) == []


def test_a_cache_that_cannot_be_written_is_noted(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    status, sentence = found("cache", "--cache-dir", str(tmp_path / "file"))
    assert status == "note"
    assert "not writable" in sentence


def test_no_temporary_folder_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    def none() -> str:
        raise FileNotFoundError(2, "No usable temporary directory found")

    monkeypatch.setattr(tempfile, "gettempdir", none)
    assert found("temporary") == ("wrong", "No usable temporary directory found")


@pytest.mark.parametrize(
    ("value", "status"),
    [
        ("http://user:secret@proxy.example:3128", "ok"),
        ("proxy.example:3128", "ok"),
        ("socks5h://[::1]:1080", "ok"),
        ("ftp://secret.example", "wrong"),
        ("http://proxy.example:secret", "wrong"),
        ("http://", "wrong"),
    ],
)
def test_proxies_are_checked_and_their_values_kept_secret(
    value: str, status: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)
    assert found("proxies") == ("ok", "none set")
    monkeypatch.setenv("HTTPS_PROXY", value)
    found_status, sentence = found("proxies")
    assert found_status == status
    assert "HTTPS_PROXY" in sentence
    assert "secret" not in sentence


def test_certificates_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    assert found("certificates") == ("ok", "those of the system")
    (tmp_path / "ca.pem").write_text("no certificate")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    assert found("certificates")[0] == "wrong"
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "missing.pem"))
    assert found("certificates")[0] == "wrong"


def test_a_port_in_use_is_wrong_unless_depthsvc_uses_it(service: RunningService) -> None:
    assert found("port", "--port", "0")[0] == "ok"
    with socket.create_server(("127.0.0.1", 0)) as other:
        status, sentence = found("port", "--port", str(other.getsockname()[1]))
    assert status == "wrong"
    assert "Address already in use" in sentence
    status, sentence = found("port", "--port", service.url.rpartition(":")[2])
    assert status == "note"
    assert "which is running" in sentence


def test_a_model_that_does_not_run_is_wrong() -> None:
    status, sentence = found("self-test", "--model", "midas_small", "--weights", "missing.pt")
    assert status == "wrong"
    assert "missing.pt" in sentence


def test_every_setting_is_an_option_of_doctor() -> None:
    output = CliRunner().invoke(main, ["doctor", "--help"]).output
    assert all(f"--{name.replace('_', '-')}" in output for name in Settings.model_fields)


@pytest.mark.parametrize(
    ("device", "gpus", "expected"),
    [
        ("cpu", Gpus((), "this PyTorch has no CUDA", "Buy one."), ("ok", "none: this PyTorch has no CUDA")),
        (
            "cpu",
            Gpus((), "this PyTorch has no CUDA", "Buy one.", "12.8"),
            ("ok", "none: this PyTorch has no CUDA; the driver supports CUDA 12.8"),
        ),
        (
            "cuda",
            Gpus((), "this PyTorch has no CUDA", "Buy one."),
            ("wrong", "device cuda:0 is not available: this PyTorch has no CUDA. Buy one."),
        ),
        (
            "auto",
            Gpus((gpu(0), gpu(1, problem="no kernel image")), driver="13.0"),
            (
                "ok",
                "cuda:0 is a Fake 0 with 37.3 GiB, 18.6 GiB free; cuda:1 is a Fake 1 with 37.3 GiB, which PyTorch "
                "cannot use: no kernel image; the driver supports CUDA 13.0",
            ),
        ),
    ],
)
def test_gpus_are_named_with_their_memory_and_driver(
    device: str, gpus: Gpus, expected: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "run_in_child", lambda _: gpus)
    assert found("gpus", "--device", device) == expected


def test_on_a_gpu_the_number_of_workers_is_not_that_of_the_cpus() -> None:
    assert "workers: as many as fit into the GPU's memory" in found("cpus", "--device", "auto")[1]
    assert "workers: 3, " in found("cpus", "--device", "auto", "--workers", "3")[1]
