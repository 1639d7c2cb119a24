"""A training run can be cut off anywhere, and begins from what it is given."""

from __future__ import annotations

import csv
import pickle
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.utils.data import DataLoader

from depthsvc.model.architecture import COMPACT
from depthsvc.model.networks.midas import DepthNetwork
from training import scenes
from training.data import SHORT_SIDES, Batches, Pair, draw_pair, read_photos, read_rgbd
from training.export import averaged_weights, interpolated, serialise, to_half
from training.folding import Folded
from training.losses import Weights
from training.scenes import SHORT_SIDE, Scene, draw_scene
from training.train import (
    Trainer,
    append_row,
    choose_device,
    claim,
    exact_source,
    learning_rate_factor,
    overlap,
    train,
    uses_bfloat16,
)

STEPS = 3


@pytest.fixture(scope="module")
def batches(tmp_path_factory: pytest.TempPathFactory) -> Batches:
    """Batches of two small pictures, of a photo with a teacher's label and of an RGB-D pair."""
    folder, rng = tmp_path_factory.mktemp("pictures"), np.random.default_rng(0)
    pairs = []
    for name in ("photo", "exact"):
        cv2.imwrite(str(folder / f"{name}.png"), rng.integers(0, 256, (60, 80, 3), dtype=np.uint8))
        np.save(folder / f"{name}.inverse_depth.npy", rng.uniform(0.1, 1, (60, 80)).astype(np.float32))
        pairs.append(Pair(folder / f"{name}.png", folder / f"{name}.inverse_depth.npy", name))
    return Batches(pairs[:1], partial(draw_pair, pairs[1:]), 0.5, 2, seed=0, coarse_steps=STEPS)


