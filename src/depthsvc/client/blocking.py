"""The client for programs that wait for each response."""

from __future__ import annotations

import time

import httpx

from depthsvc.client import calls
from depthsvc.client.base import DEFAULT_URL, BaseClient
from depthsvc.client.conversation import Call, Conversation, Reply, conversation, health_conversation, unreachable
from depthsvc.depth import DepthMap
from depthsvc.imaging.photo.source import PhotoSource, as_file
from depthsvc.imaging.picture import Picture
from depthsvc.imaging.pointcloud import PointCloud
from depthsvc.options import (
    BokehOptions,
    DepthOptions,
    PointCloudOptions,
    UploadQuery,
    make_options,
    reject_unknown_keywords,
)
from depthsvc.status import Health, Models


class DepthClient(BaseClient):
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

    @reject_unknown_keywords
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
        options = make_options(DepthOptions, input_size=input_size, size=size, refine=refine, normalize=normalize)
        return calls.depth_map(self._ask(calls.call(as_file(photo), options)))

    predict = depth
    """Another name of `depth`."""

    @reject_unknown_keywords
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
        query = make_options(
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

    @reject_unknown_keywords
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
        options = make_options(PointCloudOptions, input_size=input_size, fov=fov, stride=stride, max_points=max_points)
        return calls.point_cloud(self._ask(calls.call(as_file(photo), options)))

    @reject_unknown_keywords
    def bokeh(
        self,
        photo: PhotoSource,
        *,
        input_size: int | None = None,
        focus: str | tuple[float, float] = "auto",
        strength: float = 0.5,
    ) -> Picture:
        """As `DepthEstimator.bokeh`, but its pixels are those of the JPEG."""
        options = make_options(BokehOptions, input_size=input_size, focus=focus, strength=strength)
        return calls.picture(self._ask(calls.call(as_file(photo), options)))

    def health(self) -> Health:
        """The state of the service, also when it is not ready. Asks once."""
        return calls.parse(Health, self._converse(health_conversation(calls.HEALTH)))

    def models(self) -> Models:
        """The models that the service knows, and the one that answers."""
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
