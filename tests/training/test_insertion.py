"""Things set into photos stand where the label says, hide what is behind them, and count in the loss."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from training.data import Batches, Floats, Image, Pair
from training.insertion import Inserter
from training.losses import Weights, depth_loss, inserted_error
from training.sprites import KINDS, Sprite, read_sprite, render_sprite

SEEDS = range(12)
HEIGHT, WIDTH = 96, 128


@pytest.fixture(scope="module")
def sprites(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """A red board, 40 x 20 pixels, with a hole, as a seat and as a figure."""
    folder = tmp_path_factory.mktemp("sprites")
    cover = np.ones((40, 20), np.float32)
    cover[10:20, 5:15] = 0
    red = np.zeros((40, 20, 3), np.uint8)
    red[..., 0] = 200
    for kind in ("seat", "figure"):
        Sprite(kind, red, cover, cover).save(folder / f"{kind}_0.npz")
    return sorted(folder.glob("*.npz"))


@pytest.fixture
def plain() -> tuple[Image, Floats]:
    """A grey picture of a plain under a sky, and its inverse depth, of half the size."""
    rows = np.clip(np.arange(HEIGHT // 2) / (HEIGHT / 2) - 0.3, 0, None).astype(np.float32)
    return np.full((HEIGHT, WIDTH, 3), 120, np.uint8), np.repeat(rows[:, None], WIDTH // 2, axis=1)


@pytest.mark.parametrize("seed", SEEDS)
def test_what_is_inserted_is_in_front_and_nothing_else_changes(
    seed: int, sprites: list[Path], plain: tuple[Image, Floats]
) -> None:
    image, label = plain
    before = cv2.resize(label, (WIDTH, HEIGHT))
    seen, depth, inserted = Inserter(sprites).insert(np.random.default_rng(seed), image, label)
    assert seen.shape == image.shape
    assert depth.shape == inserted.shape == (HEIGHT, WIDTH)
    np.testing.assert_array_equal(depth[~inserted], before[~inserted])
    if inserted.any():
        assert (depth - before)[inserted].mean() > 0.05
        reddish = seen[..., 0].astype(int) - seen[..., 1]
        assert reddish[inserted].mean() > 40


def test_a_thing_has_the_depth_of_the_ground_at_its_foot(sprites: list[Path], plain: tuple[Image, Floats]) -> None:
    image, label = plain
    feet = 0
    for seed in SEEDS:
        _, depth, inserted = Inserter(sprites[:1]).insert(np.random.default_rng(seed), image, label)
        for column in np.flatnonzero(inserted.any(axis=0)):
            row = int(np.flatnonzero(inserted[:, column])[-1])
            if row < HEIGHT - 4:
                assert depth[row, column] == pytest.approx(depth[row + 3, column], abs=0.08)
                feet += 1
    assert feet > 20


def test_most_photos_get_something(sprites: list[Path], plain: tuple[Image, Floats]) -> None:
    inserter = Inserter(sprites)
    found = [inserter.insert(np.random.default_rng(seed), *plain)[2].any() for seed in range(40)]
    assert sum(found) >= 30


def test_nothing_stands_in_a_picture_without_depth(sprites: list[Path]) -> None:
    image, label = np.full((HEIGHT, WIDTH, 3), 90, np.uint8), np.full((HEIGHT, WIDTH), 0.5, np.float32)
    seen, depth, inserted = Inserter(sprites).insert(np.random.default_rng(0), image, label)
    assert not inserted.any()
    np.testing.assert_array_equal(seen, image)
    np.testing.assert_array_equal(depth, label)


def test_a_folder_without_sprites_is_refused() -> None:
    with pytest.raises(ValueError, match="no sprites"):
        Inserter([])


@pytest.mark.parametrize("seed", range(4))
def test_a_sprite_is_cut_out_and_survives_its_file(seed: int, tmp_path: Path) -> None:
    sprite = render_sprite(seed)
    assert sprite.kind in KINDS
    assert sprite.image.shape == (*sprite.cover.shape, 3)
    assert sprite.cover.max() == 1
    assert (sprite.relief[sprite.cover == 0] == 0).all()
    assert 0.3 < np.median(sprite.relief[sprite.cover > 0.5]) < 3
    for side in (sprite.cover[0], sprite.cover[-1], sprite.cover[:, 0], sprite.cover[:, -1]):
        assert side.any()
    path = tmp_path / f"{sprite.kind}_{seed}.npz"
    sprite.save(path)
    read = read_sprite(path)
    assert read.kind == sprite.kind
    np.testing.assert_array_equal(read.image, sprite.image)
    np.testing.assert_allclose(read.cover, sprite.cover, atol=1 / 255)
    np.testing.assert_allclose(read.relief, sprite.relief, rtol=1e-3)


def test_shares_of_the_kinds_add_up() -> None:
    assert sum(kind.share for kind in KINDS.values()) == pytest.approx(1)


def test_a_batch_says_where_things_were_inserted(
    sprites: list[Path], plain: tuple[Image, Floats], tmp_path: Path
) -> None:
    image, label = plain
    cv2.imwrite(str(tmp_path / "photo.png"), image)
    cv2.imwrite(str(tmp_path / "label.png"), (label * 65535).astype(np.uint16))
    photo = Pair(tmp_path / "photo.png", tmp_path / "label.png", "any")
    batch = Batches([photo], None, 0.0, 8, seed=1, insert=Inserter(sprites).insert)[0]
    assert batch.inserted.shape == batch.inverse_depth.shape
    changed = batch.inserted.flatten(1).any(dim=1)
    assert changed.any()
    assert not changed.all()
    assert not batch.exact.any()


def test_a_vanished_thing_costs_however_small_it_is() -> None:
    truth = torch.linspace(0, 1, 32).view(1, 32, 1).expand(1, 32, 40).clone()
    without, inserted = truth.clone(), torch.zeros(1, 32, 40, dtype=torch.bool)
    truth[:, 4:12, 20] = 0.9
    inserted[:, 4:12, 20] = True
    exact = torch.tensor([False])
    costs = [depth_loss(p, truth, exact, inserted, Weights())["total"] for p in (truth, without)]
    assert costs[1] > costs[0] + 0.3
    assert inserted_error(without, truth, torch.zeros_like(inserted)).item() == 0
