"""Training batches from photos with teacher labels and from RGB-D folders, as a function of seed and step.

A photo folder is PHOTOS/NAME.jpg with labels LABELS/NAME.png (16-bit, relative inverse depth) and an index
of the photos' groups. An RGB-D folder is NAME.png or NAME.jpg with NAME.inverse_depth.npy (1 / metres,
0 = infinitely far) or NAME.depth.npy (metres); both contain (H, W) floats of the image's size. Optionally,
NAME.teacher.png has a teacher's label in the format of LABELS, to be scored as well.
"""

from __future__ import annotations

import csv
import zlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.data import Dataset

from depthsvc.evaluation.layouts.beside import inverse_depth, labels_in, picture_of
from training.camera import motion_blur

Image = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]
Scalar = TypeVar("Scalar", np.uint8, np.float32)
Drawn = tuple[Image, Floats]
"""A picture and its inverse depth, not always of the same size."""
Insert = Callable[[np.random.Generator, Image, Floats], tuple[Image, Floats, Mask]]
"""Sets things into a photo and its label, and says where they are; all of the photo's size."""

SHAPES = {(192, 256): 0.5, (256, 192): 0.2, (192, 320): 0.12, (192, 352): 0.13, (192, 480): 0.05}
"""Heights and widths of batches at a short side of 192 pixels, with their probabilities."""
SHORT_SIDES = {160: 0.15, 192: 0.45, 224: 0.22, 256: 0.12, 320: 0.06}
"""Short sides of batches, in pixels, with their probabilities: `input_size` may be any of them."""
CAPPED_GROUPS = {"flower_photos": 0.13, "grocery store": 0.12}
"""Fraction of the drawn photos that each narrow group gets; all other photos are equally likely."""
INSERTED_SHARE = 0.6
"""Share of the drawn photos that things are set into, if there are any."""
_SMALLEST_CROP = 0.6
"""Smallest side of a crop, as a fraction of the largest crop of its shape."""


def read_image(path: Path) -> Image:
    """A picture file as RGB (H, W, 3)."""
    bgr = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if bgr is None:
        raise ValueError(f"cannot read {path}")
    return np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), dtype=np.uint8)


def read_label(path: Path) -> Floats:
    """A 16-bit PNG of relative inverse depth as (H, W) in [0, 1]."""
    label = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if label is None:
        raise ValueError(f"cannot read {path}")
    return np.asarray(label, dtype=np.float32) / np.float32(65535)


@dataclass(frozen=True)
class Pair:
    """A picture and the file of its inverse depth."""

    image: Path
    label: Path
    group: str
    teacher: Path | None = None
    """File of a teacher's label, for comparison with the exact one; it may be missing."""

    def load_image(self) -> Image:
        """(H, W, 3) RGB."""
        return read_image(self.image)

    def load_inverse_depth(self) -> Floats:
        """(H, W), not always the image's size: in [0, 1] if it is a teacher's, else 1 / metres or NaN."""
        return inverse_depth(self.label) if self.label.suffix == ".npy" else read_label(self.label)


def read_photos(photos: Path, labels: Path, index: Path) -> list[Pair]:
    """The photos that the index lists, in its order. Raises ValueError if a photo or a label is missing."""
    with index.open(newline="", encoding="utf-8") as lines:
        pairs = [
            Pair(photos / row["file"], (labels / row["file"]).with_suffix(".png"), row["group"])
            for row in csv.DictReader(lines)
        ]
    missing = [path for pair in pairs for path in (pair.image, pair.label) if not path.exists()]
    if missing:
        raise ValueError(f"{len(missing)} files that {index} names are missing, the first is {missing[0]}")
    return pairs


def read_rgbd(folder: Path) -> list[Pair]:
    """The pairs of an RGB-D folder, by name. Raises ValueError if there are none, or if a label has no picture."""
    pairs = []
    for label in labels_in(folder):
        image = picture_of(label)
        if not image.exists():
            raise ValueError(f"no picture beside {label}")
        pairs.append(Pair(image, label, folder.name, image.with_suffix(".teacher.png")))
    if not pairs:
        raise ValueError(f"no RGB-D pairs in {folder}")
    return pairs


def draw_pair(pairs: Sequence[Pair], rng: np.random.Generator) -> Drawn:
    """One of the pairs, each equally likely."""
    pair = pairs[int(rng.integers(len(pairs)))]
    return pair.load_image(), pair.load_inverse_depth()


