"""Depth in this Python process, without a server or workers."""

from __future__ import annotations

from dataclasses import replace
from os import PathLike
from typing import Any

from depthsvc.depth import DepthMap
from depthsvc.errors import ConfigurationError, InvalidParameter
from depthsvc.imaging.photo.pixels import Photo
from depthsvc.imaging.photo.source import PhotoSource, open_photo
from depthsvc.imaging.picture import Picture
from depthsvc.imaging.pointcloud import PointCloud
from depthsvc.model.prepare import prepare
from depthsvc.model.resolve import resolve
from depthsvc.options import (
    BokehOptions,
    DepthOptions,
    HeatmapOptions,
    Options,
    PointCloudOptions,
    SideBySideOptions,
    UploadQuery,
    make_options,
    unknown_keywords_raise,
)
from depthsvc.pipeline.rendering import Drawing, Renderer, fit_to_grid, renderer_for
from depthsvc.pipeline.stages import Pipeline
from depthsvc.settings import Settings, available_cpus, read_settings


class DepthEstimator:
    """A depth model, ready for use.

        estimator = DepthEstimator("midas_small")
        estimator.depth("photo.jpg").save("depth.npy")

    A photo is a `PhotoSource`: a path, bytes, an open binary file, an array or a Pillow image. The first two photos,
    and the first of each shape, take longer. Not thread-safe: use an estimator from one thread at a time.
    """

    @unknown_keywords_raise(ConfigurationError)
    def __init__(
        self,
        model: str | None = None,
        *,
        weights: str | PathLike[str] | None = None,
        weights_sha256: str | None = None,
        weights_dir: str | PathLike[str] | None = None,
        cache_dir: str | PathLike[str] | None = None,
        download: bool | None = None,
        engine: str | None = None,
        precision: str | None = None,
        worker_threads: int | None = None,
        max_megapixels: float | None = None,
        max_input_size: int | None = None,
        settings: Settings | None = None,
    ) -> None:
        """The arguments are settings of the service (see docs/settings.md); those not given come from DEPTHSVC_*
        variables. All CPUs are used unless `worker_threads` says otherwise. `settings` replaces all other arguments.

        Raises ConfigurationError, ModelError or WeightsError.
        """
        given = {name: value for name, value in locals().items() if name not in ("self", "settings")}
        settings = settings or read_settings({name: value for name, value in given.items() if value is not None})
        threads = settings.worker_threads or available_cpus()
        resolved = resolve(settings.model, settings.weights_locations)
        prepared = prepare(resolved, settings.cache_dir, replace(settings.engine_choice, threads=threads))
        self.degraded = prepared.degraded
        """Whether the embedded model is standing in for MiDaS_small, whose weights are not available."""
        self.engine = str(prepared.choice.engine)
        """The engine that runs the network; with `auto`, the one that was chosen."""
        self.precision = str(prepared.choice.precision)
        """The number format of the network."""
        self.pipeline = Pipeline.open(prepared, max_pixels=settings.max_pixels, max_input_size=settings.max_input_size)
        """Turns a photo's bytes into a result file's bytes."""

    @property
    def model(self) -> str:
        """Name of the model in use; with `auto`, the one that was chosen."""
        return self.pipeline.model.spec.name

    def __repr__(self) -> str:
        return f"DepthEstimator({self.model!r}, {self.engine}, {self.precision})"

    @unknown_keywords_raise(InvalidParameter)
    def depth(
        self,
        photo: PhotoSource,
        *,
        input_size: int | None = None,
        size: str = "source",
        refine: bool = False,
        normalize: bool = False,
    ) -> DepthMap:
        """Relative inverse depth: larger is nearer.

        `size` is "source" for the photo's upright width and height, or "model" for the network's own grid. `refine`
        aligns depth edges with the full-resolution photo, which takes longer. `normalize` scales the values to 0..1.
        Raises RequestError and OSError.
        """
        options = make_options(DepthOptions, input_size=input_size, size=size, refine=refine, normalize=normalize)
        renderer: Renderer[Any] = renderer_for(options)
        taken = self._decode(photo, renderer.pixels_needed, options)
        return fit_to_grid(self.pipeline.infer(taken, options.input_size), taken, options)

    predict = depth
    """Alias of `depth`."""

    @unknown_keywords_raise(InvalidParameter)
    def heatmap(
        self,
        photo: PhotoSource,
        *,
        input_size: int | None = None,
        size: str = "source",
        refine: bool = False,
        colormap: str = "inferno",
        invert: bool = False,
        palette: bool = True,
        side_by_side: bool = False,
    ) -> Picture:
        """A PNG from the farthest to the nearest point of this photo; near is bright unless `invert` is set.

        `palette`: an 8-bit palette PNG, which is smaller and faster than truecolour. `side_by_side`: the photo to the
        left of its heatmap, truecolour. The other options are as for `depth`. Raises RequestError and OSError.
        """
        query = make_options(
            UploadQuery,
            input_size=input_size,
            size=size,
            refine=refine,
            colormap=colormap,
            invert=invert,
            palette=palette,
            side_by_side=side_by_side,
        )
        options: HeatmapOptions | SideBySideOptions = query.options()
        return Picture.of(options.file_format.encode(self._draw(photo, options).content, **options.style))

    @unknown_keywords_raise(InvalidParameter)
    def point_cloud(
        self,
        photo: PhotoSource,
        *,
        input_size: int | None = None,
        fov: float = 60,
        stride: int = 1,
        max_points: int = 1_000_000,
    ) -> PointCloud:
        """The photo as a cloud of coloured points. The distances are plausible, not metres.

        `fov` is the angle in degrees that the photo's longer side spans; `stride` keeps every n-th pixel of each row
        and column, and grows until there are at most `max_points`. Raises RequestError and OSError.
        """
        options = make_options(PointCloudOptions, input_size=input_size, fov=fov, stride=stride, max_points=max_points)
        cloud: PointCloud = self._draw(photo, options).content
        return cloud

    @unknown_keywords_raise(InvalidParameter)
    def bokeh(
        self,
        photo: PhotoSource,
        *,
        input_size: int | None = None,
        focus: str | tuple[float, float] = "auto",
        strength: float = 0.5,
    ) -> Picture:
        """The photo refocused by its depth, as a JPEG; its `pixels` are those from before compression.

        `focus` is the point that stays sharp, as fractions of width and height from the top left, or "auto" for the
        nearest thing that stands out. `strength`, 0 to 1, scales the blur. Raises RequestError and OSError.
        """
        options = make_options(BokehOptions, input_size=input_size, focus=focus, strength=strength)
        pixels = self._draw(photo, options).content
        return Picture.of(options.file_format.encode(pixels), pixels)

    def _draw(self, photo: PhotoSource, options: Options) -> Drawing:
        renderer: Renderer[Any] = renderer_for(options)
        taken = self._decode(photo, renderer.pixels_needed, options)
        return renderer.draw(taken, self.pipeline.infer(taken, options.input_size))

    def _decode(self, photo: PhotoSource, enough: float, options: Options) -> Photo:
        return open_photo(photo, lambda data: self.pipeline.decode(data, options.input_size, enough=enough))
