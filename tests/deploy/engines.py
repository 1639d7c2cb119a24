"""Engines that build the image and run it, as `make image` finds them: Docker, Podman, or buildah with runc."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from benchmarks.servers import free_port

MEMORY = 2 << 30
STOP_S = 40


@dataclass(frozen=True)
class Image:
    """What an engine says of an image."""

    name: str
    config: dict[str, Any]
    layers: list[str]


@dataclass
class Container:
    """A container that runs until `stop`."""

    url: str
    log: Path
    """All that it has printed, complete once it has stopped."""
    status: int | None = None
    """Its exit status, once it has stopped."""


class Engine(Protocol):
    """Builds and runs images."""

    def build(self, context: Path, name: str, options: list[str]) -> Image: ...

    def running(self, image: Image, environment: dict[str, str], folder: Path) -> Any:
        """A context with a `Container`, which is asked to stop at its end."""
        ...


def engine() -> Engine | None:
    """The first one that works here."""
    for program in ("docker", "podman"):
        if shutil.which(program) and subprocess.run([program, "info"], capture_output=True).returncode == 0:
            return _Docker(program)
    return _Buildah() if shutil.which("buildah") and shutil.which("runc") and os.getuid() == 0 else None


def _output(*command: str | Path) -> str:
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()


@dataclass(frozen=True)
class _Docker:
    program: str

    def build(self, context: Path, name: str, options: list[str]) -> Image:
        format = ["--format", "docker"] if self.program == "podman" else []
        subprocess.run([self.program, "build", *format, *options, "--tag", name, context], check=True)
        [found] = json.loads(_output(self.program, "image", "inspect", name))
        return Image(name, found["Config"], found["RootFS"]["Layers"])

    @contextmanager
    def running(self, image: Image, environment: dict[str, str], folder: Path) -> Iterator[Container]:
        fences = ["--read-only", "--tmpfs=/tmp", "--cap-drop=ALL", "--security-opt=no-new-privileges"]
        variables = [f"--env={name}={value}" for name, value in environment.items()]
        limits = [f"--memory={MEMORY}", "--publish=127.0.0.1::7860"]
        name = _output(self.program, "run", "--detach", *fences, *limits, *variables, image.name)
        try:
            address = _output(self.program, "port", name, "7860").splitlines()[0]
            container = Container(f"http://{address}", folder / "log")
            yield container
            _output(self.program, "stop", "--time", str(STOP_S), name)
            logs = subprocess.run([self.program, "logs", name], capture_output=True, text=True, check=True)
            container.log.write_text(logs.stdout + logs.stderr)
            container.status = int(_output(self.program, "inspect", "--format", "{{.State.ExitCode}}", name))
        finally:
            _output(self.program, "rm", "--force", name)


class _Buildah:
    def build(self, context: Path, name: str, options: list[str]) -> Image:
        command = ["buildah", "build", "--layers", "--format", "docker"]
        subprocess.run([*command, *options, "--tag", name, context], check=True)
        found = json.loads(_output("buildah", "inspect", "--type", "image", name))
        return Image(name, found["Docker"]["config"], found["OCIv1"]["rootfs"]["diff_ids"])

    @contextmanager
    def running(self, image: Image, environment: dict[str, str], folder: Path) -> Iterator[Container]:
        working, name = _output("buildah", "from", "--pull-never", image.name), f"depthsvc-{uuid.uuid4().hex}"
        port = free_port()
        try:
            environment = {**environment, "DEPTHSVC_HOST": "127.0.0.1", "DEPTHSVC_PORT": str(port)}
            _write_bundle(folder, Path(_output("buildah", "mount", working)), image.config, environment)
            container = Container(f"http://127.0.0.1:{port}", folder / "log")
            with container.log.open("w") as log:
                process = subprocess.Popen(["runc", "run", "--bundle", folder, name], stdout=log, stderr=log)
            yield container
            _output("runc", "kill", name, image.config.get("StopSignal", "SIGTERM"))
            container.status = process.wait(STOP_S)
        finally:
            subprocess.run(["runc", "delete", "--force", name], capture_output=True)
            _output("buildah", "rm", working)


def _write_bundle(folder: Path, root: Path, config: dict[str, Any], environment: dict[str, str]) -> None:
    """What runc needs to run an image's command as `docker run` would, but in the network of this machine."""
    subprocess.run(["runc", "spec", "--bundle", folder], check=True)
    path = folder / "config.json"
    spec = json.loads(path.read_text())
    uid, _, gid = config["User"].partition(":")
    spec["root"] = {"path": str(root), "readonly": True}
    spec["process"] |= {
        "terminal": False,
        "user": {"uid": int(uid), "gid": int(gid)},
        "args": [*config["Entrypoint"], *config["Cmd"]],
        "env": [*config["Env"], *(f"{name}={value}" for name, value in environment.items())],
        "capabilities": {},
        "noNewPrivileges": True,
    }
    spec["mounts"].append({"destination": "/tmp", "type": "tmpfs", "source": "tmpfs", "options": ["mode=1777"]})
    spec["linux"]["namespaces"] = [each for each in spec["linux"]["namespaces"] if each["type"] != "network"]
    spec["linux"]["resources"]["memory"] = {"limit": MEMORY}
    path.write_text(json.dumps(spec))
