"""How much of this machine the process may use."""

from __future__ import annotations

import math
import os
from pathlib import Path

from depthsvc.machine.cgroup import ControlGroups


def visible_cpus() -> int:
    """Number of CPUs that the system may run this process on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def available_cpus(groups: ControlGroups | None = None) -> int:
    """Number of CPUs that are worth using: no more than the process may run on, nor than its quota, rounded up."""
    quota = (groups or ControlGroups()).cpus()
    return visible_cpus() if quota is None else min(visible_cpus(), math.ceil(quota))


def available_memory_bytes(groups: ControlGroups | None = None) -> int:
    """Memory that the process may use: the machine's, or less if its control group is limited, in bytes."""
    physical = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limit = (groups or ControlGroups()).memory_bytes()
    return physical if limit is None else min(physical, limit)


def peak_memory_of(pid: int) -> int | None:
    """The most resident memory that a process has had, in bytes; None if it is gone, or where systems do not tell."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return None
    peak = next((line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:")), None)
    return 1024 * int(peak) if peak else None
