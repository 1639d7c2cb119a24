"""The result of a photo: its bytes and their metadata."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from depthsvc.imaging.spec import DepthKind, Enlargement


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

    def without_body(self) -> Answer:
        """A copy without its body, for a message that carries the body separately."""
        return replace(self, body=b"")

    def with_body(self, body: bytes) -> Answer:
        """The inverse of `without_body`."""
        return replace(self, body=body)
