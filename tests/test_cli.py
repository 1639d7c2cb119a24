from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import click
import numpy as np
import pytest
from click.testing import CliRunner

from depthsvc import DepthEstimator
from depthsvc.cli import main
from depthsvc.options import OPTIONS, UploadQuery
from depthsvc.settings import Settings
from depthsvc.version import __version__
from tests.conftest import LIGHT, Checkpoint, encoded, opened
from tests.parity import photo


@pytest.fixture
def photo_file(tmp_path: Path, photo_png: bytes) -> Path:
    path = tmp_path / "cat.png"
    path.write_bytes(photo_png)
    return path


def predict(*arguments: object, stdin: bytes | None = None) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "depthsvc", "predict", *map(str, arguments)]
    return subprocess.run(command, input=stdin, env=os.environ | LIGHT, capture_output=True, timeout=300)


def test_predict_writes_each_format_by_extension_or_option(
    checkpoint: Checkpoint, midas: DepthEstimator, photo_file: Path, tmp_path: Path
) -> None:
    expected = midas.predict(photo_file)
    npy, grey = tmp_path / "out.npy", tmp_path / "out.png"
    assert predict(photo_file, "-o", npy, *checkpoint.options, "--worker-threads", 1).returncode == 0
    assert np.abs(np.load(npy).astype(np.float32) - expected.values).max() <= np.spacing(np.float16(expected.max))
    result = predict(photo_file, "-o", grey, "--format", "png16", *checkpoint.options, "--worker-threads", 1)
    assert "out.png: 320 x 240, by midas_small" in result.stderr.decode()
    assert np.asarray(opened(grey)).dtype == np.uint16


def test_predict_is_a_pipe(checkpoint: Checkpoint, photo_png: bytes) -> None:
    result = predict("-", "-o", "-", *checkpoint.options, stdin=photo_png)
    assert opened(result.stdout).size == (320, 240)


def test_a_reader_that_has_had_enough_is_no_traceback(photo_file: Path) -> None:
    predicting = f"{sys.executable} -m depthsvc predict {photo_file} --model embedded --worker-threads 1 -o -"
    result = subprocess.run(["bash", "-c", f"{predicting} | true; echo ${{PIPESTATUS[0]}}"], capture_output=True)
    assert result.stdout == b"1\n"
    assert b"Traceback" not in result.stderr
    assert b"Exception" not in result.stderr


