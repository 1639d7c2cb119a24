"""What photos cost by their headers, and which are refused for it."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

from benchmarks.material import interlaced_png
from benchmarks.prices import results
from depthsvc.errors import (
    ConfigurationError,
    InvalidParameter,
    NotAnImage,
    TooExpensive,
    TooManyPixels,
    UnsupportedMediaType,
)
from depthsvc.imaging.photo.formats import formats_named
from depthsvc.imaging.photo.header import Coding, Header
from depthsvc.imaging.photo.pixels import NONE
from depthsvc.model.registry import MODELS, registered
from depthsvc.model.spec import RegisteredModel
from depthsvc.options import (
    BokehOptions,
    DepthFormat,
    DepthOptions,
    HeatmapOptions,
    MeshOptions,
    NormalsOptions,
    Options,
    OutputSize,
    PointCloudOptions,
    SideBySideOptions,
    StereoOptions,
)
from depthsvc.pipeline import cost
from depthsvc.pipeline.cost import NORMAL, Appraiser, works_of
from depthsvc.pipeline.limits import Limits
from depthsvc.pipeline.prices import Prices, price_list
from tests.conftest import encoded
from tests.parity import photo

EMBEDDED = Limits(registered("embedded").spec, 120_000_000, 1024)
LIMIT = 30
"""The default of `max_photo_cost`."""
PHOTO = encoded(photo(60, 80), "JPEG")
NORMAL_PHOTO = encoded(photo(960, 1280), "JPEG")
COUNTED_IN_PIXELS = {Coding.WEBP, Coding.LOSSLESS_WEBP, Coding.HEIC, Coding.AVIF, Coding.GIF}
HUGE = {
    coding: Header(coding, 7070, 7070, 2_000_000, 7070 * 7070 * (1 if coding in COUNTED_IN_PIXELS else 3))
    for coding in Coding
}


def appraiser(
    *, max_cost: float = LIMIT, max_memory: float = 800e6, max_answer: float = 128e6, limits: Limits = EMBEDDED
) -> Appraiser:
    return Appraiser(limits, Prices(), max_cost=max_cost, max_memory_bytes=max_memory, max_answer_bytes=max_answer)


def price(header: Header, options: Options | None = None) -> float:
    """Processor time in seconds by the list."""
    return sum(Prices().listed_s(works_of(header, options or HeatmapOptions(), EMBEDDED)).values())


def test_every_kind_of_work_has_a_price() -> None:
    listed = price_list()
    assert set(listed["decode"]) == set(Coding)
    for options in [*results(), PointCloudOptions(stride=9), SideBySideOptions(size=OutputSize.MODEL)]:
        kind = works_of(NORMAL, options, EMBEDDED)["render"].kind
        assert kind in listed["render"]
        assert kind in listed["bytes"]
    assert set(MODELS) == set(listed["infer"]) == set(listed["infer_memory"])


def test_a_price_is_never_negative_or_nothing() -> None:
    for section in price_list().values():
        for row in section.values():
            assert all(value >= 0 for value in row.values())
            assert sum(row.values()) > 0


@pytest.mark.parametrize("coding", Coding)
def test_more_work_costs_more(coding: Coding) -> None:
    small, large = Header(coding, 400, 300, 10_000, 360_000), Header(coding, 4000, 3000, 1_000_000, 36_000_000)
    assert price(large) > price(small)
    assert price(small, HeatmapOptions(input_size=640)) > 2 * price(small)
    assert price(large) == price(large, HeatmapOptions(refine=True)) > price(large, HeatmapOptions(refine=False))
    assert price(HUGE[coding], BokehOptions(full_size=True)) > 1.5 * price(HUGE[coding], BokehOptions())


def test_an_interlaced_photo_of_which_little_is_needed_is_cheap() -> None:
    header = HUGE[Coding.INTERLACED_PNG]
    model_size = DepthOptions(size=OutputSize.MODEL)
    assert price(header, model_size) < 0.25 * price(header, BokehOptions(strength=0))


def test_a_long_photo_costs_no_more_than_a_square_one() -> None:
    """Its shorter side may not be much more than the network sees, but it is no reason to decode all of the longer."""
    square, long = HUGE[Coding.JPEG], dataclasses.replace(HUGE[Coding.JPEG], width=65_500, height=762)
    for options in (HeatmapOptions(), HeatmapOptions(refine=False), BokehOptions()):
        assert price(long, options) < 1.5 * price(square, options)
    assert EMBEDDED.bounds(None, NONE).reduction(long.width, long.height) == 2
    assert EMBEDDED.bounds(1024, NONE).reduction(12_150, 4090) > 1


def test_numbers_have_an_exact_size() -> None:
    for name, header_bytes in (("f16", 0), ("npy", 128)):
        taken = appraiser().appraise(PHOTO, DepthOptions(format=DepthFormat(name)))
        assert taken.answer_bytes == pytest.approx(2 * 60 * 80 + header_bytes, abs=1)
    tiff = appraiser().appraise(PHOTO, DepthOptions(format=DepthFormat("tiff")))
    assert tiff.answer_bytes == pytest.approx(4 * 60 * 80, abs=1024)
    assert 5 * 60 * 80 < appraiser().appraise(PHOTO, PointCloudOptions()).answer_bytes <= 15 * 60 * 80 + 300


@pytest.mark.parametrize(
    ("header", "options"),
    [
        (HUGE[Coding.PNG], BokehOptions(input_size=1024)),
        (HUGE[Coding.INTERLACED_PNG], BokehOptions(input_size=1024)),
        (HUGE[Coding.PROGRESSIVE_JPEG], BokehOptions(full_size=True)),
        (HUGE[Coding.JPEG], BokehOptions(full_size=True)),
        (HUGE[Coding.PNG], HeatmapOptions(refine=True, full_size=True, input_size=1024)),
    ],
)
def test_a_photo_far_dearer_than_a_normal_one_is_refused(
    header: Header, options: Options, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cost, "header_of", lambda _: header)
    with pytest.raises(TooExpensive, match=rf"times the work of a normal photo; the limit is {LIMIT} times. Leave out"):
        appraiser().appraise(b"", options)
    assert appraiser(max_cost=1000, max_memory=math.inf).appraise(b"", options).seconds > LIMIT * price(NORMAL)


@pytest.mark.parametrize("coding", Coding)
@pytest.mark.parametrize(
    "options",
    [
        HeatmapOptions(),
        HeatmapOptions(refine=True),
        DepthOptions(),
        SideBySideOptions(),
        PointCloudOptions(max_points=4_000_000),
        BokehOptions(),
        StereoOptions(),
        NormalsOptions(),
        MeshOptions(),
    ],
)
def test_the_largest_photo_is_not_refused_at_the_usual_size(
    coding: Coding, options: Options, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Except in what has to be decoded as a whole, for what takes most."""
    scaled = coding in (Coding.JPEG, Coding.PROGRESSIVE_JPEG, Coding.INTERLACED_PNG) or "webp" in coding
    if not scaled and options in (HeatmapOptions(refine=True), BokehOptions()):
        return
    if coding is Coding.HEIC and options in (NormalsOptions(), StereoOptions()):
        return
    monkeypatch.setattr(cost, "header_of", lambda _: HUGE[coding])
    assert appraiser().appraise(b"", options).seconds > 0


