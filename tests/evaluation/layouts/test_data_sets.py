"""Each data set is recognised as it is published, and its depth is in metres where it belongs.

The folders are written here by what the data sets' own pages and tools say, not by the readers.
"""

from __future__ import annotations

import os
import re
import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import cv2
import h5py
import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from depthsvc.errors import ConfigurationError
from depthsvc.evaluation.accuracy import Floats
from depthsvc.evaluation.layouts.base import BrokenPair, Layout, Pair
from depthsvc.evaluation.layouts.registry import LAYOUTS, layout_of
from depthsvc.evaluation.protocol import Ordinal, Truth
from depthsvc.evaluation.run import Rules, find_sources

_HEIGHT, _WIDTH = 6, 8


def _metres() -> Floats:
    """1.5 m to 7 m, growing from row to row; the pixel at (1, 2) is unknown."""
    depth = np.linspace(1.5, 7, _HEIGHT * _WIDTH, dtype=np.float32).reshape(_HEIGHT, _WIDTH)
    depth[1, 2] = np.nan
    return depth


def _units(per_metre: float) -> np.ndarray:
    return np.asarray(np.nan_to_num(_metres() * per_metre).round(), np.uint16)


def _png(path: Path, values: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), values)


def _photo(path: Path, value: int = 90) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (_WIDTH, _HEIGHT), (value, 20, 10)).save(path)


