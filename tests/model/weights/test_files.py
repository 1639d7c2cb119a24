"""Weights are looked for in one order, and nothing is used whose hash is not the right one."""

from __future__ import annotations

import hashlib
import re
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest

from depthsvc.errors import ConfigurationError, DownloadError, WeightsError
from depthsvc.model.choice import WeightsLocations
from depthsvc.model.registry import registered
from depthsvc.model.spec import RegisteredModel, RegisteredWeights
from depthsvc.model.weights import files as weights
from depthsvc.model.weights.files import find_weights, locate, obtain, verify
from tests.model.weights.file_server import FileServer, Route

CONTENT = b"the published weights" * 100
SHA256 = hashlib.sha256(CONTENT).hexdigest()
OTHER = b"other weights"
OTHER_SHA256 = hashlib.sha256(OTHER).hexdigest()
FIRST_NAME, SECOND_NAME = "published.pt", "published_elsewhere.pt"


@pytest.fixture
def route() -> Route:
    return Route(CONTENT)


@pytest.fixture
def model(file_server: FileServer, route: Route) -> RegisteredModel:
    """midas_small, as if its publisher had put out CONTENT."""
    published = RegisteredWeights((FIRST_NAME, SECOND_NAME), SHA256, (file_server.add("/file", route),))
    return replace(registered("midas_small"), weights=published)


@pytest.fixture
def locations(tmp_path: Path) -> WeightsLocations:
    """An empty cache and an empty weights_dir."""
    (tmp_path / "dir").mkdir()
    return WeightsLocations(cache_dir=tmp_path / "cache", weights_dir=tmp_path / "dir")


def _put(folder: Path | None, name: str = FIRST_NAME, content: bytes = CONTENT) -> Path:
    assert folder is not None
    folder.mkdir(exist_ok=True, parents=True)
    (folder / name).write_bytes(content)
    return folder / name


def test_explicit_file_comes_first(model: RegisteredModel, locations: WeightsLocations, tmp_path: Path) -> None:
    _put(locations.weights_dir)
    _put(locations.cached_weights)
    own = _put(tmp_path, "own.pt", OTHER)
    found = obtain(model, replace(locations, explicit=own, sha256=OTHER_SHA256))
    assert (found.path, found.sha256) == (own, OTHER_SHA256)


def test_weights_dir_comes_before_the_cache(model: RegisteredModel, locations: WeightsLocations) -> None:
    _put(locations.cached_weights)
    expected = _put(locations.weights_dir)
    found = obtain(model, locations)
    assert (found.path, found.sha256) == (expected, SHA256)


def test_cache_comes_before_the_download(model: RegisteredModel, locations: WeightsLocations, route: Route) -> None:
    expected = _put(locations.cached_weights)
    assert obtain(model, locations).path == expected
    assert route.ranges_asked == []


def test_download_lands_in_the_cache(model: RegisteredModel, locations: WeightsLocations, route: Route) -> None:
    for _ in range(2):
        found = obtain(model, locations)
        assert (found.path, found.sha256) == (locations.cached_weights / FIRST_NAME, SHA256)
    assert found.path.read_bytes() == CONTENT
    assert len(route.ranges_asked) == 1