def is_held_out(photo: Path) -> bool:
    """Whether a photo is held out for evaluation: one in twenty, chosen by name alone."""
    return zlib.crc32(photo.name.encode()) % 20 == 0


def resize(array: npt.NDArray[Scalar], height: int, width: int) -> npt.NDArray[Scalar]:
    """(H, W[, C]) -> (height, width[, C]): area averages to shrink, bilinear to enlarge."""
    shrinks = height * width < array.shape[0] * array.shape[1]
    interpolation = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(array, (width, height), interpolation=interpolation), dtype=array.dtype)


def resize_exact(label: Floats, height: int, width: int) -> Floats:
    """(H, W) -> (height, width) by nearest neighbour, which keeps edges sharp."""
    return np.asarray(cv2.resize(label, (width, height), interpolation=cv2.INTER_NEAREST_EXACT), dtype=np.float32)


def to_input(images: Sequence[Image]) -> Tensor:
    """Images of one size, (H, W, 3) RGB -> the network's input, float32 (N, 3, H, W) in [-1, 1]."""
    batch = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2)
    return batch.float().div(127.5).sub(1)


def _crop(
    rng: np.random.Generator,
    image: Image,
    label: Floats,
    inserted: Mask | None,
    shape: tuple[int, int],
    *,
    is_soft: bool,
) -> tuple[Image, Floats, Mask]:
    """A random crop of about the shape's aspect ratio, resized to it and mirrored half of the time."""
    height, width = image.shape[:2]
    stretch = np.exp(rng.uniform(-0.1, 0.1))
    largest = min(height / (shape[0] * stretch), width / shape[1])
    scale = largest * rng.uniform(_SMALLEST_CROP, 1) ** 0.7
    size = np.array([shape[0] * stretch, shape[1]]) * scale / (height, width)
    start = rng.uniform(0, 1, 2) * (1 - size)

    def cut(array: npt.NDArray[Scalar]) -> npt.NDArray[Scalar]:
        first = np.floor(start * array.shape[:2]).astype(int)
        last = np.maximum(np.ceil((start + size) * array.shape[:2]).astype(int), first + 2)
        return array[first[0] : last[0], first[1] : last[1]]

    step = 1 if rng.random() < 0.5 else -1
    shrink = resize if is_soft else resize_exact
    where = np.zeros(shape, np.bool_)
    if inserted is not None:
        where = resize_exact(cut(inserted.astype(np.float32)), *shape)[:, ::step] > 0
    return resize(cut(image), *shape)[:, ::step], shrink(cut(label), *shape)[:, ::step], where


def _jitter_colour(rng: np.random.Generator, image: Image) -> Image:
    """Slight random changes of white balance, brightness, contrast, gamma and saturation."""
    colour = image.astype(np.float32) / 255
    colour *= np.exp(rng.normal(0, 0.06, 3)).astype(np.float32) * np.float32(rng.uniform(0.75, 1.25))
    grey = colour.mean(axis=2, keepdims=True)
    colour = grey + (colour - grey) * np.float32(rng.uniform(0.5, 1.3) if rng.random() < 0.9 else 0)
    mean = colour.mean()
    colour = mean + (colour - mean) * np.float32(rng.uniform(0.75, 1.2))
    colour = np.clip(colour, 0, 1) ** np.float32(np.exp(rng.uniform(-0.3, 0.3)))
    return np.asarray((colour * 255).round(), dtype=np.uint8)


def _degrade(rng: np.random.Generator, image: Image) -> Image:
    """Sometimes blur, motion, noise or JPEG artefacts, as from a poor camera or a small upload."""
    kind = rng.choice(["none", "blur", "motion", "noise", "jpeg"], p=[0.5, 0.12, 0.08, 0.15, 0.15])
    if kind == "motion":
        return motion_blur(image, float(rng.uniform(1, 6)), float(rng.uniform(0, np.pi)))
    if kind == "blur":
        return np.asarray(cv2.GaussianBlur(image, (0, 0), float(rng.uniform(0.4, 1.2))), dtype=np.uint8)
    if kind == "noise":
        noise = rng.normal(0, rng.uniform(1, 10), image.shape)
        return np.clip(image + noise, 0, 255).round().astype(np.uint8)
    if kind == "jpeg":
        _, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(30, 85))])
        return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), dtype=np.uint8)
    return image


