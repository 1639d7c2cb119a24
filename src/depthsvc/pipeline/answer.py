"""What a photo becomes: the bytes of a result, and what there is to know of them."""

from __future__ import annotations

from dataclasses import dataclass, replace

from depthsvc.imaging.spec import Enlargement


@dataclass(frozen=True)
class Answer:
    """A result as a file."""

    body: bytes
    media_type: str
    dtype: str
    """NumPy's name for the numbers in the body."""
    shape: tuple[int, int]
    """Height and width of the result; of a point cloud, rows and columns of the grid that its points come from."""
    min: float
    """Inverse depth of the farthest point, in the units of the body for formats that hold depth."""
    max: float
    """Inverse depth of the nearest point."""
    model: str
    enlargement: Enlargement
    """How the model's grid becomes the photo's."""
    seconds: dict[str, float]
    """Time spent in each stage: queue, where there is one, decode, infer, render."""

    def without_body(self) -> Answer:
        """The same answer for a message whose body travels beside it."""
        return replace(self, body=b"")

    def with_body(self, body: bytes) -> Answer:
        """What `without_body` gave, made whole again."""
        return replace(self, body=body)
