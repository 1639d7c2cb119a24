"""DPT networks compute what the official code computes, eagerly and in every engine's file, at every input size."""

from __future__ import annotations

import warnings
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from _pytest.mark import ParameterSet
from numpy.typing import NDArray
from torch import Tensor, nn

from depthsvc.imaging.spec import InputSpec, ResizeRule
from depthsvc.model import architecture as architectures
from depthsvc.model.architecture import DPT_BEIT_LARGE, DPT_HYBRID, DPT_LARGE, Architecture, DptArchitecture
from depthsvc.model.engines.kinds import EngineKind
from depthsvc.model.networks.base import build
from depthsvc.model.networks.beit import Beit, RelativeAttention, token_pairs
from depthsvc.model.networks.dpt import DptNetwork, Readout
from depthsvc.model.networks.encoder import import_timm
from depthsvc.model.networks.resnet_hybrid import HybridResNet, StandardizedConv2d
from depthsvc.model.networks.vit import VisionTransformer
from tests import zoo
from tests.zoo import Golden

TOLERANCE = 3e-5
"""Of the official output, as a fraction of its maximum."""
HALF = (0.5, 0.5, 0.5)
SHAPES = [(128, 64), (64, 160), (96, 96)]
"""Height and width: portrait, landscape and square."""
TINY_VIT = replace(
    DPT_LARGE, width=48, heads=3, depth=4, taps=(0, 1, 2, 3), level_widths=(16, 32, 48, 48), grid=4, decoder_width=16
)
TINY_HYBRID = replace(TINY_VIT, encoder=DPT_HYBRID.encoder, depth=2, taps=(0, 1), level_widths=(256, 512, 48, 48))
TINY_BEIT = replace(TINY_VIT, encoder=DPT_BEIT_LARGE.encoder)
TINY = {"vit": TINY_VIT, "hybrid": TINY_HYBRID, "beit": TINY_BEIT}


def filled(architecture: Architecture) -> DptNetwork:
    with torch.device("meta"):
        network = build(architecture)
    assert isinstance(network, DptNetwork)
    zoo.fill(network)
    return network


def photo(height: int, width: int, seed: int = 0) -> NDArray[np.float32]:
    return zoo.network_input(height, width, seed, HALF, HALF)


def _goldens(*names: str) -> list[ParameterSet]:
    return [
        pytest.param(architecture, golden, id=f"{architecture.name}-{golden.name}")
        for name in names
        for architecture in [getattr(architectures, name)]
        for golden in zoo.goldens("dpt", architecture.name)
    ]


@pytest.fixture(scope="module", params=TINY)
def tiny(request: pytest.FixtureRequest) -> DptNetwork:
    return filled(TINY[request.param])


@pytest.mark.parametrize("architecture", [DPT_LARGE, DPT_HYBRID, DPT_BEIT_LARGE], ids=lambda a: a.name)
def test_state_dict_is_the_official_one(architecture: Architecture) -> None:
    with torch.device("meta"):
        state = build(architecture).state_dict()
    assert zoo.digest(state) == zoo.figures("dpt", architecture.name)["state_dict"]


@pytest.mark.zoo
@pytest.mark.parametrize(("architecture", "golden"), _goldens("DPT_LARGE", "DPT_HYBRID", "DPT_BEIT_LARGE"))
def test_network_gives_the_official_output(architecture: Architecture, golden: Golden) -> None:
    with torch.device("meta"):
        network = build(architecture)
    zoo.fill(network, golden.filling)
    assert golden.error(zoo.run(network.for_inference(), golden.input())) <= TOLERANCE


@pytest.mark.parametrize("kind", zoo.ENGINES)
def test_one_file_of_each_engine_serves_every_size(kind: EngineKind, tiny: DptNetwork, tmp_path: Path) -> None:
    spec = InputSpec(64, ResizeRule.LOWER_BOUND, 32, mean=HALF, std=HALF)
    zoo.check_engine(kind, tiny, spec, [photo(*shape) for shape in SHAPES], tmp_path)


def test_photos_of_a_batch_do_not_influence_each_other(tiny: DptNetwork) -> None:
    zoo.check_batch(tiny, photo(64, 96, seed=1), photo(64, 96, seed=2))


def test_no_pixel_is_below_0(tiny: DptNetwork) -> None:
    last = tiny.scratch.output_conv[4]
    assert isinstance(last.bias, Tensor)
    original = last.bias.clone()
    last.bias.fill_(-float(zoo.run(tiny, photo(64, 64)).mean()))
    output = zoo.run(tiny, photo(64, 64))
    last.bias.copy_(original)
    assert output.min() == 0
    assert output.max() > 0


