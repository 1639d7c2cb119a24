"""Files of depth are read as their formats say, and damaged ones are refused with a reason."""

from __future__ import annotations

import os
import signal
import struct
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import OpenEXR
import pytest
from scipy.io import savemat

from depthsvc.evaluation.layouts import files
from depthsvc.evaluation.layouts.base import BrokenPair

_VALUES = np.arange(6, dtype=np.float32).reshape(2, 3)


@pytest.mark.parametrize(("order", "scale"), [("<", b"-1.0"), (">", b"1")])
def test_a_pfm_begins_with_its_last_row(tmp_path: Path, order: str, scale: bytes) -> None:
    path = tmp_path / "a.pfm"
    path.write_bytes(b"Pf\n3 2\n" + scale + b"\n" + _VALUES[::-1].astype(f"{order}f4").tobytes())
    assert np.array_equal(files.pfm(path), _VALUES)


def test_a_dpt_has_a_tag_width_and_height(tmp_path: Path) -> None:
    path = tmp_path / "a.dpt"
    path.write_bytes(struct.pack("<fii", 202021.25, 3, 2) + _VALUES.tobytes())
    assert np.array_equal(files.dpt(path), _VALUES)


def test_an_npy_may_have_a_third_axis(tmp_path: Path) -> None:
    path = tmp_path / "a.npy"
    np.save(path, _VALUES[..., None])
    assert np.array_equal(files.npy(path), _VALUES)


@pytest.mark.parametrize("channel", ["Z", "Y", "other"])
def test_an_exr_has_a_channel_of_depth(tmp_path: Path, channel: str) -> None:
    path = tmp_path / "a.exr"
    header = {"compression": OpenEXR.ZIP_COMPRESSION, "type": OpenEXR.scanlineimage}
    with OpenEXR.File(header, {channel: _VALUES}) as file:
        file.write(str(path))
    assert np.array_equal(files.exr(path), _VALUES)


def test_unknown_depth_is_not_a_number() -> None:
    known = files.known(np.array([1.0, 0, -1, np.inf, np.nan, 1e300, 5]))
    assert np.array_equal(known, np.array([1, *[np.nan] * 5, 5], np.float32), equal_nan=True)


@pytest.mark.parametrize(
    ("reader", "data"),
    [
        (files.pfm, b"PF\n3 2\n-1.0\n" + bytes(72)),
        (files.pfm, b"Pf\n3 2\n-1.0\n" + bytes(20)),
        (files.pfm, b"Pf\n3000000 2000000\n-1.0\n" + bytes(24)),
        (files.dpt, struct.pack("<fii", 202021.25, -3, -2) + bytes(24)),
        (files.dpt, struct.pack("<fii", 1, 3, 2) + bytes(24)),
        (files.dpt, b"short"),
        (files.grey_png, b"not a PNG"),
        (files.grey_png, b""),
        (files.npy, b"not an array"),
        (files.npy, b""),
        (files.npy, b"\x93NUMPY\x01\x00\x0e\x00{'descr':((('f4'"),
        (files.exr, b"not an EXR"),
        (files.matlab, b"not MATLAB"),
    ],
)
def test_a_damaged_file_is_refused_by_name(tmp_path: Path, reader: Callable[[Path], object], data: bytes) -> None:
    path = tmp_path / "damaged"
    path.write_bytes(data)
    with pytest.raises(BrokenPair, match="damaged"):
        reader(path)


def test_an_array_of_objects_is_not_opened(tmp_path: Path) -> None:
    path = tmp_path / "a.npy"
    np.save(path, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(BrokenPair):
        files.npy(path)


def test_several_arrays_are_not_one(tmp_path: Path) -> None:
    with (tmp_path / "a.npy").open("wb") as file:
        np.savez(file, _VALUES)
    with pytest.raises(BrokenPair, match="archive"):
        files.npy(tmp_path / "a.npy")


def test_nothing_but_a_file_is_read(tmp_path: Path) -> None:
    """A pipe would never end."""
    os.mkfifo(tmp_path / "pipe.png")
    for path in (tmp_path / "pipe.png", tmp_path):
        with pytest.raises(BrokenPair, match="is not a file"):
            files.grey_png(path)


def test_hdf5_that_is_arranged_otherwise_is_refused(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.mat", "w") as file:
        file["images"] = np.dtype("f4")
    with pytest.raises(BrokenPair, match="damaged"), files.hdf5(tmp_path / "a.mat") as file:
        len(file["images"])


def _ending_its_process(path: Path) -> dict[str, object]:
    os.kill(os.getpid(), signal.SIGSEGV)
    return {}


def test_a_file_that_ends_its_reader_is_damaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    savemat(tmp_path / "a.mat", {"x": [1]})
    assert files.matlab(tmp_path / "a.mat")["x"] == 1
    monkeypatch.setattr(files, "_loaded", _ending_its_process)
    savemat(tmp_path / "b.mat", {"x": [1]})
    with pytest.raises(BrokenPair, match=r"b\.mat is not a MATLAB file"):
        files.matlab(tmp_path / "b.mat")


def test_a_file_that_has_changed_is_read_again(tmp_path: Path) -> None:
    for value in (1, 2):
        savemat(tmp_path / "a.mat", {"x": [value]})
        os.utime(tmp_path / "a.mat", (value, value))
        assert files.matlab(tmp_path / "a.mat")["x"] == value


def test_a_file_that_may_not_be_read_is_not_called_damaged(folder_of_nobody: Path) -> None:
    for name in ("a.npy", "a.mat"):
        (folder_of_nobody / name).touch(mode=0)
    with pytest.raises(PermissionError):
        files.npy(folder_of_nobody / "a.npy")
    with pytest.raises(PermissionError), files.hdf5(folder_of_nobody / "a.mat"):
        pass


def test_a_missing_file_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(BrokenPair, match=r"nothing\.npy is missing"):
        files.npy(tmp_path / "nothing.npy")
    with pytest.raises(BrokenPair, match="missing"), files.hdf5(tmp_path / "nothing.mat"):
        pass
