"""The depth-estimation pipeline of transformers, from a photo's file to a 16-bit PNG of the photo's size.

python -m benchmarks.alternatives.transformers_depth prepare MODEL FOLDER
python -m benchmarks.alternatives.transformers_depth answer FOLDER RUNS PHOTO OUTPUT

`prepare` saves the network with random weights and its image processor, as a download would leave them. RUNS is `once`,
or `mirrored` for a second run on the photo's mirror image, which the published ZoeDepth does and the pipeline does not.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from transformers import BatchFeature, DepthEstimationPipeline, PreTrainedConfig, PreTrainedModel, pipeline
from transformers.image_processing_utils import BaseImageProcessor
from transformers.utils import ModelOutput

from benchmarks.answering import answer_lines

_IMAGENET = {"image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]}
_HALF = {"image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5]}


@dataclass(frozen=True)
class Published:
    """A network as its repository on the hub describes it."""

    network: type[PreTrainedModel]
    config: PreTrainedConfig
    processor: BaseImageProcessor
    output: str
    """The last layer with a bias before the output."""


def dpt_large() -> Published:
    """Intel/dpt-large."""
    from transformers import DPTConfig, DPTForDepthEstimation, DPTImageProcessor

    config = DPTConfig(
        hidden_size=1024,
        num_hidden_layers=24,
        num_attention_heads=16,
        intermediate_size=4096,
        image_size=384,
        patch_size=16,
        backbone_out_indices=[5, 11, 17, 23],
        neck_hidden_sizes=[256, 512, 1024, 1024],
        fusion_hidden_size=256,
        use_auxiliary_head=False,
    )
    processor = DPTImageProcessor(size={"height": 384, "width": 384}, **_HALF)
    return Published(DPTForDepthEstimation, config, processor, "head.head.4")


def depth_anything_v2_small() -> Published:
    """depth-anything/Depth-Anything-V2-Small-hf."""
    from transformers import DepthAnythingConfig, DepthAnythingForDepthEstimation, Dinov2Config, DPTImageProcessor

    backbone = Dinov2Config(
        image_size=518,
        patch_size=14,
        hidden_size=384,
        num_attention_heads=6,
        out_indices=[3, 6, 9, 12],
        reshape_hidden_states=False,
        apply_layernorm=True,
    )
    processor = DPTImageProcessor(
        size={"height": 518, "width": 518}, keep_aspect_ratio=True, ensure_multiple_of=14, **_IMAGENET
    )
    config = DepthAnythingConfig(backbone_config=backbone)
    return Published(DepthAnythingForDepthEstimation, config, processor, "head.conv3")


def zoedepth_n() -> Published:
    """Intel/zoedepth-nyu."""
    from transformers import BeitConfig, ZoeDepthConfig, ZoeDepthForDepthEstimation, ZoeDepthImageProcessor

    backbone = BeitConfig(
        image_size=384,
        hidden_size=1024,
        num_hidden_layers=24,
        num_attention_heads=16,
        intermediate_size=4096,
        use_relative_position_bias=True,
        reshape_hidden_states=False,
        out_features=["stage6", "stage12", "stage18", "stage24"],
    )
    config = ZoeDepthConfig(backbone_config=backbone, neck_hidden_sizes=[256, 512, 1024, 1024])
    processor = ZoeDepthImageProcessor(
        size={"height": 384, "width": 512}, keep_aspect_ratio=True, ensure_multiple_of=32, **_HALF
    )
    return Published(ZoeDepthForDepthEstimation, config, processor, "relative_head.conv3")


MODELS = {published.__name__: published for published in (dpt_large, depth_anything_v2_small, zoedepth_n)}
"""depthsvc's names of the networks."""


class Mirrored(DepthEstimationPipeline):
    """The mean of a photo's depth and its mirror image's, as ZoeDepth was published."""

    def _forward(self, model_inputs: BatchFeature) -> ModelOutput:
        mirrored = torch.flip(model_inputs["pixel_values"], dims=[-1])
        outputs = super()._forward(model_inputs)
        other = self.model(pixel_values=mirrored).predicted_depth
        outputs["predicted_depth"] = (outputs["predicted_depth"] + torch.flip(other, dims=[-1])) / 2
        return outputs


_CLASSES = {"once": DepthEstimationPipeline, "mirrored": Mirrored}


def prepare(model: str, folder: str) -> None:
    """Save a network with fixed random weights and its image processor."""
    torch.manual_seed(0)
    published = MODELS[model]()
    network = published.network(published.config)
    with torch.no_grad():
        network.get_submodule(published.output).bias.fill_(1)  # keep depth above 0: a map of zeros encodes too fast
    network.save_pretrained(folder)
    published.processor.save_pretrained(folder)


def answer(folder: str, runs: str, photo: str, output: str) -> None:
    """Answer photos, one a line, with one thread."""
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    estimate = pipeline("depth-estimation", model=folder, device="cpu", pipeline_class=_CLASSES[runs])
    assert estimate.model.dtype == torch.float32
    shapes = []
    estimate.model.register_forward_pre_hook(
        lambda _, positional, named: shapes.append((*positional, *named.values())[0].shape), with_kwargs=True
    )

    def once() -> tuple[int, int]:
        depth = estimate(photo)["predicted_depth"].numpy()
        cv2.imwrite(output, _levels(depth))
        return tuple(shapes.pop()[-2:])

    answer_lines(once)


def _levels(depth: NDArray[np.float32]) -> NDArray[np.uint16]:
    """Depth (h, w) to 16 bits, its smallest value to 0 and its largest to 65535."""
    low, high = float(depth.min()), float(depth.max())
    return np.round((depth - low) * (65535 / max(high - low, 1e-9))).astype(np.uint16)


def main() -> None:
    {"prepare": prepare, "answer": answer}[sys.argv[1]](*sys.argv[2:])


if __name__ == "__main__":
    main()
