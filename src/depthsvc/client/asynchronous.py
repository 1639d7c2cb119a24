"""The client for asyncio and trio."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

import anyio
import anyio.to_thread
import httpx

from depthsvc.client import calls
from depthsvc.client.base import DEFAULT_URL, BaseClient
from depthsvc.client.conversation import Call, Conversation, Reply, conversation, health_conversation, unreachable
from depthsvc.depth import DepthMap
from depthsvc.errors import ConfigurationError
from depthsvc.imaging.glb import Mesh
from depthsvc.imaging.photo.source import PhotoSource, as_file
from depthsvc.imaging.picture import Picture
from depthsvc.imaging.pointcloud import PointCloud
from depthsvc.options import (
    BokehOptions,
    DepthOptions,
    HeatmapOptions,
    MeshOptions,
    NormalsOptions,
    Options,
    PointCloudOptions,
    SideBySideOptions,
    StereoOptions,
)
from depthsvc.outbound.transport import AsyncTransport
from depthsvc.status import Health, Models
from depthsvc.verbs import Verbs, unknown_keywords_raise, with_coroutine_verbs


@with_coroutine_verbs
class AsyncDepthClient(
    BaseClient,
    Verbs[
        Coroutine[Any, Any, DepthMap],
        Coroutine[Any, Any, Picture],
        Coroutine[Any, Any, PointCloud],
        Coroutine[Any, Any, Mesh],
    ],
):
    """`DepthClient` for asyncio and trio: the same arguments, methods and errors, as coroutines.

    async with AsyncDepthClient("http://localhost:7860") as client:
        depth = await client.depth("photo.jpg")
    """

    @unknown_keywords_raise(ConfigurationError)
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
        """As `DepthClient`."""
        super().__init__(url, api_key, timeout_s, retries, max_wait_s)
        self._http = httpx.AsyncClient(transport=transport or AsyncTransport(), **self._connection)

    async def _depth(self, photo: PhotoSource, options: DepthOptions) -> DepthMap:
        return calls.depth_map(await self._ask(calls.call(await _file_apart(photo), options)))

    async def _heatmap(self, photo: PhotoSource, options: HeatmapOptions | SideBySideOptions) -> Picture:
        return calls.picture(await self._ask(calls.call(await _file_apart(photo), options)))

    async def _point_cloud(self, photo: PhotoSource, options: PointCloudOptions) -> PointCloud:
        return calls.point_cloud(await self._ask(calls.call(await _file_apart(photo), options)))

    async def _bokeh(self, photo: PhotoSource, options: BokehOptions) -> Picture:
        return calls.picture(await self._ask(calls.call(await _file_apart(photo), options)))

    async def _stereo(self, photo: PhotoSource, options: StereoOptions) -> Picture:
        return calls.picture(await self._ask(calls.call(await _file_apart(photo), options)))

    async def _normals(self, photo: PhotoSource, options: NormalsOptions) -> Picture:
        return calls.picture(await self._ask(calls.call(await _file_apart(photo), options)))

    async def _mesh(self, photo: PhotoSource, options: MeshOptions) -> Mesh:
        return calls.mesh(await self._ask(calls.call(await _file_apart(photo), options)))

    async def health(self) -> Health:
        """As `DepthClient.health`."""
        return calls.parse(Health, await self._converse(health_conversation(calls.HEALTH)))

    async def models(self) -> Models:
        """As `DepthClient.models`."""
        return calls.parse(Models, await self._ask(calls.MODELS))

    async def answer(self, photo: bytes, options: Options) -> httpx.Response:
        """Send a photo's bytes with any kind of options; returns the whole response with its headers."""
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
            outcome: Reply = None
            if isinstance(step, Call):
                outcome = await self._send(step.request(self._http))
            else:
                await anyio.sleep(step)
            try:
                step = conversation.send(outcome)
            except StopIteration as end:
                return end.value  # type: ignore[no-any-return]

    async def _send(self, request: httpx.Request) -> httpx.Response | httpx.TransportError:
        """The whole response, or the error if there is none."""
        try:
            return await self._http.send(request)
        except httpx.TransportError as error:
            return error
        except httpx.RequestError as error:
            raise unreachable(error) from error


async def _file_apart(photo: PhotoSource) -> bytes:
    """The bytes of a photo, read and encoded in a thread so that other tasks keep running."""
    return await anyio.to_thread.run_sync(as_file, photo)
