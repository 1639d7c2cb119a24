"""The photo formats, one row each. Messages, file suffixes and media types elsewhere come from this table."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from depthsvc.errors import ConfigurationError, MissingImage, NotAnImage, UnsupportedMediaType
from depthsvc.imaging.photo.bmp import bmp_header, decode_bmp
from depthsvc.imaging.photo.gif import decode_gif, gif_header
from depthsvc.imaging.photo.header import Header, jpeg_header, png_header, webp_header
from depthsvc.imaging.photo.heif import avif_header, decode_avif, decode_heic, heic_header
from depthsvc.imaging.photo.jpeg import Data
from depthsvc.imaging.photo.pillow import decode_jpeg, decode_png, decode_webp
from depthsvc.imaging.photo.pixels import Bounds, Photo
from depthsvc.imaging.photo.tiff import decode_tiff, tiff_header


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
    header: Callable[[Data], Header]
    """Reads the size of the photo and of its coded data. Raises BrokenImage."""
    decode: Callable[[bytes, Header, Bounds], Photo]
    """Decodes a file, whose header has been checked. Raises whatever its decoder raises for damaged files."""


def _begins(pattern: bytes) -> re.Pattern[bytes]:
    return re.compile(pattern, re.DOTALL)


PHOTO_FORMATS = (
    PhotoFormat(
        name="JPEG",
        suffixes=(".jpg", ".jpeg", ".jpe", ".jfif"),
        media_types=("image/jpeg",),
        signature=_begins(rb"\xff\xd8\xff(?!\xf7)"),
        header=jpeg_header,
        decode=decode_jpeg,
    ),
    PhotoFormat(
        name="PNG",
        suffixes=(".png",),
        media_types=("image/png",),
        signature=_begins(rb"\x89PNG\r\n\x1a\n"),
        header=png_header,
        decode=decode_png,
    ),
    PhotoFormat(
        name="WebP",
        suffixes=(".webp",),
        media_types=("image/webp",),
        signature=_begins(rb"RIFF.{4}WEBP"),
        header=webp_header,
        decode=decode_webp,
    ),
    PhotoFormat(
        name="AVIF",
        suffixes=(".avif",),
        media_types=("image/avif",),
        signature=_begins(rb".{4}ftyp(avif|(avis|mif1|msf1|miaf).{4}(.{4}){0,16}?avif)"),
        header=avif_header,
        decode=decode_avif,
    ),
    PhotoFormat(
        name="HEIC",
        suffixes=(".heic", ".heif", ".hif"),
        media_types=("image/heic", "image/heif"),
        signature=_begins(rb".{4}ftyp(hei[cxmsf]|hev[cxms]|mif[12]|msf1|miaf|.{8}(.{4}){0,16}?hei[cx])"),
        header=heic_header,
        decode=decode_heic,
    ),
    PhotoFormat(
        name="TIFF",
        suffixes=(".tif", ".tiff"),
        media_types=("image/tiff",),
        signature=_begins(rb"II[*+]\0(?!.{4}CR)|MM\0[*+]"),
        header=tiff_header,
        decode=decode_tiff,
    ),
    PhotoFormat(
        name="BMP",
        suffixes=(".bmp", ".dib"),
        media_types=("image/bmp",),
        signature=_begins(rb"BM.{12}[\x0c\x10\x28\x34\x38\x40\x6c\x7c]\0\0\0"),
        header=bmp_header,
        decode=decode_bmp,
    ),
    PhotoFormat(
        name="GIF",
        suffixes=(".gif",),
        media_types=("image/gif",),
        signature=_begins(rb"GIF8[79]a"),
        header=gif_header,
        decode=decode_gif,
    ),
)

_REFUSED = {
    "a Canon raw file": _begins(rb".{4}ftypcrx |II\*\0.{4}CR|II\x1a\0\0\0HEAPCCDR"),
    "a Fujifilm raw file": _begins(rb"FUJIFILMCCD-RAW"),
    "an Olympus raw file": _begins(rb"IIR[OS]|MMOR"),
    "a Panasonic raw file": _begins(rb"IIU\0"),
    "a Sigma raw file": _begins(rb"FOVb"),
    "a Minolta raw file": _begins(rb"\0MRM"),
    "a Phase One raw file": _begins(rb"IIII|MMMM"),
    "a video": _begins(rb".{4}(ftyp|moov|mdat|wide)|\x1aE\xdf\xa3|RIFF.{4}AVI |FLV\x01"),
    "a PDF": _begins(rb"%PDF"),
    "a PostScript file": _begins(rb"%!PS|\xc5\xd0\xd3\xc6"),
    "a Photoshop file": _begins(rb"8BPS"),
    "a GIMP file": _begins(rb"gimp xcf"),
    "an icon": _begins(rb"\0\0[\x01\x02]\0[\x01-\x40]\0"),
    "a JPEG XL": _begins(rb"\xff\x0a|\0\0\0\x0cJXL "),
    "a JPEG 2000": _begins(rb"\0\0\0\x0cjP  |\xff\x4f\xff\x51"),
    "a JPEG XR": _begins(rb"II\xbc\x01"),
    "a JPEG-LS": _begins(rb"\xff\xd8\xff\xf7"),
    "a Radiance HDR": _begins(rb"#\?RADIANCE"),
    "an OpenEXR": _begins(rb"v/1\x01"),
    "a Portable Anymap": _begins(rb"P[1-7]\s"),
    "an SVG": _begins(rb"(\xef\xbb\xbf)?\s*(<\?xml.{0,300}?)?(<!--.{0,300}?-->\s*)?(<!DOCTYPE svg.{0,200}?)?<svg"),
}
"""Other files that people send as photos, by how they begin; the first match names the file."""

_NOT_PHOTOS = {
    "a web page, not a photo. Check the address from which it was downloaded": _begins(
        rb"(?i)(\xef\xbb\xbf)?\s*(<\?xml.{0,300}?)?(<!--.{0,500}?-->\s*)?<(!doctype html|html)"
    ),
    "an archive. Send the photos in it, one at a time": _begins(rb"PK\x03\x04|PK\x05\x06|Rar!|7z\xbc\xaf"),
    "gzip-compressed data. Send the photo's own bytes": _begins(rb"\x1f\x8b"),
    "text in base64. Decode it and send the photo's own bytes": _begins(
        rb"\s*(data:[\w/+.;=-]{0,100},|/9j/[\w+/]{12}|iVBORw0KGgo|UklGR[\w+/]{12}|R0lGOD[\w+/]{12}|AAAA[\w+/]{4}Z0eX)"
    ),
    "JSON. Send the photo's own bytes": _begins(rb'\s*\{\s*"'),
}
"""What people send by mistake, and what to do instead."""


def alternatives(names: Iterable[str]) -> str:
    """Names for use in messages: "JPEG, PNG or WebP"."""
    *others, last = names
    return f"{', '.join(others)} or {last}" if others else last


ACCEPTED_NAMES = alternatives(format.name for format in PHOTO_FORMATS)
"""The names of all formats for use in messages: "JPEG, PNG or WebP"."""
SUFFIXES = frozenset(suffix for format in PHOTO_FORMATS for suffix in format.suffixes)
"""Files with these extensions, in lower or upper case, count as photos."""
MEDIA_TYPES = tuple(media_type for format in PHOTO_FORMATS for media_type in format.media_types)


def formats_named(names: Iterable[str]) -> tuple[PhotoFormat, ...]:
    """The formats with these names, in lower or upper case; all if there are none. Raises ConfigurationError."""
    by_name = {format.name.lower(): format for format in PHOTO_FORMATS}
    chosen = [name.lower() for name in names]
    for name in chosen:
        if name not in by_name:
            raise ConfigurationError(f"{name!r} is no photo format. Choose from {', '.join(by_name)}.")
    return tuple(by_name[name] for name in chosen) or PHOTO_FORMATS


def header_of(data: Data) -> Header:
    """The size of a photo and of its coded data. Raises as `format_of` does, or BrokenImage."""
    return format_of(data).header(data)


def format_of(data: Data) -> PhotoFormat:
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
            file = name if name.split()[-1] in ("file", "video", "icon") else f"{name} file"
            raise UnsupportedMediaType(f"This is {file}. Convert it to {ACCEPTED_NAMES}.")
    for name, signature in _NOT_PHOTOS.items():
        if signature.match(data):
            raise NotAnImage(f"This is {name}.")
    raise NotAnImage(f"This does not look like a {ACCEPTED_NAMES} photo. Send a photo in one of these formats.")


def is_known(data: Data) -> bool:
    """Whether a file begins as a photo does, or as something that `format_of` can name."""
    signatures = (*(format.signature for format in PHOTO_FORMATS), *_REFUSED.values(), *_NOT_PHOTOS.values())
    return any(signature.match(data) for signature in signatures)
