"""What a photo file's first bytes say of the work that decoding it takes. Nothing is decoded."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import StrEnum

from depthsvc.errors import BrokenImage, UnsupportedMediaType
from depthsvc.imaging.photo.jpeg import MAX_SCANNED_SAMPLES, Data, Scans, scans_of, segments


class Coding(StrEnum):
    """How a file's pixels are coded: each coding has its own speed."""

    JPEG = "jpeg"
    PROGRESSIVE_JPEG = "progressive_jpeg"
    PNG = "png"
    INTERLACED_PNG = "interlaced_png"
    WEBP = "webp"
    LOSSLESS_WEBP = "lossless_webp"
    HEIC = "heic"
    AVIF = "avif"
    TIFF = "tiff"
    LZW_TIFF = "lzw_tiff"
    DEFLATE_TIFF = "deflate_tiff"
    BMP = "bmp"
    GIF = "gif"


@dataclass(frozen=True)
class Header:
    """The size of a photo and of its coded data."""

    coding: Coding
    width: int
    """Stored width in pixels, before any rotation."""
    height: int
    file_bytes: int
    coded: int
    """What its decoder goes through: samples of a JPEG, in all its scans, bytes of a PNG's or TIFF's inflated rows, or
    pixels of all its tiles."""
    kept: int = 0
    """Bytes of the whole picture that its decoder keeps beside its pixels: coefficients of a JPEG in several scans."""

    @property
    def pixels(self) -> int:
        return self.width * self.height


_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
"""Markers of a JPEG's frame header."""
_PROGRESSIVE = 0xC2
_REFUSED_FRAMES = {
    **dict.fromkeys((0xC3, 0xC7, 0xCB, 0xCF), "lossless"),
    **dict.fromkeys((0xC5, 0xC6, 0xCD, 0xCE), "hierarchical"),
    **dict.fromkeys((0xC9, 0xCA), "arithmetic-coded"),
}
"""What programs hardly ever write. Arithmetic coding takes ten times as long as its bytes and pixels tell."""
_BITS = 8
_TRIES = 4
"""How often a JPEG without an end marker is decoded, to see whether it lacks more than that."""
_COEFFICIENT_BYTES = 2
_FRAME = struct.Struct(">BHHB")
"""Sample precision, height, width and number of components."""


def jpeg_header(data: Data) -> Header:
    """Raises BrokenImage if there is no frame header before the first scan, or there are too many scans, and
    UnsupportedMediaType for lossless, hierarchical and arithmetic coding and for more than 8 bits."""
    found = None
    for marker, start in segments(data):
        if marker in _FRAMES and start + 2 + _FRAME.size <= len(data):
            found = marker, start + 2
    if found is None:
        raise damaged("JPEG")
    marker, start = found
    bits, height, width, components = _FRAME.unpack_from(data, start)
    kind = _REFUSED_FRAMES.get(marker) or (f"{bits}-bit" if bits != _BITS else "")
    if kind:
        raise UnsupportedMediaType(
            f"This is a JPEG of a rare kind: {kind}. Save it as a PNG or an 8-bit baseline JPEG."
        )
    scans = scans_of(data)
    times = 1 if scans.ended else _TRIES
    whole = marker == _PROGRESSIVE or scans.count > 1  # its decoder keeps all coefficients
    coding = Coding.PROGRESSIVE_JPEG if whole else Coding.JPEG
    in_picture, in_scans = _samples_per_pixel(data[start + _FRAME.size :][: 3 * components], scans)
    if scans.count > 1 and width * height * in_scans > MAX_SCANNED_SAMPLES:
        raise BrokenImage(f"The JPEG file has {scans.count} scans, too many for its size. Save it as a baseline JPEG.")
    kept = _COEFFICIENT_BYTES * round(width * height * in_picture) if whole else 0
    header = Header(coding, width, height, times * scans.end, times * round(width * height * in_scans), kept)
    return checked(header, "JPEG")


