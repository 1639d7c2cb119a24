"""Trains the compact network on photos with a teacher's labels and on RGB-D pairs; see training/README.md.

A run can be killed at any moment and restarted with the same command: it continues from its checkpoint with the
batches that would have followed.
"""

from __future__ import annotations

import argparse
import csv
import math
import os
import re
import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import Any

import cv2
import torch
import torch.distributed as distributed
from filelock import FileLock, Timeout
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.data import DataLoader

from depthsvc.model.architecture import COMPACT
from depthsvc.model.networks.encoder import Encoder
from depthsvc.model.networks.midas import DepthNetwork
from training.data import Batch, Batches, Drawn, Pair, draw_pair, is_held_out, read_photos, read_rgbd
from training.evaluate import network_predictor, score, write_sheet
from training.folding import Folded
from training.insertion import Inserter
from training.losses import Weights, depth_loss
from training.scenes import draw_scene
from training.things import Random

_STAGES = (
    (r"^conv_stem\.", "layer1.0."),
    (r"^bn1\.", "layer1.1."),
    (r"^blocks\.0\.", "layer1.3."),
    (r"^blocks\.1\.", "layer1.4."),
    (r"^blocks\.2\.", "layer2.0."),
    (r"^blocks\.3\.", "layer3.0."),
    (r"^blocks\.4\.", "layer3.1."),
    (r"^blocks\.5\.", "layer4.0."),
    (r"^blocks\.6\.", "layer4.1."),
)
"""timm's names of a MobileNetV2's parts and the encoder's names of the same."""
_ENCODER_STAGES = ("layer1", "layer2", "layer3", "layer4")
_ENCODER_RATE = 0.35
"""The encoder's learning rate as a fraction of the decoder's."""
_FEATURE_SCALE = 5.0
"""Approximate root mean square of the ImageNet encoder's features."""
_ADAPTER_RATE = 0.2
"""Learning rate of the convolutions on the encoder's coarse features, as a fraction of the rest of the decoder's.

Their inputs are large and many, and an Adam step has the same size for every weight: at the full rate the
coarse features grow within a hundred steps until they drown the fine ones, and the depth stays blurred.
"""
_COARSE_ADAPTERS = ("layer3_rn.", "layer4_rn.")
_WARM_UP = 0.04
"""Fraction of the run in which the learning rate rises."""
_LAST_RATE = 0.01
"""Final learning rate as a fraction of the peak."""
_AVERAGE_DECAY = 0.995
_SHEET_PHOTOS = 10


def load_initial_encoder(encoder: Encoder, weights: Path) -> None:
    """Load timm's mobilenetv2_100 into the encoder; the file's classifier, if any, is left out."""
    renamed = {}
    for name, tensor in load_file(weights).items():
        for pattern, replacement in _STAGES:
            if re.match(pattern, name):
                renamed[re.sub(pattern, replacement, name)] = tensor
    encoder.load_state_dict(renamed)


def overlap(wide: Tensor, narrow: Tensor) -> None:
    """Copy the part of `narrow` that fits into `wide`; the extra channels of `wide` do not affect the others yet."""
    if wide.dim() == 4 and wide.shape[0] == 4 and narrow.shape[0] == 1:
        narrow = narrow.expand(4, -1, -1, -1)  # the same output for each pixel of a 2 x 2 square
    if wide.dim() == 1 and len(wide) == 4 and len(narrow) == 1:
        narrow = narrow.expand(4)
    shared = [slice(0, min(sides)) for sides in zip(wide.shape, narrow.shape, strict=True)]
    if wide.dim() == 4:
        wide[shared[0], narrow.shape[1] :] = 0
    wide[tuple(shared)] = narrow[tuple(shared)]


def learning_rate_factor(step: int, steps: int) -> float:
    """Learning rate as a fraction of its peak: a linear rise, then half a cosine down to _LAST_RATE."""
    warm_up = max(1, round(_WARM_UP * steps))
    if step < warm_up:
        return (step + 1) / warm_up
    progress = min(1.0, (step - warm_up) / max(1, steps - warm_up))
    return _LAST_RATE + (1 - _LAST_RATE) * (1 + math.cos(math.pi * progress)) / 2


def deployed(averaged: AveragedModel) -> DepthNetwork:
    """A copy of the averaged network that ends as the deployed network does."""
    network = DepthNetwork(COMPACT)
    network.load_state_dict(averaged.module.state_dict())
    return network.to(next(averaged.parameters()).device).eval()


