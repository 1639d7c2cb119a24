"""How often a photo has been begun, as the cluster remembers it when the process that began it is dead.

Ray gives what a dead process had to another one, again and again: one photo on which processes die would end them all.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager

from ray.experimental.internal_kv import _internal_kv_del, _internal_kv_put

from depthsvc.pool.base import TRIES, gave_up_error


def new_prefix() -> str:
    """What the names of some photos begin with, and of no others."""
    return f"depthsvc-{uuid.uuid4().hex}-"


@contextmanager
def count_attempt(name: str) -> Iterator[None]:
    """One attempt at a photo. Raises WorkerCrashed if so many were begun as may be, and none came to its end."""
    begun = []
    for attempt in range(TRIES):
        begun.append(f"{name}-{attempt}")
        if not begun_before(begun[-1]):
            break
    else:  # all of them were there
        raise gave_up_error()
    try:
        yield
    finally:
        for key in begun:
            _internal_kv_del(key)


def begun_before(name: str) -> bool:
    """Whether this has been asked under the same name."""
    return bool(_internal_kv_put(name, b"", overwrite=False))


def forget(prefix: str) -> None:
    """Have the cluster forget what dead processes have left."""
    _internal_kv_del(prefix, del_by_prefix=True)
