"""Scores a network on RGB-D folders, rendered scenes and photos with a teacher's labels; draws sample sheets.

The protocol for metric truth is that of MiDaS (Ranftl et al., TPAMI 2022, section 6): scale and shift of each
prediction are fitted by least squares in inverse depth before depths are compared.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import torch
from safetensors.torch import load_file

from depthsvc.imaging.edges import follow_edges
from depthsvc.imaging.resize import colours_of, network_size, to_network_input, upsample
from depthsvc.imaging.spec import Enlargement
from depthsvc.model.architecture import COMPACT
from depthsvc.model.networks.midas import DepthNetwork
from depthsvc.model.registry import registered
from training.data import (
    Floats,
    Image,
    Pair,
    is_held_out,
    read_image,
    read_label,
    read_photos,
    read_rgbd,
    resize,
)

Predictor = Callable[[Image], Floats]
"""(H, W, 3) RGB -> relative inverse depth, (H, W)."""

FARTHEST = 80.0
"""Truth beyond this many metres is not scored, and predictions are capped there."""
EDGE_RATIO = 1.25
"""Neighbouring pixels whose true depths differ by more than this factor are at an edge, ..."""
EDGE_SHARE = 0.05
"""... if their inverse depths differ by this share of what its 2nd and 98th percentile span; a ground's do not."""
_SHEET_WIDTH = 256


def load_network(weights: Path) -> DepthNetwork:
    """The deployed network with the weights of a safetensors file, of any floating type."""
    network = DepthNetwork(COMPACT)
    network.load_state_dict(load_file(weights))
    return network.eval()


def network_predictor(network: DepthNetwork) -> Predictor:
    """Run a network as the registered embedded model is run, the result resized to the image's size."""
    device = next(network.parameters()).device
    spec = registered("embedded").spec.input

    @torch.inference_mode()
    def predict(image: Image) -> Floats:
        height, width = image.shape[:2]
        planes = to_network_input(image, *network_size(width, height, spec), spec)
        output = network(torch.from_numpy(planes).to(device))[0].float().cpu().numpy()
        return upsample(follow_edges(colours_of(planes, spec), output), width, height, Enlargement.BILINEAR)

    return predict


def lower_is_nearer(image: Image) -> Floats:
    """A baseline that ignores what it sees: inverse depth grows with the row."""
    height, width = image.shape[:2]
    return np.broadcast_to(np.arange(height, dtype=np.float32)[:, None], (height, width))


def constant(image: Image) -> Floats:
    """A baseline that ignores everything."""
    return np.ones(image.shape[:2], dtype=np.float32)


def _ranks(values: Floats) -> npt.NDArray[np.float64]:
    """Ranks of the values, ties sharing their mean rank; any shape -> (N,)."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    mean_ranks = np.cumsum(counts) - (counts - 1) / 2
    return np.asarray(mean_ranks[inverse.ravel()], dtype=np.float64)


def rank_correlation(prediction: Floats, truth: Floats) -> float:
    """Spearman's rank correlation, in [-1, 1], of arrays of one shape; 0 if either is constant."""
    a, b = (ranks - ranks.mean() for ranks in (_ranks(prediction), _ranks(truth)))
    norm = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b) / norm if norm > 0 else 0.0


def align(prediction: Floats, truth: Floats) -> Floats:
    """The affine function of the prediction that is nearest to the truth in least squares, where it is known."""
    known = np.isfinite(truth)
    x, y = prediction[known].astype(np.float64), truth[known].astype(np.float64)
    variance = x.var()
    slope = ((x - x.mean()) * (y - y.mean())).mean() / variance if variance > 0 else 0.0
    return np.asarray(y.mean() + slope * (prediction - x.mean()), dtype=np.float32)


