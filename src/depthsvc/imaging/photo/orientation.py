"""How a photo has to be turned, from its metadata."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from depthsvc.imaging.photo.exif import exif_of, number_in

UPRIGHT = 1
_KNOWN = range(1, 9)
_TAG = 0x0112
_XMP = re.compile(r'tiff:Orientation(?:="|>)([0-9])')


def orientation_of(info: Mapping[Any, Any]) -> int:
    """The EXIF orientation, 1 to 8, from a file's metadata by Pillow's names for them, as in `Image.info`.

    EXIF counts before XMP. 1 if there is none, or it is damaged, which is no reason to refuse a photo.
    """
    found = number_in(exif_of(info), _TAG)
    if found is None:
        found = _in_xmp(info)
    return found if found is not None and found in _KNOWN else UPRIGHT


def _in_xmp(info: Mapping[Any, Any]) -> int | None:
    for name in ("XML:com.adobe.xmp", "xmp"):
        text = info.get(name)
        found = _XMP.search(text.decode("utf-8", "replace") if isinstance(text, bytes) else str(text or ""))
        if found:
            return int(found[1])
    return None
