"""The requests that clients make, and what they read from the responses."""

from __future__ import annotations

from typing import TypeVar

import httpx
import numpy as np
from pydantic import BaseModel, ValidationError

from depthsvc.client.conversation import Call
from depthsvc.depth import DepthMap
from depthsvc.errors import ServiceUnreachable
from depthsvc.imaging.glb import Mesh
from depthsvc.imaging.picture import Picture
from depthsvc.imaging.pointcloud import PointCloud
from depthsvc.imaging.spec import DepthKind, Enlargement
from depthsvc.options import Options

HEALTH = Call("GET", "health", "application/json")
MODELS = Call("GET", "models", "application/json")

Body = TypeVar("Body", bound=BaseModel)


def call(photo: bytes, options: Options) -> Call:
    """The call for a photo with these options."""
    return Call("POST", options.route.removeprefix("/"), options.file_format.media_type, photo, options.query())


def parse(body: type[Body], response: httpx.Response) -> Body:
    """A response body of /health or /models. Raises ServiceUnreachable if it is anything else."""
    try:
        return body.model_validate_json(response.content)
    except ValidationError as error:
        raise ServiceUnreachable(f"{response.url} did not return its state. Is it depthsvc?") from error


def depth_map(response: httpx.Response) -> DepthMap:
    try:
        height, width = map(int, response.headers["X-Depth-Shape"].split(","))
        values = np.frombuffer(response.content, "<f2").reshape(max(0, height), max(0, width))
        enlargement = Enlargement(response.headers.get("X-Depth-Enlargement", Enlargement.BICUBIC))
        kind = DepthKind(response.headers.get("X-Depth-Kind", DepthKind.INVERSE_DEPTH))
    except (KeyError, ValueError) as error:
        raise ServiceUnreachable(f"{response.url} did not return depth. Is it depthsvc?") from error
    return DepthMap.of(values.astype(np.float32), response.headers.get("X-Depth-Model", ""), enlargement, kind)


def picture(response: httpx.Response) -> Picture:
    return Picture.of(response.content)


def point_cloud(response: httpx.Response) -> PointCloud:
    try:
        return PointCloud.of_ply(response.content)
    except ValueError as error:
        raise ServiceUnreachable(f"{response.url} did not return points. Is it depthsvc?") from error


def mesh(response: httpx.Response) -> Mesh:
    try:
        return Mesh.of(response.content)
    except ValueError as error:
        raise ServiceUnreachable(f"{response.url} did not return a mesh. Is it depthsvc?") from error