def average_gradients(network: nn.Module) -> None:
    """Replace the gradients with their means over the processes that train together, if there are several."""
    if not distributed.is_initialized():
        return
    gradients = [p.grad for p in network.parameters() if p.grad is not None]
    flat = torch.cat([gradient.flatten() for gradient in gradients])
    distributed.all_reduce(flat)
    means = torch.split(flat / distributed.get_world_size(), [gradient.numel() for gradient in gradients])
    for gradient, mean in zip(gradients, means, strict=True):
        gradient.copy_(mean.view_as(gradient))


class Trainer:
    """A network in training with its optimiser, its moving average and its folder of results."""

    def __init__(
        self,
        run: Path,
        device: torch.device,
        steps: int,
        rate: float,
        *,
        bfloat16: bool = False,
        kept_stages: int = 0,
    ) -> None:
        """`steps` is the length of the whole run and `rate` the decoder's peak learning rate.

        With `bfloat16` the network computes in it; its head, weights, losses and optimiser are in float32. The first
        `kept_stages` of the encoder's four stages keep their weights.
        """
        self.run, self.device, self.steps, self.rate, self.bfloat16 = run, device, steps, rate, bfloat16
        network = DepthNetwork(COMPACT)
        # A slope on both sides: below zero, a ReLU would let the gradient of the shift-invariant loss vanish.
        network.output_activation = nn.LeakyReLU(0.1)
        for name, parameter in network.scratch.named_parameters():
            if "_rn." in name:
                parameter.data.div_(_FEATURE_SCALE)
        self.network = network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        # Batch norm keeps its ImageNet statistics; the decoder has none.
        self.network.eval()
        for stage in _ENCODER_STAGES[:kept_stages]:
            self.network.pretrained.get_submodule(stage).requires_grad_(False)
        self._folded = Folded(self.network)
        average = get_ema_multi_avg_fn(_AVERAGE_DECAY)  # type: ignore[no-untyped-call]
        self.averaged = AveragedModel(self.network, multi_avg_fn=average)
        adapters = [p for name, p in self.network.scratch.named_parameters() if name.startswith(_COARSE_ADAPTERS)]
        decoder = [p for name, p in self.network.scratch.named_parameters() if not name.startswith(_COARSE_ADAPTERS)]
        groups = [
            {"params": list(self.network.pretrained.parameters()), "relative_rate": _ENCODER_RATE},
            {"params": adapters, "relative_rate": _ADAPTER_RATE},
            {"params": decoder, "relative_rate": 1.0},
        ]
        self.optimizer = torch.optim.AdamW(groups, lr=rate, weight_decay=0.01)
        self.step = 0

    @property
    def checkpoint(self) -> Path:
        """The file with everything that a resumed run needs."""
        return self.run / "checkpoint.pt"

    def start(self, initial_encoder: Path) -> None:
        """Start from an ImageNet encoder and a random decoder."""
        load_initial_encoder(self.network.pretrained, initial_encoder)
        self.averaged.module.load_state_dict(self.network.state_dict())

    def start_from(self, weights: Path) -> None:
        """Start from the weights of a network of this kind, whose decoder may have other widths."""
        state = self.network.state_dict()
        for name, tensor in load_file(weights).items():
            overlap(state[name], tensor)
        self.averaged.module.load_state_dict(self.network.state_dict())

    def save(self) -> None:
        """Replace the checkpoint atomically: a kill leaves the old one or the new one."""
        state = {
            "step": self.step,
            "network": self.network.state_dict(),
            "averaged": self.averaged.state_dict(),
            "optimizer": self.optimizer.state_dict(),
        }
        unfinished = self.checkpoint.with_suffix(".partial")
        torch.save(state, unfinished)
        unfinished.replace(self.checkpoint)

    def resume(self) -> None:
        """Continue from the checkpoint."""
        # Via the CPU: Adam's step counts belong there, and on a GPU every step would wait for them.
        state = torch.load(self.checkpoint, map_location="cpu", weights_only=True)
        self.step = state["step"]
        self.network.load_state_dict(state["network"])
        self.averaged.load_state_dict(state["averaged"])
        self.optimizer.load_state_dict(state["optimizer"])

    def train_step(self, batch: Batch, weights: Weights) -> dict[str, float]:
        """One update; returns the loss terms."""
        for group in self.optimizer.param_groups:
            group["lr"] = self.rate * group["relative_rate"] * learning_rate_factor(self.step, self.steps)
        batch = batch.to(self.device)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.bfloat16):
            prediction = self._folded(batch.images)
        losses = depth_loss(prediction.float(), batch.inverse_depth, batch.exact, batch.inserted, weights)
        self.optimizer.zero_grad(set_to_none=True)
        losses["total"].backward()  # type: ignore[no-untyped-call]
        average_gradients(self.network)
        nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        self.optimizer.step()
        self.averaged.update_parameters(self.network)
        self.step += 1
        return {name: value.item() for name, value in losses.items()}

    def validate(self, sets: dict[str, list[Pair]]) -> dict[str, float]:
        """Scores of the averaged network on held-out pictures, by set; draws a sheet of some of them."""
        predict = network_predictor(deployed(self.averaged))
        shown = [pair for pairs in sets.values() for pair in pairs[:_SHEET_PHOTOS]]
        images, labels = [pair.load_image() for pair in shown], [pair.load_inverse_depth() for pair in shown]
        write_sheet(self.run / f"sheet_{self.step:06d}.png", predict, images, labels)
        return {
            f"{name} {key}": round(value, 4)
            for name, pairs in sets.items()
            for key, value in score(predict, pairs).items()
        }


