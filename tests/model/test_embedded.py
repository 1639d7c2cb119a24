"""The shipped weights give depth that is upright, mirrored with its picture, and owed to what they see."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open

import depthsvc.model
from depthsvc.evaluation.accuracy import metric_scores, rank_correlation
from training.data import Floats
from training.evaluate import Predictor, load_network, lower_is_nearer, mean_scores, network_predictor
from training.scenes import Scene, render

WEIGHTS = Path(depthsvc.model.__file__).parent / "data" / "embedded.safetensors"
SEEDS = range(8)
"""Scenes of seeds below 1000 are never trained on."""

LEAST_RANK = 0.5
"""Rank correlation with the truth that each scene must exceed; the hardest has 0.61."""
LEAST_MEAN_RANK = 0.89
"""The same for the mean over the scenes; it is 0.919, and 0.75 for "lower rows are nearer"."""
LEAST_LEAD = 0.1
"""By how much the mean must exceed that of a wrong reading."""
MOST_ERROR = 0.17
"""Mean relative error of depth over the scenes, which must stay below; it is 0.162."""
LEAST_EDGE = 0.38
"""Mean over the scenes of the median share of a depth step at an edge; it is 0.46."""


@pytest.fixture(scope="module")
def predict() -> Predictor:
    return network_predictor(load_network(WEIGHTS))


@pytest.fixture(scope="module")
def scenes() -> list[Scene]:
    return [render(seed, 192, 256) for seed in SEEDS]


def _mean_rank(predictions: list[Floats], truths: list[Floats]) -> float:
    pairs = zip(predictions, truths, strict=True)
    return float(np.mean([rank_correlation(prediction, truth) for prediction, truth in pairs]))


@pytest.mark.parametrize("index", SEEDS)
@pytest.mark.parametrize("mirrored", [False, True])
def test_depth_is_ordered_as_the_truth(predict: Predictor, scenes: list[Scene], index: int, mirrored: bool) -> None:
    step = -1 if mirrored else 1
    image, truth = scenes[index].image[:, ::step], scenes[index].inverse_depth[:, ::step]
    assert rank_correlation(predict(image), truth) > LEAST_RANK


def test_depth_of_portraits_is_ordered_as_the_truth(predict: Predictor) -> None:
    scenes = [render(seed, 256, 192) for seed in SEEDS]
    predictions = [predict(scene.image) for scene in scenes]
    assert _mean_rank(predictions, [scene.inverse_depth for scene in scenes]) > LEAST_MEAN_RANK


def test_depth_owes_to_the_picture_and_not_only_to_the_row(predict: Predictor, scenes: list[Scene]) -> None:
    truths = [scene.inverse_depth for scene in scenes]
    seen = _mean_rank([predict(scene.image) for scene in scenes], truths)
    assert seen > LEAST_MEAN_RANK
    assert seen > _mean_rank([lower_is_nearer(scene.image) for scene in scenes], truths) + LEAST_LEAD


def test_depth_is_as_exact_and_as_sharp_as_it_was(predict: Predictor, scenes: list[Scene]) -> None:
    scores = mean_scores([metric_scores(predict(scene.image), scene.inverse_depth) for scene in scenes])
    assert scores["abs_rel"] < MOST_ERROR
    assert scores["edge"] > LEAST_EDGE


@pytest.mark.parametrize("axes", [(0,), (1,), (0, 1)], ids=["upside down", "mirrored", "turned"])
def test_depth_is_not_rotated_or_mirrored(predict: Predictor, scenes: list[Scene], axes: tuple[int, ...]) -> None:
    predictions = [predict(scene.image) for scene in scenes]
    upright = _mean_rank(predictions, [scene.inverse_depth for scene in scenes])
    moved = _mean_rank(predictions, [np.flip(scene.inverse_depth, axes) for scene in scenes])
    assert upright > moved + LEAST_LEAD


def test_depth_is_neither_constant_nor_mostly_clipped(predict: Predictor, scenes: list[Scene]) -> None:
    for scene in scenes:
        prediction = predict(scene.image)
        low, high = np.percentile(prediction, (5, 95))
        assert np.isfinite(prediction).all()
        assert high - low > 0.3
        assert (prediction == 0).mean() < 0.2


def test_file_is_small_half_precision_and_says_what_it_is() -> None:
    assert WEIGHTS.stat().st_size <= 8_000_000
    with safe_open(WEIGHTS, framework="pt") as file:
        metadata = file.metadata()
        types = {file.get_tensor(name).dtype for name in file.keys()}  # noqa: SIM118
    assert metadata["architecture"] == "compact"
    assert metadata["format"] == "depthsvc-1"
    assert types == {torch.float16, torch.int64}