def test_a_photo_of_108_megapixels_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """A heatmap of it has 50; all depth values of it would not fit into the memory for results."""
    phone = Header(Coding.JPEG, 12_000, 9_000, 28_000_000, 162_000_000)
    monkeypatch.setattr(cost, "header_of", lambda _: phone)
    kinds = (
        HeatmapOptions(),
        DepthOptions(size=OutputSize.MODEL),
        SideBySideOptions(),
        PointCloudOptions(),
        BokehOptions(),
    )
    for options in kinds:
        assert appraiser().appraise(b"", options).seconds > 0
    with pytest.raises(TooExpensive, match=r"The result would have 216 MB; .* Use size=model"):
        appraiser(max_cost=math.inf).appraise(b"", DepthOptions())


def test_a_phones_photo_may_have_the_largest_input_size(monkeypatch: pytest.MonkeyPatch) -> None:
    phone = Header(Coding.JPEG, 4032, 3024, 4_000_000, 18_289_152)
    monkeypatch.setattr(cost, "header_of", lambda _: phone)
    for options in (HeatmapOptions(input_size=1024), DepthOptions(input_size=1024)):
        assert appraiser().appraise(b"", options).seconds > 0


def test_a_photo_that_takes_too_much_memory_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """As with a higher limit on pixels."""
    monkeypatch.setattr(cost, "header_of", lambda _: Header(Coding.PNG, 13_000, 13_000, 9_000_000, 507_000_000))
    large = appraiser(limits=dataclasses.replace(EMBEDDED, max_pixels=178_000_000), max_cost=math.inf, max_answer=1e9)
    with pytest.raises(TooExpensive, match="MB of memory; the limit is 800 MB"):
        large.appraise(b"", DepthOptions())


def test_a_result_that_can_never_be_held_is_refused() -> None:
    with pytest.raises(TooExpensive, match=r"The result would have 0 MB; the limit is 0.005 MB. Use size=model"):
        appraiser(max_answer=5000).appraise(PHOTO, DepthOptions())
    assert appraiser(max_answer=5000).appraise(encoded(photo(40, 50), "JPEG"), DepthOptions())


def test_what_the_header_rules_out_is_refused_before_anything_is_decoded() -> None:
    png = interlaced_png(np.zeros((1, 65_501, 1), np.uint8), color_type=0)[:60]
    with pytest.raises(TooManyPixels, match="at most 65500 pixels a side"):
        appraiser().appraise(png, BokehOptions())
    assert appraiser().appraise(png, HeatmapOptions())
    with pytest.raises(TooManyPixels, match=r"the limit is 0\.004 megapixels"):
        appraiser(limits=dataclasses.replace(EMBEDDED, max_pixels=4000)).appraise(PHOTO, HeatmapOptions())
    with pytest.raises(InvalidParameter, match="input_size: 2048"):
        appraiser().appraise(PHOTO, HeatmapOptions(input_size=2048))
    with pytest.raises(NotAnImage):
        appraiser().appraise(b"GARBAGE", HeatmapOptions())