def append_row(path: Path, row: dict[str, Any]) -> None:
    """Append one row to a CSV file, with a header if the file is new. Raises ValueError if the columns differ."""
    with path.open("a+", newline="", encoding="utf-8") as file:
        file.seek(0)
        columns = next(csv.reader(file), None)
        writer = csv.DictWriter(file, columns or row, restval="")
        if columns is None:
            writer.writeheader()
        writer.writerow(row)


def train(
    trainer: Trainer,
    loader: DataLoader[Batch],
    held_out: dict[str, list[Pair]],
    weights: Weights,
    *,
    save_every: int,
    validate_every: int,
) -> None:
    """Run to the end: a log row every 20 steps, checkpoints and held-out scores when they are due.

    With several processes, only the first one writes.
    """
    processes = distributed.get_world_size() if distributed.is_initialized() else 1
    is_first = processes == 1 or distributed.get_rank() == 0
    taken: list[dict[str, float]] = []
    begun = time.monotonic()
    for batch in loader:
        losses = trainer.train_step(batch, weights)
        if not is_first:
            continue
        taken.append(losses)
        if trainer.step % 20 == 0 or trainer.step == trainer.steps:
            means = {name: round(fmean(step[name] for step in taken), 4) for name in taken[0]}
            rate = len(taken) * len(batch.images) * processes / (time.monotonic() - begun)
            append_row(trainer.run / "log.csv", {"step": trainer.step, **means, "images_per_s": round(rate, 2)})
            taken, begun = [], time.monotonic()
        if trainer.step % save_every == 0 or trainer.step == trainer.steps:
            trainer.save()
        if trainer.step % validate_every == 0 or trainer.step == trainer.steps:
            append_row(trainer.run / "held_out.csv", {"step": trainer.step, **trainer.validate(held_out)})


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Train the compact depth network.")
    parser.add_argument("--photos", type=Path, required=True, help="folder of NAME.jpg")
    parser.add_argument("--labels", type=Path, required=True, help="folder of NAME.png, the teacher's labels")
    parser.add_argument("--index", type=Path, required=True, help="CSV with the photos' file and group")
    start = parser.add_mutually_exclusive_group(required=True)
    start.add_argument("--initial-encoder", type=Path, help="ImageNet weights, timm's names")
    start.add_argument("--initial-weights", type=Path, help="weights as training.export writes them")
    exact = parser.add_mutually_exclusive_group()
    exact.add_argument("--rgbd", type=Path, action="append", default=[], help="RGB-D folder to mix in; repeatable")
    exact.add_argument("--render", action="store_true", help="mix in new scenes, rendered where the training runs")
    parser.add_argument(
        "--rgbd-held-out", type=Path, action="append", default=[], help="folder to score on; repeatable"
    )
    parser.add_argument("--sprites", type=Path, help="folder of things, from training.sprites, to set into photos")
    parser.add_argument("--exact-share", type=float, default=0.5, help="share of pictures from --rgbd or --render")
    parser.add_argument("--folder", type=Path, required=True, help="folder of checkpoint, logs and sheets")
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--coarse-steps", type=int, default=0, help="number of first steps with smaller pictures")
    parser.add_argument("--batch-size", type=int, default=8, help="pictures per step, over all processes")
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument(
        "--kept-stages",
        type=int,
        choices=range(len(_ENCODER_STAGES) + 1),
        default=0,
        help="number of the encoder's stages, from the input on, that keep their weights, which saves time",
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=0, help="processes that prepare batches, per training process")
    parser.add_argument("--device", default="auto", help="auto (one GPU per process, or the CPU), cpu, cuda:1, ...")
    parser.add_argument("--precision", choices=("auto", "float32", "bfloat16"), default="auto", help="of the network")
    parser.add_argument("--save-every", type=int, default=100)
    parser.add_argument("--validate-every", type=int, default=500)
    return parser.parse_args()


