"""A real Chromium, and a service with the embedded model for it to visit."""

from __future__ import annotations

import base64
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, BrowserContext, Page, Request, sync_playwright

from tests.conftest import RunningService, encoded, opened, services

SAMPLES = Path(__file__).parents[2] / "src/depthsvc/web/samples"

_SWITCHES = (
    "--no-sandbox",
    "--use-angle=swiftshader",  # WebGL without a graphics card
    "--enable-unsafe-swiftshader",
    "--ignore-gpu-blocklist",
    "--use-fake-device-for-media-stream",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
_CHROMIUM_SAYS_SO_OF_ANY_4XX = "Failed to load resource: the server responded with a status of"


@pytest.fixture(scope="package")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    with services(tmp_path_factory) as start:
        yield start("--model", "embedded", "--workers", "1", "--worker-threads", "1")


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Ends with this package: Playwright's event loop is in the way of asyncio.run elsewhere."""
    names = ("chromium", "chromium-browser", "google-chrome")
    path = next(filter(None, map(shutil.which, names)), None)
    if path is None:
        pytest.skip("there is no Chromium on this machine")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=_SWITCHES)
        yield browser
        browser.close()


@dataclass
class Visit:
    """One visit to the page, and what happened during it."""

    page: Page
    origin: str
    requests: list[Request] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def open(self, path: str = "/", ready: str = "body[data-ready]") -> Visit:
        self.page.goto(f"{self.origin}{path}")
        self.page.wait_for_selector(ready)
        return self

    def upload(self, path: Path) -> Visit:
        """Choose a file with the button and wait for its depth."""
        self.page.set_input_files("#file", path)
        return self.shown(path.name)

    def shown(self, name: str) -> Visit:
        self.page.wait_for_function("name => document.querySelector('#facts').textContent.startsWith(name)", arg=name)
        self.page.wait_for_selector("#waiting", state="hidden")
        return self

    def view(self, name: str) -> Visit:
        """Open a view, and wait until it shows the picture."""
        self.page.click(f"#tab-{name}")
        self.page.wait_for_selector(f"#{name}-frame[aria-busy]", state="detached")
        return self

    def pixels(self, canvas: str) -> bytes:
        """What a canvas shows, as RGBA, after the next frame has been drawn."""
        script = """id => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(() => {
            const source = document.getElementById(id), copy = document.createElement("canvas");
            [copy.width, copy.height] = [source.width, source.height];
            copy.getContext("2d").drawImage(source, 0, 0);
            resolve(copy.toDataURL());
        })))"""
        _, _, data = self.page.evaluate(script, canvas).partition(",")
        return opened(base64.b64decode(data)).tobytes()

    def lose_canvas(self, name: str) -> None:
        """Have the browser take a canvas of WebGL away and give it back, as after a reset of the GPU."""
        script = """async (id) => {
            const canvas = document.getElementById(id);
            const losing = canvas.getContext("webgl2").getExtension("WEBGL_lose_context");
            const happened = (event) => new Promise((done) => canvas.addEventListener(event, done, { once: true }));
            const [lost, restored] = ["webglcontextlost", "webglcontextrestored"].map(happened);
            losing.loseContext();
            await lost;
            setTimeout(() => losing.restoreContext());
            await restored;
        }"""
        self.page.evaluate(script, name)

    def computed(self, module: str, expression: str, *numbers: np.ndarray, **given: object) -> list[np.ndarray]:
        """What a module of the page makes of numbers, float32 both: of `numbers[0]` and so on, and of what is given.

        Playwright takes seconds for a list of so many numbers, and next to nothing for a text.
        """
        script = """async ([module, numbers, given]) => {
            const floatsOf = (text) => new Float32Array(Uint8Array.from(atob(text), (c) => c.charCodeAt(0)).buffer);
            const textOf = (floats) => {
                const bytes = new Uint8Array(Float32Array.from(floats).buffer);
                const parts = [];
                for (let at = 0; at < bytes.length; at += 8192) {
                    parts.push(String.fromCharCode(...bytes.subarray(at, at + 8192)));
                }
                return btoa(parts.join(""));
            };
            const compute = (page, numbers, given) => EXPRESSION;
            return (await compute(await import(module), numbers.map(floatsOf), given)).map(textOf);
        }"""
        sent = [base64.b64encode(array.astype("<f4").tobytes()).decode() for array in numbers]
        answers = self.page.evaluate(script.replace("EXPRESSION", expression), [module, sent, given])
        return [np.frombuffer(base64.b64decode(answer), "<f4") for answer in answers]

    def size(self, canvas: str) -> tuple[int, int]:
        """Height and width of a canvas in pixels."""
        width, height = self.page.evaluate(
            "id => [document.getElementById(id).width, document.getElementById(id).height]", canvas
        )
        return height, width

    def foreign_requests(self) -> list[str]:
        own = urlsplit(self.origin).netloc
        return [r.url for r in self.requests if r.url.startswith("http") and urlsplit(r.url).netloc != own]


