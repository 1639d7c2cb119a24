"""GIF: the first frame.

Comments and other extensions are never left to Pillow, which joins them one by one.
"""

from __future__ import annotations

import struct

from PIL import Image

from depthsvc.errors import BrokenImage
from depthsvc.imaging.photo.header import Coding, Header, checked, damaged
from depthsvc.imaging.photo.jpeg import Data
from depthsvc.imaging.photo.pillow import divisor_for, open_image, photo_of
from depthsvc.imaging.photo.pixels import Bounds, Photo

_SCREEN = struct.Struct("<6xHHBxx")
"""Width, height and flags."""
_FRAME = struct.Struct("<xHHHHB")
"""Left, top, width, height and flags."""
_EXTENSION, _IMAGE, _END = 0x21, 0x2C, b"\x3b"
_GRAPHIC_CONTROL = 0xF9
"""Extension that says which colour is transparent."""
_MAX_BLOCKS = 500_000
"""Blocks of a frame or an extension, of at most 255 bytes each."""
_MAX_EXTENSIONS = 100
"""Extensions before the first frame."""


def gif_header(data: Data) -> Header:
    """Raises BrokenImage if there is no frame, or one that is not inside the picture."""
    try:
        width, height, _ = _SCREEN.unpack_from(data)
        _, frame = _first_frame(data)
        left, top, columns, rows, _ = _FRAME.unpack_from(data, frame)
    except (struct.error, IndexError) as error:
        raise damaged("GIF") from error
    width, height = max(width, left + columns), max(height, top + rows)  # some programs leave the screen at 0
    return checked(Header(Coding.GIF, width, height, len(data), width * height), "GIF")


def decode_gif(data: bytes, header: Header, bounds: Bounds) -> Photo:
    """Decode the first frame of a GIF."""
    control, frame = _first_frame(data)
    first = data[: _colours_end(data, _SCREEN.size, data[10])] + control + data[frame : _frame_end(data, frame)] + _END
    left, top, columns, rows, _ = _FRAME.unpack_from(data, frame)
    with open_image(first, "GIF", header, bounds) as image:
        box = left, top, left + columns, top + rows
        seen = image if box == (0, 0, *image.size) else _only(image, box)
        return photo_of(seen, {}, divisor_for(image.size, bounds))


def _only(image: Image.Image, box: tuple[int, int, int, int]) -> Image.Image:
    """An image that is transparent outside a box, as browsers show it around a small frame."""
    result = Image.new("RGBA", image.size)
    result.paste(image.convert("RGBA").crop(box), box)
    return result


def _first_frame(data: Data) -> tuple[bytes, int]:
    """What is said of the first frame's transparency, and where the frame begins. Raises IndexError or BrokenImage."""
    position, control = _colours_end(data, _SCREEN.size, data[10]), b""
    for _ in range(_MAX_EXTENSIONS):
        if data[position] == _IMAGE:
            return control, position
        if data[position] != _EXTENSION:
            break
        end = _blocks_end(data, position + 2)
        if data[position + 1] == _GRAPHIC_CONTROL:
            control = bytes(data[position:end])
        position = end
    raise damaged("GIF")


def _frame_end(data: Data, start: int) -> int:
    """Where a frame ends, or the file. Raises IndexError if that is within its colours."""
    blocks = _colours_end(data, start + _FRAME.size, data[start + _FRAME.size - 1]) + 1
    try:
        return _blocks_end(data, blocks)
    except IndexError:
        return len(data)


def _colours_end(data: Data, start: int, flags: int) -> int:
    """Where a table of colours ends."""
    return start + (3 << (flags & 7) + 1 if flags & 0x80 else 0)


def _blocks_end(data: Data, position: int) -> int:
    """Where a sequence of blocks ends. Raises IndexError if it does not, and BrokenImage if it has too many."""
    for _ in range(_MAX_BLOCKS):
        size = data[position]
        position += 1 + size
        if not size:
            return position
    raise BrokenImage("The GIF file has too many blocks. Save it again with another program.")
