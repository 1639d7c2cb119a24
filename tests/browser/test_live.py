"""The live view: a real Chromium with a camera of its own, and a service that the test plays."""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Browser, Page, WebSocketRoute

from depthsvc.imaging.colormaps import color_table
from depthsvc.imaging.spec import Colormap
from tests.browser.conftest import StartVisit, Visit, visits_of
from tests.browser.test_page import INSTEAD_OF_PHOTOS_JSON, PHONE
from tests.conftest import RunningService, opened

OFFERED = INSTEAD_OF_PHOTOS_JSON % """Promise.resolve(Response.json({ formats: [], max_bytes: 1e6, live: true }))"""
OF_TWO_MODELS = """
    const fetched = window.fetch;
    const models = ["first", "second"].map((name) => ({ name, kind: "inverse_depth" }));
    const body = { served: ["first", "second"], models };
    window.fetch = async (url, ...rest) => (url === "models" ? Response.json(body) : fetched(url, ...rest));
    localStorage.setItem("model", "second");
"""
TERMS = {"model": "played", "kind": "inverse_depth", "unit": "relative", "max_pixels": 2_100_000}
LOW, HIGH = 100, 800
RAMP = np.linspace(LOW, HIGH, 16, dtype="<f2")[None].repeat(9, axis=0)
"""From far on the left to near on the right."""
OBSTACLES = [
    {"left": at / 5, "right": (at + 1) / 5, "nearness": (at + 1) / 5, "metres": None, "contact_s": 2.3 if at else None}
    for at in range(5)
]


@dataclass
class Played:
    """The service's side of all sessions of a test, which answers each frame with the ramp."""

    sessions: list[WebSocketRoute] = field(default_factory=list)
    said: list[dict[str, Any]] = field(default_factory=list)
    frames: list[tuple[int, bytes]] = field(default_factory=list)
    answered: int = 0
    ended: int = 0
    is_silent: bool = False
    refuse: Callable[[WebSocketRoute], None] | None = None

    def begin(self, session: WebSocketRoute) -> None:
        self.sessions.append(session)
        session.on_message(lambda message: self.hear(session, message))
        session.on_close(lambda _code, _reason: self.end())
        if self.refuse:
            self.refuse(session)

    def hear(self, session: WebSocketRoute, message: str | bytes) -> None:
        if isinstance(message, str):
            self.said.append(json.loads(message))
            session.send(json.dumps(TERMS))
            return
        [number] = struct.unpack_from("<I", message)
        self.frames.append((number, message[4:]))
        if not self.is_silent:
            self.answer(session, number)

    def answer(self, session: WebSocketRoute, number: int) -> None:
        self.answered = len(self.frames)
        header = {"id": number, "low": LOW, "high": HIGH, "shape": RAMP.shape, "obstacles": OBSTACLES}
        text = json.dumps(header).encode()
        session.send(struct.pack("<I", len(text)) + text + RAMP.tobytes())

    def end(self) -> None:
        self.ended += 1


@dataclass
class Live:
    """The page with a camera, and the service that it talks to."""

    visit: Visit
    played: Played = field(default_factory=Played)

    @property
    def page(self) -> Page:
        return self.visit.page

    def open(self) -> None:
        self.page.click("#live-open")

    def run(self) -> Live:
        """Open the view and wait for its first depth."""
        self.open()
        self.page.wait_for_selector("#live-pause", state="hidden")
        return self

    def until(self, condition: Callable[[], bool]) -> None:
        """Wait for something to have come from the page."""
        for _ in range(1000):
            if condition():
                return
            self.page.wait_for_timeout(10)
        pytest.fail("It did not come.")

    def pictures(self, count: int) -> None:
        """Wait until the camera has shown that many."""
        script = """(count) => new Promise((resolve) => {
            const video = document.getElementById("live-video");
            const next = () => (count-- ? video.requestVideoFrameCallback(next) : resolve());
            next();
        })"""
        self.page.evaluate(script, count)

    def camera_is_on(self) -> bool:
        return bool(self.page.evaluate("document.getElementById('live-video').srcObject !== null"))

    def failure(self) -> str:
        """What the page says went wrong, once it has stopped."""
        self.page.wait_for_selector("#failure:visible")
        self.page.wait_for_selector("#live-start:visible")
        assert not self.camera_is_on()
        return self.page.inner_text("#failed-words")


@pytest.fixture(scope="module")
def live_visit(browser: Browser, site: RunningService) -> Iterator[tuple[Visit, list[Played]]]:
    """One visit for all tests, and who plays the service: the last of the list."""
    playing: list[Played] = []
    with visits_of(browser, site) as start:
        visit = start(script=OFFERED + OF_TWO_MODELS, permissions=["camera"])
        visit.page.route_web_socket("**/live", lambda session: playing[-1].begin(session))
        yield visit, playing


