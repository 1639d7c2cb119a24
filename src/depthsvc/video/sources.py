"""What a video may be on the command line: a file, a folder of frames, or a pipe."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Protocol, Self

from depthsvc.errors import ConfigurationError
from depthsvc.imaging.photo.files import url_problem
from depthsvc.video.raw import raw_pictures
from depthsvc.video.reading import Frame, VideoInfo, VideoReader
from depthsvc.video.sequences import PictureSequence, Pixels
from depthsvc.video.stills import decoded, photos_in
from depthsvc.video.timing import USUAL_RATE, Window

STDIN = "-"
_PIPE = "Standard input"


class FrameSource(Protocol):
    """Frames in one pass and in order of presentation. A context manager."""

    name: str
    """What messages call it."""
    info: VideoInfo
    damaged: int
    """How many packets or pictures could not be decoded, of those read so far."""

    @property
    def start(self) -> Fraction:
        """First presentation time that is delivered, in seconds."""
        ...

    @property
    def damage(self) -> str:
        """What is missing of it, of what has been read so far, for people; or empty."""
        ...

    def __iter__(self) -> Iterator[Frame]: ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None, /
    ) -> None: ...


@dataclass(frozen=True)
class Opening:
    """How videos are opened."""

    max_pixels: int
    """Largest width times height."""
    start_s: float | None = None
    end_s: float | None = None
    max_fps: float | None = None
    """As for VideoReader."""
    rate: Fraction | None = None
    """Frames a second of a folder of photos, and of raw pictures; None: 25."""
    raw: tuple[int, int] | None = None
    """Width and height of the raw pictures in a pipe; None: it is a video with a header."""

    def open(self, word: str, stdin: BinaryIO) -> FrameSource:
        """A file, a folder of photos, or `stdin` for `-`.

        Raises ConfigurationError for what does not suit it, VideoError, TooManyPixels, BodyTooLarge and OSError.
        """
        path = Path(word)
        if word != STDIN and (problem := url_problem(word, "video")):
            raise ConfigurationError(problem)
        if self.raw and word != STDIN:
            raise ConfigurationError("--raw needs - for IN: raw pictures come from standard input.")
        if self.raw:
            pictures = raw_pictures(stdin, _PIPE, *self.raw, max_pixels=self.max_pixels)
            return self._sequence(_PIPE, pictures)
        if word != STDIN and path.is_dir():
            photos = photos_in(path)
            return self._sequence(word, decoded(photos, max_pixels=self.max_pixels), count=len(photos))
        if self.rate:
            raise ConfigurationError("--fps is for a folder of frames and for --raw. Leave it out: a video has a rate.")
        source = stdin if word == STDIN else path
        return VideoReader(
            source, max_pixels=self.max_pixels, start_s=self.start_s, end_s=self.end_s, max_fps=self.max_fps
        )

    def _sequence(self, name: str, pictures: Iterator[Pixels | None], *, count: int | None = None) -> PictureSequence:
        window = Window.of(self.start_s, self.end_s, self.max_fps)
        return PictureSequence(name, pictures, rate=self.rate or USUAL_RATE, window=window, count=count)