def test_predict_names_its_output_after_the_photo(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, photo_file: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(main, ["predict", str(photo_file), "--model", "embedded", "--worker-threads", "1"])
    assert result.exit_code == 0, result.output
    assert opened(tmp_path / "cat.png.depth.png").mode == "RGB"
    arguments = ["predict", str(photo_file), "--model", "embedded", "--worker-threads", "1", "--format", "png16"]
    assert CliRunner().invoke(main, arguments).exit_code == 0
    assert np.asarray(opened(tmp_path / "cat.png.depth.16.png")).dtype == np.uint16


def test_predict_makes_every_result(tmp_path: Path, photo_file: Path, embedded: DepthEstimator) -> None:
    local = ("--model", "embedded", "--worker-threads", "1")
    expected = {
        ("--invert",): embedded.heatmap(photo_file, invert=True, palette=False),
        ("--side-by-side", "--colormap", "hot"): embedded.heatmap(photo_file, side_by_side=True, colormap="hot"),
        ("--bokeh", "--focus", "0.5,0.25"): embedded.bokeh(photo_file, focus=(0.5, 0.25)),
        ("--stereo", "--layout", "half", "--divergence", "4"): embedded.stereo(photo_file, layout="half", divergence=4),
    }
    for options, picture in expected.items():
        output = tmp_path / ("out.jpg" if options[0] in ("--bokeh", "--stereo") else "out.png")
        result = CliRunner().invoke(main, ["predict", str(photo_file), "-o", str(output), *options, *local])
        assert result.exit_code == 0, result.output
        assert output.read_bytes() == picture
    arguments = ["predict", str(photo_file), "-o", str(tmp_path / "out.normals.png"), "--fov", "50", *local]
    assert CliRunner().invoke(main, arguments).exit_code == 0
    assert (tmp_path / "out.normals.png").read_bytes() == embedded.normals(photo_file, fov=50)
    arguments = ["predict", str(photo_file), "-o", str(tmp_path / "out.glb"), "--max-vertices", "9000", *local]
    assert CliRunner().invoke(main, arguments).exit_code == 0
    assert (tmp_path / "out.glb").read_bytes() == embedded.mesh(photo_file, max_vertices=9000)


def test_commands_have_every_option_of_a_photo() -> None:
    kinds = (UploadQuery, *OPTIONS.values())
    expected = {name for kind in kinds for name in kind.model_fields} - {"palette", "format"} | {"bokeh", "stereo"}
    for command in (main.commands["predict"], main.commands["batch"]):
        assert expected <= {option.name for option in command.get_params(click.Context(command))}


@pytest.mark.parametrize("link", [Path.hardlink_to, Path.symlink_to])
def test_predict_does_not_overwrite_the_photo(
    photo_file: Path, photo_png: bytes, link: Callable[[Path, Path], None]
) -> None:
    linked = photo_file.with_name("linked.png")
    link(linked, photo_file)
    for output in (photo_file, linked, photo_file.parent / "x/../cat.png"):
        (photo_file.parent / "x").mkdir(exist_ok=True)
        for given, stdin in ((str(photo_file), None), ("-", photo_file)):
            with stdin.open("rb") if stdin else nullcontext() as piped:
                command = [sys.executable, "-m", "depthsvc", "predict", given, "-o", str(output)]
                result = subprocess.run(command, stdin=piped, capture_output=True, text=True, timeout=60)
            assert result.returncode == 1
            assert result.stderr == f"Error: {output} is the photo itself. Choose another file with --output.\n"
    assert photo_file.read_bytes() == photo_png


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["missing.jpg"], "missing.jpg: No such file or directory"),
        (
            ["{photo}", "-o", "depth.webp"],
            "unknown format. Use one of .png, .f16, .npy, .png16, .exr, .tiff, .ply, .normals, .glb, or --format",
        ),
        (["{photo}", "-o", "no/such/depth.png"], "the folder no/such does not exist"),
        (["{photo}", "--model", "nonesuch"], "Unknown model 'nonesuch': use one of auto, midas_small, embedded"),
        (["{photo}", "--model", "embedded", "--colormap", "rainbow"], "'rainbow' is not one of inferno, magma"),
        (["{photo}", "--format", "npy", "--colormap", "hot"], "--colormap cannot be used with this format"),
        (["{broken}", "--model", "embedded"], "PNG file is damaged"),
        (["{photo}", "--model", "embedded", "--max-megapixels", "0.01"], "Resize it, or raise --max-megapixels."),
        (["{photo}", "--model", "embedded", "--input-size", "2048"], "at most 1024, or raise --max-input-size."),
        (["{photo}", "--bokeh", "-o", "refocused.png"], "the result is a .jpg file. Change the extension."),
        (["{photo}", "--bokeh", "--format", "npy"], "--bokeh cannot be used with this format."),
        (["{photo}", "--stereo", "--focus", "0.5,0.5"], "--focus cannot be used with --stereo."),
        (["{photo}", "--bokeh", "--stereo"], "--bokeh and --stereo cannot be combined. Choose one."),
        (["{photo}", "--stereo", "--divergence", "11"], "--divergence: Input should be less than or equal to 10"),
        (["{photo}", "--bokeh", "--focus", "left"], "--focus: use auto, or a point as x,y"),
        (["https://example.org/a.jpg"], "https://example.org/a.jpg is a URL. Download the photo"),
        (["{photo}", "--size", "huge"], "'huge' is not one of 'source', 'screen', 'model'"),
        (["{photo}", "--worker-threads", "0"], "--worker-threads (or DEPTHSVC_WORKER_THREADS)"),
    ],
)
def test_predict_explains_what_is_wrong(photo_file: Path, arguments: list[str], message: str) -> None:
    broken = photo_file.with_name("broken.png")
    broken.write_bytes(encoded(photo(9, 9))[:-30])
    given = [argument.format(photo=photo_file, broken=broken) for argument in arguments]
    result = CliRunner().invoke(main, ["predict", *given])
    assert result.exit_code in (1, 2)
    assert message in result.output


def test_serve_has_an_option_and_a_variable_for_every_setting() -> None:
    output = CliRunner().invoke(main, ["serve", "--help"]).output
    for name in Settings.model_fields:
        assert f"--{name.replace('_', '-')}" in output
        assert f"DEPTHSVC_{name.upper()}" in output


def test_version() -> None:
    assert __version__ in CliRunner().invoke(main, ["--version"]).output


def test_weights_list_path_and_verify(checkpoint: Checkpoint, tmp_path: Path) -> None:
    run = CliRunner().invoke
    listed = run(main, ["weights", "list", "--cache-dir", str(tmp_path)]).output
    assert "midas_small" in listed
    assert "not on this machine; download them: depthsvc weights fetch midas_small" in listed
    missing = run(main, ["weights", "path", "--cache-dir", str(tmp_path)])
    assert missing.exit_code == 1
    assert "depthsvc weights fetch midas_small" in missing.output
    assert run(main, ["weights", "path", "embedded"]).output.strip().endswith("embedded.safetensors")
    good = run(
        main,
        ["weights", "verify", "--weights", str(checkpoint.path), "--weights-sha256", checkpoint.sha256],
    )
    assert good.output == f"{checkpoint.path} is valid: SHA-256 {checkpoint.sha256}\n"
    wrong = run(main, ["weights", "verify", "--weights", str(checkpoint.path), "--weights-sha256", "0" * 64])
    assert wrong.exit_code == 1
    assert str(checkpoint.path) in wrong.output
    assert "expected 000" in wrong.output


def test_ray_is_imported_only_where_it_is_wanted_and_its_absence_is_explained(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    script = """
import sys
import depthsvc.cli, depthsvc.server.lifecycle, depthsvc.batch.run
assert not {"ray", "pyarrow"} & set(sys.modules)
sys.modules["ray"] = None
depthsvc.cli.main()
"""
    for command in (["batch", "photos", "out", "--ray"], ["serve", "--ray", "--port", "0"]):
        result = subprocess.run(
            [sys.executable, "-c", script, *command], cwd=tmp_path, capture_output=True, text=True, timeout=60
        )
        assert result.returncode == (2 if command[0] == "batch" else 1)
        assert "pip install 'depthsvc[ray]'" in result.stderr
        assert "Traceback" not in result.stderr