@pytest.fixture(scope="module")
def initial(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "initial.safetensors"
    torch.manual_seed(0)
    save_file(DepthNetwork(COMPACT).state_dict(), path)
    return path


def _trainer(folder: Path, initial: Path) -> Trainer:
    trainer = Trainer(folder, torch.device("cpu"), STEPS, 1e-3)
    trainer.start_from(initial)
    return trainer


def test_a_run_that_was_cut_off_ends_as_one_that_was_not(tmp_path: Path, batches: Batches, initial: Path) -> None:
    whole = _trainer(tmp_path, initial)
    for step in range(STEPS):
        whole.train_step(batches[step], Weights())
        if step == 0:
            whole.save()
    (tmp_path / "checkpoint.partial").write_bytes(b"cut off while it was written")
    resumed = Trainer(tmp_path, torch.device("cpu"), STEPS, 1e-3)
    resumed.resume()
    assert resumed.step == 1
    for step in range(resumed.step, STEPS):
        resumed.train_step(batches[step], Weights())
    for trained, again in zip(whole.averaged.parameters(), resumed.averaged.parameters(), strict=True):
        torch.testing.assert_close(trained, again, rtol=0, atol=1e-6)


def test_a_step_changes_the_encoder_and_the_decoder(tmp_path: Path, batches: Batches, initial: Path) -> None:
    trainer = _trainer(tmp_path, initial)
    before = {name: value.clone() for name, value in trainer.network.named_parameters()}
    losses = trainer.train_step(batches[0], Weights())
    assert all(np.isfinite(value) for value in losses.values())
    changed = {name for name, value in trainer.network.named_parameters() if not torch.equal(value, before[name])}
    assert {"pretrained.layer1.0.weight", "scratch.layer0_rn.weight", "scratch.output_conv.4.weight"} <= changed


def test_stages_that_are_kept_do_not_change(tmp_path: Path, batches: Batches, initial: Path) -> None:
    trainer = Trainer(tmp_path, torch.device("cpu"), STEPS, 1e-3, kept_stages=2)
    trainer.start_from(initial)
    before = {name: value.clone() for name, value in trainer.network.named_parameters()}
    trainer.train_step(batches[0], Weights())
    kept = {name for name, value in trainer.network.named_parameters() if torch.equal(value, before[name])}
    assert {name for name in before if name.startswith(("pretrained.layer1.", "pretrained.layer2."))} <= kept
    assert not any(name.startswith("pretrained.layer3.0.0.conv") for name in kept)


def test_a_network_with_folded_batch_norm_is_the_same_one(initial: Path) -> None:
    network = DepthNetwork(COMPACT).eval()
    network.load_state_dict(load_file(initial))
    generator = torch.Generator().manual_seed(0)
    for norm in (module for module in network.modules() if isinstance(module, nn.BatchNorm2d)):
        assert norm.running_var is not None
        assert norm.running_mean is not None
        norm.running_var.uniform_(0.5, 2, generator=generator)
        norm.running_mean.normal_(0, 0.1, generator=generator)
    folded = Folded(network)
    images = torch.rand(1, 3, 64, 96, generator=generator)
    outputs, gradients = [], []
    for compute in (network, folded):
        network.zero_grad()
        output = compute(images)
        output.sum().backward()
        outputs.append(output.detach())
        gradients.append({name: p.grad for name, p in network.named_parameters() if p.grad is not None})
    assert outputs[0].std() > 0
    torch.testing.assert_close(outputs[1], outputs[0], rtol=1e-4, atol=1e-5)
    assert any(name.endswith("bn1.weight") for name in gradients[0])
    for name, gradient in gradients[0].items():
        assert torch.dist(gradients[1][name], gradient) <= 1e-3 * gradient.norm(), name


def test_a_network_in_bfloat16_has_about_the_same_losses_and_learns(
    tmp_path: Path, batches: Batches, initial: Path
) -> None:
    losses = []
    for bfloat16 in (False, True):
        trainer = Trainer(tmp_path, torch.device("cpu"), STEPS, 1e-3, bfloat16=bfloat16)
        trainer.start_from(initial)
        before = trainer.network.scratch.layer0_rn.weight.clone()
        losses.append(trainer.train_step(batches[0], Weights())["total"])
        change = trainer.network.scratch.layer0_rn.weight - before
        assert change.abs().max() > 0
        assert change.isfinite().all()
    assert losses[0] != losses[1]
    assert losses[1] == pytest.approx(losses[0], rel=0.1)


def test_scenes_drawn_while_training_are_new_ones() -> None:
    device, first, second = torch.device("cpu"), np.random.default_rng(0), np.random.default_rng(1)
    image, inverse_depth = draw_scene([], device, first)
    assert sorted(inverse_depth.shape) == [SHORT_SIDE, SHORT_SIDE * 4 // 3] == sorted(image.shape[:2])
    assert (inverse_depth >= 0).all()
    assert not np.array_equal(image, draw_scene([], device, second)[0])
    assert np.array_equal(image, draw_scene([], device, np.random.default_rng(0))[0])


def test_no_scene_for_evaluation_is_drawn_while_training(monkeypatch: pytest.MonkeyPatch) -> None:
    class Lowest(np.random.Generator):
        def integers(self, low: int, _high: int) -> int:  # type: ignore[override]
            return low

    seeds = []

    def render(seed: int, *_arguments: object, **_options: object) -> Scene:
        seeds.append(seed)
        return Scene(np.zeros((1, 1, 3), np.uint8), np.zeros((1, 1), np.float32))

    monkeypatch.setattr(scenes, "render_4_by_3", render)
    draw_scene([], torch.device("cpu"), Lowest(np.random.PCG64(0)))
    assert seeds == [1000]


def test_batches_of_scenes_are_the_same_in_a_spawned_process(batches: Batches) -> None:
    draw = exact_source([], render=True, textures=[], device=torch.device("cpu"))
    drawing = Batches(batches.photos, draw, 1.0, 1, seed=0)
    sent: Batches = pickle.loads(pickle.dumps(drawing))
    torch.testing.assert_close(sent[0].images, drawing[0].images, rtol=0, atol=0)
    assert sent[0].exact.all()


def test_without_a_source_of_exact_depth_all_pictures_are_photos(batches: Batches) -> None:
    only_photos = Batches(
        batches.photos, exact_source([], render=False, textures=[], device=torch.device("cpu")), 1.0, 2, 0
    )
    assert not only_photos[0].exact.any()


def test_material_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no RGB-D pairs"):
        read_rgbd(tmp_path)
    np.save(tmp_path / "alone.depth.npy", np.ones((2, 2), np.float32))
    with pytest.raises(ValueError, match=r"no picture beside .*alone\.depth\.npy"):
        read_rgbd(tmp_path)
    index = tmp_path / "index.csv"
    index.write_text("file,group\na.jpg,some\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"2 files .* the first is .*a\.jpg"):
        read_photos(tmp_path, tmp_path, index)


def test_a_second_run_in_a_folder_is_refused(tmp_path: Path) -> None:
    lock = claim(tmp_path)
    with pytest.raises(ValueError, match="another run"):
        claim(tmp_path)
    lock.release()
    claim(tmp_path).release()


def test_every_step_is_in_the_log_once(tmp_path: Path, batches: Batches, initial: Path) -> None:
    trainer = _trainer(tmp_path, initial)
    loader = DataLoader(batches, batch_size=None, sampler=range(STEPS))
    train(trainer, loader, {"photos": list(batches.photos)}, Weights(), save_every=STEPS, validate_every=1000)
    rows = list(csv.DictReader((tmp_path / "log.csv").read_text(encoding="utf-8").splitlines()))
    again = _trainer(tmp_path, initial)
    expected = np.mean([again.train_step(batches[step], Weights())["total"] for step in range(STEPS)])
    assert [int(row["step"]) for row in rows] == [STEPS]
    assert float(rows[0]["total"]) == pytest.approx(expected, rel=1e-3)


def test_rows_keep_to_the_columns_of_their_file(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    append_row(path, {"step": 1, "rank": 0.5})
    append_row(path, {"step": 2})
    with pytest.raises(ValueError, match="edge"):
        append_row(path, {"step": 3, "edge": 0.1})
    assert path.read_text(encoding="utf-8").splitlines() == ["step,rank", "1,0.5", "2,"]


def test_each_process_takes_the_gpu_of_its_number(monkeypatch: pytest.MonkeyPatch) -> None:
    assert choose_device("cpu") == torch.device("cpu")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert choose_device("auto") == torch.device("cpu")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert choose_device("auto") == torch.device("cuda", 0)
    monkeypatch.setenv("LOCAL_RANK", "3")
    assert choose_device("auto") == torch.device("cuda", 1)


@pytest.mark.parametrize(("capability", "expected"), [((7, 5), False), ((8, 0), True)])
def test_bfloat16_is_taken_where_the_gpu_has_it(
    monkeypatch: pytest.MonkeyPatch, capability: tuple[int, int], expected: bool
) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _device: capability)
    gpu = torch.device("cuda", 0)
    assert uses_bfloat16("auto", gpu) is expected
    assert uses_bfloat16("bfloat16", gpu)
    assert not uses_bfloat16("float32", gpu)
    assert not uses_bfloat16("auto", torch.device("cpu"))


def test_the_learning_rate_rises_and_falls() -> None:
    factors = [learning_rate_factor(step, 1000) for step in range(1000)]
    assert factors[0] < 0.05
    assert max(factors) == pytest.approx(1, abs=1e-3)
    assert factors[-1] == pytest.approx(0.01, abs=1e-3)


def test_wider_layers_begin_by_doing_what_the_narrow_ones_did() -> None:
    torch.manual_seed(0)
    narrow, wide = (
        [torch.randn(4, 3, 3, 3), torch.randn(2, 4, 3, 3)],
        [torch.randn(6, 3, 3, 3), torch.randn(5, 6, 3, 3)],
    )
    for target, source in zip(wide, narrow, strict=True):
        overlap(target, source)

    def run(weights: list[Tensor], x: Tensor) -> Tensor:
        return F.conv2d(F.relu(F.conv2d(x, weights[0])), weights[1])

    x = torch.randn(1, 3, 9, 9)
    torch.testing.assert_close(run(wide, x)[:, :2], run(narrow, x))


def test_batches_are_the_same_whenever_they_are_asked_for(batches: Batches) -> None:
    torch.testing.assert_close(batches[1].images, batches[1].images, rtol=0, atol=0)
    assert not torch.equal(batches[1].images, batches[2].images) or batches[1].images.shape != batches[2].images.shape


def test_batches_have_all_short_sides_and_sides_that_the_network_accepts(batches: Batches) -> None:
    later = Batches(batches.photos, None, 0.0, 1, seed=0)
    shapes = [tuple(later[step].images.shape[2:]) for step in range(60)]
    assert {min(shape) for shape in shapes} == set(SHORT_SIDES)
    assert all(side % 32 == 0 for shape in shapes for side in shape)
    assert min(batches[0].images.shape[2:]) == 128


def test_interpolated_weights_are_between_those_of_both_networks() -> None:
    first = {"weight": torch.tensor([1.0, 2.0]).half(), "count": torch.tensor(3)}
    last = {"weight": torch.tensor([3.0, 6.0]), "count": torch.tensor(5)}
    between = interpolated(first, last, 0.25)
    torch.testing.assert_close(between["weight"], torch.tensor([1.5, 3.0]))
    assert between["count"] == 5


def test_export_is_the_same_bytes_and_loads_strictly(tmp_path: Path, initial: Path) -> None:
    trainer = _trainer(tmp_path, initial)
    trainer.save()
    weights, step = averaged_weights(trainer.checkpoint)
    assert step == 0
    contents = [serialise(to_half(weights), {"format": "test"}) for _ in range(2)]
    assert contents[0] == contents[1]
    assert len(contents[0]) <= 8_000_000
    DepthNetwork(COMPACT).load_state_dict(weights, strict=True)
