"""How a depth map is compared with the truth: what is fitted, and which pixels count.

Fits: `midas`, scale and shift in inverse depth by least squares (Ranftl et al., TPAMI 2022); `median`, the ratio of the
medians of depth (Zhou et al., CVPR 2017); `none`, for metric models. Crops: `eigen` (Eigen et al., NIPS 2014) and
`garg` (Garg et al., ECCV 2016), as AdaBins (Bhat et al., CVPR 2021) applies them.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import cv2
import numpy as np
from numpy.typing import NDArray

from depthsvc.depth import DepthMap
from depthsvc.errors import DepthServiceError
from depthsvc.evaluation.accuracy import Doubles, Floats, depth_errors, rank_correlation, scale_and_shift
from depthsvc.evaluation.boundaries import Mask, boundary_errors, predicted_edges, true_edges
from depthsvc.imaging.spec import DepthKind

_ROUNDING = 1e-9
"""45 / 480 of 480 rows are 45, not 44.999; but 366.9999993 of 370 rows are 366, as in AdaBins."""
_MOST_STRETCHED = 1.02
"""A truth whose proportions differ from the photo's by more than this factor is of another photo."""


class Fit(StrEnum):
    """What of a prediction is fitted to the truth."""

    MIDAS = "midas"
    MEDIAN = "median"
    NONE = "none"


class Crop(StrEnum):
    """The part of a picture that counts."""

    NONE = "none"
    EIGEN = "eigen"
    GARG = "garg"


@dataclass(frozen=True)
class Range:
    """Depths that count; predictions are clipped to them."""

    nearest_m: float = 1e-3
    farthest_m: float = 80.0


USUAL_RANGE = Range()


class NotComparable(DepthServiceError):
    """A prediction cannot be scored against its truth."""


@dataclass(frozen=True, eq=False)
class Truth:
    """The measured depth of a photo."""

    depth: Floats
    """(h, w), metres; NaN where it is unknown or left out."""
    edges: Mask | None = None
    """(h, w), where the data set says that there are edges; None: `true_edges` finds them."""


@dataclass(frozen=True, eq=False)
class Ordinal:
    """Which of two points is farther, in pairs of points of a photo, as people judged."""

    nearer: NDArray[np.float64]
    """(n, 2), row and column of the nearer points, as fractions of height and width."""
    farther: NDArray[np.float64]
    """(n, 2), the same of the farther points."""


@dataclass(frozen=True, eq=False)
class Comparison:
    """A prediction beside the truth."""

    depth: Doubles
    """The prediction in metres as fitted and clipped, (h, w) of the truth."""
    counts: Mask
    """(h, w), the pixels that are scored."""
    scores: dict[str, float]


@dataclass(frozen=True)
class Protocol:
    """What is fitted, and which pixels count."""

    fit: Fit = Fit.MIDAS
    range: Range = USUAL_RANGE
    rows: tuple[float, float] = (0.0, 1.0)
    """First and last row, as fractions of the height."""
    columns: tuple[float, float] = (0.0, 1.0)
    """First and last column, as fractions of the width."""

    def compare(self, prediction: DepthMap, truth: Truth) -> Comparison:
        """The prediction as fitted, with its scores by name. Raises NotComparable."""
        _check_proportions(prediction, truth.depth.shape)
        valid = self._valid(truth.depth)
        if not valid.any():
            raise NotComparable("No pixel of the true depth counts: all are unknown, out of range or cropped.")
        nearness, known = _nearness(prediction, truth.depth.shape)
        counts = valid & known
        coverage = counts.sum() / valid.sum()
        if not counts.any():
            raise NotComparable("The model gives no depth for any pixel whose depth is known.")
        true = truth.depth.astype(np.float64)
        depth = np.clip(self._fitted(prediction.kind, nearness, true, counts), *self._limits)
        scores = {
            **depth_errors(depth[counts], true[counts]),
            "rank": rank_correlation(nearness[counts], 1 / true[counts]),
            **self._edges(depth, truth),
            "coverage": float(coverage),
        }
        return Comparison(depth, counts, scores)

    @property
    def _limits(self) -> tuple[float, float]:
        return self.range.nearest_m, self.range.farthest_m

    def _valid(self, depth: Floats) -> Mask:
        height, width = depth.shape
        inside = np.zeros(depth.shape, np.bool_)
        top, bottom = (int(fraction * height + _ROUNDING) for fraction in self.rows)
        left, right = (int(fraction * width + _ROUNDING) for fraction in self.columns)
        inside[top:bottom, left:right] = True
        with np.errstate(invalid="ignore"):
            return np.asarray(inside & (depth > self.range.nearest_m) & (depth <= self.range.farthest_m))

    def _fitted(self, kind: DepthKind, nearness: Doubles, true: Doubles, counts: Mask) -> Doubles:
        """Depth in metres, (h, w); infinite where the prediction says so."""
        with np.errstate(divide="ignore"):
            if self.fit is Fit.MIDAS:
                scale, shift = scale_and_shift(nearness[counts], 1 / true[counts])
                return np.asarray(1 / np.maximum(scale * nearness + shift, 0))
            if self.fit is Fit.MEDIAN:
                depth = 1 / np.maximum(nearness, 0)
                median = np.median(depth[counts])
                if not np.isfinite(median):
                    raise NotComparable("The model's depth is infinite for most pixels: it has no median.")
                return np.asarray(np.median(true[counts]) / median * depth)
            if kind is not DepthKind.METRES:
                raise NotComparable("The model's depth has no unit. Choose --protocol midas or median.")
            return np.asarray(1 / nearness)

    def _edges(self, depth: Doubles, truth: Truth) -> dict[str, float]:
        edges = truth.edges if truth.edges is not None else true_edges(truth.depth)
        if edges is None:
            return {}
        return boundary_errors(predicted_edges(depth), edges)


