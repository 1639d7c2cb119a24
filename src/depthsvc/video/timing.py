"""Presentation times: which part of a video is wanted, and times that increase."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

from depthsvc.errors import ConfigurationError

JUMP_S = 1
"""A presentation time that goes back further than this, in seconds, begins a new count."""
USUAL_RATE = Fraction(25)
"""Frames a second of what does not say it."""

Seconds = float | Fraction


@dataclass(frozen=True)
class Window:
    """The part of a video that is wanted."""

    start: Fraction = Fraction(0)
    """First presentation time that is delivered, in seconds."""
    end: Fraction | None = None
    """Presentation time before which delivery ends, in seconds."""
    spacing: Fraction | None = None
    """Seconds for which at most one frame is delivered."""

    @classmethod
    def of(cls, start_s: Seconds | None = None, end_s: Seconds | None = None, max_fps: Seconds | None = None) -> Window:
        """From seconds, and the most frames a second. Raises ConfigurationError."""
        for value in (start_s, end_s, max_fps):
            if value is not None and not math.isfinite(value):
                raise ConfigurationError(f"{value} is not a number of seconds or frames.")
        start = _exact(start_s or 0)
        end = None if end_s is None else _exact(end_s)
        if start < 0 or (end is not None and end <= start):
            raise ConfigurationError("The start of a video must not be negative, and its end must be after its start.")
        if max_fps is not None and max_fps <= 0:
            raise ConfigurationError(f"At most {max_fps} frames a second are none. Choose more than 0.")
        return cls(start, end, None if max_fps is None else 1 / _exact(max_fps))

    @property
    def is_whole(self) -> bool:
        """Whether every frame is wanted."""
        return not self.start and self.end is None and not self.spacing

    def is_past(self, time: Fraction) -> bool:
        """Whether delivery has ended at this time."""
        return self.end is not None and time >= self.end

    def shown_s(self, whole: Fraction) -> float:
        """How many seconds of a video with a duration of `whole` are in it."""
        return max(0.0, float(min(whole, self.end or whole) - self.start))

    def frames(self, shown_s: float, rate: Fraction) -> int:
        """About how many frames that is, at so many a second."""
        return max(1, round(shown_s * (min(rate, 1 / self.spacing) if self.spacing else rate)))


def _exact(value: Seconds) -> Fraction:
    return Fraction(value).limit_denominator(1_000_000)


class Selection:
    """Which of the frames of one pass are delivered, by their times, which increase."""

    def __init__(self, window: Window) -> None:
        self._window = window
        self._slot = -1

    def takes(self, time: Fraction) -> bool:
        """Whether the next frame is delivered."""
        start, spacing = self._window.start, self._window.spacing
        slot = math.floor((time - start) / spacing) if spacing else self._slot + 1
        if time < start or slot <= self._slot:
            return False
        self._slot = slot
        return True


class Clock:
    """Time stamps to times that increase strictly."""

    def __init__(self, tick: Fraction, rate: Fraction | None) -> None:
        """`tick`: seconds of which all times are multiples. `rate`: average frames a second, if known."""
        self._tick = tick
        self._step = 1 / (rate or USUAL_RATE)
        self._last: Fraction | None = None
        self._shift = Fraction(0)

    def time(self, stamp: Fraction | None) -> Fraction:
        """The time of the next frame, from its time stamp in seconds, or None."""
        last = self._last
        following = Fraction(0) if last is None else last + self._step
        time = following if stamp is None else stamp + self._shift
        if last is not None and time <= last:
            later = last + (self._step if last - time > JUMP_S else self._tick)
            self._shift += later - time if last - time > JUMP_S else 0
            time = later
        self._last = time
        return time
