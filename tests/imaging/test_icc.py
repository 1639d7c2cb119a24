from __future__ import annotations

import io
import struct
import time

import numpy as np
import pytest
from PIL import ImageCms

from depthsvc.imaging.icc import _tags, description_of, plain
from depthsvc.imaging.profiles import in_srgb, keepable
from depthsvc.imaging.wide_gamut import profile_of
from tests.parity import photo

P3, GAMMA = 12, 13
"""By their numbers in ISO/IEC 23091-2."""


def profile(tags: dict[bytes, bytes], space: bytes = b"RGB ") -> bytes:
    """A profile of a display with these tags."""
    head = struct.pack(">I4sI4s4s4s", 0, b"lcms", 0x04300000, b"mntr", space, b"XYZ ") + bytes(12) + b"acsp"
    head = head.ljust(68, b"\0") + struct.pack(">III", 0xF6D6, 0x10000, 0xD32D)
    start, table, body = 132 + 12 * len(tags), struct.pack(">I", len(tags)), b""
    for name, tag in tags.items():
        table += struct.pack(">4sII", name, start + len(body), len(tag))
        body += tag + bytes(-len(tag) % 4)
    whole = head.ljust(128, b"\0") + table + body
    return struct.pack(">I", len(whole)) + whole[4:]


def steps(count: int, side: int) -> bytes:
    """A program of a profile, all of whose steps are the same table of side**3 colours."""
    element = b"clut" + bytes(4) + struct.pack(">HH", 3, 3) + bytes([side] * 3).ljust(16, b"\0")
    element += struct.pack(">f", 0.5) * (3 * side**3)
    places = struct.pack(">II", 16 + 8 * count, len(element)) * count
    return b"mpet" + bytes(4) + struct.pack(">HHI", 3, 3, count) + places + element


def table(side: int) -> bytes:
    """A lookup table of side**3 colours that has none of them."""
    return b"mft2" + bytes(4) + bytes([3, 3, side, 0]) + bytes(36) + struct.pack(">HH", 2, 2) + bytes(24)


def test_what_places_colours_is_kept() -> None:
    given = profile_of(P3, GAMMA)
    assert given
    pixels = photo(40, 60)
    converted = in_srgb(pixels, given)
    assert not np.array_equal(converted, pixels)
    assert np.array_equal(in_srgb(pixels, plain(given)), converted)


def test_srgb_is_known_by_its_name() -> None:
    own = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert description_of(own).startswith("sRGB")
    old = profile({b"desc": b"desc" + bytes(4) + struct.pack(">I", 5) + b"sRGB\0"})
    assert description_of(old) == "sRGB"
    assert description_of(b"") == description_of(profile({b"desc": b"mluc"})) == ""


@pytest.mark.parametrize("name", [b"D2B0", b"A2B0", b"rTRC"])
def test_a_program_that_repeats_itself_is_left_out(name: bytes) -> None:
    bomb = profile({name: steps(1500, 8)})
    assert len(plain(bomb)) == 132
    before = time.thread_time()
    in_srgb(photo(8, 8), bomb)
    assert time.thread_time() - before < 0.5


@pytest.mark.parametrize("name", [b"sRGB", b"P3"])
def test_a_picture_keeps_nothing_of_a_profile_that_could_harm_who_reads_it(name: bytes) -> None:
    named = b"desc" + bytes(4) + struct.pack(">I", len(name) + 1) + name + b"\0"
    given = profile_of(P3, GAMMA)
    assert given
    colours = {tag: content for tag, content in _tags(given).items() if tag not in (b"desc", b"cprt", b"chrm")}
    bomb = profile({**colours, b"desc": named, b"D2B0": steps(1500, 8), b"priv": bytes(1000), b"cprt": steps(9, 8)})
    kept = keepable(bomb)
    assert kept
    assert _tags(kept) == {**colours, b"desc": named}
    ImageCms.getProfileName(ImageCms.ImageCmsProfile(io.BytesIO(kept)))
    assert keepable(kept) == kept


def test_tags_that_share_their_bytes_are_counted_each() -> None:
    curve = b"curv" + bytes(4) + struct.pack(">I", 30_000) + bytes(60_000)
    shared = bytearray(
        profile({b"rTRC": curve, b"gTRC": b"", b"bTRC": b"", b"desc": b"desc" + bytes(4) + b"\0\0\0\5sRGB\0"})
    )
    for entry in (144, 156):
        shared[entry + 4 : entry + 12] = shared[136:144]
    assert len(shared) < 61_000
    assert keepable(bytes(shared)) is None


@pytest.mark.parametrize("side", [17, 255])
def test_a_table_that_is_not_there_is_left_out(side: int) -> None:
    assert len(plain(profile({b"A2B0": table(side)}))) == 132


@pytest.mark.parametrize("cut", range(0, 400, 7))
def test_a_profile_that_is_cut_off_is_srgb_or_a_shorter_one(cut: int) -> None:
    given = profile_of(P3, GAMMA)
    assert given
    assert in_srgb(photo(8, 8), given[:cut].ljust(20, b"\0")).shape == (8, 8, 3)