@dataclass(frozen=True)
class Batch:
    """Pictures of one size with what the loss needs."""

    images: Tensor
    """float32 (N, 3, H, W) in [-1, 1]."""
    inverse_depth: Tensor
    """float32 (N, H, W), each with unknown scale and shift."""
    exact: Tensor
    """bool (N,): True if the label is exact, False if it is a teacher's."""
    inserted: Tensor
    """bool (N, H, W): where something was set into a photo, and the label is exact all the same."""

    def to(self, device: torch.device) -> Batch:
        """This batch on a device, images channels-last."""
        images = self.images.to(device, memory_format=torch.channels_last, non_blocking=True)
        labels, exact, inserted = (part.to(device) for part in (self.inverse_depth, self.exact, self.inserted))
        return Batch(images, labels, exact, inserted)


class Batches(Dataset[Batch]):
    """Batch number `step` of a training run: random but reproducible."""

    def __init__(
        self,
        photos: Sequence[Pair],
        draw_exact: Callable[[np.random.Generator], Drawn] | None,
        exact_share: float,
        batch_size: int,
        seed: int,
        *,
        insert: Insert | None = None,
        rank: int = 0,
        coarse_steps: int = 0,
    ) -> None:
        """`exact_share` of a batch's pictures come from `draw_exact` if there is one, the rest from `photos`.

        With `insert` things are set into some of the photos. The first `coarse_steps` batches have a short side of 128
        pixels. Processes that train together differ in their `rank`: their pictures differ but have the same shape.
        """
        self.photos, self.draw_exact, self.exact_share = photos, draw_exact, exact_share
        self.insert = insert
        self.batch_size, self.seed, self.rank = batch_size, seed, rank
        self.coarse_steps = coarse_steps
        self.photo_probabilities = _photo_probabilities(photos)
        self.shapes = list(SHAPES)

    def _sample(self, rng: np.random.Generator, shape: tuple[int, int]) -> tuple[Image, Floats, bool, Mask]:
        draw_exact = self.draw_exact if rng.random() < self.exact_share else None
        inserted = None
        if draw_exact:
            image, label = draw_exact(rng)
        else:
            pair = self.photos[int(rng.choice(len(self.photos), p=self.photo_probabilities))]
            image, label = pair.load_image(), pair.load_inverse_depth()
            if self.insert and rng.random() < INSERTED_SHARE:
                image, label, inserted = self.insert(rng, image, label)
        is_soft = draw_exact is None and inserted is None
        image, label, inserted = _crop(rng, image, label, inserted, shape, is_soft=is_soft)
        return _degrade(rng, _jitter_colour(rng, image)), label, draw_exact is not None, inserted

    def __getitem__(self, step: int) -> Batch:
        rng = np.random.default_rng((self.seed, step))
        shape = self.shapes[rng.choice(len(self.shapes), p=list(SHAPES.values()))]
        short_side = int(rng.choice(list(SHORT_SIDES), p=list(SHORT_SIDES.values())))
        shape = _scaled(shape, 128 if step < self.coarse_steps else short_side)
        rng = np.random.default_rng((self.seed, step, self.rank))
        samples = (self._sample(rng, shape) for _ in range(self.batch_size))
        images, labels, exact, inserted = zip(*samples, strict=True)
        labels_, inserted_ = (torch.from_numpy(np.stack(arrays)) for arrays in (labels, inserted))
        return Batch(to_input(images), labels_, torch.tensor(exact), inserted_)


def _scaled(shape: tuple[int, int], short_side: int) -> tuple[int, int]:
    """A shape scaled to a short side of about this, both sides multiples of 32."""
    height, width = (round(side * short_side / min(shape) / 32) * 32 for side in shape)
    return height, width


def _photo_probabilities(photos: Sequence[Pair]) -> npt.NDArray[np.float64]:
    """Probability of each photo, (N,): each narrow group has a fixed share, and the other photos share the rest."""
    groups = [pair.group if pair.group in CAPPED_GROUPS else "others" for pair in photos]
    shares = {**CAPPED_GROUPS, "others": 1 - sum(CAPPED_GROUPS.values())}
    counts = Counter(groups)
    weights = [shares[group] / counts[group] for group in groups]
    return np.array(weights) / sum(weights)