def _bytes(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def _simple(folder: Path) -> None:
    for suffix in ("png", "npy", "pfm"):
        _photo(folder / f"rgb/{suffix}.jpg")
    (folder / "scale.txt").write_text("500\n")
    _png(folder / "depth/png.png", _units(500))
    np.save(folder / "depth/npy.npy", _metres())
    flipped = np.nan_to_num(_metres())[::-1].astype("<f4").tobytes()
    _bytes(folder / "depth/pfm.pfm", f"Pf\n{_WIDTH} {_HEIGHT}\n-1\n".encode() + flipped)


def _beside(folder: Path) -> None:
    for name in ("a", "b"):
        _photo(folder / f"{name}.png")
    np.save(folder / "a.depth.npy", np.nan_to_num(_metres()).astype(np.float16))
    np.save(folder / "b.inverse_depth.npy", np.nan_to_num(1 / _metres()))


def _nyu_mat(folder: Path) -> None:
    with h5py.File(folder / "nyu_depth_v2_labeled.mat", "w") as file:
        pictures = np.zeros((3, 3, _WIDTH, _HEIGHT), np.uint8)
        pictures[:, 0] = 90
        file["images"] = pictures
        file["depths"] = np.full((3, _WIDTH, _HEIGHT), 2, np.float32)
        file["rawDepths"] = np.stack([np.nan_to_num(_metres().T)] * 3)
    savemat(folder / "splits.mat", {"trainNdxs": [[2]], "testNdxs": [[1], [3]]})


def _nyu_folders(folder: Path) -> None:
    _photo(folder / "test/kitchen/rgb_00001.jpg")
    _png(folder / "test/kitchen/sync_depth_00001.png", _units(1000))


def _nyu_colors(folder: Path) -> None:
    _photo(folder / "nyu2_test/00012_colors.png")
    _png(folder / "nyu2_test/00012_depth.png", _units(1000))


def _kitti_selection(folder: Path) -> None:
    name = "2011_09_26_drive_0002_sync_{}_0000000005_image_02.png"
    _photo(folder / "depth_selection/val_selection_cropped/image" / name.format("image"))
    _png(
        folder / "depth_selection/val_selection_cropped/groundtruth_depth" / name.format("groundtruth_depth"),
        _units(256),
    )


def _kitti_drives(folder: Path) -> None:
    drive = "2011_09_26_drive_0002_sync"
    _png(folder / f"data_depth_annotated/val/{drive}/proj_depth/groundtruth/image_02/0000000005.png", _units(256))
    _photo(folder / f"raw/2011_09_26/{drive}/image_02/data/0000000005.png")


def _tum(folder: Path) -> None:
    sequence = folder / "rgbd_dataset_freiburg1_xyz"
    for time in ("10.000", "10.034", "11.000"):
        _photo(sequence / f"rgb/{time}.png")
    for time in ("10.015", "10.030", "12.000"):
        _png(sequence / f"depth/{time}.png", _units(5000))
    (sequence / "rgb.txt").write_text(
        "# color images\n10.000 rgb/10.000.png\n10.034 rgb/10.034.png\n11.000 rgb/11.000.png\n"
    )
    (sequence / "depth.txt").write_text(
        "# depth maps\n10.015 depth/10.015.png\n10.030 depth/10.030.png\n12.000 depth/12.000.png\n"
    )


def _eth3d(folder: Path) -> None:
    _photo(folder / "courtyard/images/dslr_images/DSC_0286.JPG")
    depth = np.where(np.isnan(_metres()), np.inf, _metres()).astype("<f4")
    _bytes(folder / "courtyard/ground_truth_depth/dslr_images/DSC_0286.JPG", depth.tobytes())


def _diode(folder: Path) -> None:
    scan = folder / "val/indoors/scene_00019/scan_00183"
    stem = "00019_00183_indoors_000_010"
    _photo(scan / f"{stem}.png")
    np.save(scan / f"{stem}_depth.npy", np.nan_to_num(_metres(), nan=3)[..., None])
    np.save(scan / f"{stem}_depth_mask.npy", np.isfinite(_metres()).astype(np.float32))


def _sintel(folder: Path) -> None:
    _photo(folder / "training/final/alley_1/frame_0001.png")
    _photo(folder / "training/clean/alley_1/frame_0001.png", 10)
    head = struct.pack("<fii", 202021.25, _WIDTH, _HEIGHT)
    _bytes(folder / "training/depth/alley_1/frame_0001.dpt", head + np.nan_to_num(_metres()).astype("<f4").tobytes())


def _middlebury(folder: Path) -> None:
    _photo(folder / "Adirondack-perfect/im0.png")
    disparity = 4000 * 200 / (1000 * _metres()) - 120
    disparity[1, 2] = np.inf
    flipped = disparity[::-1].astype("<f4").tobytes()
    _bytes(folder / "Adirondack-perfect/disp0.pfm", f"Pf\n{_WIDTH} {_HEIGHT}\n-0.003922\n".encode() + flipped)
    (folder / "Adirondack-perfect/calib.txt").write_text(
        f"cam0=[4000 0 3; 0 4000 2; 0 0 1]\ncam1=[4000 0 4; 0 4000 2; 0 0 1]\ndoffs=120\nbaseline=200\n"
        f"width={_WIDTH}\nheight={_HEIGHT}\nndisp=290\n"
    )


def _ibims_mat(folder: Path) -> None:
    rgb = np.zeros((_HEIGHT, _WIDTH, 3), np.uint8)
    rgb[..., 0] = 90
    everywhere = np.ones((_HEIGHT, _WIDTH), np.uint8)
    data = {
        "rgb": rgb,
        "depth": np.nan_to_num(_metres(), nan=3).astype(np.float64),
        "edges": np.eye(_HEIGHT, _WIDTH, dtype=np.uint8),
        "mask_invalid": np.isfinite(_metres()).astype(np.uint8),
        "mask_transp": everywhere,
    }
    savemat(folder / "corridor_01.mat", {"data": data})


def _ibims_raw(folder: Path) -> None:
    _photo(folder / "rgb/corridor_01.png")
    _png(folder / "depth/corridor_01.png", np.nan_to_num(_metres() * 65535 / 50).round().astype(np.uint16))
    for name in ("mask_invalid", "mask_transp"):
        _png(folder / f"{name}/corridor_01.png", np.full((_HEIGHT, _WIDTH), 255, np.uint8))
    _png(folder / "edges/corridor_01.png", 255 * np.eye(_HEIGHT, _WIDTH, dtype=np.uint8))


_WRITERS: list[tuple[str, Callable[[Path], None], list[str]]] = [
    ("simple", _simple, ["npy", "pfm", "png"]),
    ("beside", _beside, ["a", "b"]),
    ("nyu", _nyu_mat, ["0001", "0003"]),
    ("nyu", _nyu_folders, ["test/kitchen/00001"]),
    ("nyu", _nyu_colors, ["nyu2_test/00012"]),
    ("kitti", _kitti_selection, ["2011_09_26_drive_0002_sync_image_0000000005_image_02"]),
    ("kitti", _kitti_drives, ["2011_09_26_drive_0002_sync/image_02/0000000005"]),
    ("tum", _tum, ["rgbd_dataset_freiburg1_xyz/10.000", "rgbd_dataset_freiburg1_xyz/10.034"]),
    ("eth3d", _eth3d, ["courtyard/dslr_images/DSC_0286.JPG"]),
    ("diode", _diode, ["val/indoors/scene_00019/scan_00183/00019_00183_indoors_000_010"]),
    ("sintel", _sintel, ["alley_1/frame_0001"]),
    ("middlebury", _middlebury, ["Adirondack-perfect"]),
    ("ibims", _ibims_mat, ["corridor_01"]),
    ("ibims", _ibims_raw, ["corridor_01"]),
]


def _read(folder: Path) -> tuple[Layout, list[Pair]]:
    layout = layout_of(folder)
    return layout, list(layout.pairs(folder))


@pytest.mark.parametrize(("name", "write", "pairs"), _WRITERS, ids=[writer.__name__[1:] for _, writer, _ in _WRITERS])
def test_a_data_set_is_read_as_it_is_published(
    tmp_path: Path, name: str, write: Callable[[Path], None], pairs: list[str]
) -> None:
    write(tmp_path)
    layout, found = _read(tmp_path)
    assert layout.name == name
    assert [pair.name for pair in found] == pairs
    for pair in found:
        truth = pair.truth()
        assert isinstance(truth, Truth)
        assert truth.depth.dtype == np.float32
        assert truth.depth == pytest.approx(_metres(), abs=3e-3, nan_ok=True)
        pixels = cv2.imdecode(np.frombuffer(pair.photo(), np.uint8), cv2.IMREAD_COLOR)
        assert pixels is not None
        assert pixels.shape == (_HEIGHT, _WIDTH, 3)
        assert abs(int(pixels[0, 0, 2]) - 90) < 3  # red is the last of OpenCV's


def test_all_layouts_have_been_written() -> None:
    assert {name for name, _, _ in _WRITERS} | {"diw"} == set(LAYOUTS)


def test_tum_takes_the_nearest_depth_within_twenty_milliseconds_once(tmp_path: Path) -> None:
    _tum(tmp_path)
    sequence = next(tmp_path.iterdir())
    _png(sequence / "depth/10.015.png", _units(2500))
    truths = [pair.truth() for pair in _read(tmp_path)[1]]
    medians = [float(np.nanmedian(truth.depth)) for truth in truths if isinstance(truth, Truth)]
    assert medians[0] == pytest.approx(medians[1] / 2, rel=1e-3)


def test_only_what_both_cameras_of_middlebury_see_counts(tmp_path: Path) -> None:
    _middlebury(tmp_path)
    mask = np.full((_HEIGHT, _WIDTH), 255, np.uint8)
    mask[3] = 128
    _png(tmp_path / "Adirondack-perfect/mask0nocc.png", mask)
    truth = _read(tmp_path)[1][0].truth()
    assert isinstance(truth, Truth)
    assert np.isnan(truth.depth[3]).all()
    assert np.isfinite(truth.depth[4]).all()


def test_ibims_has_edges_of_its_own(tmp_path: Path) -> None:
    _ibims_mat(tmp_path)
    truth = _read(tmp_path)[1][0].truth()
    assert isinstance(truth, Truth)
    assert truth.edges is not None
    assert np.array_equal(truth.edges, np.eye(_HEIGHT, _WIDTH, dtype=bool))


def test_depth_beyond_the_kinects_range_is_unknown(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "nyu_depth_v2_labeled.mat", "w") as file:
        file["images"] = np.zeros((1, 3, 2, 2), np.uint8)
        file["rawDepths"] = np.array([[[1, 10], [0, 4]]], np.float32)
    truth = _read(tmp_path / "nyu_depth_v2_labeled.mat")[1][0].truth()
    assert isinstance(truth, Truth)
    assert np.array_equal(truth.depth, np.array([[1, np.nan], [np.nan, 4]], np.float32), equal_nan=True)


def test_the_labelled_file_may_have_another_name(tmp_path: Path) -> None:
    _nyu_mat(tmp_path)
    renamed = (tmp_path / "nyu_depth_v2_labeled.mat").rename(tmp_path / "official.mat")
    for place in (tmp_path, renamed):
        layout, pairs = _read(place)
        assert layout.name == "nyu"
        assert [pair.name for pair in pairs] == ["0001", "0003"]


def test_a_mask_leaves_out_what_is_black(tmp_path: Path) -> None:
    _simple(tmp_path)
    mask = np.full((_HEIGHT, _WIDTH), 255, np.uint8)
    mask[2] = 0
    _png(tmp_path / "mask/npy.png", mask)
    truth = next(pair for pair in _read(tmp_path)[1] if pair.name == "npy").truth()
    assert isinstance(truth, Truth)
    assert np.isnan(truth.depth[2]).all()
    assert np.isfinite(truth.depth[3]).all()


def test_depth_in_the_wild_says_which_point_is_farther(tmp_path: Path) -> None:
    _photo(tmp_path / "DIW_test/a.jpg")
    _bytes(tmp_path / "DIW_test.csv", b"./DIW_test/a.jpg\n1,1,6,8,>,8,6\n./DIW_test/b.jpg\n1,1,6,8,<,8,6\n./last.jpg\n")
    layout, pairs = _read(tmp_path)
    assert layout.name == "diw"
    first, second, last = pairs
    truths = [first.truth(), second.truth()]
    corners = []
    for truth in truths:
        assert isinstance(truth, Ordinal)
        corners.append(((truth.farther * [6, 8]).astype(int).tolist(), (truth.nearer * [6, 8]).astype(int).tolist()))
    assert corners == [([[0, 0]], [[5, 7]]), ([[5, 7]], [[0, 0]])]
    assert first.photo()
    with pytest.raises(BrokenPair, match=r"b\.jpg is missing"):
        second.photo()
    with pytest.raises(BrokenPair, match="ends before"):
        last.truth()


def _reasons(pair: Pair) -> str:
    """What is wrong with a pair."""
    reasons = []
    for read in (pair.photo, pair.truth):
        try:
            read()
        except BrokenPair as error:
            reasons.append(str(error))
    return " ".join(reasons)


def test_what_is_missing_or_there_twice_is_a_pair_that_says_so(tmp_path: Path) -> None:
    _simple(tmp_path)
    (tmp_path / "rgb/npy.jpg").unlink()
    (tmp_path / "depth/pfm.pfm").unlink()
    shutil.copy(tmp_path / "rgb/png.jpg", tmp_path / "rgb/png.jpeg")
    reasons = {pair.name: _reasons(pair) for pair in _read(tmp_path)[1]}
    assert "There are 0 files rgb/npy." in reasons["npy"]
    assert "There are 0 files depth/pfm." in reasons["pfm"]
    assert "There are 2 files rgb/png." in reasons["png"]


_IN_FOLDERS = [_nyu_folders, _kitti_selection, _eth3d, _diode, _sintel, _middlebury]


@pytest.mark.parametrize("write", [*_IN_FOLDERS, _kitti_drives, _tum])
def test_a_missing_photo_is_named(tmp_path: Path, write: Callable[[Path], None]) -> None:
    write(tmp_path / "data")
    for path in [path for path in (tmp_path / "data").rglob("*") if _is_photo(path)]:
        path.unlink()
    found = _read(tmp_path / "data")[1]
    assert found
    assert all("is missing" in _reasons(pair) for pair in found)


@pytest.mark.parametrize("write", [*_IN_FOLDERS, _nyu_colors, _ibims_raw])
def test_missing_depth_is_named(tmp_path: Path, write: Callable[[Path], None]) -> None:
    """A second pair has lost its depth."""
    write(tmp_path / "data")
    for photo in [path for path in (tmp_path / "data").rglob("*") if _is_photo(path)]:
        more = photo.with_name(photo.name.replace("1", "2").replace("6", "7"))
        if write is _middlebury:
            more = photo.parents[1] / "Jadeplant-perfect" / photo.name
            more.parent.mkdir()
            shutil.copy(photo.with_name("calib.txt"), more.parent)
        shutil.copy(photo, more)
    reasons = [_reasons(pair) for pair in _read(tmp_path / "data")[1]]
    assert len(reasons) == 2
    assert sorted("is missing" in reason for reason in reasons) == [False, True]


def _is_photo(path: Path) -> bool:
    if path.suffix.lower() not in (".png", ".jpg") or "ground_truth" in str(path):
        return False
    with Image.open(path) as opened:
        return opened.mode == "RGB"


def test_a_photo_that_is_written_again_is_another_version(tmp_path: Path) -> None:
    _simple(tmp_path)
    before = {pair.name: pair.version() for pair in _read(tmp_path)[1]}
    assert before == {pair.name: pair.version() for pair in _read(tmp_path)[1]}
    _photo(tmp_path / "rgb/npy.jpg", value=200)
    _png(tmp_path / "mask/pfm.png", np.full((_HEIGHT, _WIDTH), 255, np.uint8))
    after = {pair.name: pair.version() for pair in _read(tmp_path)[1]}
    assert [name for name in before if before[name] != after[name]] == ["npy", "pfm"]
    (tmp_path / "scale.txt").write_text("1000\n")
    assert {pair.version() for pair in _read(tmp_path)[1]} & set(after.values()) == set()


@pytest.mark.parametrize("write", [write for _, write, _ in _WRITERS])
def test_every_pair_knows_its_files(tmp_path: Path, write: Callable[[Path], None]) -> None:
    write(tmp_path)
    pairs = _read(tmp_path)[1]
    before = [pair.version() for pair in pairs]
    read = {path for pair in pairs for path in pair.files if path.exists()}
    unread = {path.name for path in tmp_path.rglob("*") if path.is_file()} - {path.name for path in read}
    assert unread <= {"splits.mat"} or write is _tum  # whose photos do not all have depth
    for path in read:
        os.utime(path, ns=(0, 0))
    assert not {pair.version() for pair in pairs} & set(before)


def test_whatever_a_reader_raises_is_a_broken_pair() -> None:
    def fail() -> NoReturn:
        raise ZeroDivisionError("odd")

    with pytest.raises(BrokenPair, match="cannot be read: odd"):
        Pair("a", lambda: b"", fail).read()


@pytest.mark.parametrize("write", [write for _, write, _ in _WRITERS])
def test_what_a_desktop_leaves_behind_is_no_photo(tmp_path: Path, write: Callable[[Path], None]) -> None:
    """macOS puts a file ._NAME beside each NAME on disks of other systems."""
    write(tmp_path)
    expected = [pair.name for pair in _read(tmp_path)[1]]
    for path in [path for path in tmp_path.rglob("*") if path.is_file()]:
        path.with_name(f"._{path.name}").write_bytes(b"\0\5\x16\7")
        path.with_name(".DS_Store").write_bytes(b"Bud1")
    assert [pair.name for pair in _read(tmp_path)[1]] == expected


@pytest.mark.parametrize("write", [_simple, _nyu_folders, _kitti_drives, _diode, _middlebury])
def test_parts_of_a_data_set_may_be_links_to_folders(tmp_path: Path, write: Callable[[Path], None]) -> None:
    write(tmp_path / "disk")
    expected = [pair.name for pair in _read(tmp_path / "disk")[1]]
    (tmp_path / "data").mkdir()
    for path in (tmp_path / "disk").iterdir():
        (tmp_path / "data" / path.name).symlink_to(path)
    found = _read(tmp_path / "data")[1]
    assert [pair.name for pair in found] == expected
    assert [_reasons(pair) for pair in found] == len(expected) * [""]


def test_suffixes_may_have_capitals_and_a_mask_of_another_kind_is_not_ignored(tmp_path: Path) -> None:
    _simple(tmp_path)
    (tmp_path / "rgb/npy.jpg").rename(tmp_path / "rgb/npy.JPG")
    (tmp_path / "depth/npy.npy").rename(tmp_path / "depth/npy.NPY")
    _png(tmp_path / "mask/npy.png", np.eye(_HEIGHT, _WIDTH, dtype=np.uint8))
    (tmp_path / "mask/npy.png").rename(tmp_path / "mask/npy.PNG")
    _photo(tmp_path / "mask/pfm.jpg")
    for suffix in ("png", "npy"):
        _bytes(tmp_path / f"mask/png.{suffix}", b"")
    pairs = {pair.name: pair for pair in _read(tmp_path)[1]}
    truth = pairs["npy"].truth()
    assert isinstance(truth, Truth)
    assert np.array_equal(np.isfinite(truth.depth), np.eye(_HEIGHT, _WIDTH, dtype=bool))
    assert "pfm.jpg is not a PNG" in _reasons(pairs["pfm"])
    assert "There are 2 files mask/png." in _reasons(pairs["png"])


@pytest.mark.parametrize("place", ["", "data_depth_annotated", "data_depth_annotated/val", "$"])
@pytest.mark.parametrize("relative", [False, True])
def test_photos_of_kitti_are_found_from_wherever_data_begins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str, relative: bool
) -> None:
    """Raw data and annotations are two downloads, unpacked side by side."""
    drive = "2011_09_26_drive_0002_sync"
    _png(tmp_path / f"data_depth_annotated/val/{drive}/proj_depth/groundtruth/image_02/0000000005.png", _units(256))
    _photo(tmp_path / f"raw/2011_09_26/{drive}/image_02/data/0000000005.png")
    folder = tmp_path / place.replace("$", f"data_depth_annotated/val/{drive}")
    monkeypatch.chdir(folder)
    given = Path() if relative else folder
    [source] = find_sources([given], {given: layout_of(given)}, Rules(), None)
    [pair] = source.pairs
    assert _reasons(pair) == ""


