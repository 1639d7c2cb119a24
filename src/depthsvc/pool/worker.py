"""The inside of a worker process: one warm pipeline that processes one photo after another.

Importing this module imports everything a worker needs except its engine, so that the fork server does it only once.
"""

from __future__ import annotations

import traceback
from contextlib import suppress

import cv2

from depthsvc.errors import DepthServiceError, DeviceLost, RequestError
from depthsvc.model.spec import PreparedModel
from depthsvc.options import FrameOptions, Task
from depthsvc.pipeline.answer import Answer
from depthsvc.pipeline.stages import Pipeline
from depthsvc.pool.channel import Channel
from depthsvc.pool.config import WorkerConfig
from depthsvc.pool.heap import bound_heap

_SILENT = 0


def serve(channel: Channel, config: WorkerConfig) -> None:
    """Process photos from `channel` until the other side closes it.

    The protocol: this side first sends None, once it is warm, or an Exception. Then, for each photo, it receives the
    options with the photo's bytes, and sends an Answer without its body with the body's bytes, or an Exception.

    Raises DeviceLost, and with it ends, because only another process can use the GPU again.
    """
    try:
        pipelines = open_pipelines(config)
    except Exception as error:
        channel.send(error if isinstance(error, DepthServiceError) else RuntimeError(repr(error)))
        return
    channel.send(None)
    with suppress(EOFError, OSError):  # the other side has closed it
        while True:
            _answer_next(channel, pipelines)


def _answer_next(channel: Channel, pipelines: dict[str | None, Pipeline]) -> None:
    options, photo = channel.receive()
    outcome = reply(pipelines[options.model], photo, options)
    del photo  # not needed while a slow reader receives the result
    if isinstance(outcome, Exception):
        channel.send(outcome)
    else:
        channel.send(outcome.without_body(), outcome.body)


def open_pipelines(config: WorkerConfig) -> dict[str | None, Pipeline]:
    """A warm pipeline for each model by its name, and for None that of the first, tuned to have this process to
    themselves. Raises ModelError."""
    bound_heap()
    cv2.setNumThreads(config.models[0].choice.threads)
    cv2.utils.logging.setLogLevel(_SILENT)  # that a photo is damaged is an answer, not news
    pipelines: dict[str | None, Pipeline] = {model.name: _open(model, config) for model in config.models}
    pipelines[None] = pipelines[config.models[0].name]
    return pipelines


def open_pipeline(config: WorkerConfig) -> Pipeline:
    """The pipeline of the first model. Raises ModelError."""
    return open_pipelines(config)[None]


def _open(model: PreparedModel, config: WorkerConfig) -> Pipeline:
    pipeline = Pipeline.open(
        model, max_pixels=config.max_pixels, max_input_size=config.max_input_size, max_cost=config.max_photo_cost
    )
    pipeline.model.warm()
    return pipeline


def reply(pipeline: Pipeline, data: bytes, options: Task) -> Answer | Exception:
    """A photo's result, or the error: RequestError, or RuntimeError for an unexpected failure. Raises DeviceLost."""
    try:
        if isinstance(options, FrameOptions):
            return pipeline.frame(data, options)
        return pipeline.answer(data, options)
    except RequestError as error:
        return error
    except DeviceLost:
        raise
    except Exception as error:
        unforeseen = RuntimeError(repr(error))
        unforeseen.add_note(traceback.format_exc())
        return unforeseen