_KITTI = "kitti"
_CROPS: dict[tuple[Crop, bool], tuple[tuple[float, float], tuple[float, float]]] = {
    (Crop.EIGEN, True): ((0.3324324, 0.91351351), (0.0359477, 0.96405229)),
    (Crop.EIGEN, False): ((45 / 480, 471 / 480), (41 / 640, 601 / 640)),
    (Crop.GARG, True): ((0.40810811, 0.99189189), (0.03594771, 0.96405229)),
}
"""Rows and columns, for KITTI or not."""


def crop_of(crop: Crop, layout: str) -> tuple[tuple[float, float], tuple[float, float]]:
    """Rows and columns of a crop, as fractions of the picture, for a data set by its layout's name.

    Eigen's is another one for KITTI than for NYU Depth, whose 640 x 480 pixels all others are scaled to. Garg's is for
    driving scenes and the same for all.
    """
    if crop is Crop.NONE:
        return (0.0, 1.0), (0.0, 1.0)
    return _CROPS[crop, layout == _KITTI or crop is Crop.GARG]


def disagreement(prediction: DepthMap, ordinal: Ordinal) -> dict[str, float]:
    """WHDR (Bell et al., SIGGRAPH 2014; Chen et al., NIPS 2016): the fraction of pairs, 0..1, whose order is wrong."""
    inverse = prediction.inverse
    nearer, farther = (inverse[_pixels(points, inverse.shape)] for points in (ordinal.nearer, ordinal.farther))
    return {"whdr": float((nearer <= farther).mean())}


def _pixels(points: NDArray[np.float64], shape: tuple[int, ...]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    rows, columns = (
        np.clip(np.floor(points[:, axis] * shape[axis]), 0, shape[axis] - 1).astype(np.intp) for axis in (0, 1)
    )
    return rows, columns


def _check_proportions(prediction: DepthMap, shape: tuple[int, ...]) -> None:
    height, width = shape
    stretched = (prediction.width / prediction.height) / (width / height)
    if max(stretched, 1 / stretched) > _MOST_STRETCHED:
        turned = (prediction.width, prediction.height) == (height, width)
        raise NotComparable(
            f"The photo is {prediction.width} x {prediction.height} and its true depth {width} x {height}: "
            + ("its EXIF orientation turns the photo but not the depth." if turned else "they do not belong together.")
        )


def _nearness(prediction: DepthMap, shape: tuple[int, ...]) -> tuple[Doubles, Mask]:
    """Inverse depth on the truth's grid, (h, w), and where it is known: 0 metres are not."""
    values = prediction.values
    known = values > 0 if prediction.kind is DepthKind.METRES else np.isfinite(values)
    if values.shape != shape:
        height, width = shape
        values = np.asarray(cv2.resize(values, (width, height), interpolation=cv2.INTER_LINEAR), np.float32)
        nearest = cv2.resize(known.astype(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST_EXACT)
        known = nearest > 0
    nearness = values.astype(np.float64)
    if prediction.kind is DepthKind.METRES:
        nearness = 1 / np.where(known, nearness, np.inf)
    return nearness, np.asarray(known)
