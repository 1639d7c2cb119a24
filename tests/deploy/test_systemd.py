"""The systemd unit: systemd takes it, it is fenced in, and its settings are the service's."""

from __future__ import annotations

import os
import re
from configparser import RawConfigParser
from pathlib import Path

from depthsvc.settings import Settings, variable
from tests.deploy.conftest import DEPLOY, ROOT, checked, needed

FILE = DEPLOY / "systemd/depthsvc.service"
TEXT = FILE.read_text()


def unit() -> RawConfigParser:
    parser = RawConfigParser(strict=False)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read(FILE)
    return parser


def test_systemd_takes_it(tmp_path: Path) -> None:
    installed = tmp_path / FILE.name
    installed.write_text(TEXT.replace("/opt/depthsvc/bin/depthsvc", "/bin/true"))  # it must be there
    assert checked(needed("systemd-analyze"), "verify", "--man=no", installed) == ""


def test_installing_it_makes_the_link_that_an_upgrade_changes(tmp_path: Path) -> None:
    """The commands of the unit's head, with programs that only take note."""
    script = "\n".join(re.findall(r"^#   (.*)", TEXT.partition("[Unit]")[0], re.MULTILINE))
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("python3", "cp", "systemctl"):
        (programs / name).write_text('#!/bin/sh\n[ "$1" != -m ] || mkdir -p "$3/bin"\n')
        (programs / name).chmod(0o755)
    script = re.sub(r"^(deploy|/opt)/\S*(install-torch|pip).*$", "", script, flags=re.MULTILINE)
    (tmp_path / "opt").mkdir()
    script = script.replace("/opt/", f"{tmp_path}/opt/")
    path = f"{programs}:{os.environ['PATH']}"
    for _ in range(2):  # the second time is an upgrade
        checked("sh", "-euc", script, env={"PATH": path}, cwd=ROOT)
    link = tmp_path / "opt/depthsvc"
    assert link.is_symlink()
    assert {each.name for each in (tmp_path / "opt").iterdir()} == {"depthsvc", link.readlink().name}
    assert unit()["Service"]["ExecStart"].startswith("/opt/depthsvc/bin/")


def test_it_is_hardly_exposed() -> None:
    analysis = checked(needed("systemd-analyze"), "security", "--offline=true", "--no-pager", FILE)
    [score] = re.findall(r"exposure level for depthsvc.service: ([\d.]+)", analysis)
    assert float(score) <= 1.5


def test_the_settings_are_real_and_fit() -> None:
    service = unit()["Service"]
    named = set(re.findall(r"\b(DEPTHSVC_[A-Z_]+)=", TEXT)) - {"DEPTHSVC_NAME"}
    assert named <= {variable(name) for name in Settings.model_fields}
    assert service["CacheDirectory"] == "depthsvc"
    assert "DEPTHSVC_CACHE_DIR=%C/depthsvc" in TEXT
    assert service["ExecStart"].endswith("/bin/depthsvc serve")


def test_it_may_drain_before_it_is_killed() -> None:
    service = unit()["Service"]
    assert float(service["TimeoutStopSec"]) >= Settings.model_fields["drain_s"].default + 5
    assert service["KillMode"] == "mixed"  # SIGTERM for the first process only, which tells its workers
    assert service["Restart"] == "on-failure"
    assert service["MemoryMax"] == "2G"
    assert service["OOMPolicy"] == "continue"  # or a worker that is killed would end the others
    assert "DEPTHSVC_WORKERS=2 DEPTHSVC_WORKER_THREADS=1" in TEXT