@pytest.fixture
def live(live_visit: tuple[Visit, list[Played]]) -> Iterator[Live]:
    visit, playing = live_visit
    live = Live(visit)
    playing.append(live.played)
    yield live
    if visit.page.locator("#live-close").is_visible():
        visit.page.click("#live-close")
    visit.page.unroute_all()


def test_the_camera_is_shown_beside_its_depth(live: Live) -> None:
    page, played = live.page, live.played
    assert not [request.url for request in live.visit.requests if "live_view" in request.url], "others do not pay"
    live.run()
    assert played.said == [{"format": "raw", "smooth": 1, "every": 1, "obstacles": True, "model": "second"}]
    assert played.sessions[0].protocols == ["depthsvc.live"]
    page.select_option("#live-colormap", "viridis")
    shown = np.frombuffer(live.visit.pixels("live-depth"), np.uint8).reshape(*RAMP.shape, 4)[..., :3]
    levels = np.rint(255 * (RAMP.astype(float) - LOW) / (HIGH - LOW)).astype(int)
    expected = color_table(Colormap.VIRIDIS)[levels]
    assert np.abs(shown.astype(int) - expected).max() <= 4, "the colours are the service's"
    page.wait_for_function("() => document.getElementById('live-facts').textContent")
    assert re.fullmatch(r"played · [\d.]+ frames/s · \d+ ms behind", page.inner_text("#live-facts"))
    assert page.locator("#live-obstacles li").nth(4).inner_text().split("\n") == ["100 %", "contact in 2.3 s"]
    heights = page.evaluate(
        "[...document.querySelectorAll('#live-obstacles .well div')].map((bar) => bar.clientHeight)"
    )
    assert np.allclose(np.array(heights) / heights[-1], [0.2, 0.4, 0.6, 0.8, 1], atol=0.03)
    numbers = [number for number, _ in played.frames]
    assert numbers == list(range(1, len(numbers) + 1))
    assert max(opened(played.frames[0][1]).size) == 640
    page.click("#live-close")
    live.until(lambda: played.ended == 1)
    assert not live.camera_is_on()
    assert page.get_attribute("body", "data-state") == "empty"


def test_what_is_shown_can_be_saved(live: Live) -> None:
    page, played = live.run().page, live.played
    page.select_option("#live-colormap", "inferno")
    with page.expect_download() as download:
        page.click("#live-save-pair")
    assert re.fullmatch(r"live-[\d-]+-pair\.png", download.value.suggested_filename)
    width, height = opened(played.frames[0][1]).size
    pair = np.asarray(opened(Path(download.value.path()).read_bytes()).convert("RGB")).astype(int)
    assert pair.shape == (height, 2 * width, 3)
    table = {tuple(colour) for colour in color_table(Colormap.INFERNO).tolist()}
    assert set(map(tuple, pair[::8, width:].reshape(-1, 3).tolist())) <= table
    sent = np.asarray(opened(played.frames[-1][1]).convert("RGB")).astype(int)
    assert np.abs(pair[:, :width] - sent).mean() < 25, "the camera's picture is on the left"
    page.click("#live-record")
    live.pictures(3)
    with page.expect_download() as download:
        page.click("#live-record")
    assert download.value.suggested_filename.endswith(".webm")
    assert Path(download.value.path()).read_bytes().startswith(b"\x1a\x45\xdf\xa3")  # EBML, as WebM begins


def test_the_camera_is_no_photo(live: Live) -> None:
    """Nothing that the live view says is about one."""
    page, played = live.run().page, live.played
    assert "what the camera sees" in page.inner_text("#meaning")
    played.is_silent = True
    live.until(lambda: len(played.frames) > played.answered)
    error = {"status": 504, "code": "deadline_exceeded", "detail": "The photo took too long."}
    played.sessions[-1].send(json.dumps({"id": played.frames[-1][0], "error": error}))
    page.wait_for_function("() => document.getElementById('live-note').textContent.startsWith('The picture took too')")
    for part in ("#live", "#meaning"):
        assert "photo" not in page.inner_text(part).lower()
    page.click("#live-close")
    assert "of the photo" in page.inner_text("#meaning")


def test_no_more_than_two_frames_are_under_way(live: Live) -> None:
    live.run()
    played = live.played
    played.is_silent = True
    live.until(lambda: len(played.frames) - played.answered == 2)
    live.pictures(4)
    assert len(played.frames) - played.answered == 2
    last, _ = played.frames[-1]
    played.answer(played.sessions[0], last)  # which settles the one before as well
    live.until(lambda: len(played.frames) - played.answered == 2)
    assert [number for number, _ in played.frames[-2:]] == [last + 1, last + 2]