def join_processes() -> tuple[int, int]:
    """Rank of this process and number of processes that torchrun started; 0 and 1 without torchrun."""
    if "WORLD_SIZE" not in os.environ:
        return 0, 1
    # A process that is paused, or that validates, must not break the others.
    distributed.init_process_group("gloo", timeout=timedelta(days=1))
    return distributed.get_rank(), distributed.get_world_size()


def choose_device(name: str) -> torch.device:
    """The named device; "auto" is the GPU with this process's number on its machine, or the CPU if there is none."""
    if name != "auto":
        return torch.device(name)
    if not torch.cuda.is_available():
        return torch.device("cpu")
    return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")) % torch.cuda.device_count())


def uses_bfloat16(precision: str, device: torch.device) -> bool:
    """Whether the network computes in bfloat16; with "auto", if the GPU supports it, from Ampere on."""
    if precision != "auto":
        return precision == "bfloat16"
    return device.type == "cuda" and torch.cuda.get_device_capability(device) >= (8, 0)


def exact_source(
    rgbd: Sequence[Path], *, render: bool, textures: Sequence[Path], device: torch.device
) -> Callable[[Random], Drawn] | None:
    """The source of pictures with exact inverse depth, or None. Rendered scenes get textures cut from the photos."""
    if render:
        return partial(draw_scene, textures, device)
    pairs = [pair for folder in rgbd for pair in read_rgbd(folder)]
    return partial(draw_pair, pairs) if pairs else None


def claim(folder: Path) -> FileLock:
    """A lock on a run's folder, held until the process ends. Raises ValueError if another run holds it."""
    lock = FileLock(folder / "lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise ValueError(f"another run writes to {folder}; end its processes first") from None
    return lock


def _use_one_thread(_worker: int) -> None:
    cv2.setNumThreads(1)


def main() -> None:
    """Train, or continue an interrupted run."""
    arguments = _parse_arguments()
    device = choose_device(arguments.device)
    rank, processes = join_processes()
    if arguments.batch_size < 1 or arguments.batch_size % processes:
        raise ValueError(f"a batch of {arguments.batch_size} does not divide among {processes} processes")
    arguments.folder.mkdir(parents=True, exist_ok=True)
    lock = claim(arguments.folder) if rank == 0 else None
    cv2.setNumThreads(1)
    torch.manual_seed(arguments.seed)
    bfloat16 = uses_bfloat16(arguments.precision, device)
    trainer = Trainer(
        arguments.folder,
        device,
        arguments.steps,
        arguments.learning_rate,
        bfloat16=bfloat16,
        kept_stages=arguments.kept_stages,
    )
    if trainer.checkpoint.exists():
        trainer.resume()
    elif arguments.initial_weights:
        trainer.start_from(arguments.initial_weights)
    else:
        trainer.start(arguments.initial_encoder)
    photos = read_photos(arguments.photos, arguments.labels, arguments.index)
    seen = [pair for pair in photos if not is_held_out(pair.image)]
    textures = [pair.image for pair in seen]
    batches = Batches(
        seen,
        exact_source(arguments.rgbd, render=arguments.render, textures=textures, device=device),
        arguments.exact_share,
        arguments.batch_size // processes,
        arguments.seed,
        insert=Inserter(sorted(arguments.sprites.glob("*.npz"))).insert if arguments.sprites else None,
        rank=rank,
        coarse_steps=arguments.coarse_steps,
    )
    held_out = {"photos": [pair for pair in photos if is_held_out(pair.image)]}
    held_out |= {folder.name: read_rgbd(folder) for folder in arguments.rgbd_held_out}
    loader = DataLoader(
        batches,
        batch_size=None,
        sampler=range(trainer.step, trainer.steps),
        num_workers=arguments.workers,
        worker_init_fn=_use_one_thread,
        # A forked process could not render on the GPU.
        multiprocessing_context="spawn" if arguments.workers and arguments.render else None,
    )
    train(
        trainer,
        loader,
        held_out,
        Weights(),
        save_every=arguments.save_every,
        validate_every=arguments.validate_every,
    )
    if lock:
        lock.release()


if __name__ == "__main__":
    main()
