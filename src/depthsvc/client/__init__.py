"""Clients of a depthsvc service: `DepthClient`, and `AsyncDepthClient` for asyncio and trio."""

from __future__ import annotations

import time
from typing import Any

import anyio
import anyio.to_thread
import httpx

from depthsvc.client import calls
from depthsvc.client.conversation import (
    Call,
    Conversation,
    Outcome,
    Patience,
    conversation,
    health_conversation,
    unreachable,
)
from depthsvc.depth import DepthMap
from depthsvc.errors import ConfigurationError
from depthsvc.imaging.photo.source import PhotoSource, as_file
from depthsvc.imaging.picture import Picture
from depthsvc.imaging.pointcloud import PointCloud
from depthsvc.options import (
    BokehOptions,
    DepthOptions,
    Options,
    PointCloudOptions,
    UploadQuery,
    checked,
    named,
)
from depthsvc.status import Health, Models
from depthsvc.version import __version__

__all__ = ["AsyncDepthClient", "DepthClient", "PhotoSource"]

DEFAULT_URL = "http://127.0.0.1:7860"
"""Where `depthsvc serve` listens by default."""

_LAST_PORT = 65_535
_CONNECT_S = 10.0
"""Longest time to connect."""


class _Client:
    """What both clients know of a service."""

    def __init__(self, url: str, api_key: str | None, timeout_s: float, retries: int, max_wait_s: float) -> None:
        try:
            parsed = httpx.URL(url)
            valid = parsed.scheme in ("http", "https") and parsed.host and (parsed.port or 0) <= _LAST_PORT
        except httpx.InvalidURL:
            valid = False
        if not valid:
            raise ConfigurationError(f"{url!r} is no address of a service, such as {DEFAULT_URL}.")
        self.url = url.rstrip("/")
        self._patience = Patience(retries, max_wait_s)
        headers = {"User-Agent": f"depthsvc/{__version__}"}
        if api_key:
            if not (api_key.isascii() and api_key.isprintable()):
                raise ConfigurationError("The API key has characters that no header can carry.")
            headers["Authorization"] = f"Bearer {api_key}"
        self._connection: dict[str, Any] = {
            "base_url": self.url,
            "headers": headers,
            "timeout": httpx.Timeout(timeout_s, connect=min(timeout_s, _CONNECT_S)),
        }

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.url!r})"


