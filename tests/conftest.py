"""What the tests share: photos made here, deterministic weights, and one running service."""

from __future__ import annotations

import io
import multiprocessing
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx
import numpy as np
import pillow_heif
import psutil
import pytest
import torch
import trimesh
from PIL import ExifTags, Image

from depthsvc import DepthEstimator
from depthsvc.model.weights.files import sha256_of
from tests import parity
from tests.distribution import pytest_collection_modifyitems, pytest_xdist_make_scheduler  # noqa: F401  # hooks

pillow_heif.register_heif_opener()  # the tests write HEIC files; the package only reads them
torch.set_num_threads(1)  # the tests share the processors with the services that they start


@dataclass(frozen=True)
class Checkpoint:
    path: Path
    sha256: str

    @property
    def options(self) -> list[str]:
        return ["--model", "midas_small", "--weights", str(self.path), "--weights-sha256", self.sha256]


@pytest.fixture(scope="session")
def cache_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache that the whole run shares, all its processes, so that every network is traced once."""
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent
    cache = folder / "cache"
    cache.mkdir(exist_ok=True)
    return cache


@pytest.fixture(autouse=True, scope="session")
def _own_settings(cache_dir: Path) -> Iterator[None]:
    """Keep the person's own settings and cache out of the tests, and the tests off the network and out of each
    other's way.
    """
    patch = pytest.MonkeyPatch()
    for variable in [name for name in os.environ if name.startswith("DEPTHSVC_")]:
        patch.delenv(variable)
    patch.setenv("DEPTHSVC_CACHE_DIR", str(cache_dir))
    patch.setenv("DEPTHSVC_DOWNLOAD", "false")
    patch.setenv("OMP_WAIT_POLICY", "PASSIVE")  # threads that spin would take the processors from other tests
    # What children of this process need, imported once and not by each of them.
    multiprocessing.get_context("forkserver").set_forkserver_preload(
        ["depthsvc.pool.worker", "depthsvc.model.engines.onnxruntime"]
    )
    yield
    patch.undo()


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    """A checkpoint of MiDaS_small with deterministic weights, in the published format."""
    path = tmp_path_factory.mktemp("weights") / "midas_small.pt"
    torch.save({key: torch.from_numpy(value) for key, value in parity.weights().items()}, path)
    return Checkpoint(path, sha256_of(path))


@pytest.fixture(scope="session")
def midas(checkpoint: Checkpoint, _own_settings: None) -> DepthEstimator:
    """MiDaS_small with deterministic weights, in this process."""
    return DepthEstimator("midas_small", weights=checkpoint.path, weights_sha256=checkpoint.sha256, worker_threads=1)


@pytest.fixture(scope="session")
def embedded(_own_settings: None) -> DepthEstimator:
    """The embedded model, in this process."""
    return DepthEstimator("embedded", worker_threads=1)


def encoded(pixels: np.ndarray | Image.Image, format: str = "PNG", **options: object) -> bytes:
    """The bytes of an image file."""
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def exif(focal_mm: int, orientation: int = 1) -> bytes:
    """EXIF data with the focal length that gives the same angle on 35 mm film."""
    block = Image.Exif()
    block[ExifTags.Base.Orientation] = orientation
    block.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.FocalLengthIn35mmFilm] = focal_mm
    return block.tobytes()


def until(condition: Callable[[], bool], longest_s: float = 60) -> None:
    """Wait for a condition, and fail if it does not come true."""
    end = time.monotonic() + longest_s
    while not condition():
        assert time.monotonic() < end, "it never happened"
        time.sleep(0.01)


def ended(processes: Iterable[psutil.Process]) -> bool:
    """Whether none of these processes runs any more. Where nobody asks how they ended they stay on as zombies."""

    def runs(process: psutil.Process) -> bool:
        try:
            return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
        except psutil.NoSuchProcess:
            return False

    return not any(map(runs, processes))


def point_cloud(source: Path | bytes) -> trimesh.PointCloud:
    """The points in a PLY file or in its bytes."""
    data = source if isinstance(source, bytes) else source.read_bytes()
    loaded = trimesh.load(io.BytesIO(data), file_type="ply")
    assert isinstance(loaded, trimesh.PointCloud)
    return loaded


def opened(source: Path | bytes) -> Image.Image:
    """The image in a file or in bytes, decoded, with nothing left open."""
    with Image.open(io.BytesIO(source) if isinstance(source, bytes) else source) as image:
        image.load()
        return image


@pytest.fixture(scope="session")
def photo_png() -> bytes:
    """A PNG photo of 320 x 240."""
    return encoded(parity.photo(240, 320))


@dataclass
class RunningService:
    """The command `depthsvc serve` in a process of its own."""

    process: subprocess.Popen[str]
    url: str
    announcement: str
    log: Path

    def client(self) -> httpx.Client:
        return httpx.Client(base_url=self.url, timeout=60)

    def workers(self) -> list[int]:
        """Process ids of the workers, one that is just starting included: the children of the fork server."""
        me = psutil.Process(self.process.pid)
        return [child.pid for server in me.children() for child in server.children()]

    @contextmanager
    def at_a_stand(self) -> Iterator[None]:
        """Nothing is computed meanwhile, so photos that are sent are neither done too soon nor need to be slow."""
        pids = self.workers()
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for pid in pids:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)

    def family(self) -> list[psutil.Process]:
        """All processes of the service, itself included."""
        me = psutil.Process(self.process.pid)
        return [me, *me.children(recursive=True)]

    def memory(self) -> int:
        """Bytes of memory that all of them hold, pages they share counted once."""
        total = 0
        for process in self.family():
            with suppress(psutil.NoSuchProcess):
                total += process.memory_full_info().pss
        return total


StartService = Callable[..., RunningService]


LIGHT = {"DEPTHSVC_ENGINE": "onnxruntime"}
"""Environment of processes in which the network is not what is tested: this engine is imported in a tenth of the time
that PyTorch takes."""


@contextmanager
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StartService]:
    """Starts services with the given options on free ports, and ends them with the block: each holds 300 MB.

    Their engine is that of LIGHT, unless an option says otherwise.
    """
    started: list[subprocess.Popen[str]] = []

    def start(*options: str, environment: dict[str, str] | None = None) -> RunningService:
        log = tmp_path_factory.mktemp("log") / "service.log"
        with log.open("w") as stderr:
            process = subprocess.Popen(
                [sys.executable, "-m", "depthsvc", "serve", "--port", "0", *options],
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
                env={**os.environ, **LIGHT, **(environment or {})},
                start_new_session=True,
            )
        started.append(process)
        assert process.stdout is not None
        if "json" in options:  # it prints nothing but its log
            until(lambda: "ready at" in log.read_text() or process.poll() is not None, longest_s=60)
            announcement = log.read_text()
        else:
            announcement = "".join(process.stdout.readline() for _ in range(5))
        address = re.search(r"http://[\w.:\[\]]+", announcement)
        assert address, f"the service did not start:\n{log.read_text()}"
        return RunningService(process, address.group(), announcement, log)

    yield start
    for process in started:
        process.terminate()
    for process in started:
        process.wait(timeout=30)
        if process.stdout:
            process.stdout.close()


@pytest.fixture
def light(monkeypatch: pytest.MonkeyPatch) -> None:
    """Has commands of a test run with LIGHT."""
    for name, value in LIGHT.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def start_service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StartService]:
    """Starts services for one test."""
    with services(tmp_path_factory) as start:
        yield start


@pytest.fixture(scope="session")
def service(
    tmp_path_factory: pytest.TempPathFactory, checkpoint: Checkpoint, _own_settings: None
) -> Iterator[RunningService]:
    """A service of two workers with MiDaS_small of deterministic weights."""
    with services(tmp_path_factory) as start:
        yield start(*checkpoint.options, "--engine", "torchscript", "--workers", "2", "--worker-threads", "1")


@pytest.fixture
def client(service: RunningService) -> Iterator[httpx.Client]:
    with service.client() as client:
        yield client


@pytest.fixture(scope="session")
def embedded_service(tmp_path_factory: pytest.TempPathFactory, _own_settings: None) -> Iterator[RunningService]:
    """A service of one worker with the embedded model, which is quick."""
    with services(tmp_path_factory) as start:
        yield start("--model", "embedded", "--engine", "torchscript", "--workers", "1", "--worker-threads", "1")
