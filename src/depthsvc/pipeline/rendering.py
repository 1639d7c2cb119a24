"""Results from a photo and its depth: one renderer for each class of options."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from depthsvc.depth import DepthMap
from depthsvc.errors import TooManyPixels
from depthsvc.imaging import encode
from depthsvc.imaging.bokeh import layer_pixels, refocus
from depthsvc.imaging.mesh import TexturedSurface, surface
from depthsvc.imaging.metadata import TaggedPixels, kept_exif
from depthsvc.imaging.normals import normal_colours, surface_normals
from depthsvc.imaging.photo.pixels import Photo
from depthsvc.imaging.pointcloud import OPACITY, below_sky, grid_size, grid_stride, plausible_inverse, point_cloud
from depthsvc.imaging.profiles import in_srgb, is_srgb, keepable
from depthsvc.imaging.resize import fitting, resized, within
from depthsvc.imaging.spec import DETAIL_PIXELS, EDGE_PIXELS, DepthKind, Enlargement, StereoLayout
from depthsvc.imaging.stereo import stereo_picture
from depthsvc.imaging.transparency import OPAQUE, with_opacity
from depthsvc.model.spec import ModelSpec
from depthsvc.options import (
    HEATMAP_MAX_PIXELS,
    SCREEN_PIXELS,
    SIDE_BY_SIDE_MAX_SIDE,
    TEXTURE_MAX_SIDE,
    USUAL_FOV,
    BokehOptions,
    CameraOptions,
    DepthOptions,
    HeatmapOptions,
    MapOptions,
    MeshOptions,
    NormalsOptions,
    Options,
    OutputSize,
    PointCloudOptions,
    SideBySideOptions,
    SizedOptions,
    StereoOptions,
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
    depth: DepthMap
    """The depth in it, or behind it."""


@dataclass(frozen=True)
class Outline:
    """How large a result will be. Known before the photo is decoded."""

    kind: str
    """Name of the result's row in the price list."""
    pixels: int
    """Pixels of the result, or points of a cloud."""
    detail: int = 0
    """Pixels of the grid on which the photo's own detail is worked into it."""


class Renderer(ABC, Generic[O]):
    """Renders one kind of result."""

    def __init__(self, options: O) -> None:
        self.options = options

    def check(self, width: int, height: int) -> None:
        """Raises RequestError if a photo of this width and height cannot have such a result."""

    @abstractmethod
    def enough(self, width: int, height: int) -> float:
        """How many pixels the shorter side of such a photo must keep: 0 if the photo itself is not needed."""

    @abstractmethod
    def outline(self, width: int, height: int, network: int) -> Outline:
        """The sizes of such a photo's result, for a network's grid of `network` pixels."""

    def without_unneeded_pixels(self, photo: Photo) -> Photo:
        """The photo as `draw` needs it; the result may be as large as pixels that it does not need."""
        return photo if self.enough(photo.width, photo.height) else photo.without_pixels()

    @abstractmethod
    def draw(self, photo: Photo, depth: DepthMap) -> Drawing:
        """The result of a photo and its depth on the network's grid. Raises RequestError."""


class MapRenderer(Renderer[Map]):
    """The map itself, as values or colours."""

    def enough(self, width: int, height: int) -> float:
        return _detail(width, height, _edge_pixels(self.options)) if self.options.refines else 0

    def outline(self, width: int, height: int, network: int) -> Outline:
        kind = self.options.file_format.name + ("_palette" if self.options.style.get("palette") else "")
        width, height = self._grid(width, height)
        pixels = network if self.options.size is OutputSize.MODEL else width * height
        detail = round(min(pixels, _edge_pixels(self.options))) if self.options.refines else 0
        return Outline(f"{kind}_refined" if detail else kind, pixels, detail)

    def _grid(self, width: int, height: int) -> tuple[int, int]:
        """Width and height of a whole result: a photo's, or less for a picture that would be too large to look at."""
        most = HEATMAP_MAX_PIXELS if isinstance(self.options, HeatmapOptions) else math.inf
        return within(width, height, _at_most(self.options, most))

    def draw(self, photo: Photo, depth: DepthMap) -> Drawing:
        width, height = self._grid(photo.width, photo.height)
        depth = _fit_to_grid(depth, replace(photo, width=width, height=height), self.options)
        content = depth.inverse if isinstance(self.options, HeatmapOptions) else depth.values
        return Drawing(content, (depth.height, depth.width), depth)


