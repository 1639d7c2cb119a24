"""What is fitted, which pixels count, and that the whole protocol agrees with an independent one."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics
from sklearn.linear_model import LinearRegression

from depthsvc.depth import DepthMap
from depthsvc.evaluation.accuracy import Floats
from depthsvc.evaluation.protocol import (
    Crop,
    Fit,
    NotComparable,
    Ordinal,
    Protocol,
    Range,
    Truth,
    crop_of,
    disagreement,
)
from depthsvc.imaging.spec import DepthKind

_METRES = DepthKind.METRES


def _scene(height: int = 48, width: int = 64) -> Floats:
    """Metres, with unknown and far pixels."""
    draw = np.random.default_rng(5)
    rows = np.linspace(30, 1, height)[:, None]
    depth = (rows + draw.uniform(0, 2, (height, width))).astype(np.float32)
    depth[draw.random(depth.shape) < 0.1] = np.nan
    depth[0, :5] = 500
    return depth


def _predicted(depth: Floats, kind: DepthKind) -> DepthMap:
    draw = np.random.default_rng(6)
    wrong = np.nan_to_num(depth, nan=7.0) * np.exp(draw.normal(0, 0.2, depth.shape)).astype(np.float32)
    values = wrong if kind is _METRES else 3 + 100 / wrong
    return DepthMap.of(values.astype(np.float32), "made", kind=kind)


@pytest.mark.parametrize(
    ("fit", "kind"),
    [
        (Fit.MIDAS, DepthKind.INVERSE_DEPTH),
        (Fit.MIDAS, _METRES),
        (Fit.MEDIAN, DepthKind.INVERSE_DEPTH),
        (Fit.MEDIAN, _METRES),
        (Fit.NONE, _METRES),
    ],
)
def test_every_fit_agrees_with_an_independent_one(fit: Fit, kind: DepthKind) -> None:
    truth = _scene()
    prediction = _predicted(truth, kind)
    scores = Protocol(fit, Range(0.5, 25.0)).compare(prediction, Truth(truth)).scores
    kept = (truth > 0.5) & (truth <= 25)
    true, values = truth[kept].astype(float), prediction.values[kept].astype(float)
    inverse = 1 / values if kind is _METRES else values
    if fit is Fit.MIDAS:
        fitted = LinearRegression().fit(inverse[:, None], 1 / true).predict(inverse[:, None])
        depth = np.where(fitted > 1 / 25, 1 / fitted, 25)
    elif fit is Fit.MEDIAN:
        depth = 1 / inverse * np.median(true) / np.median(1 / inverse)
    else:
        depth = values
    depth = depth.clip(0.5, 25)
    assert scores["abs_rel"] == pytest.approx(metrics.mean_absolute_percentage_error(true, depth), rel=1e-6)
    assert scores["rmse"] == pytest.approx(metrics.root_mean_squared_error(true, depth), rel=1e-6)
    assert scores["silog"] == pytest.approx(100 * np.std(np.log(depth) - np.log(true)), rel=1e-6)
    assert scores["rank"] == pytest.approx(stats.spearmanr(inverse, 1 / true).statistic, rel=1e-6)
    assert scores["coverage"] == 1


def test_scale_and_shift_do_not_matter_to_midas() -> None:
    truth = _scene()
    inverse = np.reciprocal(_scene())
    plain, moved = (
        DepthMap.of((scale * inverse + shift).astype(np.float32), "made") for scale, shift in ((1, 0), (40, 9))
    )
    for prediction in (plain, moved):
        assert Protocol().compare(prediction, Truth(truth)).scores["abs_rel"] == pytest.approx(0, abs=1e-5)


def test_metres_that_are_unknown_count_as_not_covered() -> None:
    values = np.full((4, 4), 2, np.float32)
    values[:, 3] = 0
    scores = Protocol(Fit.NONE).compare(
        DepthMap.of(values, "made", kind=_METRES), Truth(np.full((4, 4), 2, np.float32))
    )
    assert scores.scores["coverage"] == 0.75
    assert scores.scores["abs_rel"] == 0


def test_a_prediction_without_a_unit_has_to_be_fitted() -> None:
    with pytest.raises(NotComparable, match="no unit"):
        Protocol(Fit.NONE).compare(_predicted(_scene(), DepthKind.INVERSE_DEPTH), Truth(_scene()))


def test_depth_of_another_photo_is_refused() -> None:
    with pytest.raises(NotComparable, match=r"64 x 48.*30 x 40"):
        Protocol().compare(_predicted(_scene(), DepthKind.INVERSE_DEPTH), Truth(np.ones((40, 30), np.float32)))
    with pytest.raises(NotComparable, match="EXIF orientation turns the photo"):
        Protocol().compare(_predicted(_scene(), DepthKind.INVERSE_DEPTH), Truth(np.ones((64, 48), np.float32)))


def test_what_is_farther_than_infinite_is_far() -> None:
    """A network's inverse depth of the sky may be 0 or, before it is clipped, less."""
    truth = np.tile(np.linspace(2, 9, 64, dtype=np.float32), (48, 1))
    inverse = np.asarray(10 / truth, np.float32)
    inverse[:5] = 0
    inverse[5:9] = -1
    depth = Protocol(Fit.MEDIAN).compare(DepthMap(inverse, "made"), Truth(truth)).depth
    assert (depth[:9] == Range().farthest_m).all()
    with pytest.raises(NotComparable, match="infinite for most"):
        Protocol(Fit.MEDIAN).compare(DepthMap(np.zeros_like(truth), "made"), Truth(truth))


