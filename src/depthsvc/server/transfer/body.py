"""The photo in a request: a multipart field or the bare body."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastapi import Request
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import ClientDisconnect

from depthsvc.errors import (
    ClientDisconnected,
    ClientTimeout,
    MalformedBody,
    MissingImage,
    Unavailable,
    UnsupportedMediaType,
)
from depthsvc.imaging.photo.formats import ACCEPTED_NAMES, MEDIA_TYPES
from depthsvc.server.transfer.buffers import Hold

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

FIELDS = ("image", "file")
MAX_PARTS = 32
LONGEST_UPLOAD_S = 300.0

_PHOTO = {"type": "string", "format": "binary"}
OPENAPI_REQUEST_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": f"A {ACCEPTED_NAMES} photo: a file in the form field `image` (or `file`), or the bare body.",
        "content": {
            "multipart/form-data": {
                "schema": {"type": "object", "properties": {"image": _PHOTO}, "required": ["image"]},
            },
            **{media_type: {"schema": _PHOTO} for media_type in MEDIA_TYPES},
        },
    }
}


async def photo_bytes(request: Request, hold: Hold) -> bytearray:
    """The photo in a request, undecoded, received into memory and never written to disk.

    Raises UnsupportedMediaType, MissingImage, MalformedBody, BodyTooLarge, ClientTimeout, ClientDisconnected, or
    Unavailable if the service has to drop it for lack of memory.
    """
    photo = _photo_of(request)
    try:
        async with hold.transfer(longest_s=LONGEST_UPLOAD_S):
            async for chunk in request.stream():
                hold.moved(len(chunk))
                hold.add(photo.write(chunk))
    except ClientDisconnect as error:
        raise ClientDisconnected("The client closed the connection before its photo was complete.") from error
    except FormParserError as error:
        raise MalformedBody(
            "The body is not a valid multipart form. Let your HTTP library build it: curl -F image=@photo.jpg"
        ) from error
    except TimeoutError as error:
        raise _given_up(hold) from error
    return photo.finish()


def _photo_of(request: Request) -> _BarePhoto | _FormPhoto:
    content_type = request.headers.get("Content-Type", "")
    media_type = content_type.partition(";")[0].strip().lower()
    if media_type.startswith("image/"):
        return _BarePhoto()
    if media_type == "multipart/form-data":
        boundary = parse_options_header(content_type)[1].get(b"boundary")
        if not boundary:
            raise MalformedBody("The Content-Type multipart/form-data has no boundary. Let your HTTP library set it.")
        return _FormPhoto(boundary)
    raise UnsupportedMediaType(
        f"The body's Content-Type is {media_type or 'missing'}. Send multipart/form-data with the photo in the "
        "field `image` (curl -F image=@photo.jpg), or the bare bytes with Content-Type: image/jpeg."
    )


def _given_up(hold: Hold) -> ClientTimeout | Unavailable:
    if hold.evicted:
        return Unavailable("The service is receiving too many photos at once. Try again later.")
    return ClientTimeout("The photo did not arrive in time. Send it over a faster connection, or send a smaller photo.")


class _BarePhoto:
    """A body that is itself the photo."""

    def __init__(self) -> None:
        self._data = bytearray()

    def write(self, chunk: bytes) -> int:
        """Feed a chunk of the body; returns how many bytes of it are kept."""
        self._data += chunk
        return len(chunk)

    def finish(self) -> bytearray:
        return self._data


class _FormPhoto:
    """A multipart form with the photo in one of its fields."""

    def __init__(self, boundary: bytes) -> None:
        """Raises MalformedBody for an impossible boundary. `write` raises FormParserError."""
        self._fields = _Fields()
        try:
            self._parser = MultipartParser(boundary, self._fields.callbacks())
        except FormParserError as error:
            raise MalformedBody(f"The multipart boundary is invalid: {error}. Let your HTTP library set it.") from error

    def write(self, chunk: bytes) -> int:
        """Feed a chunk of the body; returns how many bytes of it are kept."""
        before = len(self._fields.photo or b"")
        self._parser.write(chunk)
        return len(self._fields.photo or b"") - before

    def finish(self) -> bytearray:
        """Raises MalformedBody or MissingImage."""
        if not self._fields.complete:
            raise MalformedBody("The multipart body ends before its last boundary. Send all of it.")
        if self._fields.photo is None:
            raise MissingImage(
                "The form has no field `image`. Send the photo as a file in it: curl -F image=@photo.jpg"
            )
        return self._fields.photo


class _Fields:
    """Keeps the photo of a form that is being parsed and drops everything else.

    It does not refer to its parser: the cycle would keep the photo alive until the next garbage collection.
    """

    def __init__(self) -> None:
        self.photo: bytearray | None = None
        self.complete = False
        self._target: bytearray | None = None
        """Where the current part goes."""
        self._parts = 0
        self._header = (bytearray(), bytearray())
        self._disposition = b""

    def callbacks(self) -> MultipartCallbacks:
        return {
            "on_part_begin": self._begin_part,
            "on_header_field": self._header_name,
            "on_header_value": self._header_value,
            "on_header_end": self._end_header,
            "on_headers_finished": self._end_headers,
            "on_part_data": self._part_data,
            "on_end": self._end,
        }

    def _begin_part(self) -> None:
        self._parts += 1
        if self._parts > MAX_PARTS:
            raise MalformedBody(f"The form has more than {MAX_PARTS} parts. Send the photo alone.")
        self._target = None
        self._disposition = b""

    def _header_name(self, data: bytes, start: int, end: int) -> None:
        self._header[0].extend(data[start:end])

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._header[1].extend(data[start:end])

    def _end_header(self) -> None:
        name, value = map(bytes, self._header)
        if name.lower() == b"content-disposition":
            self._disposition = value
        self._header = (bytearray(), bytearray())

    def _end_headers(self) -> None:
        _, parameters = parse_options_header(self._disposition)
        name = parameters.get(b"name", b"").decode("latin-1")
        if name not in FIELDS:
            return
        if b"filename" not in parameters:
            raise MissingImage(
                f"The field `{name}` is text. Send it as a file, with a file name: curl -F {name}=@photo.jpg"
            )
        if self.photo is not None:
            raise MalformedBody("The form contains more than one photo. Send one photo per request.")
        self._target = self.photo = bytearray()

    def _part_data(self, data: bytes, start: int, end: int) -> None:
        if self._target is not None:
            self._target += memoryview(data)[start:end]

    def _end(self) -> None:
        self.complete = True
