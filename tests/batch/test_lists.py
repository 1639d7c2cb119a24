from __future__ import annotations

import os

import pytest

from depthsvc.batch.lists import paths_in
from depthsvc.errors import ConfigurationError

PATHS = ["photos/a b.jpg", "café/照片.jpg", " odd "]
LINES = "\n".join(PATHS)


@pytest.mark.parametrize(
    "data",
    [
        LINES.encode(),
        f"{LINES}\n\n".encode(),
        LINES.replace("\n", "\r\n").encode(),
        LINES.encode("utf-8-sig"),
        LINES.encode("utf-16"),
        b"\xfe\xff" + LINES.replace("\n", "\r\n").encode("utf-16-be"),
        LINES.encode("utf-32"),
        LINES.replace("\n", "\0").encode(),
        f"{LINES}\n".replace("\n", "\0").encode("utf-16"),
    ],
)
def test_a_list_has_its_paths_in_any_encoding(data: bytes) -> None:
    assert paths_in(data, "list.txt") == PATHS


def test_with_nuls_a_name_may_hold_a_line_break() -> None:
    assert paths_in(b"two\nlines.jpg\0b.jpg\0", "list.txt") == ["two\nlines.jpg", "b.jpg"]


def test_a_list_may_hold_names_that_are_no_text() -> None:
    [path] = paths_in(b"caf\xe9.jpg\n", "list.txt")
    assert os.fsencode(path) == b"caf\xe9.jpg"


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (LINES.encode("utf-16-le"), "list.txt looks like UTF-16 without a byte order mark"),
        (LINES.encode("utf-16-be"), "list.txt looks like UTF-16 without a byte order mark"),
        (LINES.encode("utf-16")[:-1], "list.txt is not valid UTF-16"),
        (LINES.encode("utf-32")[:-1], "list.txt is not valid UTF-32"),
    ],
)
def test_what_cannot_be_read_is_refused_in_one_line(data: bytes, problem: str) -> None:
    with pytest.raises(ConfigurationError) as refusal:
        paths_in(data, "list.txt")
    assert str(refusal.value) == f"{problem}. Save it as UTF-8."


def test_an_empty_list_has_no_paths() -> None:
    assert paths_in(b"", "list.txt") == []
