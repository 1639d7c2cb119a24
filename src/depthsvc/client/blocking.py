"""The blocking client."""

from __future__ import annotations

import time

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
    PointCloudOptions,
    SideBySideOptions,
    StereoOptions,
)
from depthsvc.outbound.transport import Transport
from depthsvc.status import Health, Models
from depthsvc.verbs import Verbs, unknown_keywords_raise


class DepthClient(BaseClient, Verbs[DepthMap, Picture, PointCloud, Mesh]):
    """Sends photos to a running service and returns their depth.

        with DepthClient("http://localhost:7860") as client:
            client.depth("photo.jpg").save("depth.png")

    A photo is a `PhotoSource`: path, bytes, open binary file, Pillow image or array. Thread-safe.

    Methods that send a photo raise the same errors as `DepthEstimator`, such as `depthsvc.errors.NotAnImage` or
    `TooManyPixels`, and the service's own, such as `QueueFull`: a `RequestError` with the response's `status`, `code`,
    `title`, `detail` and `request_id`, which is `RequestError` itself if the code is unknown here. They raise
    `ServiceUnreachable` if there is no response or it is not depthsvc's, and OSError if a file cannot be read.
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
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        """`timeout_s`: how long the service may be silent within one try, in seconds. A 503, a proxy's 429, and a
        connection that fails are retried up to `retries` times, after the time in `Retry-After`, with pauses of at most
        `max_wait_s` seconds in total. `transport` is httpx's. Raises ConfigurationError for an invalid `url`.
        """
        super().__init__(url, api_key, timeout_s, retries, max_wait_s)
        self._http = httpx.Client(transport=transport or Transport(), **self._connection)

    def _depth(self, photo: PhotoSource, options: DepthOptions) -> DepthMap:
        return calls.depth_map(self._ask(calls.call(as_file(photo), options)))

    def _heatmap(self, photo: PhotoSource, options: HeatmapOptions | SideBySideOptions) -> Picture:
        return calls.picture(self._ask(calls.call(as_file(photo), options)))

    def _point_cloud(self, photo: PhotoSource, options: PointCloudOptions) -> PointCloud:
        return calls.point_cloud(self._ask(calls.call(as_file(photo), options)))

    def _bokeh(self, photo: PhotoSource, options: BokehOptions) -> Picture:
        return calls.picture(self._ask(calls.call(as_file(photo), options)))

    def _stereo(self, photo: PhotoSource, options: StereoOptions) -> Picture:
        return calls.picture(self._ask(calls.call(as_file(photo), options)))

    def _normals(self, photo: PhotoSource, options: NormalsOptions) -> Picture:
        return calls.picture(self._ask(calls.call(as_file(photo), options)))

    def _mesh(self, photo: PhotoSource, options: MeshOptions) -> Mesh:
        return calls.mesh(self._ask(calls.call(as_file(photo), options)))

    def health(self) -> Health:
        """The state of the service, even when it is not ready. Never retries."""
        return calls.parse(Health, self._converse(health_conversation(calls.HEALTH)))

    def models(self) -> Models:
        """The models that the service knows, and the one in use."""
        return calls.parse(Models, self._ask(calls.MODELS))

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
            outcome: Reply = None
            if isinstance(step, Call):
                outcome = self._send(step.request(self._http))
            else:
                time.sleep(step)
            try:
                step = conversation.send(outcome)
            except StopIteration as end:
                return end.value  # type: ignore[no-any-return]

    def _send(self, request: httpx.Request) -> httpx.Response | httpx.TransportError:
        """The whole response, or the error if there is none."""
        try:
            return self._http.send(request)
        except httpx.TransportError as error:
            return error
        except httpx.RequestError as error:
            raise unreachable(error) from error
