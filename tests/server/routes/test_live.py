"""Live sessions with a running service."""

from __future__ import annotations

import base64
import io
import json
import os
import signal
import time
from contextlib import suppress

import httpx
import numpy as np
import pytest
from PIL import Image
from websockets.exceptions import ConnectionClosed, InvalidStatus

from depthsvc.errors import InvalidParameter
from depthsvc.server.live.messages import LiveOptions
from tests.conftest import RunningService, StartService, encoded, until
from tests.live import FRAMES, answer, asked, ending, opened, send, session, values_of
from tests.parity import photo


def test_the_first_frame_has_the_depth_of_a_photo(service: RunningService, client: httpx.Client) -> None:
    alone = client.post("/depth", params={"size": "model", "format": "npy"}, content=FRAMES[0]).content
    with session(service) as socket:
        header, payload = asked(socket, 7, FRAMES[0])
    np.testing.assert_allclose(values_of(header, payload), np.load(io.BytesIO(alone)), rtol=1e-3)
    assert (header["id"], header["dropped"], header["cut"]) == (7, 0, True)
    assert header["low"] == pytest.approx(values_of(header, payload).min(), rel=1e-3)
    assert header["high"] == pytest.approx(values_of(header, payload).max(), rel=1e-3)


def test_frames_of_one_shot_are_steadied(service: RunningService, client: httpx.Client) -> None:
    alone = client.post("/depth", params={"size": "model", "format": "npy"}, content=FRAMES[1]).content
    bare = np.load(io.BytesIO(alone))
    maps = {}
    for smooth in (1, "off"):
        with session(service, {"format": "raw", "smooth": smooth}) as socket:
            asked(socket, 0, FRAMES[0])
            header, payload = asked(socket, 1, FRAMES[1])
            assert not header["cut"]
            maps[smooth] = values_of(header, payload)
    np.testing.assert_allclose(maps["off"], bare, rtol=1e-3)
    assert np.abs(maps[1].astype(np.float32) - bare).mean() > 0.01 * np.ptp(bare.astype(np.float32))


