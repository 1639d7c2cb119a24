"""Depth from Python, in this process: no server, no workers."""

from __future__ import annotations

from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from depthsvc.depth import DepthMap
from depthsvc.errors import InvalidParameter
from depthsvc.imaging.photo.decode import Photo, photo_of_array, photo_of_image
from depthsvc.imaging.pointcloud import PointCloud
from depthsvc.model.prepare import prepare
from depthsvc.model.resolve import resolve
from depthsvc.options import BokehOptions, OutputSize, PointCloudOptions
from depthsvc.pipeline.rendering import cloud, pixels_needed, refocused
from depthsvc.pipeline.stages import Pipeline
from depthsvc.settings import Settings, available_cpus

PhotoLike = str | PathLike[str] | bytes | NDArray[np.uint8] | Image.Image


class DepthEstimator:
    """A depth model, ready for use.

        depth = DepthEstimator("midas_small").predict("photo.jpg")
        depth.save("depth.png")

    The first two photos, and the first of each shape, take longer. Use one in one thread at a time.
    """

    def __init__(self, model: str | None = None, **settings: Any) -> None:
        """`model` and `settings` are fields of `depthsvc.settings.Settings`, such as `weights`,
        `weights_sha256`, `weights_dir`, `cache_dir`, `download`, `engine`, `precision`, `worker_threads` and
        `max_megapixels`; those not given come from DEPTHSVC_* variables. All CPUs are used unless `worker_threads`
        says otherwise.

        Raises ConfigurationError, ModelError or WeightsError, and pydantic's ValidationError.
        """
        if model is not None:
            settings["model"] = model
        self._open(Settings(**settings))

    @classmethod
    def from_settings(cls, settings: Settings) -> DepthEstimator:
        """An estimator for settings that are complete. Raises as the constructor does."""
        estimator = cls.__new__(cls)
        estimator._open(settings)
        return estimator

    def _open(self, settings: Settings) -> None:
        threads = settings.worker_threads or available_cpus()
        resolved = resolve(settings.model, settings.weights_locations)
        prepared = prepare(resolved, settings.cache_dir, replace(settings.engine_choice, threads=threads))
        self.degraded = prepared.degraded
        """Whether the embedded model stands in for MiDaS_small, which could not be had."""
        self.engine = str(prepared.choice.engine)
        """What computes the network; with `auto` it tells which one it became."""
        self.precision = str(prepared.choice.precision)
        """The number format in which it computes."""
        self.pipeline = Pipeline.open(
            prepared,
            max_pixels=settings.max_pixels,
            max_input_size=settings.max_input_size,
        )
        """From a photo's bytes to a file's."""

    @property
    def model(self) -> str:
        """Name of the model in use; with `auto` it tells which one it became."""
        return self.pipeline.model.spec.name

    def predict(
        self,
        photo: PhotoLike,
        *,
        input_size: int | None = None,
        size: OutputSize | str = OutputSize.SOURCE,
        refine: bool = False,
    ) -> DepthMap:
        """Depth of a photo: a path, the bytes of a JPEG, PNG or WebP file, a Pillow image, or an array.

        An array is uint8, RGB (h, w, 3) or grey (h, w), and is taken as upright. `size` is "source" for the photo's
        upright width and height, or "model" for the network's own grid; `refine` draws the edges of the former to
        those of the whole photo, which costs time. Raises RequestError and OSError.
        """
        if size not in list(OutputSize):
            raise InvalidParameter(f"size: {size!r} is not one of {', '.join(OutputSize)}.")
        decoded = self._decoded(photo, input_size, None if refine else 0)
        return self.pipeline.depth(decoded, input_size=input_size, size=OutputSize(size), refine=refine)

    def pointcloud(self, photo: PhotoLike, **options: Any) -> PointCloud:
        """The photo, as `predict` takes it, as a cloud of coloured points.

        `options` are fields of `depthsvc.options.PointCloudOptions`: fov, stride, max_points, input_size. Raises
        RequestError, OSError, and pydantic's ValidationError.
        """
        wanted = PointCloudOptions(**options)
        decoded = self._decoded(photo, wanted.input_size, pixels_needed(wanted))
        return cloud(decoded, self._coarse_depth(decoded, wanted.input_size), wanted)

    def bokeh(self, photo: PhotoLike, **options: Any) -> NDArray[np.uint8]:
        """The photo, as `predict` takes it, refocused by its depth: RGB (h, w, 3).

        `options` are fields of `depthsvc.options.BokehOptions`: focus, strength, input_size. Raises RequestError,
        OSError, and pydantic's ValidationError.
        """
        wanted = BokehOptions(**options)
        decoded = self._decoded(photo, wanted.input_size, pixels_needed(wanted))
        return refocused(decoded, self._coarse_depth(decoded, wanted.input_size), wanted)

    def _coarse_depth(self, photo: Photo, input_size: int | None) -> DepthMap:
        return self.pipeline.depth(photo, input_size=input_size, size=OutputSize.MODEL)

    def _decoded(self, photo: PhotoLike, input_size: int | None, enough: int | None = 0) -> Photo:
        if isinstance(photo, Image.Image):
            return photo_of_image(photo)
        if isinstance(photo, np.ndarray):
            return photo_of_array(photo)
        data = photo if isinstance(photo, bytes) else Path(photo).read_bytes()
        return self.pipeline.decode(data, input_size, enough=enough)
