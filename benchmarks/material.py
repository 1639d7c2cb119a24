"""The weights and photos of the measurements, generated here so that they are the same for everyone."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

import depthsvc
from depthsvc.model.architecture import MIDAS_SMALL
from depthsvc.model.networks.midas import DepthNetwork
from depthsvc.model.weights.files import sha256_of

LARGE = (3840, 2160)
MIDDLE = (1920, 1080)
SMALL = (640, 480)
PHOTO_SIZES = (LARGE, MIDDLE, SMALL)
_SCENE = Path(depthsvc.__file__).parent / "web/samples/street.jpg"
_GRAIN = 6.0
"""Standard deviation of the noise: it makes a 3840 x 2160 JPEG 1.8 MB large, as from a camera."""


@dataclass(frozen=True)
class Material:
    """The weights and files of one run."""

    folder: Path
    """Folder for intermediate files."""
    weights: Path
    """A state dict of MiDaS_small."""
    quick: bool = False

    def service_command(self, python: str, *options: str) -> list[str]:
        """The command for a service with these weights."""
        return [python, "-m", "depthsvc", "serve", "--log-level", "warning", *self.model_options(), *options]

    def model_options(self) -> list[str]:
        """The options to use these weights."""
        return ["--model", "midas_small", "--weights", str(self.weights), "--weights-sha256", sha256_of(self.weights)]

    @property
    def environment(self) -> dict[str, str]:
        """Environment variables for the measured programs."""
        return {"DEPTHSVC_CACHE_DIR": str(self.folder / "cache"), "WEIGHTS": str(self.weights)}


def random_weights(path: Path) -> None:
    """Write a state dict of MiDaS_small with fixed random weights, which take as long as trained ones."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = DepthNetwork(MIDAS_SMALL)
        state = network.state_dict()
        state["scratch.output_conv.4.bias"].fill_(1)  # keep depth above 0: a map of zeros encodes too fast
        torch.save(state, path)


@cache
def photo(width: int, height: int) -> bytes:
    """A JPEG of one of the page's rendered scenes, cropped, enlarged and with camera-like grain."""
    with Image.open(_SCENE) as image:
        scene = np.asarray(image)
    rows = min(len(scene), scene.shape[1] * height // width)
    top = (len(scene) - rows) // 2
    enlarged = cv2.resize(scene[top : top + rows], (width, height), interpolation=cv2.INTER_CUBIC)
    grain = np.random.default_rng(0).normal(0, _GRAIN, (height, width, 3)).astype(np.float32)
    buffer = io.BytesIO()
    Image.fromarray((enlarged + grain).clip(0, 255).astype(np.uint8)).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


_ADAM7 = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1))
"""First row and column of each pass, and the steps to the next."""


def interlaced_png(
    samples: NDArray[np.uint8], *, color_type: int = 2, bits: int = 8, chunks: Sequence[tuple[bytes, bytes]] = ()
) -> bytes:
    """An interlaced PNG of samples (h, w, c), without row filters; no library writes such files.

    Samples of less than 8 bits are one a byte, those of 16 bits are two. `chunks`: kind and content of more chunks.
    """
    compressor = zlib.compressobj(1)
    deflated = b""
    for top, left, down, across in _ADAM7:
        rows = samples[top::down, left::across]
        if rows.size:
            deflated += compressor.compress(_unfiltered(rows.reshape(len(rows), -1), bits))
    header = struct.pack(">IIBBBBB", samples.shape[1], samples.shape[0], bits, color_type, 0, 0, 1)
    data = [(b"IHDR", header), *chunks, (b"IDAT", deflated + compressor.flush()), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in data
    )


def _unfiltered(rows: NDArray[np.uint8], bits: int) -> bytes:
    """Rows as PNG stores them, each after the number of its filter, none."""
    if bits < 8:
        per_byte = 8 // bits
        padded = np.pad(rows, ((0, 0), (0, -rows.shape[1] % per_byte))).reshape(len(rows), -1, per_byte)
        shifts = np.arange(per_byte - 1, -1, -1, dtype=np.uint8) * np.uint8(bits)
        rows = np.bitwise_or.reduce(padded << shifts, axis=2).astype(np.uint8)
    return np.pad(rows, ((0, 0), (1, 0))).tobytes()
