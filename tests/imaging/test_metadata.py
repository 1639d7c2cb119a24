from __future__ import annotations

import io
import struct
from typing import Any

import numpy as np
import pytest
from PIL import ExifTags, Image

from depthsvc.imaging import encode
from depthsvc.imaging.metadata import TaggedPixels, kept_exif, with_metadata

Base, IFD, GPS = ExifTags.Base, ExifTags.IFD, ExifTags.GPS


def photo_exif(order: str = "<") -> bytes:
    """What a phone writes: camera, time, place, a preview, and a maker note."""
    exif = Image.Exif()
    exif.endian = order
    exif[Base.Make], exif[Base.Model], exif[Base.Orientation] = "Maker", "Model 3", 6
    exif[Base.Copyright], exif[Base.XResolution] = "© someone".encode(), 72.0
    camera = exif.get_ifd(IFD.Exif)
    camera[Base.DateTimeOriginal], camera[Base.FNumber], camera[Base.FocalLengthIn35mmFilm] = (
        "2026:05:04 03:02:01",
        1.8,
        28,
    )
    camera[Base.ExifImageWidth], camera[Base.ExifImageHeight], camera[Base.ColorSpace] = 4032, 3024, 1
    camera[Base.MakerNote] = b"SECRET" * 20
    exif.get_ifd(IFD.GPSInfo).update({GPS.GPSLatitudeRef: "N", GPS.GPSLatitude: (52.0, 30.0, 15.5)})
    exif.get_ifd(IFD.IFD1).update({Base.Compression: 6, Base.Make: "PREVIEW"})
    return exif.tobytes().removeprefix(b"Exif\0\0")


def read(exif: bytes) -> tuple[dict[int, Any], dict[int, Any], dict[int, Any]]:
    """The fields of a photo, its camera and its place, as Pillow reads them from a JPEG."""
    file = with_metadata(encode.jpeg(np.zeros((8, 8, 3), np.uint8)), exif, None)
    with Image.open(io.BytesIO(file)) as image:
        found = image.getexif()
        assert not found.get_ifd(IFD.IFD1), "there is no preview"
        return dict(found), dict(found.get_ifd(IFD.Exif)), dict(found.get_ifd(IFD.GPSInfo))


@pytest.mark.parametrize("order", ["<", ">"])
def test_exif_data_describe_the_new_picture(order: str) -> None:
    exif = kept_exif(photo_exif(order), 640, 480, srgb=True, gps=True)
    assert exif.startswith(b"II" if order == "<" else b"MM")
    main, camera, place = read(exif)
    assert (main[Base.Make], main[Base.Model], main[Base.XResolution]) == ("Maker", "Model 3", 72)
    assert main[Base.Orientation] == 1, "its pixels are upright"
    assert (camera[Base.DateTimeOriginal], camera[Base.FNumber]) == ("2026:05:04 03:02:01", pytest.approx(1.8))
    assert (camera[Base.ExifImageWidth], camera[Base.ExifImageHeight], camera[Base.ColorSpace]) == (640, 480, 1)
    assert place == {GPS.GPSLatitudeRef: "N", GPS.GPSLatitude: (52, 30, 15.5)}
    assert b"SECRET" not in exif
    assert b"PREVIEW" not in exif


def test_the_place_is_left_out_on_request() -> None:
    exif = kept_exif(photo_exif(), 640, 480, srgb=False, gps=False)
    main, camera, place = read(exif)
    assert not place
    assert IFD.GPSInfo not in main
    assert main[Base.Make] == "Maker"
    assert camera[Base.ColorSpace] == 0xFFFF, "the colours are others than sRGB"


def block(entries: list[tuple[int, int, int, bytes]], values: bytes = b"") -> bytes:
    """EXIF data of one directory; `values` begin behind it."""
    table = b"".join(struct.pack("<HHI4s", *entry) for entry in entries)
    return b"II" + struct.pack("<HIH", 42, 8, len(entries)) + table + bytes(4) + values


MAKE = int(Base.Make)