def test_download_lands_in_a_temporary_folder_if_the_cache_cannot_be_written(
    model: RegisteredModel, locations: WeightsLocations, tmp_path: Path, route: Route, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    locations.cache_dir.write_bytes(b"not a folder")
    for _ in range(2):
        found = obtain(model, locations)
        assert found.path.parents[2] == tmp_path / "temporary"
        assert found.sha256 == SHA256
    assert len(route.ranges_asked) == 1


def test_a_cache_that_can_only_be_read_needs_no_temporary_folder(
    model: RegisteredModel, locations: WeightsLocations, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none() -> str:
        raise FileNotFoundError("No usable temporary directory found")

    monkeypatch.setattr(tempfile, "gettempdir", none)
    monkeypatch.setattr(weights, "can_write", lambda _: False)
    expected = _put(locations.cached_weights)
    assert locate(model, locations).path == expected
    expected.unlink()
    assert find_weights(model, locations) is None


@pytest.mark.parametrize("in_cache", [False, True], ids=["weights_dir", "cache"])
def test_second_published_name_is_accepted(model: RegisteredModel, locations: WeightsLocations, in_cache: bool) -> None:
    expected = _put(locations.cached_weights if in_cache else locations.weights_dir, SECOND_NAME)
    assert locate(model, locations).path == expected


def test_explicit_file_that_is_the_published_one_needs_no_hash(
    model: RegisteredModel, locations: WeightsLocations, tmp_path: Path
) -> None:
    own = _put(tmp_path, "own.pt")
    found = obtain(model, replace(locations, explicit=own))
    assert (found.path, found.sha256) == (own, SHA256)


def test_explicit_file_without_hash_is_refused_with_the_option_to_add(
    model: RegisteredModel, locations: WeightsLocations, tmp_path: Path
) -> None:
    own = _put(tmp_path, "own.pt", OTHER)
    with pytest.raises(ConfigurationError) as caught:
        obtain(model, replace(locations, explicit=own))
    assert str(caught.value).startswith(f"{own} is not the published file of midas_small")
    assert str(caught.value).endswith(f"add its hash: --weights-sha256 {OTHER_SHA256}")


def test_explicit_file_with_wrong_hash_is_refused_naming_both(
    model: RegisteredModel, locations: WeightsLocations, tmp_path: Path
) -> None:
    own = _put(tmp_path, "own.pt", OTHER)
    message = re.escape(f"{own} is refused: its SHA-256 is {OTHER_SHA256}, expected {SHA256}. ")
    with pytest.raises(WeightsError, match=message):
        obtain(model, replace(locations, explicit=own, sha256=SHA256))


def test_the_first_digits_of_a_hash_are_not_enough(tmp_path: Path) -> None:
    path = _put(tmp_path, content=OTHER)
    with pytest.raises(WeightsError, match=re.escape(f"is {OTHER_SHA256}, expected {OTHER_SHA256[:8]}. ")):
        verify(path, OTHER_SHA256[:8])


def test_bad_file_in_weights_dir_is_refused_and_kept(
    model: RegisteredModel, locations: WeightsLocations, route: Route
) -> None:
    _put(locations.cached_weights)
    bad = _put(locations.weights_dir, content=OTHER)
    with pytest.raises(WeightsError, match=re.escape(f"{bad} is refused: its SHA-256 is {OTHER_SHA256}")):
        obtain(model, locations)
    assert bad.read_bytes() == OTHER
    assert route.ranges_asked == []


def test_bad_file_in_the_cache_is_replaced_with_a_warning(
    model: RegisteredModel, locations: WeightsLocations, caplog: pytest.LogCaptureFixture
) -> None:
    bad = _put(locations.cached_weights, content=CONTENT[:100])
    assert obtain(model, locations).path == bad
    assert bad.read_bytes() == CONTENT
    [record] = [record for record in caplog.records if record.levelname == "WARNING"]
    assert record.getMessage().startswith(f"{bad} is refused: its SHA-256 is ")
    assert record.getMessage().endswith("Removing it from the cache.")


def test_download_that_is_off_is_told_with_the_folders_searched(
    model: RegisteredModel, locations: WeightsLocations, route: Route
) -> None:
    with pytest.raises(WeightsError) as caught:
        obtain(model, replace(locations, download=False))
    folders = f"{locations.weights_dir} or {locations.cached_weights}"
    assert str(caught.value).startswith(f"{FIRST_NAME} is not in {folders}, and downloading is off.")
    assert "DEPTHSVC_WEIGHTS_DIR" in str(caught.value)
    assert route.ranges_asked == []


def test_download_that_fails_names_the_file(model: RegisteredModel, locations: WeightsLocations, route: Route) -> None:
    route.status = 404
    with pytest.raises(DownloadError, match=rf"^{FIRST_NAME} could not be downloaded\. .*: HTTP status 404\."):
        obtain(model, locations)


def test_missing_weights_are_told_with_the_command_that_gets_them(
    model: RegisteredModel, locations: WeightsLocations
) -> None:
    with pytest.raises(WeightsError, match=r"Download them: depthsvc weights fetch midas_small$"):
        locate(model, replace(locations, weights_dir=None))
    assert find_weights(model, locations) is None


@pytest.mark.parametrize("reason", ["No such file or directory", "Is a directory"])
def test_explicit_file_that_cannot_be_read_is_named(
    model: RegisteredModel, locations: WeightsLocations, tmp_path: Path, reason: str
) -> None:
    path = tmp_path / ("missing.pt" if reason.startswith("No such") else "dir")
    with pytest.raises(WeightsError, match=re.escape(f"{path} cannot be read: {reason}.")):
        obtain(model, replace(locations, explicit=path, sha256=SHA256))


def test_embedded_weights_are_those_of_the_package(
    locations: WeightsLocations, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shipped = _put(tmp_path, "embedded.safetensors")
    monkeypatch.setattr(weights, "EMBEDDED_WEIGHTS", shipped)
    found = obtain(registered("embedded"), locations)
    assert (found.path, found.sha256) == (shipped, SHA256)


def test_a_registered_file_can_be_pinned_to_its_whole_hash(model: RegisteredModel, locations: WeightsLocations) -> None:
    cached = _put(locations.cached_weights)
    assert obtain(model, replace(locations, sha256=SHA256)).path == cached
    with pytest.raises(WeightsError, match=f"expected {OTHER_SHA256}"):
        obtain(model, replace(locations, sha256=OTHER_SHA256))
    assert cached.exists()


def test_weights_that_may_not_be_used_commercially_are_fetched_once_their_licence_is_accepted(
    model: RegisteredModel, locations: WeightsLocations
) -> None:
    restricted = replace(model, licence="CC-BY-NC-4.0", non_commercial=True)
    for accepted in ((), ("MIT",)):
        with pytest.raises(WeightsError, match=r"--accept-licence CC-BY-NC-4\.0"):
            obtain(restricted, replace(locations, accepted_licences=accepted))
    assert obtain(restricted, replace(locations, accepted_licences=("CC-BY-NC-4.0",))).sha256 == SHA256


def test_a_file_that_is_here_needs_no_licence(model: RegisteredModel, locations: WeightsLocations) -> None:
    _put(locations.weights_dir)
    assert obtain(replace(model, non_commercial=True), locations).sha256 == SHA256


@pytest.fixture
def unpublished(model: RegisteredModel) -> RegisteredModel:
    """A model of whose weights nobody has published a hash."""
    assert model.weights
    return replace(model, weights=replace(model.weights, sha256=None))


def test_weights_without_a_published_hash_are_not_fetched(
    unpublished: RegisteredModel, locations: WeightsLocations
) -> None:
    with pytest.raises(WeightsError, match=r"Download published\.pt yourself from .*--weights FILE"):
        obtain(unpublished, locations)
    assert obtain(unpublished, replace(locations, sha256=SHA256)).sha256 == SHA256


def test_the_error_for_a_file_without_a_published_hash_says_the_files_own(
    unpublished: RegisteredModel, locations: WeightsLocations
) -> None:
    path = _put(locations.weights_dir)
    with pytest.raises(ConfigurationError, match=f"--weights-sha256 {SHA256}"):
        obtain(unpublished, locations)
    with pytest.raises(ConfigurationError, match=rf"may be the file of midas_small.*--weights-sha256 {SHA256}"):
        obtain(unpublished, replace(locations, explicit=path))
    assert obtain(unpublished, replace(locations, sha256=SHA256)).path == path
    assert obtain(unpublished, replace(locations, trusted_sha256=(OTHER_SHA256, SHA256))).path == path
    with pytest.raises(ConfigurationError, match=f"--weights-sha256 {SHA256}"):
        obtain(unpublished, replace(locations, trusted_sha256=(OTHER_SHA256,)))
