from __future__ import annotations

import struct
import zlib

import pytest
from PIL import ExifTags, Image, PngImagePlugin

from depthsvc.errors import BrokenImage
from depthsvc.imaging.photo.chunks import essential_png
from depthsvc.imaging.photo.decode import decode
from depthsvc.imaging.photo.pixels import Bounds
from tests.conftest import encoded
from tests.parity import photo

PNG = encoded(photo(60, 80))
AFTER_HEADER = 33
XMP = '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'


def chunk(kind: bytes, content: bytes, *, whole: bool = True) -> bytes:
    checksum = zlib.crc32(kind + content) ^ (not whole)
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)


def with_chunk(added: bytes, *, before: bool = True) -> bytes:
    """The photo with a chunk before or after its pixels."""
    at = AFTER_HEADER if before else len(PNG) - 12
    return PNG[:at] + added + PNG[at:]


def test_an_ordinary_file_passes_unchanged() -> None:
    assert essential_png(PNG) == (PNG, {})


def test_a_png_has_one_header() -> None:
    """It would be admitted for the price of the first, and decoded by the last."""
    other = encoded(photo(60, 80)[..., 0])
    with pytest.raises(BrokenImage, match="two headers"):
        essential_png(PNG[:33] + other[8:33] + PNG[33:])


@pytest.mark.parametrize("before", [True, False])
@pytest.mark.parametrize(
    "added",
    [
        chunk(b"tEXt", b"comment\0text"),
        chunk(b"tEXt", b"comment\0text", whole=False),
        chunk(b"zTXt", b"workflow\0\0" + zlib.compress(bytes(3_000_000))),
        chunk(b"iTXt", b"workflow\0\1\0\0\0" + zlib.compress(bytes(3_000_000))),
        chunk(b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(bytes(3_000_000))),
        chunk(b"zTXt", b"Raw profile type exif\0\0no deflate"),
        chunk(b"iTXt", b"XML:com.adobe.xmp\0"),
        chunk(b"iCCP", b"p\0\0" + zlib.compress(bytes(3_000_000))),
        chunk(b"iCCP", b"p\0\0no deflate"),
        chunk(b"eXIf", b"MM no directory"),
        chunk(b"eXIf", b"MM\0*\0\0\0\x08\0\1\1\x12\0\3\0\0\0\1\0\6\0\0", whole=False),
        chunk(b"gAMA", bytes(4), whole=False),
        chunk(b"tRNS", bytes(6), whole=False),
        chunk(b"tRNS", bytes(3000)),
        chunk(b"prVt", bytes(2_000_000)),
    ],
)
def test_what_a_photo_does_not_need_does_it_no_harm(added: bytes, before: bool) -> None:
    """Neither what it inflates to, nor its checksum."""
    data = with_chunk(added, before=before)
    assert essential_png(data)[0] == PNG
    assert (decode(data, Bounds(10**6)).pixels == decode(PNG, Bounds(10**6)).pixels).all()


@pytest.mark.parametrize(
    "added",
    [
        chunk(b"tEXt", b"XML:com.adobe.xmp\0" + XMP.encode()),
        chunk(b"zTXt", b"XML:com.adobe.xmp\0\0" + zlib.compress(XMP.encode())),
        chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + XMP.encode()),
        chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0en\0XMP\0" + zlib.compress(XMP.encode())),
        chunk(b"eXIf", b"MM\0*\0\0\0\x08\0\1\1\x12\0\3\0\0\0\1\0\6\0\0"),
    ],
)
@pytest.mark.parametrize("before", [True, False])
def test_every_way_to_say_how_it_is_turned_counts(added: bytes, before: bool) -> None:
    decoded = decode(with_chunk(added, before=before), Bounds(10**6))
    assert (decoded.width, decoded.height) == (60, 80)


def test_a_png_loses_what_its_pixels_do_not_need() -> None:
    information = PngImagePlugin.PngInfo()
    information.add_text("comment", "dropped")
    information.add_text("Raw profile type exif", "x" * 2_000_000)
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    data = encoded(photo(60, 80), pnginfo=information, exif=exif, icc_profile=b"a profile")
    essential, metadata = essential_png(data)
    assert essential == encoded(photo(60, 80))
    assert set(metadata) == {"exif", "icc_profile"}
    assert metadata["icc_profile"] == b"a profile"


@pytest.mark.parametrize("cut", range(8, len(PNG), 997))
def test_a_png_that_is_cut_off_stays_so(cut: int) -> None:
    assert essential_png(PNG[:cut]) == (PNG[:cut], {})


def test_chunks_of_a_png_are_bounded() -> None:
    empty = chunk(b"IDAT", b"")
    with pytest.raises(BrokenImage, match="more than 20000 chunks"):
        essential_png(PNG[:AFTER_HEADER] + empty * 20_000 + PNG[AFTER_HEADER:])
