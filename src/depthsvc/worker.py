"""What runs inside a worker process: one warm pipeline, answering one photo after another.

Importing this module imports everything a worker needs, so that the fork server can do it once for all.
"""

from __future__ import annotations

import ctypes
import os
import traceback
from contextlib import suppress
from dataclasses import replace
from multiprocessing.connection import Connection

import cv2
import torch

from depthsvc.errors import DepthServiceError, RequestError
from depthsvc.options import Options
from depthsvc.pipeline import Pipeline
from depthsvc.pool import WorkerConfig

# glibc's names for options of mallopt, from malloc.h
_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3
_M_ARENA_MAX = -8
_LARGE_BLOCK = 16 << 20
"""Blocks of this many bytes or more go back to the system as soon as they are freed. Photos are larger than this, the
network's own arrays are not: at 1 MB inference took 1.4 times as long, at 16 MB no longer than without a bound."""
_CACHED_PRIMITIVES = 256
"""oneDNN keeps this many compiled operations; each shape of photo needs its own."""


def serve(connection: Connection, config: WorkerConfig) -> None:
    """Answer photos from `connection` until the other side closes it.

    The protocol: this side begins with None, when it is warm, or an Exception. Then, for each photo, it receives the
    options, pickled, and the photo's bytes, and sends an Answer with an empty body followed by the body's bytes, or
    an Exception.
    """
    _bound_memory()
    try:
        pipeline = _open(config)
    except Exception as error:
        connection.send(error if isinstance(error, DepthServiceError) else RuntimeError(repr(error)))
        return
    connection.send(None)
    with suppress(EOFError, OSError):  # the other side has closed it
        while True:
            options: Options = connection.recv()
            _reply(connection, pipeline, connection.recv_bytes(), options)


def _bound_memory() -> None:
    """Keep what one large photo needed from staying with the process."""
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", str(_CACHED_PRIMITIVES))
    with suppress(OSError, AttributeError):  # another C library than glibc
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_M_ARENA_MAX, 2)
        mallopt(_M_MMAP_THRESHOLD, _LARGE_BLOCK)
        mallopt(_M_TRIM_THRESHOLD, 4 * _LARGE_BLOCK)


def _open(config: WorkerConfig) -> Pipeline:
    torch.set_num_threads(config.threads)
    cv2.setNumThreads(config.threads)
    return Pipeline.open(
        config.model,
        threads=config.threads,
        max_pixels=config.max_pixels,
        max_input_size=config.max_input_size,
    )


def _reply(connection: Connection, pipeline: Pipeline, data: bytes, options: Options) -> None:
    try:
        answer = pipeline.answer(data, options)
    except RequestError as error:
        connection.send(error)
    except Exception as error:
        unforeseen = RuntimeError(repr(error))
        unforeseen.add_note(traceback.format_exc())
        connection.send(unforeseen)
    else:
        connection.send(replace(answer, body=b""))
        connection.send_bytes(answer.body)
