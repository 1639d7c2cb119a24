"""The files of the page, as a browser gets them."""

from __future__ import annotations

import base64
import re

import httpx
import numpy as np
import pytest

from depthsvc.imaging.colormaps import color_table
from depthsvc.imaging.spec import Colormap
from depthsvc.server.routes.page import WEB

FILES = sorted(path.relative_to(WEB).as_posix() for path in WEB.rglob("*.*"))


@pytest.mark.parametrize(
    "path", ["/", "/static/colormaps.json", "/static/photos.json", *(f"/static/{name}" for name in FILES)]
)
def test_no_new_file_meets_an_old_one(client: httpx.Client, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "no-cache"
    if path.endswith(".js"):
        assert answer.headers["Content-Type"].startswith("text/javascript")


def test_a_file_that_has_not_changed_is_not_sent_again(client: httpx.Client) -> None:
    tag = client.get("/static/page.js").headers["ETag"]
    assert client.get("/static/page.js", headers={"If-None-Match": tag}).status_code == 304


def test_the_page_gets_the_services_colours(client: httpx.Client) -> None:
    tables = client.get("/static/colormaps.json").json()
    assert list(tables) == list(Colormap)
    for name, text in tables.items():
        table = np.frombuffer(base64.b64decode(text), np.uint8).reshape(256, 3)
        assert (table == color_table(Colormap(name))).all()


def test_the_page_gets_the_services_photo_formats(client: httpx.Client) -> None:
    formats = client.get("/static/photos.json").json()["formats"]
    assert [photo_format["name"] for photo_format in formats[:3]] == ["JPEG", "PNG", "WebP"]
    for photo_format in formats:
        assert photo_format["suffixes"]
        assert all(suffix.startswith(".") and suffix.islower() for suffix in photo_format["suffixes"])
        assert all(media_type.startswith("image/") for media_type in photo_format["media_types"])


def test_the_page_knows_no_photo_format_itself() -> None:
    for path in (WEB / "words/en.js", WEB / "words/zh.js", WEB / "index.html"):
        accepted_format = re.search(r"image/(?:jpeg|png|webp)|WebP", path.read_text())
        assert not accepted_format, path.name


def test_the_policy_forbids_foreign_and_inline_code(client: httpx.Client) -> None:
    policy = client.get("/").headers["Content-Security-Policy"]
    assert "script-src 'self';" in policy
    assert "style-src 'self';" in policy
    assert "unsafe" not in policy
    assert not re.search(r" style=|<style| on\w+=|<script>", (WEB / "index.html").read_text())


def test_every_module_is_used() -> None:
    imported = {
        (path.parent / target).resolve()
        for path in WEB.rglob("*.js")
        for target in re.findall(r'from "(\.[\w./]+)"', path.read_text())
    }
    assert imported | {WEB / "page.js"} == set(WEB.rglob("*.js"))