def _samples_per_pixel(components: Data, scans: Scans) -> tuple[float, float]:
    """In the picture, and in all scans; from identifier and sampling factors of each component, in 3 bytes each."""
    rows = zip(components[::3], components[1::3], strict=False)
    areas = {name: (factors >> 4) * (factors & 15) for name, factors in rows}
    largest = max(areas.values(), default=0)
    if not largest:
        return 1.0, float(scans.count)
    whole = sum(areas.values()) / largest
    parts = (sum(areas.get(name, 0) for name in names) / largest or whole for names in scans.components)
    return whole, sum(parts)


_PNG_START = struct.Struct(">8xI4sIIBB2xB")
"""After the signature: length and kind of the first chunk, width, height, bits, colour type, and interlacing."""
_PNG_SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
"""Samples per pixel by colour type."""


def png_header(data: Data) -> Header:
    """Raises BrokenImage if the file does not begin with a header, and UnsupportedMediaType for Apple's own kind."""
    if len(data) < _PNG_START.size:
        raise damaged("PNG")
    _, kind, width, height, bits, color_type, interlaced = _PNG_START.unpack_from(data)
    if kind == b"CgBI":
        raise UnsupportedMediaType(
            "This PNG is Apple's own kind (CgBI). Convert it with `xcrun pngcrush`, or send the original."
        )
    if kind != b"IHDR" or color_type not in _PNG_SAMPLES:
        raise damaged("PNG")
    row = 1 + (width * bits * _PNG_SAMPLES[color_type] + 7) // 8
    coding = Coding.INTERLACED_PNG if interlaced else Coding.PNG
    return checked(Header(coding, width, height, len(data), row * height), "PNG")


_RIFF_BYTES = 12
_MAX_WEBP_CHUNKS = 64
"""Chunks of an extended WebP that are looked at for its first picture."""


def webp_header(data: Data) -> Header:
    """Raises BrokenImage if the file does not begin with one of WebP's three headers."""
    kind, start = data[_RIFF_BYTES : _RIFF_BYTES + 4], _RIFF_BYTES + 8
    try:
        if kind == b"VP8 ":
            width, height = (side & 0x3FFF for side in struct.unpack_from("<HH", data, start + 6))
        elif kind == b"VP8L":
            (sides,) = struct.unpack_from("<I", data, start + 1)
            width, height = 1 + (sides & 0x3FFF), 1 + (sides >> 14 & 0x3FFF)
        elif kind == b"VP8X":
            width, height = (1 + int.from_bytes(data[at : at + 3], "little") for at in (start + 4, start + 7))
        else:
            raise damaged("WebP")
    except struct.error as error:
        raise damaged("WebP") from error
    coding = Coding.WEBP if _is_lossy(data) else Coding.LOSSLESS_WEBP
    return checked(Header(coding, width, height, len(data), width * height), "WebP")


def _is_lossy(data: Data) -> bool:
    """Whether the first picture is lossy; a picture that is not found counts as lossless, which takes longer."""
    position = _RIFF_BYTES
    for _ in range(_MAX_WEBP_CHUNKS):
        kind = data[position : position + 4]
        if kind in (b"VP8 ", b"VP8L", b""):
            return kind == b"VP8 "
        if kind == b"ANMF":  # a frame's own chunks follow its 16 bytes of sizes
            position += 24
        else:
            length = int.from_bytes(data[position + 4 : position + 8], "little")
            position += 8 + length + length % 2
    return False


def checked(header: Header, name: str) -> Header:
    """The header of a photo that has pixels. Raises BrokenImage for any other."""
    if not header.pixels:
        raise damaged(name)
    return header


def damaged(name: str) -> BrokenImage:
    """The error for a file that is not what its beginning says."""
    return BrokenImage(f"The {name} file is damaged or truncated. Save it again and send that.")
