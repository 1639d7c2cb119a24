"""Firefox, driven by WebDriver BiDi (https://w3c.github.io/webdriver-bidi/), on a screen that nobody sees.

Playwright drives its own Firefox only, which is not a package of any distribution. Headless, Firefox has no WebGL.
"""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from websockets.sync.client import ClientConnection, connect

from tests.conftest import opened

LONGEST_S = 60

_PREFERENCES = {
    "webgl.force-enabled": True,  # without a graphics card
    "ui.prefersReducedMotion": 1,
    "intl.accept_languages": "en-GB",
    "app.update.auto": False,
    "app.normandy.enabled": False,
    "browser.startup.page": 0,
    "browser.shell.checkDefaultBrowser": False,
    "datareporting.policy.dataSubmissionEnabled": False,
    "datareporting.healthreport.uploadEnabled": False,
    "extensions.getAddons.cache.enabled": False,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "services.settings.server": "data:,",
    "toolkit.telemetry.server": "data:,",
}


class Firefox:
    """One tab of a running Firefox."""

    def __init__(self, session: ClientConnection) -> None:
        self._session = session
        self._number = 0
        self.complaints: list[str] = []
        self.call("session.new", capabilities={})
        self.call("session.subscribe", events=["log.entryAdded"])
        [tab] = self.call("browsingContext.getTree")["contexts"]
        self._tab = tab["context"]

    def call(self, method: str, **params: object) -> dict[str, Any]:
        """The result of a command."""
        self._number += 1
        self._session.send(json.dumps({"id": self._number, "method": method, "params": params}))
        while True:
            message = json.loads(self._session.recv(timeout=LONGEST_S))
            if message["type"] == "event" and message["params"]["level"] in ("warn", "error"):
                self.complaints.append(message["params"]["text"])
            if message.get("id") == self._number:
                assert message["type"] == "success", message
                return dict(message["result"])

    def open(self, address: str) -> None:
        self.call("browsingContext.navigate", context=self._tab, url=address, wait="complete")
        self.until("document.body.dataset.ready !== undefined")

    def run(self, expression: str) -> Any:
        """What an expression of JavaScript is, or will be, as JSON."""
        result = self._evaluated(f"(async () => JSON.stringify((await ({expression})) ?? null))()")
        return json.loads(result["value"])

    def until(self, expression: str) -> None:
        """Wait until it is true."""
        deadline = time.monotonic() + LONGEST_S
        while not self.run(expression):
            assert time.monotonic() < deadline, f"this did not become true: {expression}"
            time.sleep(0.05)

    def choose(self, selector: str, path: Path) -> None:
        """Choose a file with an input."""
        self.call("input.setFiles", context=self._tab, element=self._element(selector), files=[str(path)])

    def press(self, key: str) -> None:
        strokes = [{"type": type, "value": key} for type in ("keyDown", "keyUp")]
        self.call(
            "input.performActions", context=self._tab, actions=[{"type": "key", "id": "keys", "actions": strokes}]
        )

    def shot(self, selector: str) -> Image.Image:
        """What an element looks like."""
        clip = {"type": "element", "element": self._element(selector)}
        data = self.call("browsingContext.captureScreenshot", context=self._tab, clip=clip)["data"]
        return opened(base64.b64decode(data)).convert("RGB")

    def _element(self, selector: str) -> dict[str, str]:
        return {"sharedId": self._evaluated(f"document.querySelector({json.dumps(selector)})")["sharedId"]}

    def _evaluated(self, expression: str) -> dict[str, Any]:
        target = {"context": self._tab}
        result = self.call("script.evaluate", expression=expression, target=target, awaitPromise=True)
        assert result["type"] == "success", result
        return dict(result["result"])


@contextmanager
def firefox_in(profile: Path) -> Iterator[Firefox]:
    """A Firefox with a new profile in a folder, which has to exist; skips the test where there is none."""
    program = shutil.which("firefox-esr") or shutil.which("firefox")
    if program is None:
        pytest.skip("there is no Firefox on this machine")
    settings = [f"user_pref({json.dumps(name)}, {json.dumps(value)});\n" for name, value in _PREFERENCES.items()]
    (profile / "user.js").write_text("".join(settings))
    log = profile / "firefox.log"
    with _screen() as display, log.open("w") as stderr:
        process = subprocess.Popen(
            [program, "--no-remote", "--profile", str(profile), "--remote-debugging-port", "0"],
            stdout=subprocess.DEVNULL,
            stderr=stderr,
            env={**os.environ, "DISPLAY": display, "HOME": str(profile)},
        )
        try:
            with connect(f"{_address(log, process)}/session", max_size=None, open_timeout=LONGEST_S) as session:
                firefox = Firefox(session)
                yield firefox
                firefox.call("browser.close")
            process.wait(LONGEST_S)
        finally:
            process.kill()
            process.wait()


@contextmanager
def _screen() -> Iterator[str]:
    """The name of an X display of its own."""
    program = shutil.which("Xvfb")
    if program is None:
        pytest.skip("there is no Xvfb on this machine, on whose screen Firefox has WebGL")
    command = [program, "-displayfd", "1", "-screen", "0", "1400x1000x24", "-nolisten", "tcp"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        try:
            assert process.stdout
            yield f":{process.stdout.readline().strip()}"
        finally:
            process.terminate()


def _address(log: Path, process: subprocess.Popen[bytes]) -> str:
    deadline = time.monotonic() + LONGEST_S
    while not (found := re.search(r"WebDriver BiDi listening on (ws://\S+)", log.read_text())):
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.05)
    return found[1]