@pytest.mark.parametrize(
    "tag",
    [0x83BB, 0x8649, 0x8482, 0x87AF, 0x8773, 0x02BC, Base.MakerNote, Base.SubjectLocation, Base.FocalPlaneXResolution],
)
@pytest.mark.parametrize("directory", [IFD.Exif, IFD.GPSInfo])
def test_only_fields_of_exif_itself_are_kept_in_its_directories(tag: int, directory: int) -> None:
    """IPTC and GeoTIFF data say where a photo was taken, too; a subject's area counts in other pixels."""
    said, start = b"where it was", 26
    inner = block([(MAKE, 2, 2, b"M\0\0\0"), (tag, 7, len(said), struct.pack("<I", start + 30))])[8:-4]
    exif = block([(directory, 4, 1, struct.pack("<I", start))])[:-4] + bytes(4) + inner + bytes(4) + said
    assert exif[start + 30 :] == said
    assert said not in kept_exif(exif, 8, 8, srgb=True, gps=False)


@pytest.mark.parametrize(
    "broken",
    [
        b"",
        b"II",
        b"no EXIF data at all",
        b"II*\0\xff\xff\xff\x7f",
        b"II*\0\0\0\0\0",
        b"II*\0\x08\0\0\0\xff\xff",
        block([(MAKE, 2, 100, struct.pack("<I", 10_000))]),
        block([(MAKE, 2, 2**32 - 1, struct.pack("<I", 8))]),
        block([(MAKE, 99, 4, b"what")]),
        block([(MAKE, 2, 0, bytes(4))]),
        b"II+\0\x08\0\0\0" + bytes(40),
    ],
)
def test_broken_exif_data_are_dropped(broken: bytes) -> None:
    assert kept_exif(broken, 8, 8, srgb=True, gps=True) == b""


def test_any_cut_or_changed_byte_gives_exif_data_that_can_be_read() -> None:
    whole, random = photo_exif(), np.random.default_rng(0)
    for end in range(0, len(whole), 3):
        read(kept_exif(whole[:end], 8, 8, srgb=True, gps=True))
    for _ in range(200):
        changed = bytearray(whole)
        changed[int(random.integers(len(whole)))] = int(random.integers(256))
        exif = kept_exif(bytes(changed), 8, 8, srgb=True, gps=True)
        with Image.open(io.BytesIO(with_metadata(encode.jpeg(np.zeros((8, 8, 3), np.uint8)), exif, None))) as image:
            image.load()


def test_a_directory_that_points_at_itself_ends() -> None:
    for tag in (IFD.Exif, IFD.GPSInfo):
        kept = kept_exif(
            block([(MAKE, 2, 2, b"M\0\0\0"), (int(tag), 4, 1, struct.pack("<I", 8))]), 8, 8, srgb=True, gps=True
        )
        assert read(kept)[0][Base.Make] == "M"


def test_the_largest_values_are_left_out_first() -> None:
    """Thousands of entries that share the same bytes would be gigabytes."""
    text = b"x" * 19_000
    names = [int(Base.ImageDescription), int(Base.Software), int(Base.Artist), int(Base.Copyright)]
    at = struct.pack("<I", 14 + 12 * 60_004)
    many = [(name, 2, len(text), at) for name in names] * 15_000 + [(MAKE, 2, 3, b"abc\0")] * 4
    kept = kept_exif(block(many, text), 8, 8, srgb=True, gps=True)
    assert len(kept) < 21_000
    main, *_ = read(kept)
    assert main[Base.Make] == "abc"
    assert len([name for name in names if name in main]) == 1


def test_a_large_profile_is_written_in_parts() -> None:
    profile = np.random.default_rng(0).bytes(150_000)
    file = encode.tagged_jpeg(TaggedPixels(np.zeros((8, 8, 3), np.uint8), photo_exif(), profile))
    with Image.open(io.BytesIO(file)) as image:
        assert image.info["icc_profile"] == profile
        assert image.getexif()[Base.Make] == "Maker"
        assert image.info["jfif_version"] == (1, 1)


def test_colours_have_all_their_detail_on_request() -> None:
    pixels = np.zeros((16, 16, 3), np.uint8)
    pixels[:, ::2, 0], pixels[:, 1::2, 2] = 255, 255
    found = []
    for full_colour in (False, True):
        with Image.open(io.BytesIO(encode.tagged_jpeg(TaggedPixels(pixels), full_colour=full_colour))) as image:
            found.append(np.abs(np.asarray(image).astype(int) - pixels).mean())
    assert found[1] < 5 < 50 < found[0]
