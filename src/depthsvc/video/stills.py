"""A folder of photos as the frames of a video, in the order of their numbers."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from depthsvc.errors import BodyTooLarge, ConfigurationError, RequestError, TooManyPixels, VideoError
from depthsvc.imaging.photo.decode import decode
from depthsvc.imaging.photo.files import read
from depthsvc.imaging.photo.formats import ACCEPTED_NAMES, SUFFIXES
from depthsvc.imaging.photo.pixels import Bounds, Photo
from depthsvc.imaging.profiles import in_srgb
from depthsvc.video.sequences import Pixels
from depthsvc.video.suffixes import VIDEO_SUFFIXES

_NUMBER = re.compile(r"(\d+)")


def photos_in(folder: Path) -> list[Path]:
    """The photos in a folder by their extensions, 2.png before 10.png. Hidden files are left out.

    Raises ConfigurationError if there is none, and OSError.
    """
    names = [path.name for path in folder.iterdir() if not path.name.startswith(".")]
    photos = [name for name in names if _suffix(name) in SUFFIXES]
    if photos:
        return [folder / name for name in sorted(photos, key=_natural)]
    if any(_suffix(name) in VIDEO_SUFFIXES for name in names):
        raise ConfigurationError(
            f"{folder} is a folder of videos. A folder is read as the frames of one video: name the videos themselves, "
            f"or use depthsvc batch --videos."
        )
    raise ConfigurationError(f"{folder} has no frames of a video: no {ACCEPTED_NAMES} photo is in it.")


def decoded(photos: list[Path], *, max_pixels: int) -> Iterator[Pixels | None]:
    """The photos' pixels, None for one that cannot be decoded.

    Raises VideoError if they differ in size or cannot be read, and TooManyPixels or BodyTooLarge before one that is too
    large is decoded.
    """
    bounds = Bounds(max_pixels)
    first: tuple[int, int] | None = None
    for path in photos:
        photo = _photo(path, bounds)
        if photo is None:
            yield None
            continue
        size = photo.width, photo.height
        first = first or size
        if size != first:
            raise VideoError(
                f"{path} is {size[0]} x {size[1]} pixels, and the frames before it {first[0]} x {first[1]}. "
                f"All frames of a video have one size."
            )
        yield np.asarray(in_srgb(photo.pixels, photo.profile), np.uint8)


def _photo(path: Path, bounds: Bounds) -> Photo | None:
    """None if it is damaged, or not a photo."""
    try:
        return decode(read(path, bounds.max_pixels), bounds)
    except (TooManyPixels, BodyTooLarge) as error:
        raise type(error)(f"{path}: {error}").limited_by("max_megapixels") from error
    except RequestError:
        return None
    except OSError as error:
        raise VideoError(f"{path} cannot be read: {error.strerror or error}.") from error


def _suffix(name: str) -> str:
    return Path(name).suffix.lower()


def _natural(name: str) -> list[tuple[int, str]]:
    """A key for names with numbers: by their values, and then by their spelling."""
    parts = _NUMBER.split(name)
    return [(int(part) if part.isdecimal() else -1, part) for part in parts]
