from __future__ import annotations

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
    assert tmp_path / "x/a.jpg.png" in paths
    assert tmp_path / "x/a.png.16.png" in paths


def test_a_result_is_there_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Outputs(tmp_path / "out", "png") as outputs:
        path = tmp_path / "out/x/a.jpg.png"
        outputs.write(path, b"first")
        assert path.read_bytes() == b"first"
        written = Path.write_bytes

        def full_disk(self: Path, data: bytes) -> int:
            written(self, data[:2])
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(Path, "write_bytes", full_disk)
        with pytest.raises(OSError, match="No space left"):
            outputs.write(path, b"second")
        assert path.read_bytes() == b"first"
        assert list(path.parent.iterdir()) == [path]


def test_leftovers_of_a_killed_batch_are_removed_and_empty_files_do_not_count(tmp_path: Path) -> None:
    folder = tmp_path / "out/x"
    folder.mkdir(parents=True)
    (folder / ".depthsvc-0123456789abcdef.part").write_bytes(b"half a res")
    (folder / "b.jpg.png").touch()
    with Outputs(tmp_path / "out", "png") as outputs:
        assert not outputs.exists(folder / "b.jpg.png")
        outputs.write(folder / "b.jpg.png", b"whole")
        assert outputs.exists(folder / "b.jpg.png")
    assert [path.name for path in folder.iterdir()] == ["b.jpg.png"]


def test_a_folder_is_no_result(tmp_path: Path) -> None:
    (tmp_path / "a.jpg.png").mkdir()
    assert not Outputs(tmp_path, "png").exists(tmp_path / "a.jpg.png")


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