def test_it_goes_on_while_the_pictures_are_scrolled_off_the_screen(live: Live) -> None:
    """As they are on a phone on which somebody presses Record."""
    page = live.run().page
    page.evaluate("document.body.style.paddingBottom = '200vh'")
    page.evaluate("scrollTo(0, document.documentElement.scrollHeight)")
    page.wait_for_timeout(1000)
    assert page.evaluate("document.getElementById('live-depth').getBoundingClientRect().bottom") < 0
    there = len(live.played.frames)
    live.until(lambda: len(live.played.frames) > there + 2)
    page.evaluate("document.body.style.paddingBottom = ''")


def test_a_page_that_is_hidden_stops_the_camera(live: Live) -> None:
    page, played = live.run().page, live.played
    ended = page.evaluate(
        """() => {
            const tracks = document.getElementById("live-video").srcObject.getTracks();
            Object.defineProperty(document, "hidden", { value: true, configurable: true });
            document.dispatchEvent(new Event("visibilitychange"));
            delete document.hidden;
            return tracks.map((track) => track.readyState);
        }"""
    )
    assert ended == ["ended"]
    assert not live.camera_is_on()
    assert page.inner_text("#live-state") == "The camera is off."
    page.click("#live-start")
    page.wait_for_selector("#live-pause", state="hidden")
    assert (len(played.sessions), played.ended) == (2, 1)


@pytest.mark.parametrize(
    ("name", "is_secure", "words"),
    [
        ("NotAllowedError", True, "does not allow the camera"),
        ("NotFoundError", True, "No camera was found"),
        ("NotReadableError", True, "Another program"),
        (None, False, "HTTPS"),
    ],
)
def test_a_camera_that_cannot_be_used_is_explained(live: Live, name: str | None, is_secure: bool, words: str) -> None:
    script = """([name, isSecure]) => {
        const refuse = async () => { throw new DOMException("no", name); };
        const devices = name ? { getUserMedia: refuse } : undefined;
        Object.defineProperty(navigator, "mediaDevices", { value: devices, configurable: true });
        Object.defineProperty(window, "isSecureContext", { value: isSecure, configurable: true });
    }"""
    live.page.evaluate(script, [name, is_secure])
    live.open()
    assert words in live.failure()
    assert live.played.sessions == []
    live.page.evaluate("() => { delete navigator.mediaDevices; }")


@pytest.mark.parametrize(
    ("status", "code", "words"),
    [
        (503, "live_full", "All live sessions"),
        (426, "upgrade_required", "proxy"),
        (418, "new_code", "Its own words."),
    ],
)
def test_a_refused_session_is_explained(live: Live, status: int, code: str, words: str) -> None:
    live.played.refuse = lambda session: session.close()
    problem = json.dumps({"code": code, "detail": "Its own words."})
    live.page.route("**/live", lambda route: route.fulfill(status=status, body=problem))
    live.open()
    assert words in live.failure()


def test_a_session_is_opened_with_the_key_that_it_needs(live: Live) -> None:
    page, played = live.page, live.played
    played.refuse = lambda session: None if len(played.sessions) > 1 else session.close()
    page.route("**/live", lambda route: route.fulfill(status=401, body='{"code": "unauthorized", "detail": ""}'))
    live.open()
    assert "needs an API key" in live.failure()
    page.fill("#key", "a>key?~")
    page.keyboard.press("Enter")
    page.wait_for_selector("#live-pause", state="hidden")
    assert played.sessions[1].protocols == ["depthsvc.live", "depthsvc.key.YT5rZXk_fg"]
    assert page.locator("#access").is_hidden()
    assert page.locator("#failure").is_hidden()


def test_a_lost_connection_is_made_again(live: Live) -> None:
    page, played = live.run().page, live.played
    played.is_silent = True
    played.sessions[0].send('{"id": 1, "error": {"code": "deadline_exceeded", "status": 504, "detail": ""}}')
    page.wait_for_function("() => document.getElementById('live-note').textContent")
    assert "took too long" in page.inner_text("#live-note"), "a frame that failed ends nothing"
    played.is_silent = False
    played.sessions[0].close()
    page.wait_for_function("() => document.getElementById('live-state').textContent.includes('Trying again in 1 s')")
    page.wait_for_selector("#live-pause", state="hidden")
    assert len(played.sessions) == 2
    played.sessions[1].close(code=1008, reason="session_over")
    assert "longest time" in live.failure()


def test_nobody_is_shut_out_of_it(start_visit: StartVisit, axe: str) -> None:
    visit = start_visit(script=OFFERED, permissions=["camera"], locale="zh-CN", bypass_csp=True, **PHONE)
    live = Live(visit)
    visit.page.route_web_socket("**/live", live.played.begin)
    live.run().page.wait_for_function("() => document.getElementById('live-facts').textContent")
    assert visit.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") == 0
    visit.page.add_script_tag(content=axe)
    for scheme in ("light", "dark"):
        visit.page.emulate_media(color_scheme=scheme)
        for violation in visit.page.evaluate("axe.run('#live', { resultTypes: ['violations'] })")["violations"]:
            pytest.fail(f"{scheme}: {violation['id']}: {[node['target'] for node in violation['nodes']]}")