def test_form_for_inference_shares_its_weights(tiny: DptNetwork) -> None:
    standardized = {f"{name}.weight" for name, module in tiny.named_modules() if isinstance(module, StandardizedConv2d)}
    fast = tiny.for_inference()
    ours = {name: parameter.data_ptr() for name, parameter in tiny.named_parameters() if name not in standardized}
    assert {name: dict(fast.named_parameters())[name].data_ptr() for name in ours} == ours
    assert not any(isinstance(module, StandardizedConv2d) for module in fast.modules())


def test_form_for_inference_computes_the_same(tiny: DptNetwork) -> None:
    expected = zoo.run(tiny, photo(64, 96))
    output = zoo.run(tiny.for_inference(), photo(64, 96))
    np.testing.assert_allclose(output, expected, rtol=0, atol=5e-6 * expected.max())


def test_patches_of_the_hybrid_are_those_of_timm() -> None:
    import_timm()
    from timm.layers import StdConv2dSame  # type: ignore[attr-defined]
    from timm.models.resnetv2 import ResNetV2

    convolution = partial(StdConv2dSame, eps=1e-8)
    backbone = ResNetV2(
        [3, 4, 9], num_classes=0, global_pool="", preact=False, stem_type="same", conv_layer=convolution
    )
    zoo.fill(backbone)
    network = HybridResNet().eval()
    state = backbone.state_dict()
    assert list(network.state_dict()) == list(state)
    network.load_state_dict(state)
    x = torch.from_numpy(photo(64, 96))
    with torch.inference_mode():
        outputs, expected = network(x)[-1], backbone(x)
    torch.testing.assert_close(outputs, expected, rtol=0, atol=1e-5 * float(expected.max()))


def _assert_equal_tokens(ours: nn.Module, reference: nn.Module) -> None:
    """The same weights give both the same tokens after the last block, at the size of the reference."""
    reference.eval().requires_grad_(False)
    zoo.fill(ours)
    assert not reference.load_state_dict(ours.state_dict(), strict=False).unexpected_keys
    x = torch.from_numpy(photo(64, 64))
    features: list[Tensor] = []
    reference.blocks[-1].register_forward_hook(lambda _module, _input, output: features.append(output))  # type: ignore[index,union-attr]
    with torch.inference_mode(), warnings.catch_warnings():
        reference(x)
        torch.testing.assert_close(ours(x).tokens[-1], features[0], rtol=0, atol=2e-5)


def _timm_options(architecture: DptArchitecture) -> dict[str, int]:
    return {
        "img_size": 16 * architecture.grid,
        "embed_dim": architecture.width,
        "depth": architecture.depth,
        "num_heads": architecture.heads,
    }


def test_tokens_of_a_vision_transformer_are_those_of_timm() -> None:
    reference = import_timm().models.vision_transformer.VisionTransformer(**_timm_options(TINY_VIT))
    _assert_equal_tokens(VisionTransformer(TINY_VIT), reference)


def test_tokens_of_beit_are_those_of_timm() -> None:
    beit = import_timm().models.beit.Beit
    reference = beit(**_timm_options(TINY_BEIT), init_values=1.0, use_abs_pos_emb=False, use_rel_pos_bias=True)
    _assert_equal_tokens(Beit(TINY_BEIT), reference)


def test_pairs_of_tokens_are_numbered_by_their_distance() -> None:
    pairs = token_pairs(2, 3)
    assert pairs.shape == (7, 7)
    assert pairs[0].tolist() == [2, 0, 0, 0, 0, 0, 0]
    assert pairs[1:, 0].tolist() == [1] * 6
    # Patches (0, 0) and (1, 2), one row and two columns apart, and those two the other way round.
    assert [pairs[1, 6].item(), pairs[6, 1].item()] == [3, 3 + 2 * 5 + 4]
    assert pairs[1, 2] == pairs[2, 3] == pairs[4, 5] == pairs[5, 6]


def test_biases_of_the_trained_grid_are_not_resized() -> None:
    attention = RelativeAttention(width=48, heads=3, grid=4)
    torch.nn.init.normal_(attention.relative_position_bias_table)
    bias = attention._bias((4, 4), token_pairs(4, 4))
    index = torch.from_numpy(zoo.tensor("relative_position_index", (17, 17)))
    assert torch.equal(bias, attention.relative_position_bias_table[index].permute(2, 0, 1)[None])


def test_readout_adds_the_class_token_to_every_patch() -> None:
    readout = Readout(8)
    tokens = torch.randn(2, 5, 8)
    beside = torch.cat((tokens[:, 1:], tokens[:, :1].expand(-1, 4, -1)), 2)
    torch.testing.assert_close(readout(tokens), readout.project(beside))
