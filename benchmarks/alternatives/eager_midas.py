"""MiDaS_small as its README uses it, from a photo's file to a 16-bit PNG of the photo's size.

python -m benchmarks.alternatives.eager_midas PHOTO OUTPUT
"""

from __future__ import annotations

import sys

import cv2
import torch

from benchmarks.alternatives.midas import Midas
from benchmarks.answering import answer_lines


def main() -> None:
    photo, output = sys.argv[1:]
    torch.set_num_threads(1)
    midas = Midas()
    shapes = []
    midas.network.register_forward_pre_hook(lambda _, inputs: shapes.append(inputs[0].shape))

    def once() -> tuple[int, int]:
        depth = midas.depth(cv2.cvtColor(cv2.imread(photo), cv2.COLOR_BGR2RGB))
        cv2.imwrite(output, cv2.normalize(depth, None, 0, 65535, cv2.NORM_MINMAX, cv2.CV_16U))
        return tuple(shapes.pop()[-2:])

    answer_lines(once)


if __name__ == "__main__":
    main()
