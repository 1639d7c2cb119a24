"""Files of depth: PNG, PFM, Sintel's .dpt, NumPy, OpenEXR, bare float32, and MATLAB's of both kinds.

They are untrusted: each header is checked before memory is allocated for what it declares.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from numpy.typing import NDArray

from depthsvc.errors import MissingExtra
from depthsvc.evaluation.accuracy import Floats
from depthsvc.evaluation.boundaries import Mask
from depthsvc.evaluation.layouts.base import BrokenPair, checked, read_file
from depthsvc.pool.processes import run_in_child

if TYPE_CHECKING:
    from h5py import File

MOST_PIXELS = 200_000_000
_DPT_TAG = 202021.25
_PFM_HEAD = re.compile(rb"(P[Ff])\s+(\d+)\s+(\d+)\s+(-?[\d.]+(?:[eE][-+]?\d+)?)\s")
_DEPTH_CHANNELS = ("Z", "Y", "R", "V", "depth.Z", "depth.V")


def known(depth: NDArray[Any]) -> Floats:
    """Depth with NaN where it is not a positive number."""
    with np.errstate(invalid="ignore", over="ignore"):
        depth = np.asarray(depth, np.float32)
        return np.where(np.isfinite(depth) & (depth > 0), depth, np.float32("nan"))


def grey_png(path: Path) -> NDArray[np.uint16]:
    """A 16-bit grey PNG, (h, w)."""
    values = _picture(path)
    if values.ndim != 2 or values.dtype != np.uint16:
        raise BrokenPair(f"{path.name} is not a grey PNG of 16 bits.")
    return np.asarray(values, np.uint16)


def grey_picture(path: Path) -> NDArray[Any]:
    """A picture, (h, w), the largest of its colours."""
    values = _picture(path)
    return np.asarray(values.reshape(*values.shape[:2], -1)[..., :3].max(axis=2))


def mask(path: Path) -> Mask:
    """A picture, (h, w): whether a pixel is not black."""
    return np.asarray(grey_picture(path) > 0)


def _picture(path: Path) -> NDArray[Any]:
    data = np.frombuffer(read_file(path), np.uint8)
    try:
        values = cv2.imdecode(data, cv2.IMREAD_UNCHANGED) if len(data) else None
    except cv2.error:
        values = None
    if values is None:
        raise BrokenPair(f"{path.name} is not a picture, or it is damaged.")
    return np.asarray(values)


def pfm(path: Path) -> Floats:
    """A portable float map, (h, w). The file begins with the last row; a negative scale means little-endian.

    netpbm.sourceforge.net/doc/pfm.html
    """
    data = read_file(path)
    head = _PFM_HEAD.match(data[:200])
    if not head or head[1] != b"Pf":
        raise BrokenPair(f"{path.name} is not a PFM file of one channel.")
    order = "<" if float(head[4]) < 0 else ">"
    return _floats(path, data[head.end() :], int(head[3]), int(head[2]), order)[::-1]


def dpt(path: Path) -> Floats:
    """A depth file of MPI Sintel, (h, w): a tag, width, height and rows, little-endian."""
    data = read_file(path)
    if len(data) < 12 or np.frombuffer(data, "<f4", 1)[0] != np.float32(_DPT_TAG):
        raise BrokenPair(f"{path.name} is not a .dpt file: its tag is missing.")
    width, height = map(int, np.frombuffer(data, "<i4", 2, 4))
    return _floats(path, data[12:], height, width, "<")


def bare_floats(path: Path, height: int, width: int) -> Floats:
    """Rows of little-endian float32 without a header, (h, w)."""
    return _floats(path, read_file(path), height, width, "<")


def _floats(path: Path, data: bytes, height: int, width: int, order: str) -> Floats:
    if not 0 < height * width <= MOST_PIXELS or height < 0:
        raise BrokenPair(f"{path.name} says that it has {width} x {height} pixels.")
    if len(data) != 4 * height * width:
        raise BrokenPair(f"{path.name} has {len(data)} bytes for {width} x {height} numbers.")
    return np.frombuffer(data, f"{order}f4").reshape(height, width).astype(np.float32)


def npy(path: Path) -> NDArray[Any]:
    """A NumPy file of numbers, (h, w), without an axis of length 1 that may follow."""
    checked(path)
    try:
        values = np.load(path, mmap_mode="r", allow_pickle=False)
    except OSError:
        raise
    except Exception as error:  # NumPy's reader raises whatever a damaged file leads to
        raise BrokenPair(f"{path.name} is not a NumPy file of numbers, or it is damaged.") from error
    if not isinstance(values, np.ndarray):
        raise BrokenPair(f"{path.name} is an archive, not one array.")
    if values.ndim == 3 and values.shape[2] == 1:
        values = values[..., 0]
    if values.ndim != 2 or values.dtype.kind not in "fiub" or not 0 < values.size <= MOST_PIXELS:
        raise BrokenPair(f"{path.name} is not a map of numbers: its shape is {values.shape}.")
    return np.array(values)


def exr(path: Path) -> Floats:
    """The channel of depth of an OpenEXR file, (h, w)."""
    try:
        import OpenEXR
    except ImportError as missing:
        raise MissingExtra("OpenEXR is not installed", "eval") from missing
    checked(path)
    try:
        with OpenEXR.File(str(path), separate_channels=True) as file:
            channels: Mapping[str, Any] = file.channels()
            name = next((name for name in _DEPTH_CHANNELS if name in channels), None) or next(iter(channels), "")
            values = np.asarray(channels[name].pixels, np.float32) if name else None
    except (RuntimeError, ValueError, OSError) as error:
        raise BrokenPair(f"{path.name} is not an OpenEXR file, or it is damaged.") from error
    if values is None or values.ndim != 2:
        raise BrokenPair(f"{path.name} has no channel of depth.")
    return values


def matlab(path: Path) -> dict[str, Any]:
    """The variables of a MATLAB file of version 5, structures as objects with attributes."""
    if not find_spec("scipy"):
        raise MissingExtra("SciPy is not installed", "eval")
    checked(path)
    return dict(_variables(path, path.stat().st_mtime_ns))


@lru_cache(maxsize=4)
def _variables(path: Path, changed: int) -> dict[str, Any]:
    """Read in a process of its own, because a damaged file can end it. Kept, because photo and truth are in one."""
    try:
        return run_in_child(_loaded, path)
    except Exception as error:  # SciPy's reader raises whatever a damaged file leads to
        raise BrokenPair(f"{path.name} is not a MATLAB file of version 5, or it is damaged.") from error


def _loaded(path: Path) -> dict[str, Any]:
    from scipy.io import loadmat

    return dict(loadmat(path, squeeze_me=True, struct_as_record=False))


@contextmanager
def hdf5(path: Path) -> Iterator[File]:
    """A MATLAB file of version 7.3, which is HDF5. Its arrays have their axes in reverse order."""
    try:
        import h5py
    except ImportError as missing:
        raise MissingExtra("h5py is not installed", "eval") from missing
    try:
        with h5py.File(path, "r") as file:
            yield file
    except FileNotFoundError as error:
        raise BrokenPair(f"{path} is missing.") from error
    except (BrokenPair, PermissionError):
        raise
    except Exception as error:  # h5py raises whatever a damaged file leads to
        raise BrokenPair(f"{path.name} is not a MATLAB file of version 7.3, or it is damaged.") from error