class DepthClient(_Client):
    """Asks a running service for the depth of photos.

        with DepthClient("http://localhost:7860") as client:
            client.depth("photo.jpg").save("depth.png")

    A photo is a `PhotoSource`: path, bytes, open binary file, Pillow image or array. May be shared by threads.

    Every method that sends a photo raises what the same photo raises without a service, such as
    `depthsvc.errors.NotAnImage`, `TooManyPixels` or `QueueFull`: a `RequestError` with the answer's `status`, `code`,
    `title`, `detail` and `request_id`, itself where the code is unknown here. It raises `ServiceUnreachable` where
    there is no answer, or none of depthsvc, and OSError for a file that cannot be read.
    """

    def __init__(
        self,
        url: str = DEFAULT_URL,
        *,
        api_key: str | None = None,
        timeout_s: float = 60.0,
        retries: int = 5,
        max_wait_s: float = 60.0,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        """`timeout_s`: longest silence of the service within one try, in seconds. A 503, a 429 of its proxy, and a
        connection that fails before anything was answered, are tried again up to `retries` times, after as long as
        `Retry-After` says, with pauses of at most `max_wait_s` seconds in all. `transport` is httpx's. Raises
        ConfigurationError for a `url` that is none.
        """
        super().__init__(url, api_key, timeout_s, retries, max_wait_s)
        self._http = httpx.Client(transport=transport, **self._connection)

    @named
    def depth(
        self,
        photo: PhotoSource,
        *,
        input_size: int | None = None,
        size: str = "source",
        refine: bool = False,
        normalize: bool = False,
    ) -> DepthMap:
        """As `DepthEstimator.depth`, rounded to float16, with the name of the model that the service uses."""
        options = checked(DepthOptions, input_size=input_size, size=size, refine=refine, normalize=normalize)
        return calls.depth_map(self._ask(calls.call(as_file(photo), options)))

    predict = depth
    """Another name of `depth`."""

    @named
    def heatmap(
        self,
        photo: PhotoSource,
        *,
        input_size: int | None = None,
        size: str = "source",
        refine: bool = False,
        colormap: str = "inferno",
        invert: bool = False,
        palette: bool = True,
        side_by_side: bool = False,
    ) -> Picture:
        """As `DepthEstimator.heatmap`."""
        query = checked(
            UploadQuery,
            input_size=input_size,
            size=size,
            refine=refine,
            colormap=colormap,
            invert=invert,
            palette=palette,
            side_by_side=side_by_side,
        )
        options = query.options()
        return calls.picture(self._ask(calls.call(as_file(photo), options)))

    upload = heatmap
    """Another name of `heatmap`, that of the service's route."""

    @named
    def point_cloud(
        self,
        photo: PhotoSource,
        *,
        input_size: int | None = None,
        fov: float = 60,
        stride: int = 1,
        max_points: int = 1_000_000,
    ) -> PointCloud:
        """As `DepthEstimator.point_cloud`."""
        options = checked(PointCloudOptions, input_size=input_size, fov=fov, stride=stride, max_points=max_points)
        return calls.point_cloud(self._ask(calls.call(as_file(photo), options)))

    @named
    def bokeh(
        self,
        photo: PhotoSource,
        *,
        input_size: int | None = None,
        focus: str | tuple[float, float] = "auto",
        strength: float = 0.5,
    ) -> Picture:
        """As `DepthEstimator.bokeh`, but its pixels are those of the JPEG."""
        options = checked(BokehOptions, input_size=input_size, focus=focus, strength=strength)
        return calls.picture(self._ask(calls.call(as_file(photo), options)))

    def health(self) -> Health:
        """The state of the service, also when it is not ready. Asks once."""
        return calls.parsed(Health, self._converse(health_conversation(calls.HEALTH)))

    def models(self) -> Models:
        """The models that the service knows, and the one that answers."""
        return calls.parsed(Models, self._ask(calls.MODELS))

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def __enter__(self) -> DepthClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _ask(self, call: Call) -> httpx.Response:
        return self._converse(conversation(call, self._patience))

    def _converse(self, conversation: Conversation) -> httpx.Response:
        step = next(conversation)
        while True:
            outcome: Outcome = None
            if isinstance(step, Call):
                outcome = self._send(step.request(self._http))
            else:
                time.sleep(step)
            try:
                step = conversation.send(outcome)
            except StopIteration as end:
                return end.value  # type: ignore[no-any-return]

    def _send(self, request: httpx.Request) -> httpx.Response | httpx.TransportError:
        """The whole answer, or why there is none. Raises ServiceUnreachable if it broke off."""
        try:
            response = self._http.send(request, stream=True)
        except httpx.TransportError as error:
            return error
        try:
            response.read()
        except httpx.RequestError as error:
            raise unreachable(error) from error
        finally:
            response.close()
        return response


class AsyncDepthClient(_Client):
    """`DepthClient` for asyncio and trio: the same arguments, methods and errors, to be awaited.

    async with AsyncDepthClient("http://localhost:7860") as client:
        depth = await client.depth("photo.jpg")
    """

    def __init__(
        self,
        url: str = DEFAULT_URL,
        *,
        api_key: str | None = None,
        timeout_s: float = 60.0,
        retries: int = 5,
        max_wait_s: float = 60.0,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        """As for `DepthClient`."""
        super().__init__(url, api_key, timeout_s, retries, max_wait_s)
        self._http = httpx.AsyncClient(transport=transport, **self._connection)

    @named
    async def depth(
        self,
        photo: PhotoSource,
        *,
        input_size: int | None = None,
        size: str = "source",
        refine: bool = False,
        normalize: bool = False,
    ) -> DepthMap:
        """As `DepthClient.depth`."""
        options = checked(DepthOptions, input_size=input_size, size=size, refine=refine, normalize=normalize)
        return calls.depth_map(await self._ask(calls.call(await _file_apart(photo), options)))

    predict = depth
    """Another name of `depth`."""

    @named
    async def heatmap(
        self,
        photo: PhotoSource,
        *,
        input_size: int | None = None,
        size: str = "source",
        refine: bool = False,
        colormap: str = "inferno",
        invert: bool = False,
        palette: bool = True,
        side_by_side: bool = False,
    ) -> Picture:
        """As `DepthClient.heatmap`."""
        query = checked(
            UploadQuery,
            input_size=input_size,
            size=size,
            refine=refine,
            colormap=colormap,
            invert=invert,
            palette=palette,
            side_by_side=side_by_side,
        )
        options = query.options()
        return calls.picture(await self._ask(calls.call(await _file_apart(photo), options)))

    upload = heatmap
    """Another name of `heatmap`, that of the service's route."""

    @named
    async def point_cloud(
        self,
        photo: PhotoSource,
        *,
        input_size: int | None = None,
        fov: float = 60,
        stride: int = 1,
        max_points: int = 1_000_000,
    ) -> PointCloud:
        """As `DepthClient.point_cloud`."""
        options = checked(PointCloudOptions, input_size=input_size, fov=fov, stride=stride, max_points=max_points)
        return calls.point_cloud(await self._ask(calls.call(await _file_apart(photo), options)))

    @named
    async def bokeh(
        self,
        photo: PhotoSource,
        *,
        input_size: int | None = None,
        focus: str | tuple[float, float] = "auto",
        strength: float = 0.5,
    ) -> Picture:
        """As `DepthClient.bokeh`."""
        options = checked(BokehOptions, input_size=input_size, focus=focus, strength=strength)
        return calls.picture(await self._ask(calls.call(await _file_apart(photo), options)))

    async def health(self) -> Health:
        """As `DepthClient.health`."""
        return calls.parsed(Health, await self._converse(health_conversation(calls.HEALTH)))

    async def models(self) -> Models:
        """As `DepthClient.models`."""
        return calls.parsed(Models, await self._ask(calls.MODELS))

    async def answer(self, photo: bytes, options: Options) -> httpx.Response:
        """Send the bytes of a photo with options of whichever kind, and give the whole answer with its headers."""
        return await self._ask(calls.call(photo, options))

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def __aenter__(self) -> AsyncDepthClient:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def _ask(self, call: Call) -> httpx.Response:
        return await self._converse(conversation(call, self._patience))

    async def _converse(self, conversation: Conversation) -> httpx.Response:
        step = next(conversation)
        while True:
            outcome: Outcome = None
            if isinstance(step, Call):
                outcome = await self._send(step.request(self._http))
            else:
                await anyio.sleep(step)
            try:
                step = conversation.send(outcome)
            except StopIteration as end:
                return end.value  # type: ignore[no-any-return]

    async def _send(self, request: httpx.Request) -> httpx.Response | httpx.TransportError:
        """The whole answer, or why there is none. Raises ServiceUnreachable if it broke off."""
        try:
            response = await self._http.send(request, stream=True)
        except httpx.TransportError as error:
            return error
        try:
            await response.aread()
        except httpx.RequestError as error:
            raise unreachable(error) from error
        finally:
            await response.aclose()
        return response


async def _file_apart(photo: PhotoSource) -> bytes:
    """The bytes of a photo; reading and encoding take time that belongs to other tasks."""
    return await anyio.to_thread.run_sync(as_file, photo)
