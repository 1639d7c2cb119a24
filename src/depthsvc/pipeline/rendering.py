"""Depth, and the photo where it is needed, to the bytes of a result."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from depthsvc.depth import DepthMap
from depthsvc.errors import TooManyPixels
from depthsvc.imaging import encode
from depthsvc.imaging.bokeh import refocus
from depthsvc.imaging.colormaps import levels
from depthsvc.imaging.photo.decode import Photo
from depthsvc.imaging.pointcloud import PointCloud, grid_size, point_cloud
from depthsvc.imaging.resize import fitting, resized
from depthsvc.options import (
    SIDE_BY_SIDE_MAX_SIDE,
    BokehOptions,
    DepthFormat,
    DepthOptions,
    HeatmapOptions,
    Options,
    OutputSize,
    PointCloudOptions,
)
from depthsvc.pipeline.answer import Rendered


def pixels_needed(options: Options) -> int | None:
    """Pixels that the shorter side of the photo must keep for this result; None: all it has."""
    match options:
        case PointCloudOptions():
            return math.isqrt(options.max_points) + 1  # no grid of so many points has a longer one
        case BokehOptions():
            return None
        case HeatmapOptions(side_by_side=True):
            return SIDE_BY_SIDE_MAX_SIDE
        case HeatmapOptions() | DepthOptions() if options.refines:
            return None
    return 0


def sized(depth: DepthMap, width: int, height: int, size: OutputSize) -> DepthMap:
    """A map of the network's grid on the grid that was asked for; the photo is `width` x `height`."""
    if size is OutputSize.MODEL:
        return depth
    return depth.enlarged(width, height)


def render_map(depth: DepthMap, options: HeatmapOptions | DepthOptions) -> Rendered:
    """Encode a map as the options ask. The map is let go as soon as it can be: it may be the largest array there is."""
    if isinstance(options, DepthOptions) and options.normalize:
        depth = depth.normalized()
    shape, low, high = (depth.height, depth.width), depth.min, depth.max
    if isinstance(options, HeatmapOptions):
        heat = levels(depth.values)
        del depth
        body = encode.heatmap_png(heat, options.colormap, invert=options.invert, palette=options.palette)
        return Rendered(body, "image/png", "uint8", shape, low, high)
    if options.format is DepthFormat.PNG16:
        return Rendered(encode.png16(depth.values), "image/png", "uint16", shape, low, high)
    half = depth.float16()
    del depth
    if options.format is DepthFormat.NPY:
        return Rendered(encode.npy(half), "application/x-npy", "float16", shape, low, high)
    return Rendered(encode.float16_bytes(half), "application/octet-stream", "float16", shape, low, high)


def render_photo(photo: Photo, depth: DepthMap, options: HeatmapOptions | PointCloudOptions | BokehOptions) -> Rendered:
    """Encode what a photo and its depth, on the network's grid, are together."""
    match options:
        case HeatmapOptions():
            return _side_by_side(photo, depth, options)
        case BokehOptions():
            if max(photo.width, photo.height) > encode.JPEG_MAX_SIDE:
                raise TooManyPixels(
                    f"The image is {photo.width} x {photo.height}; the JPEG of a refocused photo has at most "
                    f"{encode.JPEG_MAX_SIDE} pixels a side. Scale it."
                )
            body = encode.jpeg(refocused(photo, depth, options))
            return Rendered(body, "image/jpeg", "uint8", (photo.height, photo.width), depth.min, depth.max)
        case PointCloudOptions():
            columns, rows = _grid(photo, options)
            body = cloud(photo, depth, options).ply()
            return Rendered(body, "model/ply", "float32", (rows, columns), depth.min, depth.max)


def _side_by_side(photo: Photo, depth: DepthMap, options: HeatmapOptions) -> Rendered:
    """A photo beside its heatmap. Both are shrunk before anything is made of them: memory follows their bound."""
    width, height = fitting(photo.width, photo.height, SIDE_BY_SIDE_MAX_SIDE)
    if options.refines:
        depth = depth.refined(resized(photo.pixels, width, height))
    depth = sized(depth, width, height, options.size)
    pixels = resized(photo.pixels, depth.width, depth.height)
    body = encode.side_by_side_png(pixels, levels(depth.values), options.colormap, invert=options.invert)
    return Rendered(body, "image/png", "uint8", (depth.height, 2 * depth.width), depth.min, depth.max)


def refocused(photo: Photo, depth: DepthMap, options: BokehOptions) -> NDArray[np.uint8]:
    """The photo, RGB (h, w, 3), blurred by its depth."""
    return refocus(photo.pixels, depth.values, focus=options.focus_point, strength=options.strength)


def cloud(photo: Photo, depth: DepthMap, options: PointCloudOptions) -> PointCloud:
    """The photo's points."""
    columns, rows = _grid(photo, options)
    colors = resized(photo.pixels, columns, rows)
    return point_cloud(colors, depth.enlarged(columns, rows).values, fov=options.fov)


def _grid(photo: Photo, options: PointCloudOptions) -> tuple[int, int]:
    return grid_size(photo.width, photo.height, stride=options.stride, max_points=options.max_points)
