"""The photo formats, one row each. Messages, file suffixes and media types elsewhere come from this table."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from depthsvc.errors import MissingImage, NotAnImage, UnsupportedMediaType
from depthsvc.imaging.photo.pillow import decode_jpeg, decode_png, decode_webp
from depthsvc.imaging.photo.pixels import Bounds, Photo
from depthsvc.imaging.photo.structure import check_jpeg_segments, essential_png, unchecked


@dataclass(frozen=True)
class PhotoFormat:
    """One photo format."""

    name: str
    """Its name in messages."""
    suffixes: tuple[str, ...]
    """Extensions of its files, in lower case."""
    media_types: tuple[str, ...]
    signature: re.Pattern[bytes]
    """Pattern that its files begin with."""
    check: Callable[[bytes], bytes]
    """Checks a file's structure before a decoder reads it; returns the bytes to decode. Raises BrokenImage."""
    decode: Callable[[bytes, Bounds], Photo]
    """Decodes a file. Raises TooManyPixels before decoding, and whatever its decoder raises for damaged files."""


def _begins(pattern: bytes) -> re.Pattern[bytes]:
    return re.compile(pattern, re.DOTALL)


PHOTO_FORMATS = (
    PhotoFormat(
        name="JPEG",
        suffixes=(".jpg", ".jpeg", ".jpe", ".jfif"),
        media_types=("image/jpeg",),
        signature=_begins(rb"\xff\xd8\xff"),
        check=check_jpeg_segments,
        decode=decode_jpeg,
    ),
    PhotoFormat(
        name="PNG",
        suffixes=(".png",),
        media_types=("image/png",),
        signature=_begins(rb"\x89PNG\r\n\x1a\n"),
        check=essential_png,
        decode=decode_png,
    ),
    PhotoFormat(
        name="WebP",
        suffixes=(".webp",),
        media_types=("image/webp",),
        signature=_begins(rb"RIFF.{4}WEBP"),
        check=unchecked,
        decode=decode_webp,
    ),
)

_REFUSED = {
    "a HEIC": _begins(rb".{4}ftyp(heic|heix|hevc|heim|heis|mif1|msf1)"),
    "an AVIF": _begins(rb".{4}ftyp(avif|avis)"),
    "a Canon raw file": _begins(rb".{4}ftypcrx "),
    "a video": _begins(rb".{4}ftyp"),
    "a GIF": _begins(rb"GIF8"),
    "a BMP": _begins(rb"BM"),
    "a TIFF": _begins(rb"II\*\0|MM\0\*|II\+\0"),
    "a PDF": _begins(rb"%PDF"),
    "a Photoshop file": _begins(rb"8BPS"),
    "an icon": _begins(rb"\x00\x00\x01\x00"),
    "a JPEG XL": _begins(rb"\xff\x0a|\0\0\0\x0cJXL "),
    "a JPEG 2000": _begins(rb"\0\0\0\x0cjP  |\xff\x4f\xff\x51"),
    "a Radiance HDR": _begins(rb"#\?RADIANCE"),
    "an OpenEXR": _begins(rb"v/1\x01"),
    "an SVG": _begins(rb"<svg"),
}
"""Other files that people send as photos, by how they begin; the first match names the file."""


def _alternatives(names: Iterable[str]) -> str:
    *others, last = names
    return f"{', '.join(others)} or {last}" if others else last


ACCEPTED_NAMES = _alternatives(format.name for format in PHOTO_FORMATS)
"""The names of all formats for use in messages: "JPEG, PNG or WebP"."""
SUFFIXES = frozenset(suffix for format in PHOTO_FORMATS for suffix in format.suffixes)
"""Files with these extensions, in lower or upper case, count as photos."""
MEDIA_TYPES = tuple(media_type for format in PHOTO_FORMATS for media_type in format.media_types)


def format_of(data: bytes) -> PhotoFormat:
    """The format of an image file, from its first bytes.

    Raises MissingImage if there are no bytes, UnsupportedMediaType for another kind of image or document, and
    NotAnImage for everything else.
    """
    if not data:
        raise MissingImage(f"The image is empty. Send the bytes of a {ACCEPTED_NAMES} photo.")
    for format in PHOTO_FORMATS:
        if format.signature.match(data):
            return format
    for name, signature in _REFUSED.items():
        if signature.match(data):
            raise UnsupportedMediaType(f"This is {name} file. Convert it to {ACCEPTED_NAMES}.")
    raise NotAnImage(f"This does not look like a {ACCEPTED_NAMES} photo. Send a photo in one of these formats.")