def test_prices_follow_what_photos_really_take(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a machine that decodes twice as slowly and infers twice as fast as the one that measured the list."""
    prices, options = appraiser(), HeatmapOptions(input_size=640)
    monkeypatch.setattr(cost, "header_of", lambda data: HUGE[Coding(data.decode())])
    listed = prices.appraise(b"jpeg", options).seconds_of
    real = {"decode": 2 * listed["decode"], "infer": listed["infer"] / 2, "render": listed["render"]}
    other = prices.appraise(b"webp", options).seconds_of["decode"]
    for _ in range(100):
        prices.learn(prices.appraise(b"jpeg", options), real)
    assert prices.appraise(b"jpeg", options).seconds_of == pytest.approx(real, rel=0.05)
    assert prices.appraise(b"webp", options).seconds_of["decode"] == pytest.approx(other, rel=0.05)


def test_a_slower_machine_is_slower_for_kinds_that_it_has_not_had_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    prices, options = appraiser(), HeatmapOptions(input_size=640)
    monkeypatch.setattr(cost, "header_of", lambda data: HUGE[Coding(data.decode())])
    unknown = prices.appraise(b"webp", options).seconds_of["decode"]
    for _ in range(20):
        photo = prices.appraise(b"jpeg", options)
        prices.learn(photo, {stage: 2 * seconds for stage, seconds in photo.listed.items()})
    assert 1.5 * unknown < prices.appraise(b"webp", options).seconds_of["decode"] < 2 * unknown


def test_one_odd_photo_changes_little() -> None:
    prices = appraiser()
    for _ in range(30):
        usual = prices.appraise(NORMAL_PHOTO, HeatmapOptions())
        prices.learn(usual, dict(usual.seconds_of))
    prices.learn(usual, {stage: 100 * seconds for stage, seconds in usual.seconds_of.items()})
    assert prices.appraise(NORMAL_PHOTO, HeatmapOptions()).seconds < 1.3 * usual.seconds


def test_a_correction_does_not_change_what_is_refused() -> None:
    """The limit is a multiple of a normal photo's cost, so it is the same on every machine and at any time."""
    prices = appraiser()
    for _ in range(200):
        now = prices.appraise(NORMAL_PHOTO, HeatmapOptions())
        prices.learn(now, {stage: 1000 * seconds for stage, seconds in now.seconds_of.items()})
    assert prices.appraise(NORMAL_PHOTO, HeatmapOptions()).seconds > LIMIT * price(NORMAL) / 10


def test_a_model_without_a_price_gets_one_from_its_photos() -> None:
    spec = dataclasses.replace(EMBEDDED.model, name="mine")
    prices = appraiser(limits=dataclasses.replace(EMBEDDED, model=spec))
    for _ in range(200):
        now = prices.appraise(NORMAL_PHOTO, HeatmapOptions())
        prices.learn(now, {"infer": 3.0})
    assert prices.appraise(NORMAL_PHOTO, HeatmapOptions()).seconds_of["infer"] == pytest.approx(3.0, rel=0.1)
    assert math.isfinite(now.seconds)


def test_tiny_photos_teach_nothing() -> None:
    """A client that sends a thousand of them must not make others too dear to be served."""
    prices = appraiser()
    before = prices.appraise(NORMAL_PHOTO, BokehOptions()).seconds
    tiny = encoded(photo(1, 1))
    for _ in range(1000):
        now = prices.appraise(tiny, BokehOptions())
        prices.learn(now, {"decode": 0.001, "infer": now.seconds_of["infer"], "render": 0.03})
    assert prices.appraise(NORMAL_PHOTO, BokehOptions()).seconds < 1.5 * before


def test_a_format_that_is_left_out_is_refused() -> None:
    some = Appraiser(
        EMBEDDED,
        Prices(),
        max_cost=math.inf,
        max_memory_bytes=math.inf,
        max_answer_bytes=math.inf,
        formats=formats_named(["JPEG", "avif"]),
    )
    assert some.appraise(encoded(photo(4, 4), "JPEG"), HeatmapOptions())
    with pytest.raises(UnsupportedMediaType, match=r"does not accept PNG files\. Convert it to JPEG or AVIF"):
        some.appraise(encoded(photo(4, 4)), HeatmapOptions())
    with pytest.raises(
        ConfigurationError, match=r"'heif' is no photo format\. Choose from jpeg, png, webp, avif, heic"
    ):
        formats_named(["heif"])


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_every_model_accepts_an_ordinary_photo(model: RegisteredModel) -> None:
    limits = Limits(model.spec, 120_000_000, 1024)
    assert appraiser(limits=limits, max_memory=1).appraise(NORMAL_PHOTO, HeatmapOptions())
