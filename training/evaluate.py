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

from depthsvc.imaging.resize import network_size, to_network_input, upsample
from depthsvc.model.architecture import COMPACT
from depthsvc.model.network import DepthNetwork
from depthsvc.model.registry import registered
from training.data import (
    Floats,
    Image,
    Pair,
    is_held_out,
    read_image,
    read_photos,
    read_rgbd,
    resize,
)

Predictor = Callable[[Image], Floats]
"""(H, W, 3) RGB -> relative inverse depth, (H, W)."""

FARTHEST = 80.0
"""Truth beyond this many metres is not scored, and predictions are capped there."""
_SHEET_WIDTH = 256


def load_network(weights: Path) -> DepthNetwork:
    """The deployed network with the weights of a safetensors file, of any floating type."""
    network = DepthNetwork(COMPACT)
    network.load_state_dict(load_file(weights))
    return network.eval()


def network_predictor(network: DepthNetwork) -> Predictor:
    """Run a network as the registered embedded model is run, the result resized to the image's size."""
    device = next(network.parameters()).device
    spec = registered("embedded").input

    @torch.inference_mode()
    def predict(image: Image) -> Floats:
        height, width = image.shape[:2]
        planes = to_network_input(image, *network_size(width, height, spec), spec)
        output = network(torch.from_numpy(planes).to(device))[0].float().cpu().numpy()
        return upsample(output, width, height)

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
    """The affine function of the prediction that is nearest to the truth in least squares; any one shape."""
    x, y = prediction.astype(np.float64), truth.astype(np.float64)
    variance = x.var()
    slope = ((x - x.mean()) * (y - y.mean())).mean() / variance if variance > 0 else 0.0
    return np.asarray(y.mean() + slope * (x - x.mean()), dtype=np.float32)


def metric_scores(prediction: Floats, truth: Floats) -> dict[str, float]:
    """MiDaS's scores of a prediction against true inverse depth, 1 / metres, both (H, W).

    abs_rel is the mean of |depth - true depth| / true depth; bad_percent the share of pixels where the larger
    of the two depths exceeds 1.25 times the smaller; rank also counts what lies beyond FARTHEST.
    """
    valid = truth > 1 / FARTHEST
    true_depth = 1 / truth[valid]
    depth = 1 / np.maximum(align(prediction[valid], truth[valid]), 1 / FARTHEST)
    ratio = np.maximum(depth / true_depth, true_depth / depth)
    return {
        "rank": rank_correlation(prediction, truth),
        "abs_rel": float((np.abs(depth - true_depth) / true_depth).mean()),
        "bad_percent": float(100 * (ratio > 1.25).mean()),
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


def score(predict: Predictor, pairs: Iterable[Pair]) -> dict[str, float]:
    """Means over the pairs of the scores that their kind of label allows."""
    rows = []
    for pair in pairs:
        truth, image = pair.load_inverse_depth(), pair.load_image()
        prediction = resize(predict(image), *truth.shape)
        scores = metric_scores if pair.label.suffix == ".npy" else relative_scores
        rows.append(scores(prediction, truth))
    return {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}


def colourise(inverse_depth: Floats) -> Image:
    """(H, W) -> (H, W, 3) RGB; bright is near, the 1st and the 99th percentile span the colours."""
    low, high = np.percentile(inverse_depth, (1, 99))
    unit = np.clip((inverse_depth - low) / max(high - low, 1e-9), 0, 1)
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


def main() -> None:
    """Print the scores of a network and of the baselines, and optionally draw a sheet of them."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--photos", type=Path, help="folder of photos, with --labels and --index")
    parser.add_argument("--labels", type=Path)
    parser.add_argument("--index", type=Path)
    parser.add_argument("--rgbd", type=Path, action="append", default=[], help="RGB-D folder; repeatable")
    parser.add_argument("--sheet", type=Path, help="write photo | label | prediction of 12 of each set here")
    parser.add_argument("--unlabelled", type=Path, help="folder of NAME.jpg to draw on --sheet instead")
    arguments = parser.parse_args()
    predict = network_predictor(load_network(arguments.weights))
    sets = {folder.name: read_rgbd(folder) for folder in arguments.rgbd}
    if arguments.photos:
        photos = read_photos(arguments.photos, arguments.labels, arguments.index)
        sets["held-out photos"] = [pair for pair in photos if is_held_out(pair)]
    predictors = {"network": predict, "lower is nearer": lower_is_nearer, "constant": constant}
    for name, pairs in sets.items():
        for predictor_name, predictor in predictors.items():
            scores = " ".join(f"{key}={value:.3f}" for key, value in score(predictor, pairs).items())
            print(f"{name} ({len(pairs)}): {predictor_name}: {scores}")
    if arguments.unlabelled:
        images = [read_image(path) for path in sorted(arguments.unlabelled.glob("*.jpg"))]
        write_sheet(arguments.sheet, predict, images)
    elif arguments.sheet:
        shown = [pair for pairs in sets.values() for pair in pairs[:12]]
        labels = [pair.load_inverse_depth() for pair in shown]
        write_sheet(arguments.sheet, predict, [pair.load_image() for pair in shown], labels)


if __name__ == "__main__":
    main()
