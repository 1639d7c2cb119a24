"""This repository's nginx.conf in a real nginx on a free loopback port, for measurements and tests."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.servers import free_port

ROOT = Path(__file__).parents[1]
PROGRAM = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
"""None if nginx is not installed."""

_TEMPORARY = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")


@dataclass(frozen=True)
class Nginx:
    """A configuration, and where it listens."""

    folder: Path
    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def access_log(self) -> str:
        return (self.folder / "access.log").read_text()

    @property
    def error_log(self) -> str:
        return (self.folder / "error.log").read_text()

    def command(self, *options: str) -> list[str]:
        assert PROGRAM
        user = "user root;" if os.geteuid() == 0 else ""  # only its owner can access the folder
        directives = f"daemon off; pid {self.folder}/pid; {user}"
        paths = ["-p", str(self.folder), "-c", str(self.folder / "nginx.conf"), "-e", str(self.folder / "error.log")]
        return [PROGRAM, *paths, "-g", directives, *options]

    @contextmanager
    def running(self) -> Iterator[int]:
        """Run nginx until the end of the block; yields the id of its main process."""
        process = subprocess.Popen(self.command())
        try:
            self._wait_until_it_listens(process)
            yield process.pid
        finally:
            process.terminate()
            process.wait()

    def _wait_until_it_listens(self, process: subprocess.Popen[bytes]) -> None:
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port)).close()
                return
            except ConnectionRefusedError:
                if process.poll() is not None:
                    raise SystemExit(f"nginx did not start:\n{self.error_log}") from None
                time.sleep(0.01)


def configured(
    folder: Path,
    instances: Sequence[str],
    *,
    changes: Mapping[str, str] | None = None,
    included: Mapping[str, str] | None = None,
) -> Nginx:
    """nginx.conf in its own folder, with other ports and paths and these instances (`host:port`, optional parameters).

    `changes` are applied to its text, each exactly once; `included` are files for its folder depthsvc.d.
    """
    port = free_port()
    text = (ROOT / "nginx.conf").read_text()
    temporary = "".join(f"\n    {name}_temp_path {folder}/{name};" for name in _TEMPORARY)
    for old, new in {
        "listen 80 ": f"listen 127.0.0.1:{port} ",
        "server 127.0.0.1:7860;": " ".join(f"server {instance};" for instance in instances),
        "/var/log/nginx/error.log": f"{folder}/error.log",
        "/var/log/nginx/access.log": f"{folder}/access.log",
        "\nhttp {": f"\nhttp {{{temporary}",
        **(changes or {}),
    }.items():
        assert text.count(old) == 1, f"nginx.conf has {old!r} {text.count(old)} times"
        text = text.replace(old, new)
    (folder / "nginx.conf").write_text(text)
    (folder / "depthsvc.d").mkdir()
    for name, content in (included or {}).items():
        (folder / "depthsvc.d" / name).write_text(content)
    return Nginx(folder, port)
