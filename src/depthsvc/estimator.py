"""Depth in this Python process, without a server or workers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from depthsvc.depth import DepthMap
from depthsvc.errors import ConfigurationError, InvalidParameter
from depthsvc.imaging.glb import Mesh
from depthsvc.imaging.metadata import TaggedPixels
from depthsvc.imaging.photo.pixels import Enough, Photo
from depthsvc.imaging.photo.source import PhotoSource, open_photo
from depthsvc.imaging.picture import Picture
from depthsvc.imaging.pointcloud import PointCloud
from depthsvc.machine.capacity import available_cpus
from depthsvc.model.prepare import prepare
from depthsvc.model.resolve import resolve
from depthsvc.options import (
    BokehOptions,
    DepthOptions,
    HeatmapOptions,
    MeshOptions,
    NormalsOptions,
    Options,
    PointCloudOptions,
    SideBySideOptions,
    StereoOptions,
)
from depthsvc.pipeline.rendering import Drawing, Renderer, renderer_for
from depthsvc.pipeline.stages import Pipeline
from depthsvc.settings import Settings, read_settings
from depthsvc.verbs import Verbs, unknown_keywords_raise


class DepthEstimator(Verbs[DepthMap, Picture, PointCloud, Mesh]):
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
        device: str | None = None,
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
        given = {name: value for name, value in given.items() if value is not None}
        if settings is None:
            settings = read_settings(given)
        elif given:
            raise ConfigurationError(f"settings= replaces all other arguments; leave out {', '.join(given)}.")
        threads = settings.worker_threads or available_cpus()
        resolved = resolve(settings.model, settings.weights_locations)
        prepared = prepare(resolved, settings.cache_dir, replace(settings.engine_choice, threads=threads))
        self.degraded = prepared.degraded
        """Whether the embedded model is standing in for MiDaS_small, whose weights are not available."""
        self.engine = str(prepared.choice.engine)
        """The engine that runs the network; with `auto`, the one that was chosen."""
        self.precision = str(prepared.choice.precision)
        """The number format of the network."""
        self.device = str(prepared.choice.device)
        """Where the network runs: `cpu`, or `cuda:N` for a GPU; with `auto`, the one that was chosen."""
        self.pipeline = Pipeline.open(prepared, max_pixels=settings.max_pixels, max_input_size=settings.max_input_size)
        """Turns a photo's bytes into a result file's bytes."""
        self.pipeline.model.rehearse()

    @property
    def model(self) -> str:
        """Name of the model in use; with `auto`, the one that was chosen."""
        return self.pipeline.model.spec.name

    def __repr__(self) -> str:
        return f"DepthEstimator({self.model!r}, {self.engine}, {self.precision})"

    def video(
        self,
        source: str | PathLike[str] | Iterable[NDArray[np.uint8]],
        *,
        smooth: float | None = 1.0,
        every: int | Literal["auto"] = 1,
    ) -> Iterator[tuple[DepthMap, float]]:
        """The depth of each frame of a video, on the network's own grid, and its presentation time in seconds.

        `source`: a file, which needs the package av, or frames as RGB arrays (height, width, 3) from 0 to 255, whose
        times are their numbers. `smooth`: how much depth is steadied along the motion, 0..1; None: each frame is a
        photo of its own. `every`: N if the network sees every N-th frame, or "auto" for those in which enough is
        new, and motion tells of the others. Use the estimator for nothing else meanwhile.

        Raises ConfigurationError, VideoError or TooManyPixels for a file that cannot be read, ValueError for options
        beyond their range.
        """
        from depthsvc.video.frames import ArrayFrame, FrameEstimator

        estimator = FrameEstimator([self.pipeline], smooth=smooth, every=every)
        if not isinstance(source, (str, PathLike)):
            arrays = (ArrayFrame(pixels, number) for number, pixels in enumerate(source))
            yield from ((depth, float(frame.time)) for frame, depth, _ in estimator(arrays))
            return
        from depthsvc.video.reading import VideoReader

        with VideoReader(Path(source), max_pixels=self.pipeline.limits.max_pixels) as reader:
            yield from ((depth, float(frame.time)) for frame, depth, _ in estimator(reader))

    def _depth(self, photo: PhotoSource, options: DepthOptions) -> DepthMap:
        return self._draw(photo, options).depth

    def _heatmap(self, photo: PhotoSource, options: HeatmapOptions | SideBySideOptions) -> Picture:
        return Picture.of(options.file_format.encode(self._draw(photo, options).content, **options.style))

    def _point_cloud(self, photo: PhotoSource, options: PointCloudOptions) -> PointCloud:
        cloud: PointCloud = self._draw(photo, options).content
        return cloud

    def _bokeh(self, photo: PhotoSource, options: BokehOptions) -> Picture:
        return self._tagged(photo, options)

    def _stereo(self, photo: PhotoSource, options: StereoOptions) -> Picture:
        return self._tagged(photo, options)

    def _tagged(self, photo: PhotoSource, options: BokehOptions | StereoOptions) -> Picture:
        picture: TaggedPixels = self._draw(photo, options).content
        return Picture.of(options.file_format.encode(picture, **options.style), picture.in_srgb())

    def _normals(self, photo: PhotoSource, options: NormalsOptions) -> Picture:
        colours = self._draw(photo, options).content
        return Picture.of(options.file_format.encode(colours), colours)

    def _mesh(self, photo: PhotoSource, options: MeshOptions) -> Mesh:
        drawing = self._draw(photo, options)
        return Mesh(options.file_format.encode(drawing.content, about=drawing.depth.about))

    def _draw(self, photo: PhotoSource, options: Options) -> Drawing:
        renderer: Renderer[Any] = renderer_for(options, self.pipeline.model.spec)
        taken = self._decode(photo, renderer.enough, options)
        depth = self.pipeline.infer(taken, options.input_size)
        taken = renderer.without_unneeded_pixels(taken)
        return renderer.draw(taken, depth)

    def _decode(self, photo: PhotoSource, enough: Enough, options: Options) -> Photo:
        if options.model not in (None, self.model):
            raise InvalidParameter(f"model: this estimator has {self.model}. Make another one for {options.model}.")
        return open_photo(photo, lambda data: self.pipeline.decode(data, options.input_size, enough=enough))
