from __future__ import annotations

import struct

import pytest
from PIL import ExifTags, Image

from depthsvc.errors import BrokenImage
from depthsvc.imaging.photo.decode import decode
from depthsvc.imaging.photo.header import Coding, jpeg_header
from depthsvc.imaging.photo.jpeg import END, essential_jpeg, scans_of
from depthsvc.imaging.photo.pixels import Bounds, at_least
from tests.conftest import encoded
from tests.parity import photo

JPEG = encoded(photo(60, 80), "JPEG", progressive=True)


def segment(marker: int, content: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, 2 + len(content)) + content


def test_an_ordinary_file_passes_unchanged() -> None:
    assert essential_jpeg(JPEG) == (JPEG, {})
    assert 1 < scans_of(JPEG).count < 20


FRAME = struct.pack(">BHHB", 8, 6000, 10_000, 3) + bytes((1, 0x22, 0, 2, 0x11, 1, 3, 0x11, 1))
"""60 megapixels whose colours have half the resolution each way."""
LUMA, BLUE, ALL = (
    segment(0xDA, bytes((len(ids), *(byte for name in ids for byte in (name, 0)), 1, 63, 0)))
    for ids in ((1,), (2,), (1, 2, 3))
)


@pytest.mark.parametrize(
    ("scans", "accepted"),
    [(LUMA * 20, True), (LUMA * 21, False), (BLUE * 80, True), (ALL * 13, True), (ALL * 14, False)],
)
def test_scans_are_bounded_by_their_samples(scans: bytes, accepted: bool) -> None:
    data = b"\xff\xd8" + segment(0xC2, FRAME) + scans + END
    if accepted:
        assert jpeg_header(data).coded <= 1.2e9
    else:
        with pytest.raises(BrokenImage, match="scans, too many for its size"):
            jpeg_header(data)


def test_scans_are_bounded_by_their_number() -> None:
    assert scans_of(JPEG + LUMA * 100).count < 20
    with pytest.raises(BrokenImage, match="more than 100 scans"):
        scans_of(JPEG[: -len(END)] + LUMA * 100)


def test_what_follows_the_picture_is_not_counted() -> None:
    """A phone appends a video to a motion photo, in which any two bytes occur."""
    assert scans_of(JPEG + b"\xff\xda" * 1000) == scans_of(JPEG)
    hidden_end = segment(0xFE, END)
    many = JPEG[: -len(END)] + (hidden_end + segment(0xDA, bytes(10))) * 101 + END
    with pytest.raises(BrokenImage, match="scans"):
        scans_of(many)


@pytest.mark.parametrize(
    "between", [b"\xff\xf0\x00\x04ab", b"\xff\xdb\xff\xff" + bytes(0xFFFD), (bytes(40_000) + b"\xff\xdc\x00\x02") * 2]
)
def test_what_no_program_writes_before_a_scan_is_refused(between: bytes) -> None:
    with pytest.raises(BrokenImage, match="Save it again"):
        essential_jpeg(JPEG[:20] + 2 * between + JPEG[20:])


def test_a_huge_baseline_jpeg_is_no_bomb() -> None:
    frame = struct.pack(">BHHB", 8, 65_000, 65_000, 1) + bytes((1, 0x11, 0))
    assert jpeg_header(b"\xff\xd8" + segment(0xC0, frame) + LUMA + END).pixels == 65_000**2


@pytest.mark.parametrize("between", [b"\xff\xfe\x00\x02" * 1001, b"\xff" * 1001, bytes(70_000), b"\xff\xd0" * 1001])
def test_segments_of_a_jpeg_are_bounded(between: bytes) -> None:
    with pytest.raises(BrokenImage, match="Save it again"):
        essential_jpeg(JPEG[:20] + between + JPEG[20:])


def test_a_jpeg_loses_what_its_pixels_do_not_need() -> None:
    """Pillow reads resources of Photoshop one by one, joins EXIF blocks, and opens previews."""
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    start = JPEG[:20]  # with its JFIF segment
    first = exif.tobytes()
    resources = b"Photoshop 3.0\0" + b"8BIM\x04\x04\0\0\0\0\0\0" * 5000
    rest = [segment(0xED, resources), segment(0xE1, b"Exif\0\0" + bytes(9)), segment(0xFE, b"a comment")]
    adobe = segment(0xEE, b"Adobe\0\x64\0\0\0\0\x01")
    data = start + rest[0] + segment(0xE1, first) + b"".join(rest) + adobe + JPEG[20:]
    assert essential_jpeg(data) == (start + adobe + JPEG[20:], {"exif": first.removeprefix(b"Exif\0\0") + bytes(9)})
    decoded = decode(data, Bounds(10**6))
    assert (decoded.width, decoded.height) == (60, 80)


