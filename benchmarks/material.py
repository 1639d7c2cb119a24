"""The weights and photos of the measurements, generated here so that they are the same for everyone."""

from __future__ import annotations

import io
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import torch
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
