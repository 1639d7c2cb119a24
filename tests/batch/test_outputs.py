from __future__ import annotations

import resource
from pathlib import Path

import pytest

from depthsvc.batch.outputs import Outputs
from depthsvc.batch.sources import Source
from depthsvc.errors import ConfigurationError
from depthsvc.formats import FORMATS


def test_names_never_collide_within_a_folder_nor_between_formats(tmp_path: Path) -> None:
    extensions = [format.extension for format in FORMATS]
    paths = {
        Outputs(tmp_path, extension).path(Source(Path("in/x/a.jpg"), Path("x", name)))
        for extension in extensions
        for name in ("a.jpg", "a.png", "a.jpeg", "b.png")
    }
    assert len(paths) == 4 * len(extensions)
    assert tmp_path / "x/a.jpg.depth.png" in paths
    assert tmp_path / "x/a.png.depth.16.png" in paths


def test_a_result_is_there_whole_or_not_at_all(tmp_path: Path) -> None:
    """A limit on the size of files stands for the full disk."""
    with Outputs(tmp_path / "out", "png") as outputs:
        path = tmp_path / "out/x/a.jpg.depth.png"
        outputs.write(path, b"first")
        assert path.read_bytes() == b"first"
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (2, limits[1]))
        try:
            with pytest.raises(OSError, match="File too large"):
                outputs.write(path, b"second")
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        assert path.read_bytes() == b"first"
        assert list(path.parent.iterdir()) == [path]


def test_leftovers_of_a_killed_batch_are_removed_and_empty_files_do_not_count(tmp_path: Path) -> None:
    folder = tmp_path / "out/x"
    folder.mkdir(parents=True)
    (folder / ".depthsvc-0123456789abcdef.part").write_bytes(b"half a res")
    (folder / "b.jpg.depth.png").touch()
    photo = Source(Path("in/x/b.jpg"), Path("x/b.jpg"))
    with Outputs(tmp_path / "out", "png") as outputs:
        assert outputs.existing(photo) is None
        outputs.write(outputs.path(photo), b"whole")
        assert outputs.existing(photo) == folder / "b.jpg.depth.png"
    assert [path.name for path in folder.iterdir()] == ["b.jpg.depth.png"]


def test_a_folder_is_no_result(tmp_path: Path) -> None:
    (tmp_path / "a.jpg.depth.png").mkdir()
    with Outputs(tmp_path, "png") as outputs:
        assert outputs.existing(Source(Path("a.jpg"), Path("a.jpg"))) is None


def test_the_result_of_an_earlier_version_counts_where_one_has_written(tmp_path: Path) -> None:
    photo = Source(Path("in/a.jpg"), Path("a.jpg"))
    (tmp_path / "a.jpg.png").write_bytes(b"a photo, or an earlier result")
    with Outputs(tmp_path, "png") as outputs:
        assert outputs.existing(photo) is None
    (tmp_path / ".depthsvc.lock").touch()
    with Outputs(tmp_path, "png") as outputs:
        assert outputs.existing(photo) == tmp_path / "a.jpg.png"


def test_names_that_differ_in_case_are_one_file_where_the_file_system_says_so(tmp_path: Path) -> None:
    """The lock under another name stands for a file system that ignores case."""
    with Outputs(tmp_path, "png") as outputs:
        assert outputs.entry(tmp_path / "A.jpg") != outputs.entry(tmp_path / "a.JPG")
    (tmp_path / ".DEPTHSVC-BATCH.LOCK").touch()
    with Outputs(tmp_path, "png") as outputs:
        assert outputs.entry(tmp_path / "A.jpg") == outputs.entry(tmp_path / "a.JPG")


def test_two_batches_do_not_share_a_folder(tmp_path: Path) -> None:
    with (
        Outputs(tmp_path, "png"),
        pytest.raises(ConfigurationError, match="another batch is writing to this folder"),
        Outputs(tmp_path, "npy"),
    ):
        pass
    with Outputs(tmp_path, "npy"):
        pass


def test_a_file_is_no_output_folder(tmp_path: Path) -> None:
    (tmp_path / "out").touch()
    with (
        pytest.raises(ConfigurationError, match="out cannot be used as the output folder"),
        Outputs(tmp_path / "out", "png"),
    ):
        pass