def downloaded(visit: Visit, kind: str) -> tuple[str, bytes]:
    """Name and bytes of a file that a button of the page makes."""
    with visit.page.expect_download() as download:
        visit.page.click(f"[data-save={kind}]")
    return download.value.suggested_filename, Path(download.value.path()).read_bytes()


def asked(site: RunningService, photo: Path, route: str) -> bytes:
    """What the service itself answers."""
    with site.client() as client:
        return client.post(route, files={"image": photo.read_bytes()}).raise_for_status().content


StartVisit = Callable[..., Visit]


@contextmanager
def visits_of(browser: Browser, site: RunningService) -> Iterator[StartVisit]:
    """Opens the page in a browser of its own memory. In the end nothing may have gone wrong unseen."""
    contexts: list[BrowserContext] = []
    visits: list[Visit] = []

    def start(
        origin: str = site.url, script: str = "", path: str = "/", ready: str = "body[data-ready]", **options: Any
    ) -> Visit:
        defaults: dict[str, Any] = {
            "viewport": {"width": 900, "height": 700},
            "reduced_motion": "reduce",
            "locale": "en-GB",
        }
        context = browser.new_context(**{**defaults, **options})
        contexts.append(context)
        context.set_default_timeout(20_000)
        visit = Visit(context.new_page(), origin)
        visits.append(visit)
        visit.page.add_init_script(script)
        visit.page.on("request", lambda request: visit.requests.append(request))
        visit.page.on("pageerror", lambda error: visit.complaints.append(str(error)))
        visit.page.on("console", lambda message: visit.complaints.append(message.text))
        return visit.open(path, ready)

    yield start
    for visit in visits:
        assert visit.foreign_requests() == []
        assert [said for said in visit.complaints if not said.startswith(_CHROMIUM_SAYS_SO_OF_ANY_4XX)] == []
    for context in contexts:
        context.close()


@pytest.fixture
def start_visit(browser: Browser, site: RunningService) -> Iterator[StartVisit]:
    with visits_of(browser, site) as start:
        yield start


@pytest.fixture
def visit(start_visit: StartVisit) -> Visit:
    return start_visit()


@pytest.fixture(scope="module")
def lasting_visit(browser: Browser, site: RunningService) -> Iterator[Visit]:
    """One visit for all tests that only compute with the page's modules and change nothing on it."""
    with visits_of(browser, site) as start:
        yield start()


@pytest.fixture(scope="session")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A photo of 480 x 360 that has near and far things."""
    path = tmp_path_factory.mktemp("photos") / "scene.png"
    with Image.open(SAMPLES / "table.jpg") as image:
        path.write_bytes(encoded(image.resize((480, 360))))
    return path


@pytest.fixture(scope="session")
def axe(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The source of axe-core, which finds what people with disabilities would stumble over."""
    folder = tmp_path_factory.mktemp("axe")
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("axe-core comes from npm, which is not on this machine")
    command = [
        npm,
        "install",
        "--silent",
        "--no-audit",
        "--no-fund",
        "--ignore-scripts",
        "--prefix",
        str(folder),
        "axe-core@4",
    ]
    if subprocess.run(command, capture_output=True, timeout=120).returncode:
        pytest.skip("npm cannot fetch axe-core")
    return (folder / "node_modules/axe-core/axe.min.js").read_text()
