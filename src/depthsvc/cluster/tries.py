"""Counting attempts at a photo in the cluster's memory, which outlives the processes that made them.

Ray retries a dead process's work forever, so one poisonous photo would kill every process.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager

from ray.experimental.internal_kv import _internal_kv_del, _internal_kv_put

from depthsvc.pool.base import TRIES, gave_up_error


def new_prefix() -> str:
    """A unique prefix for the names of one batch's photos."""
    return f"depthsvc-{uuid.uuid4().hex}-"


@contextmanager
def count_attempt(name: str) -> Iterator[None]:
    """One attempt at a photo. Raises WorkerCrashed if TRIES attempts have started and none has finished."""
    begun = []
    for attempt in range(TRIES):
        begun.append(f"{name}-{attempt}")
        if not begun_before(begun[-1]):
            break
    else:  # all tries are used up
        raise gave_up_error()
    try:
        yield
    finally:
        for key in begun:
            _internal_kv_del(key)


def begun_before(name: str) -> bool:
    """Whether this has been called before with the same name."""
    return bool(_internal_kv_put(name, b"", overwrite=False))


def forget(prefix: str) -> None:
    """Remove the entries that dead processes have left in the cluster."""
    _internal_kv_del(prefix, del_by_prefix=True)
