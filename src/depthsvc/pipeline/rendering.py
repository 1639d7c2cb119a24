"""Results from a photo and its depth: one renderer for each class of options."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np

from depthsvc.depth import DepthMap
from depthsvc.errors import TooManyPixels
from depthsvc.imaging import encode
from depthsvc.imaging.bokeh import refocus
from depthsvc.imaging.photo.pixels import Photo
from depthsvc.imaging.pointcloud import grid_size, point_cloud
from depthsvc.imaging.resize import fitting, resized
from depthsvc.options import (
    SIDE_BY_SIDE_MAX_SIDE,
    BokehOptions,
    DepthOptions,
    HeatmapOptions,
    MapOptions,
    Options,
    OutputSize,
    PointCloudOptions,
    SideBySideOptions,
)

O = TypeVar("O", bound=Options)  # noqa: E741
Map = TypeVar("Map", HeatmapOptions, DepthOptions)


@dataclass(frozen=True)
class Drawing:
    """A result before it is encoded as a file."""

    content: Any
    """Input of the format's encoder."""
    shape: tuple[int, int]
    """Height and width of the result; for a point cloud, rows and columns of the grid that its points come from."""
    min: float
    """Inverse depth of the farthest point, in the content's units if that is depth."""
    max: float
    """Inverse depth of the nearest point."""


class Renderer(ABC, Generic[O]):
    """Renders one kind of result."""

    def __init__(self, options: O) -> None:
        self.options = options

    @property
    @abstractmethod
    def pixels_needed(self) -> float:
        """Pixels that the photo's shorter side must keep: 0 if the photo is not needed, inf for full resolution."""

    def without_unneeded_pixels(self, photo: Photo) -> Photo:
        """The photo as `draw` needs it; the result may be as large as pixels that it does not need."""
        return photo if self.pixels_needed else photo.without_pixels()

    @abstractmethod
    def draw(self, photo: Photo, depth: DepthMap) -> Drawing:
        """The result of a photo and its depth on the network's grid. Raises RequestError."""


class MapRenderer(Renderer[Map]):
    """The map itself, as values or colours."""

    @property
    def pixels_needed(self) -> float:
        return math.inf if self.options.refines else 0

    def draw(self, photo: Photo, depth: DepthMap) -> Drawing:
        depth = fit_to_grid(depth, photo, self.options)
        return Drawing(depth.values, (depth.height, depth.width), depth.min, depth.max)


class SideBySideRenderer(Renderer[SideBySideOptions]):
    """The photo beside its heatmap. Both are shrunk first, so that SIDE_BY_SIDE_MAX_SIDE also limits memory."""

    @property
    def pixels_needed(self) -> float:
        return SIDE_BY_SIDE_MAX_SIDE

    def draw(self, photo: Photo, depth: DepthMap) -> Drawing:
        width, height = fitting(photo.width, photo.height, SIDE_BY_SIDE_MAX_SIDE)
        photo = Photo(resized(photo.pixels, width, height), width, height)
        depth = fit_to_grid(depth, photo, self.options)
        pixels = resized(photo.pixels, depth.width, depth.height)
        heatmap = encode.heatmap(depth.values, self.options.colormap, invert=self.options.invert)
        pair = np.hstack([pixels, heatmap])
        return Drawing(pair, (depth.height, 2 * depth.width), depth.min, depth.max)


class PointCloudRenderer(Renderer[PointCloudOptions]):
    """The photo's points."""

    @property
    def pixels_needed(self) -> float:
        return math.isqrt(self.options.max_points) + 1  # the longest shorter side of any grid with max_points points

    def draw(self, photo: Photo, depth: DepthMap) -> Drawing:
        options = self.options
        columns, rows = grid_size(photo.width, photo.height, stride=options.stride, max_points=options.max_points)
        colors = resized(photo.pixels, columns, rows)
        cloud = point_cloud(colors, depth.enlarged(columns, rows).values, fov=options.fov)
        return Drawing(cloud, (rows, columns), depth.min, depth.max)


class BokehRenderer(Renderer[BokehOptions]):
    """The photo, RGB (h, w, 3), blurred by its depth."""

    @property
    def pixels_needed(self) -> float:
        return math.inf

    def draw(self, photo: Photo, depth: DepthMap) -> Drawing:
        if max(photo.width, photo.height) > encode.JPEG_MAX_SIDE:
            raise TooManyPixels(
                f"The image is {photo.width} x {photo.height}; a refocused photo may have at most "
                f"{encode.JPEG_MAX_SIDE} pixels a side. Resize it."
            )
        options = self.options
        pixels = refocus(photo.pixels, depth.values, focus=options.focus_point, strength=options.strength)
        return Drawing(pixels, (photo.height, photo.width), depth.min, depth.max)


RENDERERS: dict[type[Options], type[Renderer[Any]]] = {
    HeatmapOptions: MapRenderer,
    SideBySideOptions: SideBySideRenderer,
    DepthOptions: MapRenderer,
    PointCloudOptions: PointCloudRenderer,
    BokehOptions: BokehRenderer,
}


def renderer_for(options: Options) -> Renderer[Any]:
    """The renderer for these options."""
    return RENDERERS[type(options)](options)


def fit_to_grid(depth: DepthMap, photo: Photo, options: MapOptions) -> DepthMap:
    """Bring a map from the network's grid to the requested grid, with the photo's edges if requested."""
    if options.refines:
        depth = depth.refined(photo.pixels)
    elif options.size is OutputSize.SOURCE:
        depth = depth.enlarged(photo.width, photo.height)
    return depth.normalized() if options.normalizes else depth
