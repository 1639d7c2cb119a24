from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from depthsvc.batch.ignored import Ignored
from depthsvc.batch.sources import Source
from depthsvc.cluster.storage import Storage, StoredResults, photos_in_storage
from depthsvc.errors import BodyTooLarge, ConfigurationError, NotAnImage
from tests.conftest import encoded
from tests.parity import photo

PIXELS = 1_000_000


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    """A folder known by a URI that only the file system of a storage can make sense of."""
    return Storage((tmp_path / "my photos").as_uri())


def test_a_file_is_found_under_its_uri_and_read_as_it_was_written(storage: Storage, tmp_path: Path) -> None:
    data = encoded(photo(9, 9))
    storage.write("é/50% #1.png", data)
    storage.write("é/50% #1.png", data + b"x")
    assert storage.sizes() == {"é/50% #1.png": len(data) + 1}
    uri = storage.uri("é/50% #1.png")
    assert uri == (tmp_path / "my photos/é/50% #1.png").as_uri()
    assert storage.name(uri) == "é/50% #1.png"
    sent = pickle.loads(pickle.dumps(storage))
    assert sent.read("é/50% #1.png", PIXELS) == data + b"x"


def test_what_cannot_be_put_in_its_place_leaves_nothing(storage: Storage, tmp_path: Path) -> None:
    (tmp_path / "my photos/a.png/b").mkdir(parents=True)  # a folder where the file belongs
    with pytest.raises(OSError, match=r"a\.png"):
        storage.write("a.png", b"x")
    assert storage.sizes() == {}


def test_parameters_of_a_store_stay_in_the_uris_of_its_files() -> None:
    store = Storage("s3://bucket/photos/?region=eu-west-1&endpoint_override=localhost:9")
    assert store.uri("a b.jpg") == "s3://bucket/photos/a%20b.jpg?region=eu-west-1&endpoint_override=localhost:9"
    assert store.name(store.uri("a b.jpg")) == "a b.jpg"


def test_what_cannot_be_a_photo_is_refused(storage: Storage) -> None:
    storage.write("text.jpg", b"no photo at all")
    storage.write("large.jpg", b"\xff\xd8\xff" + bytes(9_000_001))
    with pytest.raises(NotAnImage):
        storage.read("text.jpg", PIXELS)
    with pytest.raises(BodyTooLarge):
        storage.read("large.jpg", PIXELS)
    with pytest.raises(FileNotFoundError):
        storage.read("missing.jpg", PIXELS)


def test_photos_are_chosen_as_in_a_folder(storage: Storage) -> None:
    for name in ("b.JPG", "a/c.webp", "notes.txt", ".hidden.jpg", ".trash/d.jpg", "results/b.JPG.depth.png"):
        storage.write(name, b"x")
    for name in ("@eaDir/e.jpg", "other/a.jpg.depth.png", "a/clip.MOV", "report.jsonl"):
        storage.write(name, b"x")
    ignored = Ignored()
    found = list(photos_in_storage(storage, storage.uri("results"), ignored))
    assert found == [Source(storage.uri("a/c.webp"), Path("a/c.webp")), Source(storage.uri("b.JPG"), Path("b.JPG"))]
    assert str(ignored) == "3 ignored: 1 MOV, 1 TXT, 1 made by depthsvc"


def test_results_do_not_go_among_the_photos_of_a_store(storage: Storage, tmp_path: Path) -> None:
    for output in (storage.uri(""), tmp_path.as_uri()):
        with pytest.raises(ConfigurationError, match="OUT must not be IN or contain it"):
            list(photos_in_storage(storage, output, Ignored()))


def test_a_result_is_there_unless_it_is_empty(storage: Storage) -> None:
    storage.write("a/b.jpg.depth.npy", b"result")
    storage.write("c.jpg.depth.npy", b"")
    storage.write("d.jpg.npy", b"of an earlier version")
    results = StoredResults(storage, "npy")
    there = Source("s3://elsewhere/a/b.jpg", Path("a/b.jpg"))
    assert results.path(there) == results.existing(there) == storage.uri("a/b.jpg.depth.npy")
    assert results.existing(Source("c.jpg", Path("c.jpg"))) is None
    assert results.existing(Source("missing.jpg", Path("missing.jpg"))) is None
    assert results.existing(Source("d.jpg", Path("d.jpg"))) == storage.uri("d.jpg.npy")
    results.write(results.path(there), b"new")
    assert storage.sizes()["a/b.jpg.depth.npy"] == 3


def test_what_is_no_store_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="nowhere://bucket cannot be used"):
        Storage("nowhere://bucket")


def test_a_key_in_a_uri_is_refused_and_not_repeated() -> None:
    with pytest.raises(ConfigurationError, match="Set the key's variables") as refusal:
        Storage("s3://AKIA:SECRET@bucket/photos")
    assert "SECRET" not in str(refusal.value)
