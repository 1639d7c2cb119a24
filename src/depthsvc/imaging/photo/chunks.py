"""The chunks of a PNG: those that its pixels need, and what the others say of them.

The others are never left to a decoder, which inflates them all, and refuses a photo for the sake of a comment.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator

from depthsvc.errors import BrokenImage
from depthsvc.imaging.wide_gamut import profile_of

MAX_CHUNKS = 20_000
"""Chunks of a PNG."""
_MAX_METADATA = 1 << 20
"""Bytes of EXIF or XMP data, or of a profile, that are read, inflated."""
_SIGNATURE_BYTES = 8
_PIXELS = (b"IHDR", b"PLTE", b"IDAT", b"IEND")
_TRANSPARENCY = b"tRNS"
_FIRST = b"cICP"
"""It counts before a profile."""
_MOST_TRANSPARENCY = 256
"""Bytes of transparency: one for each colour of a palette."""
_NUMBERS = 4
"""Bytes that describe colours: primaries, transfer, matrix and range."""
_TEXTS = {b"Raw profile type exif": "Raw profile type exif", b"XML:com.adobe.xmp": "xmp"}
"""Keywords of texts that can say how a photo is to be turned, with Pillow's names for them."""


def essential_png(data: bytes) -> tuple[bytes, dict[str, bytes | str]]:
    """A PNG with only the chunks that its pixels need; and its EXIF and XMP data and profile, by Pillow's names.

    A truncated or malformed file stays that way; of other chunks, those that are damaged or too large count as absent.
    Raises BrokenImage for more than MAX_CHUNKS chunks or a second header.
    """
    kept, metadata = [data[:_SIGNATURE_BYTES]], dict[str, bytes | str]()
    position = _SIGNATURE_BYTES
    for kind, end in _chunks(data):
        if end > len(data):
            return b"".join([*kept, data[position:]]), metadata
        if kind == b"IHDR" and position > _SIGNATURE_BYTES:  # Pillow would decode by the last one
            raise BrokenImage("The PNG file has two headers. Save it again and send that.")
        if kind in _PIXELS or (kind == _TRANSPARENCY and _is_transparency(data[position:end])):
            kept.append(data[position:end])
        elif end - position <= _MAX_METADATA:
            for name, content in _metadata(kind, data[position:end]):
                if kind == _FIRST or name not in metadata:
                    metadata[name] = content
        if kind == b"IEND":
            break
        position = end
    return b"".join(kept), metadata


def _chunks(data: bytes) -> Iterator[tuple[bytes, int]]:
    """Kind and end of every chunk, the last one perhaps beyond the file. Raises BrokenImage if they are too many."""
    position = _SIGNATURE_BYTES
    for _ in range(MAX_CHUNKS):
        end = position + 12 + int.from_bytes(data[position : position + 4], "big")
        yield data[position + 4 : position + 8], end
        position = end
    raise BrokenImage(f"The PNG file has more than {MAX_CHUNKS} chunks. Save it again with another program.")


def _is_transparency(chunk: bytes) -> bool:
    return len(chunk) <= 12 + _MOST_TRANSPARENCY and _is_whole(chunk)


def _is_whole(chunk: bytes) -> bool:
    return zlib.crc32(chunk[4:-4]) == int.from_bytes(chunk[-4:], "big")


def _metadata(kind: bytes, chunk: bytes) -> Iterator[tuple[str, bytes | str]]:
    """What a chunk says of the photo's orientation or colours: nothing, or one name and content."""
    content = chunk[8:-4]
    keyword, _, rest = content.partition(b"\0")
    if kind == b"eXIf" and _is_whole(chunk):
        yield "exif", content
    elif kind == b"iCCP" and _is_whole(chunk):
        yield "icc_profile", _inflated(rest[1:])
    elif kind == b"cICP" and _is_whole(chunk) and len(content) == _NUMBERS:
        yield "icc_profile", profile_of(content[0], content[1]) or b""
    elif keyword in _TEXTS and kind in (b"tEXt", b"zTXt", b"iTXt") and _is_whole(chunk):
        yield _TEXTS[keyword], _text(kind, rest).decode("utf-8", "replace")


def _text(kind: bytes, rest: bytes) -> bytes:
    """The text of a chunk, from what follows its keyword."""
    if kind == b"tEXt":
        return rest
    if kind == b"zTXt":
        return _inflated(rest[1:])
    *_, text = rest[2:].split(b"\0", 2)  # after language and translated keyword
    return _inflated(text) if rest[:1] == b"\1" else text


def _inflated(deflated: bytes) -> bytes:
    """Inflated content, or nothing if it is damaged or has more than _MAX_METADATA bytes."""
    inflater = zlib.decompressobj()
    try:
        content = inflater.decompress(deflated, _MAX_METADATA)
    except zlib.error:
        return b""
    return content if inflater.eof else b""
