from __future__ import annotations

import os
from pathlib import Path

import pytest

from depthsvc.machine.capacity import available_cpus, available_memory_bytes, visible_cpus
from depthsvc.machine.cgroup import ControlGroups

PHYSICAL = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def groups(folder: Path, membership: str, files: dict[str, str]) -> ControlGroups:
    """A tree of control groups, and the list of those that a process is in."""
    for name, text in files.items():
        path = folder / "cgroup" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{text}\n")
    (folder / "membership").write_text(f"{membership}\n")
    return ControlGroups(folder / "cgroup", folder / "membership")


V1 = "4:memory:/pod/app\n2:cpu,cpuacct:/pod/app\n1:name=systemd:/pod"


@pytest.mark.parametrize(
    ("membership", "files", "cpus"),
    [
        ("0::/", {}, None),
        ("0::/", {"cpu.max": "max 100000"}, None),
        ("0::/", {"cpu.max": "150000 100000"}, 1.5),
        ("0::/", {"cpu.max": "150000"}, None),
        ("0::/", {"cpu.max": "much 100000"}, None),
        ("0::/", {"cpu.max": "100000 0"}, None),
        ("0::/a/b", {"a/b/cpu.max": "400000 100000", "a/cpu.max": "200000 100000"}, 2.0),
        ("0::/a/b", {"a/b/cpu.max": "max 100000", "a/cpu.max": "50000 100000", "cpu.max": "max 100000"}, 0.5),
        ("0::/a/b", {"a/cpu.max": "300000 100000", "other/cpu.max": "100000 100000"}, 3.0),
        ("0::/../host/app", {"cpu.max": "200000 100000"}, 2.0),
        ("0::/", {"unified/cpu.max": "200000 100000"}, 2.0),
        (V1, {"cpu,cpuacct/pod/app/cpu.cfs_quota_us": "-1", "cpu,cpuacct/pod/app/cpu.cfs_period_us": "100000"}, None),
        (V1, {"cpu/pod/cpu.cfs_quota_us": "250000", "cpu/pod/cpu.cfs_period_us": "100000"}, 2.5),
        # Docker without a namespace for control groups: the path is the host's, the mount that of the container.
        (V1, {"cpu,cpuacct/cpu.cfs_quota_us": "50000", "cpu,cpuacct/cpu.cfs_period_us": "50000"}, 1.0),
        # Hybrid: version 2 without controllers beside version 1.
        (f"{V1}\n0::/", {"cpu/pod/app/cpu.cfs_quota_us": "80000", "cpu/pod/app/cpu.cfs_period_us": "40000"}, 2.0),
        ("nonsense", {"cpu.max": "100000 100000"}, None),
    ],
)
def test_the_smallest_quota_along_the_path_counts(
    tmp_path: Path, membership: str, files: dict[str, str], cpus: float | None
) -> None:
    assert groups(tmp_path, membership, files).cpus() == cpus


@pytest.mark.parametrize(
    ("membership", "files", "limit"),
    [
        ("0::/a", {"memory.max": "max", "a/memory.max": "1000000"}, 1_000_000),
        ("0::/a", {"memory.max": "900000", "a/memory.max": "1000000"}, 900_000),
        (V1, {"memory/pod/memory.limit_in_bytes": "5000000"}, 5_000_000),
        (V1, {}, None),
    ],
)
def test_the_smallest_memory_along_the_path_counts(
    tmp_path: Path, membership: str, files: dict[str, str], limit: int | None
) -> None:
    tree = groups(tmp_path, membership, files)
    assert tree.memory_bytes() == limit
    assert available_memory_bytes(tree) == (limit or PHYSICAL)


def test_memory_is_never_more_than_the_machine_has(tmp_path: Path) -> None:
    unlimited = groups(tmp_path, V1, {"memory/memory.limit_in_bytes": "9223372036854771712"})
    assert available_memory_bytes(unlimited) == PHYSICAL


@pytest.mark.parametrize(("quota", "cpus"), [("50000", 1), ("100000", 1), ("150000", 2), ("800000", 4), ("max", 4)])
def test_cpus_are_those_of_the_mask_and_the_quota(
    tmp_path: Path, quota: str, cpus: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(4)))
    assert available_cpus(groups(tmp_path, "0::/", {"cpu.max": f"{quota} 100000"})) == cpus


def test_without_control_groups_the_mask_decides(tmp_path: Path) -> None:
    nothing = ControlGroups(tmp_path / "cgroup", tmp_path / "membership")
    assert available_cpus(nothing) == visible_cpus() == len(os.sched_getaffinity(0))
