"""POST /upload, /depth, /pointcloud, /bokeh, /stereo, /normals and /mesh."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import Future
from contextlib import ExitStack
from functools import partial
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Query, Request, Response
from fastapi.routing import APIRoute
from structlog.contextvars import bind_contextvars

from depthsvc import errors
from depthsvc.formats import FORMATS
from depthsvc.options import (
    OPTIONS,
    BokehOptions,
    DepthOptions,
    MeshOptions,
    NormalsOptions,
    Options,
    PointCloudOptions,
    StereoOptions,
    UploadQuery,
    make_options,
)
from depthsvc.pipeline.answer import Answer
from depthsvc.pipeline.cost import Cost
from depthsvc.pool.base import PhotoPool
from depthsvc.server.clients import client_of
from depthsvc.server.problems import document_errors
from depthsvc.server.routes.waiting import when_done
from depthsvc.server.service import CurrentService, Service
from depthsvc.server.transfer.answer import BufferedResponse
from depthsvc.server.transfer.body import OCTETS, OPENAPI_REQUEST_BODY, Body, received

_DEFAULTS: dict[str, Options] = {options.route: options() for options in (*OPTIONS.values(), UploadQuery)}
"""What a request without a query asks for, by its path."""


class _PhotoRoute(APIRoute):
    """Answers a request without a query or a key as it is: most are, and FastAPI's reading of one takes longest."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        read_and_answer = super().get_route_handler()
        defaults = _DEFAULTS[self.path]

        async def answer(request: Request) -> Response:
            service: Service = request.app.state.service
            if request.scope["query_string"] or service.api_keys:
                return await read_and_answer(request)
            return await _answer(request, service, defaults)

        return answer


router = APIRouter(tags=["depth"], route_class=_PhotoRoute)

Endpoint = TypeVar("Endpoint", bound=Callable[..., Awaitable[Response]])

_DEADLINE_MARGIN_S = 1.0
"""The pool enforces deadlines while it has workers; past this margin, assume it has none."""

_ERRORS = document_errors(
    errors.MissingImage,
    errors.MalformedBody,
    errors.NotAnImage,
    errors.BrokenImage,
    errors.Unauthorized,
    errors.ClientTimeout,
    errors.BodyTooLarge,
    errors.UnsupportedMediaType,
    errors.InvalidParameter,
    errors.TooManyPixels,
    errors.TooExpensive,
    errors.TooManyRequests,
    errors.RequestError,
    errors.WorkerCrashed,
    errors.Unavailable,
    errors.QueueFull,
    errors.DeadlineExceeded,
)


HEADERS = {
    "X-Depth-Model": "Model that produced it.",
    "X-Depth-Kind": "What the numbers are: `inverse_depth`, relative and larger where it is nearer, or `metres`.",
    "X-Depth-Unit": "Their unit: `relative`, which no other photo shares, or `metres`.",
    "X-Depth-Shape": "Height and width of the result, as `H,W`.",
    "X-Depth-Dtype": "NumPy's name for the type of the numbers in the body.",
    "X-Depth-Enlargement": "How the model's grid becomes the photo's: `bicubic`, `bilinear` or `bilinear_corners`.",
    "X-Depth-Min": "Smallest number: relative inverse depth of the farthest point, or metres of the nearest.",
    "X-Depth-Max": "Largest number: relative inverse depth of the nearest point, or metres of the farthest.",
    "X-Depth-Orientation": "EXIF orientation, 1 to 8, by which the photo was turned upright.",
    "X-Depth-Fov": "Angle in degrees that the photo's longer side spans, by its EXIF data; absent if that is unknown.",
    "X-Request-ID": "Id of the request.",
    "Server-Timing": "Milliseconds spent in queue, decode, infer and render; and processor time of the worker, `cpu`, "
    "beside what was expected of the photo before it was decoded, `expected_cpu`.",
}


def _binary_answers(*media_types: str) -> dict[int | str, dict[str, Any]]:
    content = {media_type: {"schema": {"type": "string", "format": "binary"}} for media_type in (*media_types, OCTETS)}
    headers = {
        name: {"description": description, "schema": {"type": "string"}} for name, description in HEADERS.items()
    }
    return {200: {"description": "The photo's depth", "content": content, "headers": headers}, **_ERRORS}