class SideBySideRenderer(Renderer[SideBySideOptions]):
    """The photo beside its heatmap. Both are shrunk first, so that SIDE_BY_SIDE_MAX_SIDE also limits memory."""

    def enough(self, width: int, height: int) -> float:
        return _detail(*self._half(width, height), DETAIL_PIXELS)

    def outline(self, width: int, height: int, network: int) -> Outline:
        half = network if self.options.size is OutputSize.MODEL else math.prod(self._half(width, height))
        kind = self.options.file_format.name
        return Outline(f"{kind}_refined" if self.options.refines else kind, 2 * half, half)

    def _half(self, width: int, height: int) -> tuple[int, int]:
        return within(*fitting(width, height, SIDE_BY_SIDE_MAX_SIDE), _at_most(self.options, DETAIL_PIXELS))

    def draw(self, photo: Photo, depth: DepthMap) -> Drawing:
        width, height = self._half(photo.width, photo.height)
        shrunk = Photo(resized(photo.pixels, width, height), width, height)
        depth = _fit_to_grid(depth, shrunk, self.options)
        pixels = in_srgb(resized(shrunk.pixels, depth.width, depth.height), photo.profile)
        heatmap = encode.heatmap(depth.inverse, self.options.colormap, invert=self.options.invert)
        if photo.opacity is not None:
            pixels = with_opacity(pixels, resized(photo.opacity, depth.width, depth.height))
            heatmap = np.dstack([heatmap, np.full_like(heatmap[..., 0], OPAQUE)])
        pair = np.hstack([pixels, heatmap])
        return Drawing(pair, (depth.height, 2 * depth.width), depth)


class PointCloudRenderer(Renderer[PointCloudOptions]):
    """The photo's points."""

    def enough(self, width: int, height: int) -> float:
        edges = _detail(width, height, EDGE_PIXELS) if self.options.refines else 0
        return max(edges, min(self._grid(width, height)))

    def outline(self, width: int, height: int, network: int) -> Outline:
        detail = min(width * height, EDGE_PIXELS) if self.options.refines else 0
        kind = self.options.file_format.name
        return Outline(f"{kind}_refined" if detail else kind, math.prod(self._grid(width, height)), round(detail))

    def _grid(self, width: int, height: int) -> tuple[int, int]:
        return grid_size(width, height, stride=self.options.stride, max_points=self.options.max_points)

    def draw(self, photo: Photo, depth: DepthMap) -> Drawing:
        columns, rows = self._grid(photo.width, photo.height)
        colors = in_srgb(resized(photo.pixels, columns, rows), photo.profile)
        opacity = None if photo.opacity is None else resized(photo.opacity, columns, rows)
        if opacity is not None:
            colors = with_opacity(colors, opacity)[..., :3]
        placed = self._placed(photo, depth, columns, rows)
        fov = _fov(self.options, photo, depth.kind)
        cloud = point_cloud(colors, placed.values, placed.kind, fov=fov, opacity=opacity)
        return Drawing(cloud, (rows, columns), depth)

    def _placed(self, photo: Photo, depth: DepthMap, columns: int, rows: int) -> DepthMap:
        """The depth of each point."""
        if self.options.refines:
            return _with_edges(depth, photo.pixels, EDGE_PIXELS, columns, rows)
        return depth.enlarged(columns, rows)


def _fov(options: CameraOptions, photo: Photo, kind: DepthKind) -> float:
    """Degrees that the photo's longer side spans: as requested, or for metres as its EXIF data say."""
    return options.fov or (photo.fov if kind is DepthKind.METRES else None) or USUAL_FOV