def test_another_scene_is_a_cut(service: RunningService) -> None:
    other = encoded(photo(120, 160)[::-1, ::-1] // 2, "WEBP")
    with session(service, {"format": "none", "every": 2}) as socket:
        cuts = [asked(socket, number, picture)[0]["cut"] for number, picture in enumerate([FRAMES[0], other, other])]
    assert cuts == [True, True, False]


def test_a_heatmap_is_a_jpeg_of_the_frame(service: RunningService) -> None:
    with session(service, {}) as socket:
        header, payload = asked(socket, 0, FRAMES[0])
        assert Image.open(io.BytesIO(payload)).size == (160, 120) == (header["shape"][1], header["shape"][0])
    with session(service, {"height": 60}) as socket:
        assert Image.open(io.BytesIO(asked(socket, 0, FRAMES[0])[1])).size == (80, 60)


@pytest.mark.parametrize(
    ("height", "frame", "size"),
    [(2160, (1920, 1080), (3840, 2160)), (2160, (1000, 250), None), (2, (2, 900), (2, 2)), (None, (2, 65501), None),
     (None, (65500, 300), (65500, 300))],
)  # fmt: skip
def test_a_heatmap_has_a_size_that_memory_holds(
    height: int | None, frame: tuple[int, int], size: tuple[int, int] | None
) -> None:
    options = LiveOptions(height=height)
    if size is None:
        with pytest.raises(InvalidParameter):
            options.heatmap_size(*frame)
    else:
        assert options.heatmap_size(*frame) == size


def test_a_frame_whose_heatmap_is_too_large_ends_no_session(service: RunningService) -> None:
    with session(service, {"height": 2160}) as socket:
        told, _ = asked(socket, 1, encoded(Image.new("RGB", (1000, 100)), "PNG"))
        assert (told["id"], told["error"]["code"]) == (1, "invalid_parameter")
        assert asked(socket, 2, FRAMES[0])[0]["shape"] == [2160, 2880]


def test_of_frames_that_wait_the_latest_is_answered(service: RunningService) -> None:
    with session(service) as socket:
        with service.at_a_stand():
            for number, picture in enumerate(FRAMES):
                send(socket, number, picture)
            time.sleep(0.5)  # all of them have come in
        answers = [answer(socket)[0] for _ in range(3)]  # two workers, and the one that waits
    assert [header["id"] for header in answers] == [0, 1, 11]
    assert answers[-1]["dropped"] == 9


def test_a_bad_frame_ends_no_session(service: RunningService) -> None:
    with session(service) as socket:
        told, _ = asked(socket, 1, b"no picture")
        assert (told["id"], told["error"]["code"]) == (1, "not_an_image")
        told, _ = asked(socket, 2, FRAMES[0][:500])
        assert told["error"]["code"] == "broken_image"
        told, _ = asked(socket, 3, encoded(Image.new("RGB", (2000, 1100)), "JPEG"))
        assert told["error"]["code"] == "too_many_pixels"
        told, _ = asked(socket, 4, encoded(Image.new("RGB", (20, 20)), "GIF"))
        assert told["error"]["code"] == "unsupported_media_type"
        assert asked(socket, 5, FRAMES[0])[0]["id"] == 5


@pytest.mark.parametrize("first", ["", "[]", "{", '{"format": "gif"}', '{"every": 0}', '{"smooth": "off", "every": 2}',
                                   '{"model": "other"}', '{"input_size": 100}', '{"colour": 1}', " " * 4095 + "{}",
                                   b"{}"])  # fmt: skip
def test_a_bad_first_message_ends_the_session(service: RunningService, first: str | bytes) -> None:
    with opened(service) as socket:
        socket.send(first)
        assert answer(socket)[0]["error"]["code"] == "invalid_parameter"
        assert ending(socket) == (1008, "invalid_parameter")


def test_an_error_of_smooth_names_it() -> None:
    with pytest.raises(InvalidParameter, match=r"^smooth: [^:]*\. smooth: [^:]*'off'\.$"):
        LiveOptions.parsed('{"smooth": 2}')


@pytest.mark.parametrize(
    ("message", "code", "reason"),
    [("text", 1003, "frame_expected"), (b"id", 1003, "frame_expected"), (b"\0" * 2_000_005, 1009, None)],
)
def test_a_message_that_is_no_frame_ends_the_session(
    service: RunningService, message: str | bytes, code: int, reason: str | None
) -> None:
    with session(service) as socket:
        with suppress(ConnectionClosed):
            socket.send(message)
        ended = ending(socket)
    assert ended[0] == code
    assert reason in (None, ended[1])


def test_a_flood_ends_the_session(service: RunningService) -> None:
    with session(service) as socket:
        with suppress(ConnectionClosed):
            for number in range(5000):
                send(socket, number, b"")
        ended = ending(socket)
    assert ended == (1008, "too_fast")


def test_what_cannot_be_opened_says_why(service: RunningService, client: httpx.Client) -> None:
    with pytest.raises(InvalidStatus) as refused, opened(service, origin="https://evil.example"):
        pass
    response = refused.value.response
    assert (response.status_code, json.loads(response.body)["code"]) == (403, "origin_not_allowed")
    assert response.headers["X-Request-ID"] == json.loads(response.body)["request_id"]
    with opened(service, origin=service.url):  # the service's own page
        pass
    asked = client.get(
        "/live", headers={b"Sec-WebSocket-Protocol": b"depthsvc.key.\xe9"}
    )  # no base64, and no key needed
    assert (asked.status_code, asked.json()["code"], asked.headers["Upgrade"]) == (426, "upgrade_required", "websocket")


def test_sessions_are_limited_and_end(service: RunningService) -> None:
    with session(service), session(service), pytest.raises(InvalidStatus) as refused, opened(service):
        pass
    assert (refused.value.response.status_code, json.loads(refused.value.response.body)["code"]) == (503, "live_full")
    assert "Retry-After" in refused.value.response.headers
    with service.client() as client:
        until(lambda: "depthsvc_live_sessions 0.0" in client.get("/metrics").text)
    with session(service):
        pass


def test_a_worker_that_dies_ends_no_session(service: RunningService) -> None:
    with session(service) as socket:
        asked(socket, 0, FRAMES[0])
        with service.at_a_stand():
            send(socket, 1, FRAMES[1])
            time.sleep(0.2)
            for pid in service.workers():
                os.kill(pid, signal.SIGKILL)
        assert answer(socket)[0]["id"] == 1
    with service.client() as client:
        until(lambda: client.get("/health").status_code == 200)


def test_keys_idleness_and_the_end_of_the_service(start_service: StartService) -> None:
    service = start_service(
        *("--model", "embedded", "--workers", "1", "--worker-threads", "1", "--api-keys", "the-key"),
        *("--live-idle-s", "1.5"),
    )
    with pytest.raises(InvalidStatus) as refused, opened(service):
        pass
    assert refused.value.response.status_code == 401
    key = base64.urlsafe_b64encode(b"the-key").decode().rstrip("=")
    with opened(service, subprotocols=["depthsvc.live", f"depthsvc.key.{key}"]) as socket:
        assert socket.subprotocol == "depthsvc.live"
    allowed = {"additional_headers": {"Authorization": "Bearer the-key"}}
    with session(service, **allowed) as socket:
        assert ending(socket) == (1008, "idle")
    with session(service, **allowed) as socket, opened(service, **allowed) as silent:
        asked(socket, 0, FRAMES[0])
        with service.at_a_stand():
            send(socket, 1, FRAMES[1])
            time.sleep(0.2)
            service.process.terminate()
            time.sleep(0.3)
        assert answer(socket)[0]["id"] == 1  # it had been accepted
        assert ending(socket) == ending(silent) == (1001, "draining")
    assert service.process.wait(timeout=30) == 0