def _photo_route(route: str, summary: str) -> Callable[[Endpoint], Endpoint]:
    """A route that accepts a photo; its media types come from the table of formats."""
    media_types = dict.fromkeys(format.media_type for format in FORMATS if OPTIONS[format.result].route == route)
    return router.post(
        route,
        summary=summary,
        response_class=Response,
        responses=_binary_answers(*media_types),
        openapi_extra=OPENAPI_REQUEST_BODY,
    )


@_photo_route(UploadQuery.route, "A photo's depth as a PNG heatmap")
async def upload(request: Request, service: CurrentService, query: Annotated[UploadQuery, Query()]) -> Response:
    """Near is bright and far is dark, scaled from the farthest to the nearest point of this one photo. The picture
    has the photo's upright width and height."""
    return await _answer(request, service, query)


@_photo_route(DepthOptions.route, "A photo's depth as numbers")
async def depth(request: Request, service: CurrentService, options: Annotated[DepthOptions, Query()]) -> Response:
    """What the numbers are depends on the model, and `X-Depth-Kind` says it. Relative inverse depth: larger is nearer,
    scale and shift are unknown; the values are not metres, and values from different photos cannot be compared. Metres:
    larger is farther, 0 is unknown."""
    return await _answer(request, service, options)


@_photo_route(PointCloudOptions.route, "A photo as a cloud of coloured points")
async def pointcloud(
    request: Request, service: CurrentService, options: Annotated[PointCloudOptions, Query()]
) -> Response:
    """A binary little-endian PLY file, as a pinhole camera sees the photo: x to the right, y up, and the camera looks
    along -z. The unit is a metre if the model predicts metres. Otherwise depth is 1 at the nearest point and 6 at the
    farthest: a plausible shape, not metres; and the farthest 2 % of the range of inverse depth are left out."""
    return await _answer(request, service, options)


@_photo_route(BokehOptions.route, "A photo refocused by its depth")
async def bokeh(request: Request, service: CurrentService, options: Annotated[BokehOptions, Query()]) -> Response:
    """The photo as a JPEG, blurred where it is nearer or farther than the focus, as with a wide aperture. It keeps the
    photo's EXIF data and colour profile."""
    return await _answer(request, service, options)


@_photo_route(StereoOptions.route, "A photo as a stereo picture")
async def stereo(request: Request, service: CurrentService, options: Annotated[StereoOptions, Query()]) -> Response:
    """A JPEG with the views of both eyes, which differ by the photo's depth: side by side, or as an anaglyph for
    red-cyan glasses. What the photo does not show is filled with the background beside it. The picture keeps the
    photo's EXIF data and colour profile."""
    return await _answer(request, service, options)


@_photo_route(NormalsOptions.route, "A photo's surface normals as colours")
async def normals(request: Request, service: CurrentService, options: Annotated[NormalsOptions, Query()]) -> Response:
    """A PNG in ControlNet's colours: red is left, green is up, blue is towards the camera, each from -1 (0) to 1 (255),
    so that a surface that faces the camera is (128, 128, 255). By a model of relative depth the shape is that of
    `/pointcloud`: plausible, not measured."""
    return await _answer(request, service, options)


@_photo_route(MeshOptions.route, "A photo as a textured mesh")
async def mesh(request: Request, service: CurrentService, options: Annotated[MeshOptions, Query()]) -> Response:
    """A GLB file (glTF 2.0): one mesh with the photo as its texture, cut where depth has a step. The axes and the unit
    are those of `/pointcloud`: metres if the model predicts them, else a plausible shape; sky is left out."""
    return await _answer(request, service, options)


PHOTO_PATHS = frozenset(route.path for route in router.routes if isinstance(route, APIRoute))
"""Paths that accept photos."""


