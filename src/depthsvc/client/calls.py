"""The requests that clients make, and what they read from the answers."""

from __future__ import annotations

from typing import TypeVar

import httpx
import numpy as np
from pydantic import BaseModel, ValidationError

from depthsvc.client.conversation import Call
from depthsvc.client.queries import BokehQuery, DepthQuery, HeatmapQuery, PointCloudQuery
from depthsvc.depth import DepthMap
from depthsvc.errors import ServiceUnreachable
from depthsvc.imaging.spec import Enlargement
from depthsvc.options import BokehOptions, DepthFormat, DepthOptions, HeatmapOptions, Options, PointCloudOptions

HEALTH = Call("GET", "health", "application/json")
MODELS = Call("GET", "models", "application/json")


Body = TypeVar("Body", bound=BaseModel)


def parsed(body: type[Body], response: httpx.Response) -> Body:
    """What a service says about itself. Raises ServiceUnreachable if it is something else that speaks."""
    try:
        return body.model_validate_json(response.content)
    except ValidationError as error:
        raise ServiceUnreachable(f"{response.url} answers something else than its state. Is it depthsvc?") from error


def depth_map(response: httpx.Response) -> DepthMap:
    try:
        height, width = map(int, response.headers["X-Depth-Shape"].split(","))
        values = np.frombuffer(response.content, "<f2").reshape(height, width)
        enlargement = Enlargement(response.headers.get("X-Depth-Enlargement", Enlargement.BICUBIC))
    except (KeyError, ValueError) as error:
        raise ServiceUnreachable(f"{response.url} answers something else than depth. Is it depthsvc?") from error
    return DepthMap.of(values.astype(np.float32), response.headers.get("X-Depth-Model", ""), enlargement)


def call(photo: bytes, options: Options) -> Call:
    """What a service is asked for with these options."""
    query = options.model_dump(mode="json", exclude_defaults=True)
    match options:
        case HeatmapOptions():
            return Call("POST", "upload", "image/png", photo, query)
        case DepthOptions():
            return Call("POST", "depth", _DEPTH_TYPES[options.format], photo, query)
        case PointCloudOptions():
            return Call("POST", "pointcloud", "model/ply", photo, query)
        case BokehOptions():
            return Call("POST", "bokeh", "image/jpeg", photo, query)


_DEPTH_TYPES = {
    DepthFormat.F16: "application/octet-stream",
    DepthFormat.NPY: "application/x-npy",
    DepthFormat.PNG16: "image/png",
}


def upload(photo: bytes, query: HeatmapQuery) -> Call:
    return Call("POST", "upload", "image/png", photo, {"palette": True, **query})


def depth(photo: bytes, query: DepthQuery) -> Call:
    return Call("POST", "depth", "application/octet-stream", photo, {**query})


def pointcloud(photo: bytes, query: PointCloudQuery) -> Call:
    return Call("POST", "pointcloud", "model/ply", photo, {**query})


def bokeh(photo: bytes, query: BokehQuery) -> Call:
    return Call("POST", "bokeh", "image/jpeg", photo, {**query})