def test_lists_of_tum_may_have_commas_and_windows_line_ends(tmp_path: Path) -> None:
    _tum(tmp_path)
    sequence = next(tmp_path.iterdir())
    expected = [pair.name for pair in _read(tmp_path)[1]]
    for name in ("rgb.txt", "depth.txt"):
        lines = [f"  {line}" if line[0] == "#" else line.replace(" ", ",") for line in _lines(sequence / name)]
        (sequence / name).write_text("\ufeff" + "\r\n".join(lines), encoding="utf-8")
    assert [pair.name for pair in _read(tmp_path)[1]] == expected
    (sequence / "rgb.txt").write_text("1.0\n")
    with pytest.raises(BrokenPair, match="not a list of times and files"):
        _read(tmp_path)


def _lines(path: Path) -> list[str]:
    return path.read_text().splitlines()


def test_undistorted_photos_of_eth3d_have_no_depth(tmp_path: Path) -> None:
    _eth3d(tmp_path)
    _photo(tmp_path / "courtyard/images/dslr_images_undistorted/DSC_0286.JPG")
    assert [pair.name for pair in _read(tmp_path)[1]] == ["courtyard/dslr_images/DSC_0286.JPG"]


def test_a_list_names_nothing_outside_its_folder(tmp_path: Path) -> None:
    """Else a downloaded data set could have any file sent to a service."""
    _photo(tmp_path / "secret.jpg")
    _bytes(tmp_path / "diw/DIW_test.csv", b"../secret.jpg\n1,1,6,8,>,8,6\n")
    _bytes(tmp_path / "tum/rgb.txt", b"1.0 ../secret.jpg\n")
    _bytes(tmp_path / "tum/depth.txt", b"1.0 depth/1.png\n")
    for name in ("diw", "tum"):
        [pair] = _read(tmp_path / name)[1]
        assert "is not in" in _reasons(pair)