async def _answer(request: Request, service: Service, query: Options) -> Response:
    client = client_of(request.scope)
    with service.accept(client), service.uploads.promise(_declared_bytes(request, service), client) as upload:
        body = await received(request, upload)
        photo, options = body.photo, _options(request, query, body)
        cost = service.appraiser(options).appraise(photo, options)
        with ExitStack() as until_sent:
            hold = until_sent.enter_context(service.answers.promise(cost.answer_bytes, client))
            answer = await _computed(request, service, photo, options, cost)
            hold.resize(len(answer.body))
            service.trace(answer)
            headers = _headers(answer, cost)
            until_sent.pop_all()  # the response releases it
    media_type = OCTETS if request.headers.get("Accept") == OCTETS else answer.media_type
    note = partial(_note, service, cost, answer.without_body())
    return BufferedResponse(answer.body, hold=hold, media_type=media_type, headers=headers, afterwards=note)


def _options(request: Request, query: Options, body: Body) -> Options:
    """The options of a query, and of the form's fields where the query says nothing. Raises InvalidParameter."""
    if body.fields:
        query = make_options(type(query), **{**body.fields, **request.query_params})
    return query.options if isinstance(query, UploadQuery) else query


def _note(service: Service, cost: Cost, answer: Answer) -> None:
    """Have the metrics and the log know what a photo took."""
    service.observe(cost, answer)
    bind_contextvars(
        model=answer.model,
        cpu_ms=_milliseconds(sum(answer.cpu_seconds.values())),
        expected_ms=_milliseconds(cost.seconds),
        **{f"{stage}_ms": _milliseconds(spent) for stage, spent in answer.seconds.items()},
    )


def _declared_bytes(request: Request, service: Service) -> int:
    """Size of the body by its Content-Length; 0 if it has none."""
    declared = request.headers.get("Content-Length", "")
    return min(int(declared), service.settings.max_upload_bytes) if declared.isdecimal() else 0


async def _computed(request: Request, service: Service, photo: bytearray, options: Options, cost: Cost) -> Answer:
    deadline_s, client = service.settings.deadline_s, client_of(request.scope)
    computing = service.pool.submit(photo, options, deadline_s=deadline_s, price=cost.seconds, client=client)
    return await _await_answer(request, service.pool, computing, deadline_s + _DEADLINE_MARGIN_S)


async def _await_answer(request: Request, pool: PhotoPool, computing: Future[Answer], longest_s: float) -> Answer:
    """The pool's result. If the client disconnects, a photo that is still waiting is not computed."""
    ready = when_done(computing)
    gone = asyncio.ensure_future(_wait_for_disconnect(request))
    try:
        await asyncio.wait({ready, gone}, timeout=longest_s, return_when=asyncio.FIRST_COMPLETED)
        if computing.done():
            return computing.result()
        if gone.done():
            raise errors.ClientDisconnected("The client closed the connection before its photo was computed.")
        if pool.is_waiting(computing):
            raise errors.QueueFull("No worker was free before the photo's deadline. Try again later.")
        raise errors.DeadlineExceeded("The photo was not finished before its deadline. Try again later.")
    except asyncio.CancelledError as error:  # by uvicorn, when draining runs out of time
        raise errors.Unavailable("The service has shut down. Try again later.") from error
    finally:
        computing.cancel()
        ready.cancel()
        gone.cancel()


async def _wait_for_disconnect(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _milliseconds(seconds: float) -> float:
    return round(1000 * seconds, 1)


def _headers(answer: Answer, cost: Cost) -> dict[str, str]:
    height, width = answer.shape
    times = {**answer.seconds, "cpu": sum(answer.cpu_seconds.values()), "expected_cpu": cost.seconds}
    timing = ", ".join(f"{name};dur={_milliseconds(seconds)}" for name, seconds in times.items())
    fov = {} if answer.fov is None else {"X-Depth-Fov": f"{answer.fov:.6g}"}
    return {
        "X-Depth-Model": answer.model,
        "X-Depth-Kind": answer.kind,
        "X-Depth-Unit": answer.kind.unit,
        "X-Depth-Shape": f"{height},{width}",
        "X-Depth-Dtype": answer.dtype,
        "X-Depth-Enlargement": answer.enlargement,
        "X-Depth-Min": f"{answer.min:.9g}",
        "X-Depth-Max": f"{answer.max:.9g}",
        "X-Depth-Orientation": str(answer.orientation),
        **fov,
        "Server-Timing": timing,
    }