def edge_steps(prediction: Floats, truth: Floats) -> Floats:
    """Predicted over true steps of inverse depth between neighbouring pixels at true edges, (N,); 1 is as sharp.

    Both arguments are inverse depth, (H, W); the prediction is aligned first. A blurred edge has a step near 0, one of
    the wrong direction a negative step.
    """
    aligned, (low, high) = align(prediction, truth), np.nanpercentile(truth, (2, 98))
    steps = []
    for axis in (0, 1):
        first, second = (np.take(truth, range(part, truth.shape[axis] - 1 + part), axis) for part in (0, 1))
        is_far_apart = np.maximum(first, second) > EDGE_RATIO * np.maximum(np.minimum(first, second), 1 / FARTHEST)
        at_edge = is_far_apart & (np.abs(second - first) > EDGE_SHARE * (high - low))
        steps.append((np.diff(aligned, axis=axis) / np.where(at_edge, second - first, 1))[at_edge])
    return np.concatenate(steps)


def metric_scores(prediction: Floats, truth: Floats) -> dict[str, float]:
    """MiDaS's scores of a prediction against true inverse depth, 1 / metres or not a number, both (H, W).

    abs_rel is the mean of |depth - true depth| / true depth; bad_percent the share of pixels where the larger
    of the two depths exceeds 1.25 times the smaller; rank also counts what lies beyond FARTHEST. edge is the median
    of edge_steps, not a number where there is no edge.
    """
    known, valid = np.isfinite(truth), truth > 1 / FARTHEST
    true_depth = 1 / truth[valid]
    depth = 1 / np.maximum(align(prediction[valid], truth[valid]), 1 / FARTHEST)
    ratio = np.maximum(depth / true_depth, true_depth / depth)
    steps = edge_steps(prediction, truth)
    return {
        "rank": rank_correlation(prediction[known], truth[known]),
        "abs_rel": float((np.abs(depth - true_depth) / true_depth).mean()),
        "bad_percent": float(100 * (ratio > 1.25).mean()),
        "edge": float(np.median(steps)) if steps.size else float("nan"),
    }


def relative_scores(prediction: Floats, label: Floats) -> dict[str, float]:
    """Scores against a relative label, (H, W): rank correlation and error after alignment.

    affine_error is the root mean square error of the aligned prediction over the label's standard deviation.
    """
    residual = align(prediction, label) - label
    return {
        "rank": rank_correlation(prediction, label),
        "affine_error": float(residual.std() / max(label.std(), 1e-6)),
    }


def pair_scores(prediction: Floats, pair: Pair) -> dict[str, float]:
    """The scores that a pair's kind of label allows; the prediction may be of any size."""
    truth = pair.load_inverse_depth()
    scores = metric_scores if pair.label.suffix == ".npy" else relative_scores
    return scores(resize(prediction, *truth.shape), truth)


def mean_scores(rows: Sequence[dict[str, float]]) -> dict[str, float]:
    """Means by name over the rows, of which there is at least one, where they are numbers."""
    return {name: float(np.nanmean([row[name] for row in rows])) for name in rows[0]}


def score(predict: Predictor, pairs: Iterable[Pair]) -> dict[str, float]:
    """Means over the pairs of the scores that their kind of label allows."""
    return mean_scores([pair_scores(predict(pair.load_image()), pair) for pair in pairs])


def score_teacher(pairs: Iterable[Pair]) -> dict[str, float] | None:
    """The same of the teacher's labels that lie beside RGB-D pairs; None where there are none."""
    rows = [pair_scores(read_label(pair.teacher), pair) for pair in pairs if pair.teacher and pair.teacher.exists()]
    return mean_scores(rows) if rows else None


def colourise(inverse_depth: Floats) -> Image:
    """(H, W) -> (H, W, 3) RGB; bright is near, black unknown, the 1st and the 99th percentile span the colours."""
    low, high = np.nanpercentile(inverse_depth, (1, 99))
    unit = np.nan_to_num(np.clip((inverse_depth - low) / max(high - low, 1e-9), 0, 1))
    bgr = cv2.applyColorMap((unit * 255).astype(np.uint8), cv2.COLORMAP_INFERNO)
    return np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), dtype=np.uint8)


