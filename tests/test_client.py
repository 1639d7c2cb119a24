"""Both clients: against a running service, and against answers made up here."""

from __future__ import annotations

import asyncio
import io
import json
import random
import struct
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import anyio
import httpx
import numpy as np
import pytest
from PIL import Image

from depthsvc import AsyncDepthClient, DepthClient, DepthEstimator, DepthMap
from depthsvc.errors import (
    BrokenImage,
    ConfigurationError,
    NotAnImage,
    QueueFull,
    RequestError,
    ServiceUnreachable,
    Unavailable,
)
from depthsvc.imaging.pointcloud import PointCloud
from depthsvc.model.registry import MODELS
from depthsvc.version import __version__
from tests.conftest import RunningService, encoded, opened
from tests.parity import photo

Handler = Callable[[httpx.Request], httpx.Response]
Ask = Callable[..., Any]


def ask_sync(url: str, method: str, *arguments: Any, handler: Handler | None = None, **options: Any) -> Any:
    settings = {name: options.pop(name) for name in ("api_key", "retries", "max_wait_s") if name in options}
    transport = httpx.MockTransport(handler) if handler else None
    with DepthClient(url, transport=transport, **settings) as client:
        return getattr(client, method)(*arguments, **options)


def ask_async(url: str, method: str, *arguments: Any, handler: Handler | None = None, **options: Any) -> Any:
    settings = {name: options.pop(name) for name in ("api_key", "retries", "max_wait_s") if name in options}
    transport = httpx.MockTransport(handler) if handler else None

    async def call() -> Any:
        async with AsyncDepthClient(url, transport=transport, **settings) as client:
            return await getattr(client, method)(*arguments, **options)

    return asyncio.run(call())


