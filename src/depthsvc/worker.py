"""What runs inside a worker process: one warm pipeline, answering one photo after another.

Importing this module imports everything a worker needs, so that the fork server can do it once for all.
"""

from __future__ import annotations

import logging
import signal
from dataclasses import replace
from multiprocessing.connection import Connection

import cv2
import torch

from depthsvc.errors import DepthServiceError, RequestError
from depthsvc.options import Options
from depthsvc.pipeline import Pipeline
from depthsvc.pool import WorkerConfig

logger = logging.getLogger(__name__)


def serve(connection: Connection, config: WorkerConfig) -> None:
    """Answer photos from `connection` until the other side closes it.

    The protocol: this side begins with None, when it is warm, or an Exception. Then, for each photo, it receives the
    options, pickled, and the photo's bytes, and sends an Answer with an empty body followed by the body's bytes, or
    an Exception.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole terminal; the parent decides
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        pipeline = _open(config)
    except Exception as error:
        connection.send(error if isinstance(error, DepthServiceError) else RuntimeError(repr(error)))
        return
    connection.send(None)
    while True:
        try:
            options: Options = connection.recv()
            data = connection.recv_bytes()
        except (EOFError, OSError):
            return
        _reply(connection, pipeline, data, options)


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
        logger.exception("a photo failed in a way that no one foresaw")
        connection.send(RuntimeError(repr(error)))
    else:
        connection.send(replace(answer, body=b""))
        connection.send_bytes(answer.body)
