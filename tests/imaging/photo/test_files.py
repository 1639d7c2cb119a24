from __future__ import annotations

import pytest

from depthsvc.imaging.photo.files import url_problem


@pytest.mark.parametrize(
    ("word", "problem"),
    [
        ("photos/a.png", ""),
        ("C:photo.jpg", ""),
        ("HTTPS://example.org/a.jpg", "HTTPS://example.org/a.jpg is a URL. Download"),
        ("s3://bucket/a.jpg", "s3://bucket/a.jpg is a URL. Download"),
        ("file:///my%20photos/a.jpg", "file:///my%20photos/a.jpg is a URL. Give the path instead: /my photos/a.jpg"),
        (f"data:image/png;base64,{'A' * 9999}", f"data:image/png;base64,{'A' * 58}... is a URL. Download"),
    ],
)
def test_urls_are_told_from_paths(word: str, problem: str) -> None:
    assert url_problem(word).startswith(problem)
    assert bool(url_problem(word)) == bool(problem)
