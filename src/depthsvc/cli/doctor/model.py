"""Checks of the model: engines, extras, weights, the cache, and one photo."""

from __future__ import annotations

import logging
import re
import shutil
import tempfile
import time
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, requires
from importlib.metadata import version as installed_version
from pathlib import Path

from depthsvc.cli.doctor.configuration import Configuration
from depthsvc.cli.doctor.finding import Finding, fine, note, wrong
from depthsvc.errors import installation
from depthsvc.machine.folders import can_write
from depthsvc.model.cached import entries, size_of
from depthsvc.model.choice import CPU, EngineName
from depthsvc.model.custom import is_model_path, read_description
from depthsvc.model.engines.kinds import KINDS
from depthsvc.model.registry import AUTO, registered
from depthsvc.model.spec import RegisteredModel
from depthsvc.model.weights.files import find_weights
from depthsvc.pool.processes import run_in_child
from depthsvc.settings import Settings

_FREE_BYTES = 200_000_000
"""Room for weights and for what is prepared from them."""
_NOT_FOR_USERS = {"dev", "release"}
_PHOTO = Path(__file__).parents[2] / "web/samples/street.jpg"


def engines(configuration: Configuration) -> Finding:
    settings = configuration.settings
    if settings.engine is not EngineName.AUTO:
        KINDS[settings.engine].require(to_write=False)
    installed = [f"{kind.name} ({_version(kind.packages[0])})" for kind in KINDS.values() if kind.can_run()]
    known = f"installed: {', '.join(installed)}; chosen: {settings.engine}, {settings.precision}"
    if unsuited := _unsuited(settings):
        return note(f"{known}. {settings.engine} cannot run {unsuited[0]}, which runs on torchscript instead.")
    return fine(known)


def _unsuited(settings: Settings) -> list[str]:
    """The registered models that the chosen engine cannot run."""
    if settings.engine is EngineName.AUTO:
        return []
    names = [name for name in settings.models if name != AUTO and not is_model_path(name)]
    return [name for name in names if not KINDS[settings.engine].suits(registered(name).architecture)]


def extras(configuration: Configuration) -> Finding:
    optional = list(_optional_packages())
    missing = {extra for extra, package in optional if _version(package) is None}
    for extra, wanted in {"otel": configuration.settings.traces, "ray": configuration.settings.ray}.items():
        if wanted and extra in missing:
            return wrong(f"The settings need the extra {extra}. Install it: {installation(extra)}")
    there = sorted({extra for extra, _ in optional} - missing)
    advice = f"; for more: {installation(','.join(sorted(missing)))}" if missing else ""
    return fine(f"installed: {', '.join(there) or 'none'}{advice}")


def _optional_packages() -> Iterator[tuple[str, str]]:
    """Each extra that users may want, with each of its packages."""
    for requirement in requires("depthsvc") or ():
        if found := re.match(r"""([\w.-]+).*;.*\bextra == ["']([\w-]+)""", requirement):
            package, extra = found.groups()
            if extra not in _NOT_FOR_USERS:
                yield extra, package


def _version(package: str) -> str | None:
    try:
        return installed_version(package)
    except PackageNotFoundError:
        return None


def weights(configuration: Configuration) -> Finding:
    settings = configuration.settings
    if is_model_path(settings.model):
        read_description(Path(settings.model))
        return fine(f"{settings.model}, with its description")
    model = _model(settings)
    if found := find_weights(model, settings.weights_locations):
        return fine(f"{model.name} in {found.path}")
    folder = settings.weights_locations.cached_weights
    if settings.download:
        return note(f"{model.name} is not on this machine. The next start downloads it to {folder}.")
    advice = "Allow downloads, or set DEPTHSVC_WEIGHTS_DIR to a folder with its file."
    if settings.model == AUTO:
        return note(f"{model.name} is not in {folder}, so the embedded model is used. {advice}")
    return wrong(f"{model.name} is not in {folder}. {advice}")


def _model(settings: Settings) -> RegisteredModel:
    """The registered model that is wanted."""
    return registered("midas_small" if settings.model == AUTO else settings.model)


def _has_to_be_downloaded(settings: Settings) -> bool:
    """Whether the service cannot run before a download that is allowed."""
    if settings.model == AUTO or is_model_path(settings.model) or not settings.download:
        return False
    return find_weights(_model(settings), settings.weights_locations) is None


def cache(configuration: Configuration) -> Finding:
    folder = configuration.settings.cache_dir
    known = f"{folder}, {sum(map(size_of, entries(folder))) / 1e6:.0f} MB"
    if not can_write(folder):
        return note(f"{known}, not writable. What is missing in it is made in a temporary folder.")
    free = shutil.disk_usage(next(path for path in (folder, *folder.absolute().parents) if path.exists())).free
    if free < _FREE_BYTES:
        return note(f"{known}, writable, but only {free / 1e6:.0f} MB of its disk are free. A model may need 200 MB.")
    return fine(f"{known}, writable")


def temporary(_: Configuration) -> Finding:
    return fine(f"{tempfile.gettempdir()}, writable")


def self_test(configuration: Configuration) -> Finding:
    if _has_to_be_downloaded(configuration.settings):
        return note(
            f"not done: download the weights first, with depthsvc weights fetch {configuration.settings.model}."
        )
    try:
        return run_in_child(_answer_a_photo, configuration.settings)
    except ChildProcessError:
        return wrong("The process was killed: too little memory, or a library that does not suit this processor.")


def _answer_a_photo(settings: Settings) -> Finding:
    from depthsvc.estimator import DepthEstimator

    logging.disable()  # in a process of its own
    began = time.monotonic()
    offline = {"download": False, "worker_threads": settings.threads_per_worker}
    estimator = DepthEstimator(settings=settings.model_copy(update=offline))
    estimator.pipeline.model.warm()
    ready = time.monotonic()
    height, width = estimator.heatmap(_PHOTO).pixels.shape[:2]
    taken = f"{1000 * (time.monotonic() - ready):.0f} ms, after {ready - began:.1f} s to load the model"
    engine = f"{estimator.engine}, {estimator.precision}" + (f", {estimator.device}" if estimator.device != CPU else "")
    return fine(f"{estimator.model} on {engine}: {width} x {height} photo in {taken}")