class NormalsRenderer(Renderer[NormalsOptions]):
    """Surface normals. They are found on the network's grid, where a step of depth is a step, and then upsampled."""

    def enough(self, width: int, height: int) -> float:
        return 0

    def outline(self, width: int, height: int, network: int) -> Outline:
        pixels = network if self.options.size is OutputSize.MODEL else math.prod(self._grid(width, height))
        return Outline(self.options.file_format.name, pixels, network)

    def _grid(self, width: int, height: int) -> tuple[int, int]:
        return within(width, height, _at_most(self.options, HEATMAP_MAX_PIXELS))

    def draw(self, photo: Photo, depth: DepthMap) -> Drawing:
        fov = _fov(self.options, photo, depth.kind)
        colours = normal_colours(surface_normals(_inverse(depth), photo.width, photo.height, fov=fov))
        if self.options.size is not OutputSize.MODEL:
            colours = resized(colours, *self._grid(photo.width, photo.height))
        return Drawing(colours, (len(colours), len(colours[0])), depth)


class MeshRenderer(Renderer[MeshOptions]):
    """A surface on the network's grid, where a step of depth is a step, with the photo as its texture."""

    def enough(self, width: int, height: int) -> float:
        return _detail(*fitting(width, height, TEXTURE_MAX_SIDE), DETAIL_PIXELS)

    def outline(self, width: int, height: int, network: int) -> Outline:
        texture = math.prod(within(*fitting(width, height, TEXTURE_MAX_SIDE), DETAIL_PIXELS))
        return Outline(self.options.file_format.name, texture, min(network, self.options.max_vertices))

    def draw(self, photo: Photo, depth: DepthMap) -> Drawing:
        stride = grid_stride(depth.width, depth.height, max_points=self.options.max_vertices)
        seen = depth.values > 0 if depth.kind is DepthKind.METRES else below_sky(depth.values)
        if photo.opacity is not None:
            seen &= resized(photo.opacity, depth.width, depth.height) > OPACITY
        found = surface(
            _inverse(depth),
            seen,
            photo.width,
            photo.height,
            fov=_fov(self.options, photo, depth.kind),
            stride=stride,
        )
        shape = depth.values[::stride, ::stride].shape
        return Drawing(TexturedSurface(found, self._texture(photo)), shape, depth)

    def _texture(self, photo: Photo) -> NDArray[np.uint8]:
        height, width = photo.pixels.shape[:2]
        size = within(*fitting(width, height, TEXTURE_MAX_SIDE), DETAIL_PIXELS)
        pixels = in_srgb(resized(photo.pixels, *size), photo.profile)
        return pixels if photo.opacity is None else with_opacity(pixels, resized(photo.opacity, *size))[..., :3]


def _inverse(depth: DepthMap) -> NDArray[np.float32]:
    """1 / metres, 0 where they are unknown; or 1 / plausible depth."""
    return depth.inverse if depth.kind is DepthKind.METRES else plausible_inverse(depth.values)


class BokehRenderer(Renderer[BokehOptions]):
    """The photo, RGB (h, w, 3), blurred by its depth."""

    def check(self, width: int, height: int) -> None:
        if not self.options.full_size:
            width, height = within(width, height, DETAIL_PIXELS)
        if max(width, height) > encode.JPEG_MAX_SIDE:
            raise TooManyPixels(
                f"The image is {width} x {height}; a refocused photo may have at most {encode.JPEG_MAX_SIDE} pixels a "
                "side. Resize it, or leave out full_size."
            )

    def enough(self, width: int, height: int) -> float:
        return _detail(width, height, self._most_pixels)

    @property
    def _most_pixels(self) -> float:
        return math.inf if self.options.full_size else DETAIL_PIXELS

    def outline(self, width: int, height: int, network: int) -> Outline:
        pixels = round(min(width * height, self._most_pixels))
        kind = self.options.file_format.name
        return Outline(kind if self.options.strength else f"{kind}_sharp", pixels, layer_pixels(width, height))

    def draw(self, photo: Photo, depth: DepthMap) -> Drawing:
        options, profile = self.options, keepable(photo.profile)
        pixels = _shrunk(photo.pixels, self._most_pixels)
        pixels = pixels if profile else in_srgb(pixels, photo.profile)
        pixels = refocus(pixels, depth.inverse, focus=options.focus_point, strength=options.strength)
        return Drawing(_tagged(pixels, photo, profile, options), (len(pixels), len(pixels[0])), depth)


