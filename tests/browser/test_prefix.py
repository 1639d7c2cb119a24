"""The page and the documentation under a path of another site."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser

from tests.browser.conftest import StartVisit, visits_of
from tests.conftest import RunningService, services


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    with services(tmp_path_factory) as start:
        options = ("--workers", "1", "--worker-threads", "1", "--root-path", "/depth")
        yield start("--model", "embedded", *options)


@pytest.fixture
def start_visit(browser: Browser, site: RunningService) -> Iterator[StartVisit]:
    with visits_of(browser, site) as start:
        yield start


@pytest.mark.parametrize("slash", ["", "/"])
def test_the_page_works_under_a_prefix(start_visit: StartVisit, site: RunningService, scene: Path, slash: str) -> None:
    visit = start_visit(f"{site.url}/depth{slash}", path="")
    visit.upload(scene)
    visit.page.click("[data-sample=street]")
    visit.shown("street.jpg")
    visit.view("refocus")
    assert visit.page.inner_text("#model") == "Model: embedded"
    paths = [urlsplit(request.url).path for request in visit.requests if request.url.startswith("http")]
    assert {path for path in paths if not path.startswith("/depth/")} <= {"/depth"}
    assert visit.page.locator("footer a").first.evaluate("link => link.href") == f"{site.url}/depth/docs"


def test_the_documentation_shows_the_picture_that_it_is_sent(
    start_visit: StartVisit, site: RunningService, scene: Path
) -> None:
    visit = start_visit(f"{site.url}/depth", path="/docs", ready="#operations-depth-upload")
    upload = visit.page.locator("#operations-depth-upload")
    upload.click()
    upload.locator(".try-out__btn").click()
    upload.locator("input[type=file]").set_input_files(scene)
    upload.locator(".execute").click()
    picture = upload.locator(".live-responses-table img")
    picture.wait_for()
    visit.page.wait_for_function("picture => picture.naturalWidth === 480", arg=picture.element_handle())