def _row(pictures: Sequence[Image]) -> Image:
    """Pictures side by side, each resized to the sheet's width and the first one's aspect."""
    height = round(_SHEET_WIDTH * pictures[0].shape[0] / pictures[0].shape[1])
    return np.hstack([resize(picture, height, _SHEET_WIDTH) for picture in pictures])


def write_sheet(path: Path, predict: Predictor, images: Sequence[Image], labels: Sequence[Floats] = ()) -> None:
    """Write a PNG of rows photo | label | prediction, without labels photo | prediction."""
    rows = []
    for index, image in enumerate(images):
        label = [colourise(labels[index])] if labels else []
        rows.append(_row([image, *label, colourise(predict(image))]))
    cv2.imwrite(str(path), cv2.cvtColor(np.vstack(rows), cv2.COLOR_RGB2BGR))


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--photos", type=Path, help="folder of photos, with --labels and --index")
    parser.add_argument("--labels", type=Path)
    parser.add_argument("--index", type=Path)
    parser.add_argument("--rgbd", type=Path, action="append", default=[], help="RGB-D folder; repeatable")
    parser.add_argument("--sheet", type=Path, help="write photo | label | prediction of some of each set here")
    parser.add_argument("--shown", type=int, default=12, help="how many of each set to draw")
    parser.add_argument("--worst", action="store_true", help="draw those with the lowest rank correlation")
    parser.add_argument("--unlabelled", type=Path, help="folder of NAME.jpg to draw on --sheet instead")
    arguments = parser.parse_args()
    if arguments.photos and not (arguments.labels and arguments.index):
        parser.error("--photos needs --labels and --index")
    return arguments


def _print_scores(sets: dict[str, list[Pair]], predictors: dict[str, Predictor]) -> None:
    """One line for each set and predictor, and the means over the sets that are RGB-D folders."""
    of_folders: dict[str, list[dict[str, float]]] = {}
    for name, pairs in sets.items():
        found = {key: score(predictor, pairs) for key, predictor in predictors.items()}
        if of_teacher := score_teacher(pairs):
            found["teacher"] = of_teacher
        for key, scores in found.items():
            print(f"{name} ({len(pairs)}): {key}: {_text(scores)}")
            if pairs[0].label.suffix == ".npy":
                of_folders.setdefault(key, []).append(scores)
    for key, rows in of_folders.items():
        if len(rows) > 1:
            print(f"mean over {len(rows)} folders: {key}: {_text(mean_scores(rows))}")


def _text(scores: dict[str, float]) -> str:
    return " ".join(f"{key}={value:.3f}" for key, value in scores.items())


def main() -> None:
    """Print the scores of a network and of the baselines, and optionally draw a sheet of them."""
    arguments = _parse_arguments()
    predict = network_predictor(load_network(arguments.weights))
    if arguments.unlabelled:
        write_sheet(arguments.sheet, predict, [read_image(path) for path in sorted(arguments.unlabelled.glob("*.jpg"))])
        return
    sets = {folder.name: read_rgbd(folder) for folder in arguments.rgbd}
    if arguments.photos:
        photos = read_photos(arguments.photos, arguments.labels, arguments.index)
        sets["held-out photos"] = [pair for pair in photos if is_held_out(pair.image)]
    _print_scores(sets, {"network": predict, "lower is nearer": lower_is_nearer, "constant": constant})
    if arguments.sheet:
        shown: list[Pair] = []
        for pairs in sets.values():
            key = (lambda pair: pair_scores(predict(pair.load_image()), pair)["rank"]) if arguments.worst else None
            shown += (sorted(pairs, key=key) if key else pairs)[: arguments.shown]
        labels = [pair.load_inverse_depth() for pair in shown]
        write_sheet(arguments.sheet, predict, [pair.load_image() for pair in shown], labels)


if __name__ == "__main__":
    main()
