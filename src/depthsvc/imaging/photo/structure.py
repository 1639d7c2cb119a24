"""Limits on a file's structure, checked before a decoder reads it.

A few megabytes can hold millions of empty segments, or thousands of scans over a large picture, and keep a decoder
busy for minutes. No camera or editor writes such files.
"""

from __future__ import annotations

from depthsvc.errors import BrokenImage

MAX_SEGMENTS = 1000
"""Segments before a JPEG's first scan. Pillow joins EXIF segments one by one: 10 MB in this many take it 1 s."""
MAX_CHUNKS = 20_000
"""Chunks of a PNG."""
MAX_SCANS = 100
"""Scans of a progressive JPEG; encoders write about ten."""
MAX_SCANNED_PIXELS = 1_000_000_000
"""Scans times pixels. Measured: the decoder needs 1.5 s for this many if the scans are empty."""
MAX_FILL = 65_536
"""Bytes between two segments of a JPEG, which a decoder skips one by one."""
_MAX_TEXT = 1 << 20
"""Longest text chunk of a PNG that is kept, in bytes. EXIF can be in one."""

_PNG_SIGNATURE_LENGTH = 8
_PNG_PIXELS = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND", b"eXIf")
_PNG_TEXT = (b"tEXt", b"zTXt", b"iTXt")
_JPEG_WITHOUT_LENGTH = {0x01, *range(0xD0, 0xD9)}
_JPEG_START_OF_SCAN = 0xDA


def unchecked(data: bytes) -> bytes:
    """No check, for formats whose decoder limits its own work."""
    return data


def check_jpeg_segments(data: bytes) -> bytes:
    """The same bytes. Raises BrokenImage for more than MAX_SEGMENTS segments before the first scan, or too much fill
    between them."""
    position = 2
    for _ in range(MAX_SEGMENTS):
        end, position = position, data.find(b"\xff", position)
        if position - end > MAX_FILL:
            raise BrokenImage(
                "The JPEG file has too many bytes between its segments. Save it again with another program."
            )
        if position < 0 or position + 4 > len(data) or data[position + 1] == _JPEG_START_OF_SCAN:
            return data
        marker = data[position + 1]
        if marker in {0x00, 0xFF}:
            position += 1
        elif marker in _JPEG_WITHOUT_LENGTH:
            position += 2
        else:
            position += 2 + int.from_bytes(data[position + 2 : position + 4], "big")
    raise BrokenImage(f"The JPEG file has more than {MAX_SEGMENTS} segments. Save it again with another program.")


def check_jpeg_scans(data: bytes, pixels: int) -> None:
    """Raises BrokenImage if a JPEG of `pixels` pixels has too many scans. Their markers cannot occur inside a scan."""
    scans = data.count(bytes((0xFF, _JPEG_START_OF_SCAN)))
    if scans > MAX_SCANS or scans * pixels > max(MAX_SCANNED_PIXELS, pixels):
        raise BrokenImage(f"The JPEG file has {scans} scans, too many for its size. Save it as a baseline JPEG.")


def essential_png(data: bytes) -> bytes:
    """A PNG without the chunks that its pixels and orientation do not need, such as ICC profiles and animation.

    A truncated or malformed file stays that way. Raises BrokenImage for more than MAX_CHUNKS chunks.
    """
    kept = [data[:_PNG_SIGNATURE_LENGTH]]
    position = _PNG_SIGNATURE_LENGTH
    for _ in range(MAX_CHUNKS):
        length = int.from_bytes(data[position : position + 4], "big")
        kind = data[position + 4 : position + 8]
        end = position + 12 + length
        if end > len(data):
            return b"".join([*kept, data[position:]])
        if kind in _PNG_PIXELS or (kind in _PNG_TEXT and length <= _MAX_TEXT):
            kept.append(data[position:end])
        if kind == b"IEND":
            return b"".join(kept)
        position = end
    raise BrokenImage(f"The PNG file has more than {MAX_CHUNKS} chunks. Save it again with another program.")
