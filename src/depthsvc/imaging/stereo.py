"""A stereo picture from one photo and its depth: what is near is shifted more between the two eyes.

Each eye gets half of the shift, so that what the photo does not show is half as wide in either. Rows are warped
forward: a pixel is a piece of its row, joined to its neighbours or, where depth steps, torn off. Where pieces overlap
the nearest is seen, and the photo is sampled between its pixels. What opens behind a near object is filled with the
mirror image of the background beside it, never with the object; so is what opens at the border.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from depthsvc.imaging.blocks import row_ranges
from depthsvc.imaging.spec import StereoLayout

Floats = NDArray[np.float32]
Pixels = NDArray[np.uint8]
Places = NDArray[np.intp]

_TEAR = 1.0
"""Neighbours whose shifts differ by more pixels than this are torn apart. A piece is at most so much wider than 1."""
_CENTRES = 2
"""Centres of pixels that such a piece may cover."""
_REACH = 3
"""Width in pixels of the neighbourhood to whose extremes a soft step is pulled."""
_ROUNDS = 4
_RIMS = ((1, _TEAR), (2, 4.0))
"""A near object takes so many pixels around it along, where it is shifted by so many more than what is behind it. The
photo mixes its colour with the background's there, which would stay behind as a ghost."""
_MARGIN = _ROUNDS * (_REACH // 2) + _RIMS[-1][0]
"""Rows above and below that decide about a row."""


def _width_of(width: int, layout: StereoLayout) -> int:
    """Width in pixels of a photo's stereo picture. Its height is the photo's."""
    if layout is StereoLayout.ANAGLYPH:
        return width
    return 2 * (_half(width) if layout is StereoLayout.HALF else width)


def _half(width: int) -> int:
    """Half of a width, rounded up: both halves of a picture are equally wide."""
    return (width + 1) // 2


def stereo_picture(
    pixels: Pixels, nearness: Floats, *, layout: StereoLayout, divergence: float, convergence: float
) -> Pixels:
    """Both eyes' views of a photo, RGB (h, w, 3), in one picture, RGB (h, _width_of, 3).

    `nearness`, (h, w): 0 at the farthest point, 1 at the nearest. `divergence`: by how much the two are shifted against
    each other, in percent of the photo's width. `convergence`, 0..1: the nearness that is not shifted and lies in the
    plane of the screen; what is nearer stands in front of it.
    """
    height, width = nearness.shape
    if not nearness.any():  # a flat one lies in the plane of the screen
        divergence = 0
    picture = np.empty((height, _width_of(width, layout), 3), np.uint8)
    for top, bottom in row_ranges(height, width):
        above, below = max(0, top - _MARGIN), min(height, bottom + _MARGIN)
        shifts = (nearness[above:below] - np.float32(convergence)) * np.float32(divergence / 200 * width)
        shifts = stepped(shifts)[top - above : bottom - above]
        left = right_view(pixels[top:bottom, ::-1], shifts[:, ::-1])[:, ::-1]
        picture[top:bottom] = _composed(left, right_view(pixels[top:bottom], shifts), layout)
    return picture


def _composed(left: Pixels, right: Pixels, layout: StereoLayout) -> Pixels:
    if layout is StereoLayout.ANAGLYPH:
        return _anaglyph(left, right)
    if layout is StereoLayout.CROSS_EYED:
        left, right = right, left
    if layout is StereoLayout.HALF:
        height, width = left.shape[:2]
        size = _half(width), height
        left, right = (
            np.asarray(cv2.resize(np.ascontiguousarray(view), size, interpolation=cv2.INTER_AREA), np.uint8)
            for view in (left, right)
        )
    return np.hstack([left, right])


_DUBOIS_LEFT = np.array(
    [[0.4561, 0.500484, 0.176381], [-0.0400822, -0.0378246, -0.0157589], [-0.0152161, -0.0205971, -0.00546856]]
)
_DUBOIS_RIGHT = np.array(
    [[-0.0434706, -0.0879388, -0.00155529], [0.378476, 0.73364, -0.0184503], [-0.0721527, -0.112961, 1.2264]]
)
"""Linear light of an anaglyph from that of both views: least squares for red-cyan glasses (Dubois, "A projection method
to generate anaglyph stereo images", ICASSP 2001)."""
_LIGHT = ((np.arange(256) / 255) ** 2).astype(np.float32)
"""Linear light of the pixel values; a gamma of 2 is close to a screen's, and its inverse is a square root."""


def _anaglyph(left: Pixels, right: Pixels) -> Pixels:
    """For glasses that are red in front of the left eye and cyan in front of the right one."""
    light = cv2.transform(_LIGHT[left], _DUBOIS_LEFT) + cv2.transform(_LIGHT[right], _DUBOIS_RIGHT)
    return np.asarray(np.rint(255 * np.sqrt(light.clip(0, 1))), np.uint8)


def stepped(shifts: Floats) -> Floats:
    """Shifts (h, w) as they are warped: steps are steep, and a rim of the far side goes with the near one."""
    return _with_rims(_steps_sharpened(shifts))


def _steps_sharpened(shifts: Floats) -> Floats:
    """Shifts (h, w) whose soft steps are steep: a ramp would tear into streaks."""
    around = np.ones((_REACH, _REACH), np.uint8)
    for _ in range(_ROUNDS):
        least, most = cv2.erode(shifts, around), cv2.dilate(shifts, around)
        nearest = np.where(most - shifts < shifts - least, most, least)
        shifts = np.where(most - least > _TEAR * 2, nearest, shifts)
    return shifts


def _with_rims(shifts: Floats) -> Floats:
    """Shifts (h, w) at whose steps the near side is wider."""
    wide = shifts
    for rim, step in _RIMS:
        nearest = cv2.dilate(shifts, np.ones((2 * rim + 1, 2 * rim + 1), np.uint8))
        wide = np.where(nearest - shifts > step, nearest, wide)
    return wide


def right_view(pixels: Pixels, shifts: Floats) -> Pixels:
    """Rows of a photo, RGB (h, w, 3), in which every point is seen `shifts`, (h, w), pixels further to the left.

    Of two points at one place, that of the larger shift is seen.
    """
    columns = _columns(shifts)
    rows = np.repeat(np.arange(len(columns), dtype=np.float32)[:, None], len(columns[0]), axis=1)
    pixels = np.ascontiguousarray(pixels)
    return np.asarray(cv2.remap(pixels, columns, rows, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE), np.uint8)


def _columns(shifts: Floats) -> Floats:
    """For every pixel of the view, (h, w), the column of the photo that it shows."""
    pieces = _Pieces.of(shifts)
    columns = pieces.nearest()
    gaps = np.flatnonzero(columns == _NOTHING)
    if gaps.size:
        columns.ravel()[gaps] = _mirrored_background(pieces, columns, gaps)
    return columns


_NOTHING = np.float32(-1)


class _Pieces(NamedTuple):
    """The pixels of a photo's rows as the pieces that are seen, each (h, w)."""

    shifts: Floats
    starts: Floats
    """Where the left end of a pixel is seen; centres of pixels are whole numbers."""
    ends: Floats
    first: Floats
    """The leftmost column of the photo that a piece shows: its centre if it is torn off there, so that nothing of what
    is on the other side is seen."""
    last: Floats

    @classmethod
    def of(cls, shifts: Floats) -> _Pieces:
        half, places = np.float32(0.5), np.arange(len(shifts[0]), dtype=np.float32)
        first, last = np.tile(places - half, (len(shifts), 1)), np.tile(places + half, (len(shifts), 1))
        starts, ends = first - shifts, last - shifts
        bend = np.diff(shifts, axis=1)
        torn = np.abs(bend) > _TEAR
        bend *= half
        bend[torn] = 0
        starts[:, 1:] += bend
        ends[:, :-1] -= bend
        off = half * torn
        first[:, 1:] += off
        last[:, :-1] -= off
        first[:, 0], last[:, -1] = 0, len(places) - 1
        return cls(shifts, starts, ends, first, last)

    def nearest(self) -> Floats:
        """The column of the photo that is nearest at every pixel of the view; _NOTHING where there is none.

        Of two points at the same place the right one has been shifted more, so it is nearer.
        """
        height, width = self.shifts.shape
        rows = width * np.arange(height, dtype=np.int32)[:, None]
        columns = np.full(height * width, _NOTHING)
        centres = np.ceil(self.starts)
        slopes = 1 / np.maximum(self.ends - self.starts, _NARROWEST)
        places = np.arange(width, dtype=np.float32) - np.float32(0.5)
        for _ in range(_CENTRES):
            covered = np.flatnonzero((centres < self.ends) & (centres >= 0) & (centres < width))
            shown = ((centres - self.starts) * slopes + places).clip(self.first, self.last)
            found = np.full_like(columns, _NOTHING)
            found[(centres.astype(np.int32) + rows).ravel()[covered]] = shown.ravel()[covered]  # the last one stays
            np.maximum(columns, found, out=columns)
            centres += 1
        return columns.reshape(height, width)

    def untorn(self) -> tuple[Places, Places]:
        """For every pixel of the photo the first and the last column to which nothing is torn, each (h, w)."""
        numbers = np.arange(len(self.shifts[0]))
        first = np.maximum.accumulate(np.where(self.first == numbers, numbers, 0), axis=1)
        return first, _backward(np.minimum.accumulate, np.where(self.last == numbers, numbers, len(numbers)))


_NARROWEST = np.float32(1e-6)


def _mirrored_background(pieces: _Pieces, columns: Floats, gaps: Places) -> Floats:
    """The columns of the photo with which gaps, numbers of pixels of the view row after row, (N,), are filled.

    The farthest of what is beside a gap goes on behind it, as the mirror image of itself as far as the next tear.
    """
    row, place = np.divmod(gaps, len(columns[0]))
    back = _farthest_beside(pieces.shifts, columns, row, place)
    begin, end = (ends[row, back] for ends in pieces.untorn())
    column = np.rint(place + pieces.shifts[row, back])
    column = np.where(column < begin, 2 * begin - 1 - column, column)
    column = np.where(column > end, 2 * end + 1 - column, column)
    return np.asarray(column.clip(begin, end), np.float32)


def _farthest_beside(shifts: Floats, columns: Floats, row: Places, place: Places) -> Places:
    """The column of the photo that is farthest beside a gap: seen at one of its ends, or torn from that and hidden."""
    width = len(columns[0])
    numbers, seen, shown = np.arange(width), columns != _NOTHING, np.rint(columns).astype(np.intp)
    before = np.maximum.accumulate(np.where(seen, numbers, -1), axis=1)[row, place]
    after = _backward(np.minimum.accumulate, np.where(seen, numbers, width))[row, place]
    right = shown[row, np.minimum(after, width - 1)]
    left = np.where(before < 0, right, shown[row, before])
    right = np.where(after == width, left, right)
    beside = np.stack([left, np.minimum(left + 1, right), right, np.maximum(right - (after < width), 0)])
    farthest = shifts[row, beside].argmin(axis=0)
    return np.asarray(np.take_along_axis(beside, farthest[None], axis=0)[0], np.intp)


def _backward(accumulate: Callable[..., Places], values: Places) -> Places:
    """Rows accumulated from right to left."""
    return accumulate(values[:, ::-1], axis=1)[:, ::-1]
