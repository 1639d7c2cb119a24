"""The files of the page, as a browser gets them."""

from __future__ import annotations

import asyncio
import base64
import json
import re
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import httpx
import numpy as np
import pytest

from depthsvc.imaging.colormaps import color_table
from depthsvc.imaging.spec import Colormap
from depthsvc.server.routes import page
from depthsvc.server.routes.page import WEB
from depthsvc.server.service import Service
from depthsvc.settings import Settings

FILES = sorted(path.relative_to(WEB).as_posix() for path in WEB.rglob("*.*"))


@pytest.fixture
def version(client: httpx.Client) -> str:
    """What the page's files are called after."""
    [version] = set(re.findall(r'(?:src|href)="static/(\w+)/', client.get("/").text))
    return str(version)


@pytest.mark.parametrize("name", FILES)
def test_a_browser_keeps_the_files_of_a_version(client: httpx.Client, version: str, name: str) -> None:
    response = client.get(f"/static/{version}/{name}")
    assert (response.status_code, response.content) == (200, (WEB / name).read_bytes())
    assert response.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    if name.endswith(".js"):
        assert response.headers["Content-Type"].startswith("text/javascript")


@pytest.mark.parametrize(
    "path", ["/", "/static/colormaps.json", "/static/photos.json", "/static/page.js", f"/static/{'0' * 16}/page.js"]
)
def test_a_browser_asks_again_for_everything_else(client: httpx.Client, path: str) -> None:
    """Also for a file of another version, which another instance has while a service is updated."""
    response = client.get(path)
    assert (response.status_code, response.headers["Cache-Control"]) == (200, "no-cache")


def test_the_page_asks_for_no_file_without_its_version(client: httpx.Client, version: str) -> None:
    addresses = re.findall(r'(?:src|href)="(static/[^"]+)"', client.get("/").text)
    assert len(addresses) == 10
    assert all(client.get(f"/{address}").headers["Cache-Control"].endswith("immutable") for address in addresses)


@pytest.mark.parametrize("path", ["{}/nothing", "{}/../../version.py", "{}", "0123/page.js", "{}/{}/page.js"])
def test_there_is_nothing_else(client: httpx.Client, version: str, path: str) -> None:
    response = client.get(f"/static/{path.replace('{}', version)}")
    assert response.status_code == 404
    assert "Cache-Control" not in response.headers


def test_the_version_changes_with_the_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    versions = set()
    for content in ("a", "b"):
        (tmp_path / "page.js").write_text(content)
        monkeypatch.setattr(page, "WEB", tmp_path)
        page._version.cache_clear()
        versions.add(page._version())
    page._version.cache_clear()
    assert len(versions) == 2


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


@pytest.mark.parametrize("sessions", [0, 3])
def test_the_page_offers_live_depth_where_there_are_sessions(sessions: int) -> None:
    service = cast(Service, SimpleNamespace(settings=Settings(live_sessions=sessions)))
    response = asyncio.run(page.photo_formats(service))
    assert json.loads(bytes(response.body))["live"] is (sessions > 0)


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


def test_a_worker_may_import_the_pages_modules_and_nothing_else(client: httpx.Client) -> None:
    policy = client.get("/static/depth/layers_worker.js").headers["Content-Security-Policy"]
    assert policy == "default-src 'none'; script-src 'self'; frame-ancestors 'none'"
    assert "script-src" not in client.get("/static/icon.svg").headers["Content-Security-Policy"]


def test_every_module_is_used() -> None:
    imported = {
        (path.parent / target).resolve()
        for path in WEB.rglob("*.js")
        for target in re.findall(r'(?:from |import\(|new URL\()"(\.[\w./]+)"', path.read_text())
    }
    assert imported | {WEB / "page.js"} == set(WEB.rglob("*.js"))
