"""A video of a batch on Ray: one actor converts it, and writes where all machines see it."""

from __future__ import annotations

import time
from contextlib import AbstractContextManager
from pathlib import Path

from depthsvc.batch.estimators import Facts
from depthsvc.batch.outputs import move_inside, temporary_in
from depthsvc.batch.videos import failure_of
from depthsvc.errors import RequestError, VideoError
from depthsvc.pipeline.stages import Pipeline
from depthsvc.video.conversion import VideoOptions, convert
from depthsvc.video.reading import VideoReader


def convert_here(
    pipeline: Pipeline,
    video: Path,
    folder: Path,
    result: Path,
    options: VideoOptions,
    attempt: AbstractContextManager[None],
) -> Facts | tuple[str, str]:
    """Make a video of heatmaps in this process; or the code and the reason of the failure.

    `folder`: the output folder. `result`: the file in it. `attempt`: counts this attempt.
    """
    began, spec = time.monotonic(), pipeline.model.spec
    temporary = temporary_in(folder, result.suffix)
    try:
        with attempt, VideoReader(video, max_pixels=pipeline.limits.max_pixels) as reader:
            convert(reader, temporary, lambda: [pipeline], options)
        move_inside(folder, temporary, result)
    except (RequestError, VideoError, OSError) as error:
        return failure_of(error, video, temporary)
    return Facts(spec.name, spec.output.depth_kind, None, None, time.monotonic() - began)
