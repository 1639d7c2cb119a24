"""One picture of photos and of what several models make of them, in one scale of colours."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from depthsvc.depth import DepthMap
from depthsvc.evaluation.accuracy import Floats, scale_and_shift
from depthsvc.evaluation.contenders import Contender, depth_map
from depthsvc.evaluation.pictures import Picture, nearness_in_colours
from depthsvc.imaging.photo.decode import decode
from depthsvc.imaging.photo.pixels import Bounds, at_least
from depthsvc.imaging.spec import DepthKind

_TILE = 480
"""Width in pixels of each map."""
_GAP = 8
_LABEL = 30
_FONT_SIZE = 18
_INDENT = 4
_GROUND, _INK = (255, 255, 255), (30, 28, 34)
_PERCENTILES = (1, 99)
_MOST_PIXELS = 1_000_000_000


@dataclass(frozen=True, eq=False)
class Estimate:
    """A photo's depth by a model."""

    depth: DepthMap
    """No wider than it is drawn."""
    seconds: float | None
    """Time that the worker spent on it."""


def estimates(photos: Sequence[bytes], contender: Contender) -> Iterator[Estimate]:
    """The depth of each photo, each computed twice: the first time, a network gets ready for the photo's shape.

    Raises RequestError, ServiceUnreachable or another DepthServiceError.
    """
    with contender.open() as estimator:
        for photo in photos:
            estimator.estimate(photo)
            result = estimator.estimate(photo)
            yield Estimate(_reduced(depth_map(result)), result.facts.seconds)


def _reduced(depth: DepthMap) -> DepthMap:
    height = max(1, round(_TILE * depth.height / depth.width))
    values = cv2.resize(depth.values, (_TILE, height), interpolation=cv2.INTER_AREA)
    return DepthMap.of(np.asarray(values, np.float32), depth.model, kind=depth.kind)


def picture(photos: Sequence[bytes], models: Sequence[tuple[str, Sequence[Estimate]]]) -> Picture:
    """A row a photo, RGB: the photo, then its depth by each model, with the time above it."""
    rows = []
    for number, photo in enumerate(photos):
        row = [(name, of_photos[number]) for name, of_photos in models]
        height = row[0][1].depth.height
        tiles = [_labelled(_photo(photo, height))]
        for (name, estimate), colours in zip(row, _in_one_scale([estimate.depth for _, estimate in row]), strict=True):
            time = "" if estimate.seconds is None else f", {1000 * estimate.seconds:.0f} ms"
            tiles.append(_labelled(colours, name, time))
        rows.append(_joined(tiles, axis=1))
    return _joined(rows, axis=0)


def encoded(pixels: Picture, suffix: str) -> bytes:
    """The picture as a file: a JPEG if the suffix says so, else a PNG."""
    data = io.BytesIO()
    Image.fromarray(pixels).save(data, "JPEG" if suffix.lower() in (".jpg", ".jpeg") else "PNG", quality=92)
    return data.getvalue()


def _in_one_scale(maps: Sequence[DepthMap]) -> list[Picture]:
    """Maps as colours, bright is near, between the limits of one of them: the first in metres, else the first.

    Maps without a unit are fitted to it in inverse depth; metres stay what they are.
    """
    reference = next((depth for depth in maps if depth.kind is DepthKind.METRES), maps[0])
    fitted = [_fitted(depth, reference) for depth in maps]
    low, high = np.percentile(reference.inverse, _PERCENTILES)
    return [nearness_in_colours(inverse, float(low), float(high)) for inverse in fitted]


def _fitted(depth: DepthMap, reference: DepthMap) -> Floats:
    inverse, wanted = depth.inverse, reference.inverse
    if depth.kind is DepthKind.METRES:
        return inverse
    scale, _ = scale_and_shift(inverse.ravel(), wanted.ravel())
    # A negative scale would hide that a model takes the near for the far.
    return np.asarray(abs(scale) * (inverse - inverse.mean()) + wanted.mean(), np.float32)


def _photo(photo: bytes, height: int) -> Picture:
    pixels = decode(photo, Bounds(_MOST_PIXELS, at_least(_TILE))).pixels
    return np.asarray(cv2.resize(pixels, (_TILE, height), interpolation=cv2.INTER_AREA), np.uint8)


def _labelled(pixels: Picture, name: str = "", time: str = "") -> Picture:
    """With a line of text above, in which a long name gives way to the time."""
    strip, font = Image.new("RGB", (pixels.shape[1], _LABEL), _GROUND), ImageFont.load_default(_FONT_SIZE)
    text, kept = f"{name}{time}", len(name)
    while kept and font.getlength(text) > pixels.shape[1] - 2 * _INDENT:
        kept -= 1
        text = f"{name[:kept]}...{time}"
    ImageDraw.Draw(strip).text((_INDENT, _INDENT), text, _INK, font)
    return np.vstack([np.asarray(strip), pixels])


def _joined(parts: Sequence[NDArray[np.uint8]], axis: int) -> Picture:
    """With gaps between them, and around all along the axis."""
    shape = list(parts[0].shape)
    shape[axis] = _GAP
    gap = np.full(shape, _GROUND, np.uint8)
    pieces = [gap]
    for part in parts:
        pieces += [part, gap]
    return np.concatenate(pieces, axis)