class StereoRenderer(Renderer[StereoOptions]):
    """Both eyes' views in one picture, RGB. Depth has the photo's edges."""

    def enough(self, width: int, height: int) -> float:
        return _FEWEST * min(self._view(width, height))

    def outline(self, width: int, height: int, network: int) -> Outline:
        pixels = math.prod(self._view(width, height))
        return Outline(self.options.file_format.name, pixels, min(pixels, EDGE_PIXELS))

    def _view(self, width: int, height: int) -> tuple[int, int]:
        """Width and height of a view."""
        most = DETAIL_PIXELS if self.options.full_size else EDGE_PIXELS
        return within(*fitting(width, height, encode.JPEG_MAX_SIDE // 2), most)

    def draw(self, photo: Photo, depth: DepthMap) -> Drawing:
        options, profile = self.options, keepable(photo.profile)
        if options.layout is StereoLayout.ANAGLYPH:  # whose colours are those of screens
            profile = None
        width, height = self._view(len(photo.pixels[0]), len(photo.pixels))
        pixels = resized(photo.pixels, width, height)
        nearness = _with_edges(depth, pixels, EDGE_PIXELS, width, height).normalized().values
        pixels = stereo_picture(
            pixels if profile else in_srgb(pixels, photo.profile),
            nearness,
            layout=options.layout,
            divergence=options.divergence,
            convergence=options.convergence,
        )
        return Drawing(_tagged(pixels, photo, profile, options), (len(pixels), len(pixels[0])), depth)


def _tagged(
    pixels: NDArray[np.uint8], photo: Photo, profile: bytes | None, options: BokehOptions | StereoOptions
) -> TaggedPixels:
    """A picture made from a photo with the metadata that it keeps."""
    height, width = pixels.shape[:2]
    exif = kept_exif(photo.exif, width, height, srgb=is_srgb(profile), gps=not options.strip_gps)
    return TaggedPixels(pixels, exif, profile)


RENDERERS: dict[type[Options], type[Renderer[Any]]] = {
    HeatmapOptions: MapRenderer,
    SideBySideOptions: SideBySideRenderer,
    DepthOptions: MapRenderer,
    PointCloudOptions: PointCloudRenderer,
    BokehOptions: BokehRenderer,
    StereoOptions: StereoRenderer,
    NormalsOptions: NormalsRenderer,
    MeshOptions: MeshRenderer,
}


def renderer_for(options: Options, model: ModelSpec) -> Renderer[Any]:
    """The renderer for these options, with what they leave to the model decided."""
    return RENDERERS[type(options)](options.settled(follows_edges=model.follows_edges))


_FEWEST = 0.7
"""Sides that a photo decoded at reduced size must keep, as a fraction of what the most pixels allow."""


def _at_most(options: SizedOptions, most: float) -> float:
    """How many pixels a result may have whose limit is `most`."""
    return min(most, SCREEN_PIXELS) if options.size is OutputSize.SCREEN else most


def _edge_pixels(options: MapOptions) -> float:
    """With how many pixels of a photo at most its edges are found."""
    return _at_most(options, math.inf if options.full_size else EDGE_PIXELS)


def _detail(width: int, height: int, most: float) -> float:
    """How many pixels the shorter side of a photo must keep to show its detail, with at most this many pixels."""
    return math.inf if most == math.inf else _FEWEST * min(within(width, height, most))


def _shrunk(pixels: NDArray[np.uint8], most: float) -> NDArray[np.uint8]:
    """Pixels, RGB (h, w, 3), of which there are at most this many."""
    height, width = pixels.shape[:2]
    return pixels if height * width <= most else resized(pixels, *within(width, height, most))


def _with_edges(depth: DepthMap, pixels: NDArray[np.uint8], most: float, width: int, height: int) -> DepthMap:
    """A map upsampled to (height, width), with the edges that at most this many of the photo's pixels show."""
    refined = depth.refined(_shrunk(pixels, most))
    return replace(refined, enlargement=Enlargement.BILINEAR).enlarged(width, height)


def _fit_to_grid(depth: DepthMap, photo: Photo, options: MapOptions) -> DepthMap:
    """Bring a map from the network's grid to the requested grid, with the photo's edges if requested."""
    if options.refines:
        depth = _with_edges(depth, photo.pixels, _edge_pixels(options), photo.width, photo.height)
    elif options.size is not OutputSize.MODEL:
        depth = depth.enlarged(photo.width, photo.height)
    return depth.normalized() if options.normalizes else depth
