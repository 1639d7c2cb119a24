"""Makes an RGB-D folder of rectified stereo photos, to score a network on real depth.

The pairs are those that the package stereodemo brings, each folder with a *calibration.json: pip download stereodemo
--no-deps --no-binary :all:, and unpack it. Depth is known where semi-global matching (Hirschmueller, PAMI 2008) finds
the same disparity from both sides: hardly on plain surfaces, and at few edges.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from training.data import Floats, Image, read_image

_FARTHEST_DISPARITY = 0.2
"""The largest disparity that is looked for, as a fraction of the width."""
_BLOCK = 5
_DISAGREEMENT = 1.0
"""Pixels by which the disparities from both sides may differ."""
_FARTHEST_M = 200.0
_LEAST_KNOWN = 0.1
"""Pairs with depth on a smaller fraction of the pixels are left out."""
_NAMES = (("left", "right"), ("im0", "im1"))


def disparity(left: Image, right: Image) -> Floats:
    """Disparity of the left picture, (H, W) in pixels, NaN where it is unknown; pictures are RGB (H, W, 3)."""
    width = left.shape[1]
    matcher = cv2.StereoSGBM.create(
        numDisparities=int(np.ceil(_FARTHEST_DISPARITY * width / 16)) * 16,
        blockSize=_BLOCK,
        P1=8 * _BLOCK**2,
        P2=32 * _BLOCK**2,
        disp12MaxDiff=1,
        preFilterCap=31,
        uniquenessRatio=8,
        speckleWindowSize=100,
        speckleRange=2,
        mode=cv2.STEREO_SGBM_MODE_HH,
    )
    first, second = (cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY) for picture in (left, right))
    found = matcher.compute(first, second).astype(np.float32) / 16
    from_right = matcher.compute(cv2.flip(second, 1), cv2.flip(first, 1))[:, ::-1].astype(np.float32) / 16
    there = np.arange(width) - found.round().astype(int)
    agrees = np.abs(np.take_along_axis(from_right, there.clip(0, width - 1), 1) - found) <= _DISAGREEMENT
    return np.where(agrees & (there >= 0) & (found > 0), found, np.nan).astype(np.float32)


def pairs(folder: Path) -> Iterator[tuple[str, Path, Path, Path]]:
    """Name, left picture, right picture and calibration of each pair below a folder."""
    for calibration in sorted(folder.rglob("*calibration.json")):
        for first, second in _NAMES:
            for left in sorted(calibration.parent.glob(f"*{first}*")):
                name = "_".join(left.relative_to(folder).with_suffix("").parts)
                yield name, left, left.with_name(left.name.replace(first, second)), calibration


def main() -> None:
    """Write NAME.png and NAME.inverse_depth.npy for each pair, and print how much of it is known."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--pairs", type=Path, required=True, help="stereodemo's folder `datasets`")
    parser.add_argument("--output", type=Path, required=True)
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    for name, left, right, calibration in pairs(arguments.pairs):
        camera = json.loads(calibration.read_text())
        picture = read_image(left)
        shift = disparity(picture, read_image(right)) + camera["cx1"] - camera["cx0"]
        inverse = shift / (camera["fx"] * camera["baseline_meters"])
        inverse[~(inverse > 1 / _FARTHEST_M)] = np.nan
        known = float(np.isfinite(inverse).mean())
        print(f"{name}: {known:.2f}")
        if known >= _LEAST_KNOWN:
            cv2.imwrite(str(arguments.output / f"{name}.png"), cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
            np.save(arguments.output / f"{name}.inverse_depth.npy", inverse)


if __name__ == "__main__":
    main()
