"""Scores a network on RGB-D folders, rendered scenes and photos with a teacher's labels; draws sample sheets.

The protocol for metric truth is MiDaS's (Ranftl et al., TPAMI 2022, section 6): scale and shift of each
prediction are fitted by least squares in inverse depth before depths are compared.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import cv2
import numpy as np
import torch
from safetensors.torch import load_file

from depthsvc.evaluation.accuracy import align, metric_scores, relative_scores
from depthsvc.imaging.edges import follow_edges
from depthsvc.imaging.resize import colours_of, network_size, to_network_input, upsample
from depthsvc.imaging.spec import Enlargement
from depthsvc.model.architecture import COMPACT
from depthsvc.model.networks.midas import DepthNetwork
from depthsvc.model.registry import registered
from training.data import (
    Floats,
    Image,
    Mask,
    Pair,
    is_held_out,
    read_image,
    read_label,
    read_photos,
    read_rgbd,
    resize,
)
from training.insertion import Inserter

Predictor = Callable[[Image], Floats]
"""(H, W, 3) RGB -> relative inverse depth, (H, W)."""

_SHEET_WIDTH = 256
_HELD_OUT = "held-out photos"
_INSERTIONS = 2
"""Pictures with inserted things that are made of each photo."""
_LEAST_PIXELS = 50
_LEAST_STEP = 0.05
"""Least step between inserted things and what is around them, as a fraction of the label's range."""
_VANISHED = 0.3
"""Fraction of a step below which a thing has nearly vanished."""


def load_network(weights: Path) -> DepthNetwork:
    """The deployed network with the weights of a safetensors file, of any floating type."""
    network = DepthNetwork(COMPACT)
    network.load_state_dict(load_file(weights))
    return network.eval()


def network_predictor(network: DepthNetwork, input_size: int | None = None) -> Predictor:
    """A predictor that runs a network like the registered embedded model and resizes the result to the image.

    `input_size` is the short side of the network's input in pixels; None: the model's default.
    """
    device = next(network.parameters()).device
    spec = registered("embedded").spec.input

    @torch.inference_mode()
    def predict(image: Image) -> Floats:
        height, width = image.shape[:2]
        planes = to_network_input(image, *network_size(width, height, spec, input_size), spec)
        output = network(torch.from_numpy(planes).to(device))[0].float().cpu().numpy()
        return upsample(follow_edges(colours_of(planes, spec), output), width, height, Enlargement.BILINEAR)

    return predict


def lower_is_nearer(image: Image) -> Floats:
    """A baseline that ignores the image: inverse depth grows with the row."""
    height, width = image.shape[:2]
    return np.broadcast_to(np.arange(height, dtype=np.float32)[:, None], (height, width))


def constant(image: Image) -> Floats:
    """A baseline that ignores everything."""
    return np.ones(image.shape[:2], dtype=np.float32)


def pair_scores(prediction: Floats, pair: Pair) -> dict[str, float]:
    """The scores that a pair's kind of label allows; the prediction may have any size."""
    truth = pair.load_inverse_depth()
    scores = metric_scores if pair.label.suffix == ".npy" else relative_scores
    return scores(resize(prediction, *truth.shape), truth)


def mean_scores(rows: Sequence[dict[str, float]]) -> dict[str, float]:
    """Means by name over one or more rows, ignoring NaN."""
    return {name: float(np.nanmean([row[name] for row in rows])) for name in rows[0]}


def score(predict: Predictor, pairs: Iterable[Pair]) -> dict[str, float]:
    """The mean scores over the pairs, as far as their kind of label allows."""
    return mean_scores([pair_scores(predict(pair.load_image()), pair) for pair in pairs])


def shown_step(prediction: Floats, label: Floats, inserted: Mask) -> float:
    """How much of the step from inserted things to what is around them a prediction shows; all (H, W).

    1 is all of it, 0 if the things vanish, limited to [-1, 1.5]. Scale and shift are fitted. NaN if there is nothing to
    compare, or hardly any step.
    """
    near, far = (cv2.dilate(inserted.astype(np.uint8), np.ones((side, side), np.uint8)) > 0 for side in (5, 13))
    around = far & ~near
    if inserted.sum() < _LEAST_PIXELS or around.sum() < _LEAST_PIXELS:
        return np.nan
    fitted = align(prediction, label)
    step, found = (float(values[inserted].mean() - values[around].mean()) for values in (label, fitted))
    return float(np.clip(found / step, -1, 1.5)) if step > _LEAST_STEP * np.ptp(label) else np.nan


