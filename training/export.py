"""Exports a run's averaged weights, or a mean of them and those it started from, to the file that the package ships."""

from __future__ import annotations

import argparse
import hashlib
import json
import struct
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

from depthsvc.model.architecture import COMPACT
from depthsvc.model.networks.midas import DepthNetwork
from training.data import to_input
from training.evaluate import load_network
from training.scenes import render

FORMAT = "depthsvc-1"
LARGEST_FILE = 8_000_000
"""Maximum size of the shipped file, in bytes."""
_TYPE_NAMES = {torch.float16: "F16", torch.int64: "I64"}
_PREFIX = "module."


def averaged_weights(checkpoint: Path) -> tuple[dict[str, Tensor], int]:
    """The averaged network's float32 state dict and its step, from a checkpoint of training.train."""
    state = torch.load(checkpoint, map_location="cpu", weights_only=True)
    averaged = state["averaged"].items()
    weights = {name.removeprefix(_PREFIX): value for name, value in averaged if name.startswith(_PREFIX)}
    return weights, state["step"]


def interpolated(first: dict[str, Tensor], last: dict[str, Tensor], share: float) -> dict[str, Tensor]:
    """Floating tensors between those of two networks, with this share of the last's; others are the last's.

    Wortsman et al., "Robust fine-tuning of zero-shot models", CVPR 2022.
    """
    return {
        name: torch.lerp(first[name].float(), value, share) if value.is_floating_point() else value
        for name, value in last.items()
    }


def to_half(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Floating tensors as float16, others unchanged."""
    half = {name: value.half() if value.is_floating_point() else value for name, value in weights.items()}
    overflown = [name for name, value in half.items() if not value.isfinite().all()]
    if overflown:
        raise ValueError(f"out of float16's range: {', '.join(overflown)}")
    return half


def serialise(tensors: dict[str, Tensor], metadata: dict[str, str]) -> bytes:
    """A safetensors file whose bytes depend only on the arguments: int64 first, then float16, by name.

    The format is 8 bytes of header length, little-endian, a JSON header and the tensors' bytes. The
    safetensors package writes the metadata in an order that varies between processes.
    """
    header: dict[str, object] = {"__metadata__": dict(sorted(metadata.items()))}
    chunks: list[bytes] = []
    offset = 0
    for name, tensor in sorted(tensors.items(), key=lambda item: (-item[1].element_size(), item[0])):
        chunk = tensor.contiguous().numpy().tobytes()
        header[name] = {
            "dtype": _TYPE_NAMES[tensor.dtype],
            "shape": list(tensor.shape),
            "data_offsets": [offset, offset + len(chunk)],
        }
        chunks.append(chunk)
        offset += len(chunk)
    encoded = json.dumps(header, separators=(",", ":")).encode()
    encoded += b" " * (-len(encoded) % 8)
    return struct.pack("<Q", len(encoded)) + encoded + b"".join(chunks)


@torch.inference_mode()
def largest_rounding_error(weights: dict[str, Tensor], exported: Path) -> float:
    """Largest change of the output from the file's rounding on four scenes, as a fraction of the output's span."""
    original = DepthNetwork(COMPACT)
    original.load_state_dict(weights)
    images = to_input([render(seed, 192, 256).image for seed in range(4)])
    expected = original.eval()(images)
    change = (load_network(exported)(images) - expected).abs().max()
    return float(change / (expected.max() - expected.min()))


def main() -> None:
    """Export, check and print the SHA-256 of the file."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--trained", required=True, help="date of the training, YYYY-MM-DD")
    parser.add_argument("--batch-size", type=int, default=8, help="the run's batch size, to count its samples")
    parser.add_argument("--initial-weights", type=Path, help="those the run started from, to be averaged with")
    parser.add_argument("--share", type=float, default=0.5, help="share of the run's weights in that average")
    arguments = parser.parse_args()
    weights, step = averaged_weights(arguments.checkpoint)
    if arguments.initial_weights:
        weights = interpolated(load_file(arguments.initial_weights), weights, arguments.share)
    metadata = {
        "architecture": "compact",
        "format": FORMAT,
        "samples": str(step * arguments.batch_size),
        "trained": arguments.trained,
    }
    content = serialise(to_half(weights), metadata)
    if len(content) > LARGEST_FILE:
        raise ValueError(f"{len(content)} bytes, more than {LARGEST_FILE}")
    arguments.output.write_bytes(content)
    error = largest_rounding_error(weights, arguments.output)
    print(f"{arguments.output}: {len(content)} bytes, float16 changes the output by {error:.1e} of its span")
    print(f"sha256 {hashlib.sha256(content).hexdigest()}")


if __name__ == "__main__":
    main()
