"""What a client and the service say to each other in a live session. docs/live.md is the whole contract."""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from depthsvc.errors import InvalidParameter, RequestError, problem_name, problem_reason
from depthsvc.imaging.spec import Colormap
from depthsvc.options import MIN_INPUT_SIZE

_UNSIGNED = struct.Struct("<I")
ID_BYTES = _UNSIGNED.size
"""Bytes before a frame's picture."""
MOST_EVERY = 10
_MOST_OPTIONS = 4096
"""Characters of the first message."""
_MOST_PIXELS = 3840 * 2160
"""Of a heatmap that is larger than its frame."""
_LONGEST_SIDE = 65_500
"""Of a JPEG that OpenCV can write, in pixels."""


class LiveFormat(StrEnum):
    """What an answer carries behind its header."""

    JPEG = "jpeg"
    """A heatmap."""
    RAW = "raw"
    """Depth on the network's own grid: little-endian float16, rows from the top."""
    NONE = "none"
    """Nothing."""


class LiveOptions(BaseModel):
    """The first message of a session."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    format: LiveFormat = LiveFormat.JPEG
    every: int = Field(1, ge=1, le=MOST_EVERY)
    """N: the network sees every N-th frame, and motion tells of the others."""
    smooth: Annotated[float, Field(ge=0, le=1)] | Literal["off"] = 1.0
    """The strength of TemporalFilter."""
    obstacles: bool = False
    colormap: Colormap = Colormap.INFERNO
    invert: bool = False
    height: int | None = Field(None, ge=2, le=2160)
    """Of heatmaps, in pixels; None: that of the frame."""
    input_size: int | None = Field(None, ge=MIN_INPUT_SIZE)
    model: str | None = Field(None, min_length=1, max_length=64)

    @property
    def strength(self) -> float | None:
        """None: maps stay as the network predicts them."""
        return None if self.smooth == "off" else self.smooth

    def heatmap_size(self, width: int, height: int) -> tuple[int, int]:
        """Width and height of the heatmap of a frame of this size. Raises InvalidParameter if that is too large."""
        size = width, height
        if self.height:
            size = max(2, round(width * self.height / height)), self.height
        if max(size) > _LONGEST_SIDE or size[0] * size[1] > max(_MOST_PIXELS, width * height):
            raise InvalidParameter(
                f"The heatmap would be {size[0]} x {size[1]}; the limit is {_MOST_PIXELS / 1e6:.1f} megapixels, and "
                f"{_LONGEST_SIDE} pixels a side. Choose a smaller height, or raw."
            )
        return size

    @classmethod
    def parsed(cls, text: str) -> LiveOptions:
        """Raises InvalidParameter, naming each invalid field."""
        if len(text) > _MOST_OPTIONS:
            raise InvalidParameter(f"The first message is longer than {_MOST_OPTIONS} characters.")
        try:
            options = cls.model_validate_json(text)
        except ValidationError as error:
            raise InvalidParameter(" ".join(map(_sentence, error.errors()))) from error
        if options.every > 1 and options.strength is None:
            raise InvalidParameter("every: frames that the network does not see need smooth.")
        return options


def _sentence(problem: Any) -> str:
    if not problem["loc"]:
        return "The first message has to be a JSON object of options, such as {}."
    option = {**problem, "loc": problem["loc"][:1]}  # further names are of the types that smooth may have
    return f"{problem_name(option)}: {problem_reason(problem)}."


@dataclass(frozen=True, eq=False)
class LiveFrame:
    """A frame that has come in."""

    id: int
    data: bytes
    """A photo file."""
    arrived: float
    """On time.monotonic()'s clock."""

    @classmethod
    def parsed(cls, message: bytes, arrived: float) -> LiveFrame | None:
        """None if the message is too short to have an id."""
        if len(message) < ID_BYTES:
            return None
        return cls(_UNSIGNED.unpack_from(message)[0], message[ID_BYTES:], arrived)


def answer_message(header: dict[str, Any], payload: bytes) -> bytes:
    """An answer: the length of its header, the header as JSON, and the payload."""
    head = json.dumps(header, separators=(",", ":")).encode()
    return _UNSIGNED.pack(len(head)) + head + payload


def error_message(error: RequestError, frame: LiveFrame | None = None) -> str:
    """An error, of a frame or of the session, as JSON."""
    about = {"code": error.code, "status": error.status, "detail": error.detail}
    return json.dumps({"id": frame.id, "error": about} if frame else {"error": about})