def test_truth_without_a_pixel_that_counts_is_refused() -> None:
    with pytest.raises(NotComparable, match="No pixel"):
        Protocol().compare(_predicted(_scene(), _METRES), Truth(np.full((48, 64), np.nan, np.float32)))


def test_a_prediction_is_resized_to_the_truth() -> None:
    truth = np.tile(np.linspace(1, 9, 64, dtype=np.float32), (48, 1))
    half = DepthMap.of(truth[::2, ::2] + np.float32(4 / 63), "made", kind=_METRES)
    assert Protocol(Fit.NONE).compare(half, Truth(truth)).scores["abs_rel"] < 0.01


@pytest.mark.parametrize(
    ("crop", "layout", "shape", "box"),
    [
        (Crop.EIGEN, "nyu", (480, 640), (45, 471, 41, 601)),
        (Crop.EIGEN, "kitti", (375, 1242), (124, 342, 44, 1197)),
        (Crop.GARG, "kitti", (375, 1242), (153, 371, 44, 1197)),
        (Crop.GARG, "kitti", (370, 1226), (151, 366, 44, 1181)),
        (Crop.GARG, "kitti", (352, 1216), (143, 349, 43, 1172)),
        (Crop.NONE, "kitti", (375, 1242), (0, 375, 0, 1242)),
    ],
)
def test_crops_are_the_published_ones(
    crop: Crop, layout: str, shape: tuple[int, int], box: tuple[int, int, int, int]
) -> None:
    protocol = Protocol(Fit.NONE, Range(), *crop_of(crop, layout))
    counts = protocol.compare(
        DepthMap.of(np.ones(shape, np.float32), "made", kind=_METRES), Truth(np.ones(shape, np.float32))
    ).counts
    rows, columns = np.flatnonzero(counts.any(axis=1)), np.flatnonzero(counts.any(axis=0))
    assert (rows[0], rows[-1] + 1, columns[0], columns[-1] + 1) == box


def test_whdr_is_the_fraction_of_wrong_pairs() -> None:
    inverse = np.tile(np.arange(1, 11, dtype=np.float32), (4, 1))
    left, right = np.array([[0.5, 0.05]] * 4), np.array([[0.5, 0.95]] * 4)
    wrong = np.concatenate([left[:1], right[1:]]), np.concatenate([right[:1], left[1:]])
    assert disagreement(DepthMap.of(inverse, "made"), Ordinal(nearer=right, farther=left)) == {"whdr": 0.0}
    assert disagreement(DepthMap.of(inverse, "made"), Ordinal(*wrong)) == {"whdr": 0.25}
    assert disagreement(DepthMap.of(inverse * 0 + 1, "made"), Ordinal(right, left)) == {"whdr": 1.0}
