"""Which process runs which tests, and when: `make test` has several."""

from __future__ import annotations

from pathlib import Path

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling

TOGETHER = (
    ("tests/browser/test_page.py",),
    (
        "tests/batch/test_run.py",
        "tests/test_readme.py",
        "tests/deploy/test_nginx_service.py",
        "tests/test_client.py",
        "tests/test_examples.py",
        "tests/deploy/test_monitoring.py",
    ),
    ("tests/server/test_service.py", "tests/server/routes/test_photos.py", "tests/server/test_metrics.py"),
    (
        "tests/security/test_connections.py",
        "tests/security/test_openapi.py",
        "tests/security/test_overload.py",
        "tests/security/test_hostile_files.py",
    ),
    ("tests/pool/test_workers.py",),
    ("tests/security/test_chaos.py",),
    ("tests/test_room_to_grow.py",),
    ("tests/test_cli.py",),
    ("tests/browser/test_files.py",),
    ("tests/deploy/test_dockerfile.py",),
    ("tests/model/engines/test_cache.py",),
    ("tests/model/engines/test_engines.py",),
    ("tests/security/test_soak.py",),
)
"""Files that one process runs, because they use the same service. Those that take longest come before all others."""

_PLACES = {file: (number, place) for number, files in enumerate(TOGETHER) for place, file in enumerate(files)}

assert all((Path(__file__).parents[1] / file).exists() for file in _PLACES), "TOGETHER names a file that is not there"


def _file(nodeid: str) -> str:
    return nodeid.partition("::")[0]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: _PLACES.get(_file(item.nodeid), (len(TOGETHER), 0)))


class _Together(LoadFileScheduling):  # type: ignore[misc]  # xdist has no types
    """Distributes these groups of files, and all other files one by one."""

    def _split_scope(self, nodeid: str) -> str:
        number, _ = _PLACES.get(_file(nodeid), (None, 0))
        return _file(nodeid) if number is None else TOGETHER[number][0]


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadFileScheduling | None:
    return _Together(config, log) if config.getvalue("dist") == "loadfile" else None
