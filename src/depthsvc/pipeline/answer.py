"""The result of a photo: its bytes and their metadata."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from depthsvc.imaging.spec import DepthKind, Enlargement
from depthsvc.model.spec import ModelSpec


@dataclass(frozen=True)
class Answer:
    """A result as a file."""

    body: bytes
    media_type: str
    dtype: str
    """NumPy's name for the type of the numbers in the body."""
    shape: tuple[int, int]
    """Height and width of the result; for a point cloud, rows and columns of the grid that its points come from."""
    min: float
    """The smallest depth, in the body's units if the format holds depth."""
    max: float
    """The largest depth."""
    model: str
    kind: DepthKind
    """What `min` and `max` are, and the numbers in the body if the format holds depth."""
    enlargement: Enlargement
    """How the model's grid is upsampled to the photo's."""
    seconds: dict[str, float]
    """Seconds spent in each stage: queue, if there is one, decode, infer, render."""
    orientation: int = 1
    """EXIF orientation by which the photo was turned upright."""
    fov: float | None = None
    """The angle in degrees that the photo's longer side spans, by its EXIF data; None: unknown."""
    cpu_seconds: dict[str, float] = field(default_factory=dict)
    """Processor time of the worker, of all its threads, in each stage: decode, infer, render."""

    def without_body(self) -> Self:
        """A copy without its body, for a message that carries the body separately."""
        return replace(self, body=b"")

    def with_body(self, body: bytes) -> Self:
        """The inverse of `without_body`."""
        return replace(self, body=body)


@dataclass(frozen=True, kw_only=True)
class SeenFrame(Answer):
    """A frame of a stream as the network got it, and what it predicted: the body holds the numbers of both.

    `shape` is that of the prediction; 0 x 0 if the frame was not to be predicted.
    """

    view: tuple[int, int]
    """Height and width of the picture that the network got."""
    photo: tuple[int, int]
    """Width and height of the frame, upright."""

    @classmethod
    def of(
        cls,
        values: NDArray[np.float32],
        colours: NDArray[np.float32],
        photo: tuple[int, int],
        spec: ModelSpec,
        seconds: dict[str, float],
        cpu_seconds: dict[str, float],
    ) -> Self:
        """`values`: the prediction (h, w), before it is finished. `colours`: the picture, RGB (H, W, 3), 0..1."""
        picture = np.rint(colours.clip(0, 1) * np.float32(255)).astype(np.uint8)
        return cls(
            body=values.tobytes() + picture.tobytes(),
            media_type="application/octet-stream",
            dtype="float32",
            shape=(len(values), values.shape[1]),
            min=float(values.min(initial=np.inf)),
            max=float(values.max(initial=-np.inf)),
            model=spec.name,
            kind=spec.output.depth_kind,
            enlargement=spec.enlargement,
            seconds=seconds,
            cpu_seconds=cpu_seconds,
            view=(len(picture), len(picture[0])),
            photo=photo,
        )

    @property
    def values(self) -> NDArray[np.float32] | None:
        """What the network predicted, (h, w); None if it was not asked."""
        height, width = self.shape
        return np.frombuffer(self.body, np.float32, height * width).reshape(height, width) if height else None

    @property
    def colours(self) -> NDArray[np.float32]:
        """The picture that the network got, RGB (H, W, 3), 0..1."""
        height, width = self.view
        picture = np.frombuffer(self.body, np.uint8, height * width * 3, offset=4 * self.shape[0] * self.shape[1])
        return picture.reshape(height, width, 3).astype(np.float32) * np.float32(1 / 255)