def inserted_scores(predict: Predictor, photos: Iterable[Pair], inserter: Inserter) -> dict[str, float]:
    """How much of inserted things is shown in the mean, and the fraction of pictures in which they nearly vanish."""
    shown = []
    for seed, pair in enumerate(photos):
        rng = np.random.default_rng(seed)
        for _ in range(_INSERTIONS):
            image, label, inserted = inserter.insert(rng, pair.load_image(), pair.load_inverse_depth())
            shown.append(shown_step(predict(image), label, inserted))
    known = np.array(shown)[np.isfinite(shown)]
    return {"shown": float(known.mean()), "vanished": float((known < _VANISHED).mean()), "pictures": len(known)}


def score_teacher(pairs: Iterable[Pair]) -> dict[str, float] | None:
    """The same for the teacher's labels of RGB-D pairs; None if there are none."""
    rows = [pair_scores(read_label(pair.teacher), pair) for pair in pairs if pair.teacher and pair.teacher.exists()]
    return mean_scores(rows) if rows else None


def colourise(inverse_depth: Floats) -> Image:
    """(H, W) -> RGB (H, W, 3): bright is near, black is unknown; the colours span the 1st to the 99th percentile."""
    low, high = np.nanpercentile(inverse_depth, (1, 99))
    unit = np.nan_to_num(np.clip((inverse_depth - low) / max(high - low, 1e-9), 0, 1))
    bgr = cv2.applyColorMap((unit * 255).astype(np.uint8), cv2.COLORMAP_INFERNO)
    return np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), dtype=np.uint8)


def _row(pictures: Sequence[Image]) -> Image:
    """Pictures side by side, each resized to the sheet's width and the first one's aspect ratio."""
    height = round(_SHEET_WIDTH * pictures[0].shape[0] / pictures[0].shape[1])
    return np.hstack([resize(picture, height, _SHEET_WIDTH) for picture in pictures])


def write_sheet(path: Path, predict: Predictor, images: Sequence[Image], labels: Sequence[Floats] = ()) -> None:
    """Write a PNG with rows of photo | label | prediction, or photo | prediction without labels."""
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
    parser.add_argument("--sprites", type=Path, help="folder of things to set into the photos, from training.sprites")
    parser.add_argument("--input-size", type=int, help="short side of the network's input, in pixels")
    parser.add_argument("--rgbd", type=Path, action="append", default=[], help="RGB-D folder; repeatable")
    parser.add_argument("--sheet", type=Path, help="write photo | label | prediction of some of each set here")
    parser.add_argument("--shown", type=int, default=12, help="number of pictures to draw from each set")
    parser.add_argument("--worst", action="store_true", help="draw those with the lowest rank correlation")
    parser.add_argument("--unlabelled", type=Path, help="folder of NAME.jpg to draw on --sheet instead")
    arguments = parser.parse_args()
    if arguments.photos and not (arguments.labels and arguments.index):
        parser.error("--photos needs --labels and --index")
    if arguments.sprites and not arguments.photos:
        parser.error("--sprites needs --photos")
    return arguments


def _print_scores(sets: dict[str, list[Pair]], predictors: dict[str, Predictor]) -> None:
    """Print one line per set and predictor, and the means over the RGB-D folders."""
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
    """Print the scores of a network and of the baselines, and optionally draw a sample sheet."""
    arguments = _parse_arguments()
    predict = network_predictor(load_network(arguments.weights), arguments.input_size)
    if arguments.unlabelled:
        write_sheet(arguments.sheet, predict, [read_image(path) for path in sorted(arguments.unlabelled.glob("*.jpg"))])
        return
    sets = {folder.name: read_rgbd(folder) for folder in arguments.rgbd}
    if arguments.photos:
        photos = read_photos(arguments.photos, arguments.labels, arguments.index)
        sets[_HELD_OUT] = [pair for pair in photos if is_held_out(pair.image)]
    _print_scores(sets, {"network": predict, "lower is nearer": lower_is_nearer, "constant": constant})
    if arguments.sprites:
        inserter = Inserter(sorted(arguments.sprites.glob("*.npz")))
        print(f"things set into photos: network: {_text(inserted_scores(predict, sets[_HELD_OUT], inserter))}")
    if arguments.sheet:
        shown: list[Pair] = []
        for pairs in sets.values():
            key = (lambda pair: pair_scores(predict(pair.load_image()), pair)["rank"]) if arguments.worst else None
            shown += (sorted(pairs, key=key) if key else pairs)[: arguments.shown]
        labels = [pair.load_inverse_depth() for pair in shown]
        write_sheet(arguments.sheet, predict, [pair.load_image() for pair in shown], labels)


if __name__ == "__main__":
    main()
