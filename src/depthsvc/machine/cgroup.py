"""The limits that Linux's control groups set for this process. Containers and systemd set them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

_UNIFIED = ""
"""Where /proc/self/cgroup names the controllers of a group, version 2 has nothing."""


@dataclass(frozen=True)
class ControlGroups:
    """The groups that a process is in, of version 1, version 2, or both.

    A group's limits hold for all groups within it, so the smallest along the path counts. Files that are missing or
    cannot be read set no limit.
    """

    mount: Path = Path("/sys/fs/cgroup")
    membership: Path = Path("/proc/self/cgroup")

    def cpus(self) -> float | None:
        """CPUs' worth of time that the process may use; None without a quota."""
        return min((quota for folder in self._folders("cpu") if (quota := _quota(folder)) is not None), default=None)

    def memory_bytes(self) -> int | None:
        """Memory that the process and its group may use, in bytes; None without a limit."""
        limits = (
            _integer(_words(folder / name))
            for folder in self._folders("memory")
            for name in ("memory.max", "memory.limit_in_bytes")
        )
        return min((limit for limit in limits if limit is not None and limit > 0), default=None)

    def _folders(self, controller: str) -> Iterator[Path]:
        """The folders of the process's groups, and of the groups around them.

        In a container the path may be that on the host, of which only the mounted folder itself exists.
        """
        lines = (line.split(":", 2) for line in _text(self.membership).splitlines())
        for _, controllers, path in (line for line in lines if len(line) == 3):
            if controllers == _UNIFIED:
                roots = [self.mount, self.mount / "unified"]
            elif controller in controllers.split(","):
                roots = [self.mount / controllers, self.mount / controller]
            else:
                continue
            names = [name for name in PurePosixPath(path).parts if name not in ("/", "..")]
            for root in roots:
                yield root
                yield from (root.joinpath(*names[: depth + 1]) for depth in range(len(names)))


def _quota(folder: Path) -> float | None:
    """The CPUs of one group, of either version."""
    words = _words(folder / "cpu.max") or [
        *_words(folder / "cpu.cfs_quota_us"),
        *_words(folder / "cpu.cfs_period_us"),
    ]
    quota, period = _integer(words[:1]), _integer(words[1:])
    return quota / period if quota and period and quota > 0 and period > 0 else None


def _integer(words: list[str]) -> int | None:
    """The first word as a number; None if it is none, such as "max"."""
    try:
        return int(words[0])
    except (IndexError, ValueError):
        return None


def _words(path: Path) -> list[str]:
    return _text(path).split()


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""
