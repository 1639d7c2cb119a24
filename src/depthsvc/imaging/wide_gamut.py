"""Profiles for colours that files describe by numbers (ITU-T H.273), as AVIF, HEIC and PNG may."""

from __future__ import annotations

import struct
from functools import cache

from PIL import ImageCms

_PRIMARIES = {
    12: ((0.5151, 0.2412, -0.0011), (0.2919, 0.6922, 0.0419), (0.1571, 0.0666, 0.7841)),
    9: ((0.6735, 0.2790, -0.0019), (0.1657, 0.6753, 0.0300), (0.1251, 0.0456, 0.7969)),
}
"""XYZ of red, green and blue, adapted to D50, of Display P3 and BT.2020. Others are those of sRGB, or near them."""
_TRANSFERS = {1, 2, 6, 13, 14, 15}
"""Curves like sRGB's, and none given. Those of high dynamic range are something else."""
_TAGS = (b"rXYZ", b"gXYZ", b"bXYZ")


@cache
def profile_of(primaries: int, transfer: int) -> bytes | None:
    """An ICC profile for pixels of these primaries and this transfer curve; None if they can be shown as sRGB."""
    if primaries not in _PRIMARIES or transfer not in _TRANSFERS:
        return None
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    for tag, colour in zip(_TAGS, _PRIMARIES[primaries], strict=True):
        place = int.from_bytes(profile[profile.index(tag) + 4 :][:4], "big")
        profile[place + 8 : place + 20] = struct.pack(">3i", *(round(65_536 * value) for value in colour))
    return bytes(profile.replace("sRGB".encode("utf-16-be"), "wide".encode("utf-16-be")))
