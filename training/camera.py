"""What a camera makes of light: depth of field, exposure, noise, and the blur of a hand that shakes."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Image = npt.NDArray[np.uint8]

_BLURS = (0.0, 1.0, 2.0, 4.0, 8.0)
"""Standard deviations, in pixels, between which the blur of a point out of focus is interpolated."""


def develop(rng: np.random.Generator, light: Floats, exposure: float = 1.0) -> Image:
    """A picture (H, W, 3) of linear light (H, W, 3): exposure, vignetting, blur, noise, gamma.

    `exposure` is a factor of what an automatic exposure would choose.
    """
    height, width = light.shape[:2]
    gain = exposure * rng.uniform(0.3, 0.55) / max(float(light.mean()), 0.05)
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j].astype(np.float32)
    colour = light * (gain * (1 - rng.uniform(0, 0.25) * (x * x + y * y)))[..., None]
    colour = colour * (1 + rng.normal(0, 0.05, 3)).astype(np.float32)
    if rng.random() < 0.7:
        colour = cv2.GaussianBlur(colour, (0, 0), rng.uniform(0.4, 0.9)).astype(np.float32)
    colour = colour + rng.standard_normal(colour.shape, np.float32) * np.float32(rng.uniform(0, 0.03))
    picture = np.clip(colour, 0, 1) ** (1 / rng.uniform(1.4, 2.2))
    return np.asarray((picture * 255).round(), np.uint8)


def defocus(light: Floats, inverse_depth: Floats, focus: float, aperture: float) -> Floats:
    """Light (H, W, 3) through a wide lens: each point is blurred by its difference of inverse depth from `focus`.

    inverse_depth and focus are in 1 / metres; `aperture` is the blur's standard deviation in pixels per 1 / metre.
    """
    blur = np.clip(aperture * np.abs(inverse_depth - np.float32(focus)), 0, _BLURS[-1])
    result = np.zeros_like(light)
    for index, sigma in enumerate(_BLURS):
        level = cv2.GaussianBlur(light, (0, 0), sigma) if sigma else light
        share = np.interp(blur, _BLURS, np.arange(len(_BLURS)) == index).astype(np.float32)
        result += share[..., None] * level
    return result


def motion_blur(image: Image, length: float, angle: float) -> Image:
    """A picture (H, W, 3) blurred over `length` pixels along a direction, in radians."""
    side = 2 * int(np.ceil(length / 2)) + 1
    kernel = np.zeros((side, side), np.float32)
    reach, middle = length / 2, side // 2
    for step in np.linspace(-reach, reach, 4 * side):
        kernel[round(middle + step * np.sin(angle)), round(middle + step * np.cos(angle))] += 1
    return np.asarray(cv2.filter2D(image, -1, kernel / kernel.sum(), borderType=cv2.BORDER_REPLICATE), np.uint8)
