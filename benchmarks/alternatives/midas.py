"""MiDaS_small as its README uses it: whole photo, its own transform, eager PyTorch, bicubic to the photo's size."""

from __future__ import annotations

import os

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from depthsvc.model.architecture import MIDAS_SMALL
from depthsvc.model.networks.midas import DepthNetwork

_SIZE = 256
_MULTIPLE = 32
_MEAN = (0.485, 0.456, 0.406)
_STD = (0.229, 0.224, 0.225)


class Midas:
    """The network in this process."""

    def __init__(self) -> None:
        self.network = DepthNetwork(MIDAS_SMALL)
        self.network.load_state_dict(torch.load(os.environ["WEIGHTS"], weights_only=True))
        self.network.eval()
        cv2.setNumThreads(torch.get_num_threads())

    def depth(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """RGB (h, w, 3) -> its inverse depth (h, w)."""
        height, width = pixels.shape[:2]
        with torch.inference_mode():
            depth = self.network(self._input(pixels))
            return F.interpolate(depth[None], (height, width), mode="bicubic", align_corners=False)[0, 0].numpy()

    def heatmap(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """RGB (h, w, 3) -> the heatmap of its depth, RGB (h, w, 3)."""
        levels = cv2.normalize(self.depth(pixels), None, 0, 255, cv2.NORM_MINMAX, cv2.CV_8U)
        return cv2.cvtColor(cv2.applyColorMap(levels, cv2.COLORMAP_INFERNO), cv2.COLOR_BGR2RGB)

    @staticmethod
    def _input(pixels: NDArray[np.uint8]) -> torch.Tensor:
        """As MiDaS's published transform: scaled to 0..1, resized, normalised, in this order."""
        scale = _SIZE / max(pixels.shape[:2])
        height, width = (max(1, round(scale * side / _MULTIPLE)) * _MULTIPLE for side in pixels.shape[:2])
        resized = cv2.resize(pixels / 255.0, (width, height), interpolation=cv2.INTER_CUBIC)
        planes = ((resized - _MEAN) / _STD).astype(np.float32).transpose(2, 0, 1)
        return torch.from_numpy(np.ascontiguousarray(planes))[None]


def png(heatmap: NDArray[np.uint8]) -> bytes:
    """A PNG with OpenCV's default settings, the fastest of the common choices."""
    return cv2.imencode(".png", cv2.cvtColor(heatmap, cv2.COLOR_RGB2BGR))[1].tobytes()
