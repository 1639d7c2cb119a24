"""The computing of one live session in this process: frames are steadied, coloured and encoded in their order."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

from depthsvc.depth import DepthMap
from depthsvc.imaging.colormaps import color_table
from depthsvc.model.spec import ModelSpec
from depthsvc.pipeline.answer import SeenFrame
from depthsvc.pipeline.finishing import finished
from depthsvc.server.live.messages import LiveFormat, LiveOptions
from depthsvc.video.levels import SteadyRange
from depthsvc.video.obstacles import ObstacleTracker
from depthsvc.video.steadier import Steadier

_JPEG_QUALITY = 85


class Stream:
    """The state of one stream. Not thread-safe, but not bound to a thread either."""

    def __init__(self, options: LiveOptions, spec: ModelSpec) -> None:
        self._options = options
        self._spec = spec
        self._steadier = Steadier(options.strength)
        self._range = SteadyRange()
        self._tracker = ObstacleTracker() if options.obstacles else None
        self._table = np.ascontiguousarray(color_table(options.colormap, invert=options.invert)[:, None, ::-1])

    def next(self, frame: SeenFrame, time_s: float) -> tuple[dict[str, Any], bytes] | None:
        """What is said of the next frame, and the payload; None if the network has to see it first.

        `time_s`: when it came, on any clock.
        """
        colours = frame.colours
        steady = self._steadier(colours, frame.values, frame.model)
        if steady is None:
            return None
        depth = finished(self._spec, steady.values, lambda: colours, frame.photo)
        is_new = steady.is_cut and self._steadier.filter is not None
        self._range.adopt(depth, is_cut=steady.is_cut)
        about: dict[str, Any] = {
            "low": _rounded(self._range.low),
            "high": _rounded(self._range.high),
            "cut": is_new,
        }
        if self._tracker:
            limits, flow = (self._range.low, self._range.high), self._steadier.flow
            sectors = self._tracker(depth, *limits, time_s, is_cut=steady.is_cut, flow=flow)
            about["obstacles"] = [sector.to_dict() for sector in sectors]
        shape, dtype, payload = self._payload(depth, *frame.photo)
        return {**about, "shape": shape, "dtype": dtype}, payload

    def _payload(self, depth: DepthMap, width: int, height: int) -> tuple[tuple[int, int], str, bytes]:
        """Height and width, NumPy's name for the numbers' type, and the bytes."""
        match self._options.format:
            case LiveFormat.RAW:
                return (depth.height, depth.width), "float16", depth.float16().tobytes()
            case LiveFormat.NONE:
                return (depth.height, depth.width), "", b""
            case LiveFormat.JPEG:
                width, height = self._options.heatmap_size(width, height)
                (levels,) = self._range.levels(depth, (width, height))
                picture = cv2.applyColorMap(levels, self._table)
                _, data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
                return (height, width), "uint8", data.tobytes()


def _rounded(value: float) -> float:
    return float(f"{value:.6g}")