@pytest.fixture(params=[ask_sync, ask_async])
def ask(request: pytest.FixtureRequest) -> Ask:
    """Calls one method of a client."""
    made: Ask = request.param
    return made


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses that clients make, without the waiting, and with the most jitter there is."""
    made: list[float] = []

    async def sleep(seconds: float) -> None:
        made.append(seconds)

    monkeypatch.setattr(time, "sleep", made.append)
    monkeypatch.setattr(anyio, "sleep", sleep)
    monkeypatch.setattr(random, "random", lambda: 1.0)
    return made


class Answers:
    """Gives one answer after the other, the last again and again."""

    def __init__(self, *answers: httpx.Response | Exception) -> None:
        self._answers = list(answers)
        self.requests: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


def heatmap() -> httpx.Response:
    return httpx.Response(200, content=b"heatmap", headers={"Content-Type": "image/png"})


def problem(status: int, code: str, **headers: str) -> httpx.Response:
    body = {"title": "T", "status": status, "code": code, "detail": f"{code} it is.", "request_id": "r1"}
    return httpx.Response(status, json=body, headers={"Content-Type": "application/problem+json", **headers})


URL = "http://depth.test"


def test_a_service_gives_what_an_estimator_gives(
    ask: Ask, embedded_service: RunningService, embedded: DepthEstimator, photo_png: bytes
) -> None:
    expected = embedded.predict(photo_png)
    depth = ask(embedded_service.url, "depth", photo_png)
    assert isinstance(depth, DepthMap)
    assert (depth.model, depth.width, depth.height) == ("embedded", 320, 240)
    assert np.abs(depth.values - expected.values).max() <= np.spacing(np.float16(expected.max))
    picture = opened(ask(embedded_service.url, "upload", photo_png, colormap="magma", size="model"))
    assert (picture.mode, picture.size) == ("P", (256, 192))
    assert opened(ask(embedded_service.url, "upload", photo_png, palette=False)).mode == "RGB"
    assert ask(embedded_service.url, "depth", photo_png, normalize=True).max == 1.0
    cloud = ask(embedded_service.url, "point_cloud", photo_png, stride=2)
    assert cloud.ply() == embedded.point_cloud(photo_png, stride=2).ply()
    assert opened(ask(embedded_service.url, "bokeh", photo_png, focus="0.5,0.5", strength=1)).size == (320, 240)
    assert ask(embedded_service.url, "stereo", photo_png, layout="anaglyph") == embedded.stereo(
        photo_png, layout="anaglyph"
    )
    assert ask(embedded_service.url, "normals", photo_png, fov=50) == embedded.normals(photo_png, fov=50)
    assert ask(embedded_service.url, "mesh", photo_png, fov=50) == embedded.mesh(photo_png, fov=50)


def test_every_kind_of_photo_is_taken(ask: Ask, embedded_service: RunningService, tmp_path: Path) -> None:
    pixels = photo(60, 80)
    data = encoded(pixels)
    path = tmp_path / "photo.png"
    path.write_bytes(data)
    expected = ask(embedded_service.url, "depth", data).values
    with path.open("rb") as file:
        kinds = [path, str(path), bytearray(data), memoryview(data), file, io.BytesIO(data), pixels, opened(data)]
        for kind in kinds:
            assert np.array_equal(ask(embedded_service.url, "depth", kind).values, expected), type(kind)


def test_a_pillow_image_arrives_upright_and_a_large_array_within_the_limit(
    ask: Ask, embedded_service: RunningService
) -> None:
    turned = Image.fromarray(photo(60, 80))
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees
    image = opened(encoded(turned, "JPEG", exif=exif))
    assert ask(embedded_service.url, "depth", image, size="source").values.shape == (80, 60)
    noise = np.random.default_rng(0).integers(0, 256, (2000, 2400, 3), np.uint8)
    assert ask(embedded_service.url, "depth", noise, size="model").values.shape == (192, 224)


@pytest.mark.parametrize("kind", [np.zeros((4, 4, 4), np.uint8), b"no photo"])
def test_what_is_no_image_is_the_same_error_with_and_without_a_service(
    ask: Ask, embedded_service: RunningService, embedded: DepthEstimator, kind: Any
) -> None:
    with pytest.raises(NotAnImage) as there:
        ask(embedded_service.url, "depth", kind)
    with pytest.raises(NotAnImage) as here:
        embedded.predict(kind)
    assert str(there.value) == str(here.value)


def test_an_error_carries_the_problem(ask: Ask, embedded_service: RunningService, photo_png: bytes) -> None:
    with pytest.raises(BrokenImage, match="damaged") as raised:
        ask(embedded_service.url, "upload", photo_png[:500])
    error = raised.value
    assert (error.status, error.code, error.title) == (400, "broken_image", "The image is damaged")
    assert error.detail == str(error)
    assert len(error.request_id) == 32


def test_files_that_cannot_be_read(ask: Ask, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        ask(URL, "depth", tmp_path / "missing.jpg")
    with pytest.raises(TypeError, match="binary mode"):
        ask(URL, "depth", io.StringIO("text"))


def test_health_and_models_are_typed(ask: Ask, embedded_service: RunningService) -> None:
    health = ask(embedded_service.url, "health")
    assert (health.status, health.model, health.degraded, health.version) == ("ok", "embedded", False, __version__)
    assert (health.workers.configured, health.workers.warm) == (1, 1)
    models = ask(embedded_service.url, "models")
    assert models.in_use == "embedded"
    assert models.served == ["embedded"]
    assert [model.name for model in models.models] == list(MODELS)


def test_health_of_a_service_that_is_not_ready_is_no_error(ask: Ask) -> None:
    body = {
        "status": "unavailable",
        "version": "1",
        "model": "m",
        "degraded": True,
        "engine": "e",
        "precision": "fp32",
        "workers": {"configured": 2, "warm": 1, "restarts": 7},
        "queue": {"waiting": 0, "in_flight": 0, "limit": 64},
        "uptime_s": 1.5,
        "of_a_later_version": True,
    }
    health = ask(URL, "health", handler=Answers(httpx.Response(503, json=body)))
    assert (health.status, health.degraded, health.workers.restarts) == ("unavailable", True, 7)
    with pytest.raises(Unavailable):
        ask(URL, "health", handler=Answers(problem(503, "unavailable")))


def test_each_method_has_its_route_query_and_key(ask: Ask) -> None:
    cloud = PointCloud(np.zeros((1, 3), np.float32), np.zeros((1, 3), np.uint8))
    mesh = struct.pack("<4sII", b"glTF", 2, 12)
    queries: list[bytes] = []

    def handler(request: httpx.Request) -> httpx.Response:
        kinds = {
            "pointcloud": "model/ply",
            "bokeh": "image/jpeg",
            "stereo": "image/jpeg",
            "normals": "image/png",
            "mesh": "model/gltf-binary",
        }
        kind = kinds[request.url.path.removeprefix("/base/")]
        assert request.headers["Authorization"] == "Bearer secret"
        assert request.headers["User-Agent"] == f"depthsvc/{__version__}"
        assert b'name="image"; filename="photo"' in request.content
        queries.append(request.url.query)
        content = mesh if kind == "model/gltf-binary" else cloud.ply()
        return httpx.Response(200, content=content, headers={"Content-Type": kind})

    base = f"{URL}/base/"
    ask(base, "point_cloud", b"photo", handler=handler, api_key="secret", fov=70, stride=2, max_points=9)
    ask(base, "bokeh", b"photo", handler=handler, api_key="secret", focus="0.5,0.25", strength=0.75)
    ask(base, "stereo", b"photo", handler=handler, api_key="secret", layout="half", divergence=3, strip_gps=True)
    ask(base, "normals", b"photo", handler=handler, api_key="secret", fov=70, size="model")
    assert ask(base, "mesh", b"photo", handler=handler, api_key="secret", max_vertices=900) == mesh
    assert queries == [
        b"fov=70.0&stride=2&max_points=9",
        b"focus=0.5%2C0.25&strength=0.75",
        b"strip_gps=true&layout=half&divergence=3.0",
        b"size=model&fov=70.0",
        b"max_vertices=900",
    ]


@pytest.mark.parametrize(
    "date", ["Mon, 01 Jan 99999999999999999999 00:00:00 GMT", "Mon, 01 Jan 2029 00:00:00 +99999999"]
)
def test_an_absurd_date_is_no_time_to_wait(ask: Ask, pauses: list[float], date: str) -> None:
    answers = Answers(problem(503, "queue_full", **{"Retry-After": date}), heatmap())
    assert ask(URL, "upload", b"photo", handler=answers) == b"heatmap"
    assert pauses == [0.5 * 1.25]


@pytest.mark.parametrize("method", ["health", "models"])
def test_something_else_that_speaks_json_is_no_service(ask: Ask, method: str) -> None:
    def handler(_: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json={"hello": "world"})

    with pytest.raises(ServiceUnreachable, match="Is it depthsvc"):
        ask(URL, method, handler=handler)


def test_an_empty_answer_is_none(ask: Ask) -> None:
    with pytest.raises(ServiceUnreachable, match="Is it depthsvc"):
        ask(URL, "upload", b"photo", handler=Answers(httpx.Response(200, headers={"Content-Type": "image/png"})))


def test_a_busy_service_is_asked_again_after_as_long_as_it_says(ask: Ask, pauses: list[float]) -> None:
    soon = format_datetime(datetime.now(UTC) + timedelta(seconds=30), usegmt=True)
    answers = Answers(
        problem(429, "too_many_requests", **{"Retry-After": "4"}),
        problem(503, "queue_full", **{"Retry-After": soon}),
        problem(503, "unavailable", **{"Retry-After": "what?"}),
        heatmap(),
    )
    assert ask(URL, "upload", b"photo", handler=answers) == b"heatmap"
    assert all(b"photo" in request.content for request in answers.requests)
    assert pauses[0] == 5.0  # a quarter of jitter
    assert 28 * 1.25 < pauses[1] <= 30 * 1.25
    assert pauses[2] == 2.5  # no time is given: the third pause of its own


def test_retries_are_bounded_in_number_and_in_time(ask: Ask, pauses: list[float]) -> None:
    busy = Answers(problem(503, "queue_full", **{"Retry-After": "1"}))
    with pytest.raises(QueueFull) as raised:
        ask(URL, "upload", b"photo", handler=busy, retries=2)
    assert (raised.value.status, raised.value.request_id) == (503, "r1")
    assert len(busy.requests) == 3
    busy.requests.clear()
    pauses.clear()
    with pytest.raises(QueueFull):
        ask(URL, "upload", b"photo", handler=busy, retries=99, max_wait_s=10)
    assert sum(pauses) <= 10 < sum(pauses) + 10 * 1.25
    busy.requests.clear()
    with pytest.raises(QueueFull):
        ask(URL, "upload", b"photo", handler=busy, retries=0)
    assert len(busy.requests) == 1


@pytest.mark.parametrize("error", [httpx.ConnectError("refused"), httpx.RemoteProtocolError("disconnected")])
def test_a_connection_that_fails_is_tried_again(ask: Ask, pauses: list[float], error: Exception) -> None:
    assert ask(URL, "upload", b"photo", handler=Answers(error, error, heatmap())) == b"heatmap"
    assert pauses == [0.625, 1.25]
    with pytest.raises(ServiceUnreachable, match=f"{URL}/upload.*: (refused|disconnected)"):
        ask(URL, "upload", b"photo", handler=Answers(error), retries=1)


def test_a_silent_service_is_not_asked_twice(ask: Ask) -> None:
    answers = Answers(httpx.ReadTimeout("timed out"), heatmap())
    with pytest.raises(ServiceUnreachable, match="timed out"):
        ask(URL, "upload", b"photo", handler=answers)
    assert len(answers.requests) == 1


class _BreaksOff(httpx.SyncByteStream, httpx.AsyncByteStream):
    def __iter__(self) -> Any:
        yield b"half a heat"
        raise httpx.ReadError("broken off")

    async def __aiter__(self) -> Any:
        yield b"half a heat"
        raise httpx.ReadError("broken off")


def _broken_off() -> httpx.Response:
    return httpx.Response(200, stream=_BreaksOff(), headers={"Content-Type": "image/png"})


def test_an_answer_that_breaks_off_is_asked_for_again(ask: Ask, pauses: list[float]) -> None:
    assert ask(URL, "upload", b"photo", handler=Answers(_broken_off(), heatmap())) == b"heatmap"
    with pytest.raises(ServiceUnreachable, match="broken off"):
        ask(URL, "upload", b"photo", handler=Answers(_broken_off()), retries=0)


def test_errors_that_are_not_of_depthsvc(ask: Ask) -> None:
    with pytest.raises(RequestError, match=r"/upload.* returned 502 Bad Gateway") as raised:
        ask(URL, "upload", b"photo", handler=Answers(httpx.Response(502, text="<html>proxy</html>")))
    assert type(raised.value) is RequestError
    assert (raised.value.status, raised.value.code) == (502, "bad_gateway")
    with pytest.raises(ServiceUnreachable, match=r"returned text/html instead of image/png\. Is it"):
        ask(URL, "upload", b"photo", handler=Answers(httpx.Response(200, html="<p>Log in</p>")))


@pytest.mark.parametrize("shape", ["2,2", "-1,2", "2", "2,2,1", "two,two", "", "0,0", "1e3,1"])
def test_depth_of_another_shape_is_not_depth(ask: Ask, shape: str) -> None:
    headers = {"Content-Type": "application/octet-stream", "X-Depth-Shape": shape}
    with pytest.raises(ServiceUnreachable, match="did not return depth"):
        ask(URL, "depth", b"photo", handler=Answers(httpx.Response(200, content=bytes(4), headers=headers)))


def test_a_proxy_may_write_the_media_type_in_capitals(ask: Ask) -> None:
    shouted = httpx.Response(200, content=b"heatmap", headers={"Content-Type": "Image/PNG; charset=x"})
    assert ask(URL, "upload", b"photo", handler=Answers(shouted)) == b"heatmap"


def test_an_error_of_a_later_version_keeps_its_code(ask: Ask) -> None:
    with pytest.raises(RequestError) as raised:
        ask(URL, "upload", b"photo", handler=Answers(problem(418, "teapot")))
    assert (raised.value.status, raised.value.code, raised.value.detail) == (418, "teapot", "teapot it is.")
    assert RequestError.code == "internal_error"


@pytest.mark.parametrize("client", [DepthClient, AsyncDepthClient])
def test_a_client_shows_its_address_and_no_key(client: type[DepthClient | AsyncDepthClient]) -> None:
    made = client("https://depth.test/base/", api_key="secret")
    assert repr(made) == f"{client.__name__}('https://depth.test/base')"
    for url in ("depth.test:7860", "ftp://depth.test", "http://", "http://[::", "http://here:99999"):
        with pytest.raises(ConfigurationError, match="is not the URL of a service"):
            client(url)
    with pytest.raises(ConfigurationError, match="a header cannot carry"):
        client("http://depth.test", api_key="schlüssel\n")


def test_both_clients_have_the_same_methods() -> None:
    def methods(client: type) -> set[str]:
        return {name for name in dir(client) if not name.startswith("_")}

    assert methods(AsyncDepthClient) - {"answer"} == methods(DepthClient)
    assert json.dumps(sorted(methods(DepthClient))) == (
        '["bokeh", "close", "depth", "health", "heatmap", "mesh", "models", "normals", '
        '"point_cloud", "predict", "stereo", "upload"]'
    )