@pytest.mark.parametrize("points", ["1,1,6,8,>,0,6", "nan,1,6,8,>,8,6", "1,1,6,8,=,8,6", "1 1 6 8 > 8 6"])
def test_points_that_are_none_are_refused(tmp_path: Path, points: str) -> None:
    _photo(tmp_path / "a.jpg")
    _bytes(tmp_path / "DIW_test.csv", f"a.jpg\n{points}\n".encode())
    [pair] = _read(tmp_path)[1]
    with pytest.raises(BrokenPair, match=re.escape(points)):
        pair.truth()


@pytest.mark.parametrize("name", LAYOUTS)
def test_no_layout_finds_anything_in_an_empty_folder_or_another_file(tmp_path: Path, name: str) -> None:
    (tmp_path / "file.txt").touch()
    (tmp_path / "folder").mkdir()
    for path in (tmp_path / "file.txt", tmp_path / "folder"):
        assert not LAYOUTS[name].recognises(path)
        assert list(LAYOUTS[name].pairs(path)) == []


def test_a_scale_that_is_no_number_is_refused(tmp_path: Path) -> None:
    _simple(tmp_path)
    (tmp_path / "scale.txt").write_text("millimetres")
    with pytest.raises(BrokenPair, match=r"scale\.txt"):
        _read(tmp_path)


def test_another_folder_is_refused_with_the_names_of_what_is_known(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"simple.*docs/evaluation\.md"):
        layout_of(tmp_path)
    shutil.rmtree(tmp_path)
    with pytest.raises(ConfigurationError, match="does not exist"):
        layout_of(tmp_path)
