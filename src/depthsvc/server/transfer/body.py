"""The photo in a request: a multipart field or the bare body."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from fastapi import Request
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import parse_options_header
from starlette.requests import ClientDisconnect

from depthsvc.errors import (
    ClientDisconnected,
    ClientTimeout,
    MalformedBody,
    QueueFull,
    UnsupportedMediaType,
)
from depthsvc.imaging.photo.formats import ACCEPTED_NAMES, MEDIA_TYPES
from depthsvc.server.transfer.buffers import Hold
from depthsvc.server.transfer.form import FormParser

OCTETS = "application/octet-stream"
"""Bytes of any kind. Many generated clients know no other media type for a photo or a result."""
LONGEST_UPLOAD_S = 300.0
_MAX_CONTENT_TYPE = 1000
"""Characters of a Content-Type; each of its parameters takes time."""
_BARE = {"", OCTETS, "binary/octet-stream"}
"""Types of a body that may be anything, and so a photo."""

_PHOTO = {"type": "string", "format": "binary"}
FORM_SCHEMA = {"PhotoForm": {"type": "object", "properties": {"image": _PHOTO}, "required": ["image"]}}
"""A component of the OpenAPI document, to which all photo routes refer."""
OPENAPI_REQUEST_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": f"A {ACCEPTED_NAMES} photo: a file in the form field `image` (or `file`), or the bare body, "
        "whose type may also be that of the photo, such as image/jpeg.",
        "content": {
            "multipart/form-data": {
                "schema": {"$ref": "#/components/schemas/PhotoForm"},
                "encoding": {"image": {"contentType": ", ".join(MEDIA_TYPES)}},
            },
            OCTETS: {"schema": _PHOTO},
        },
    }
}


@dataclass(frozen=True)
class Body:
    """What a request sends."""

    photo: bytearray
    """A photo's file, undecoded."""
    fields: dict[str, str] = field(default_factory=dict)
    """The text fields of a form: options."""


async def received(request: Request, hold: Hold) -> Body:
    """The photo in a request and the options beside it, received into memory and never written to disk.

    `hold`: what has been promised for it; in the end it has the photo's bytes.

    Raises UnsupportedMediaType, MissingImage, MalformedBody, BodyTooLarge, ClientTimeout, ClientDisconnected, or
    QueueFull if the service has to drop it for lack of memory.
    """
    body = _body_of(request)
    kept = 0
    try:
        async with hold.transfer(longest_s=LONGEST_UPLOAD_S):
            async for chunk in request.stream():
                hold.moved(len(chunk))
                kept += body.write(chunk)
                if kept > hold.bytes:
                    hold.resize(kept)
    except ClientDisconnect as error:
        raise ClientDisconnected("The client closed the connection before its photo was complete.") from error
    except FormParserError as error:
        raise MalformedBody(
            f"The body is not a valid multipart form, whose lines end with CR LF: {error}. Let your HTTP library build "
            "it: curl -F image=@photo.jpg"
        ) from error
    except TimeoutError as error:
        raise _given_up(hold) from error
    if hold.evicted:
        raise _given_up(hold)
    hold.resize(kept)
    return body.finish()


def _body_of(request: Request) -> _BarePhoto | _Form:
    encoding = request.headers.get("Content-Encoding", "identity").strip().lower()
    if encoding not in ("", "identity"):
        raise UnsupportedMediaType(
            f"The body is compressed ({encoding[:20]}). Send the photo's own bytes: it is small enough."
        )
    content_type = request.headers.get("Content-Type", "")
    media_type = content_type.partition(";")[0].strip().lower()[:_MAX_CONTENT_TYPE]
    if media_type.startswith("image/") or media_type in _BARE:
        return _BarePhoto()
    if media_type == "multipart/form-data" and len(content_type) <= _MAX_CONTENT_TYPE:
        boundary = parse_options_header(content_type)[1].get(b"boundary")
        if not boundary:
            raise MalformedBody("The Content-Type multipart/form-data has no boundary. Let your HTTP library set it.")
        return _Form(boundary)
    raise UnsupportedMediaType(
        f"The body's Content-Type is {media_type[:100]}. Send multipart/form-data with the photo in the field `image` "
        "(curl -F image=@photo.jpg), or the bare bytes with Content-Type: image/jpeg."
    )


def _given_up(hold: Hold) -> ClientTimeout | QueueFull:
    if hold.evicted:
        return QueueFull(
            "The photo arrived too slowly while others needed the memory. Try again later, over a faster connection."
        )
    return ClientTimeout("The photo did not arrive in time. Send it over a faster connection, or send a smaller photo.")


class _BarePhoto:
    """A body that is itself the photo."""

    def __init__(self) -> None:
        self._data = bytearray()

    def write(self, chunk: bytes) -> int:
        """Feed a chunk of the body; returns how many bytes of it are kept."""
        self._data += chunk
        return len(chunk)

    def finish(self) -> Body:
        return Body(self._data)


class _Form:
    """A multipart form with the photo in one of its fields."""

    def __init__(self, boundary: bytes) -> None:
        """Raises MalformedBody for an impossible boundary. `write` raises FormParserError or MalformedBody."""
        self._parser = FormParser(boundary)

    def write(self, chunk: bytes) -> int:
        """Feed a chunk of the body; returns how many bytes of it are kept."""
        return self._parser.write(chunk)

    def finish(self) -> Body:
        """Raises MalformedBody or MissingImage."""
        return Body(self._parser.photo(), self._parser.fields)
