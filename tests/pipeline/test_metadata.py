"""What refocused photos and stereo pictures keep of their photo's metadata."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from PIL import ExifTags, Image, ImageCms

from depthsvc.imaging.picture import Picture
from depthsvc.imaging.spec import StereoLayout
from depthsvc.options import BokehOptions, Options, StereoOptions
from depthsvc.pipeline.stages import Pipeline
from tests.conftest import encoded, opened
from tests.parity import photo
from tests.pipeline.test_stages import SLOPE, FixedEngine, pipeline_of, with_display_p3

Base, IFD = ExifTags.Base, ExifTags.IFD


@pytest.fixture
def pipeline() -> Pipeline:
    return pipeline_of(FixedEngine(SLOPE))


def phone_exif() -> Image.Exif:
    exif = Image.Exif()
    exif[Base.Make], exif[Base.Orientation] = "Maker", 6
    exif.get_ifd(IFD.Exif)[Base.DateTimeOriginal] = "2026:05:04 03:02:01"
    exif.get_ifd(IFD.GPSInfo)[ExifTags.GPS.GPSLatitudeRef] = "S"
    return exif


MADE: list[Callable[..., Options]] = [BokehOptions, StereoOptions]


@pytest.mark.parametrize("made", MADE)
@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "HEIF"])
def test_a_picture_keeps_what_its_photo_says(pipeline: Pipeline, made: Callable[..., Options], format: str) -> None:
    data = encoded(Image.fromarray(photo(60, 80)), format, exif=phone_exif())
    answer = pipeline.answer(data, made())
    shown = opened(answer.body)
    exif = shown.getexif()
    assert shown.size == answer.shape[::-1]
    assert (shown.height, exif[Base.Orientation]) == (80, 1), "its pixels are upright, and are not turned again"
    assert (exif[Base.Make], exif.get_ifd(IFD.Exif)[Base.DateTimeOriginal]) == ("Maker", "2026:05:04 03:02:01")
    assert exif.get_ifd(IFD.GPSInfo) == {ExifTags.GPS.GPSLatitudeRef: "S"}
    without = opened(pipeline.answer(data, made(strip_gps=True)).body).getexif()
    assert without[Base.Make] == "Maker"
    assert not without.get_ifd(IFD.GPSInfo)


@pytest.mark.parametrize("made", MADE)
def test_a_tiffs_own_directory_counts_as_exif_data(pipeline: Pipeline, made: Callable[..., Options]) -> None:
    data = encoded(Image.fromarray(photo(60, 80)), "TIFF", exif=phone_exif())
    exif = opened(pipeline.answer(data, made()).body).getexif()
    assert (exif[Base.Make], exif[Base.Orientation]) == ("Maker", 1)
    assert Base.StripOffsets not in exif


@pytest.mark.parametrize("made", MADE)
def test_a_photo_without_metadata_gets_none(pipeline: Pipeline, made: Callable[..., Options]) -> None:
    shown = opened(pipeline.answer(encoded(photo(60, 80)), made()).body)
    assert "icc_profile" not in shown.info
    assert not shown.getexif()


@pytest.mark.parametrize("made", MADE)
def test_broken_exif_data_do_not_matter(pipeline: Pipeline, made: Callable[..., Options]) -> None:
    image, random = Image.fromarray(photo(60, 80)), np.random.default_rng(0)
    for exif in (b"Exif\0\0II*\0\xff\xff\xff\xff", b"Exif\0\0" + random.bytes(500), b"Exif\0\0"):
        shown = opened(pipeline.answer(encoded(image, "JPEG", exif=exif), made()).body)
        assert shown.size[1] == 60
        assert not shown.getexif()


def profile_of(data: bytes) -> Any:
    return opened(data).info.get("icc_profile")


def test_colours_stay_those_of_the_photos_profile(pipeline: Pipeline) -> None:
    """A red that sRGB has not."""
    red = with_display_p3(Image.new("RGB", (64, 64), (250, 20, 20)))
    for options in (BokehOptions(strength=0), BokehOptions(), StereoOptions(), StereoOptions(layout=StereoLayout.HALF)):
        body = pipeline.answer(red, options).body
        assert described(profile_of(body)) == described(profile_of(red)) == "P3P3 built-in\n"
        assert np.abs(np.asarray(opened(body)).astype(int) - (250, 20, 20))[5, 5].max() <= 4
        assert np.abs(Picture(body).pixels.astype(int) - (255, 0, 0))[5, 5].max() <= 12, "programs get sRGB"


def described(profile: bytes) -> str:
    """The name of a profile, as other programs read it."""
    return ImageCms.getProfileDescription(ImageCms.ImageCmsProfile(io.BytesIO(profile)))


def test_an_anaglyph_is_srgb(pipeline: Pipeline) -> None:
    grey = with_display_p3(Image.new("RGB", (64, 64), (120, 120, 120)))
    body = pipeline.answer(grey, StereoOptions(layout=StereoLayout.ANAGLYPH)).body
    assert profile_of(body) is None
    assert np.abs(np.asarray(opened(body)).astype(int) - 120).max() <= 3


@pytest.mark.parametrize("profile", [b"no profile", bytes(16) + b"RGB " + bytes(500), bytes(200_000)])
def test_a_profile_that_cannot_be_used_is_not_kept(pipeline: Pipeline, profile: bytes) -> None:
    data = encoded(Image.fromarray(photo(60, 80)), icc_profile=profile)
    for options in (BokehOptions(), StereoOptions()):
        assert pipeline.answer(data, options).body == pipeline.answer(encoded(photo(60, 80)), options).body