@pytest.mark.parametrize("cut", range(2, len(JPEG), 499))
def test_a_jpeg_that_is_cut_off_stays_so(cut: int) -> None:
    assert essential_jpeg(JPEG[:cut]) == (JPEG[:cut], {})


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize(
    "tail",
    [
        b"MotionPhoto_Data" + bytes(range(256)) * 2000,
        bytes(5000),
        b"\xff\xda" * 300,
        encoded(photo(30, 40), "JPEG"),
        b"\xff\xd9" * 9 + bytes(1),
    ],
)
def test_what_phones_append_changes_nothing(progressive: bool, tail: bytes) -> None:
    """Videos, padding, gain maps and other pictures; neither pixels nor price look at them."""
    data = encoded(photo(60, 80), "JPEG", progressive=progressive)
    assert scans_of(data + tail).end == len(data)
    assert jpeg_header(data + tail) == jpeg_header(data)
    bounds = Bounds(10**6)
    assert (decode(data + tail, bounds).pixels == decode(data, bounds).pixels).all()


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"restart_marker_blocks": 2}, {"quality": 100}])
@pytest.mark.parametrize("size", [(60, 80), (401, 303)])
def test_a_missing_end_marker_is_added_and_a_real_cut_is_refused(
    options: dict[str, int | bool], size: tuple[int, int]
) -> None:
    data = encoded(photo(*size), "JPEG", **options)
    for bounds in (Bounds(10**6), Bounds(10**6, at_least(8))):
        whole = decode(data, bounds).pixels
        for end in (b"", END[:1]):
            assert (decode(data.removesuffix(END) + end, bounds).pixels == whole).all()
        for cut in (10, 50, len(data) // 3):
            with pytest.raises(BrokenImage):
                decode(data[:-cut], bounds)


def test_a_baseline_jpeg_in_several_scans_costs_as_a_progressive_one() -> None:
    """Its decoder keeps the coefficients of the whole picture as well."""
    data = encoded(photo(60, 80), "JPEG")
    scan = data.index(b"\xff\xda")
    header = jpeg_header(data[:-2] + data[scan:])
    assert (header.coding, header.coded, header.kept) == (Coding.PROGRESSIVE_JPEG, 2 * 7200, 2 * 7200)


@pytest.mark.parametrize("options", [{"restart_marker_blocks": 3}, {"restart_marker_rows": 1}])
def test_a_cut_at_a_restart_marker_or_filled_with_zeros_is_refused(options: dict[str, int]) -> None:
    data = encoded(photo(120, 160), "JPEG", **options)
    markers = [at for at in range(700, len(data)) if data[at] == 0xFF and 0xD0 <= data[at + 1] <= 0xD7]
    assert len(markers) > 5
    for at in markers[:: len(markers) // 5]:
        for cut in (data[:at], data[: at + 1], data[: at + 2], data[:at] + bytes(len(data) - at)):
            with pytest.raises(BrokenImage):
                decode(cut, Bounds(10**6))


def test_a_progressive_jpeg_without_its_last_scans_is_refused() -> None:
    data = encoded(photo(120, 160), "JPEG", progressive=True)
    scans = [at for at in range(len(data)) if data[at : at + 2] in (b"\xff\xda", b"\xff\xc4")]
    for at in scans[2:]:
        with pytest.raises(BrokenImage):
            decode(data[:at], Bounds(10**6))


def test_parts_of_a_profile_are_joined_by_their_numbers() -> None:
    parts = [
        segment(0xE2, b"ICC_PROFILE\0" + bytes((number, 2)) + text) for number, text in ((2, b"two"), (1, b"one "))
    ]
    assert essential_jpeg(JPEG[:20] + b"".join(parts) + JPEG[20:]) == (JPEG, {"icc_profile": b"one two"})
