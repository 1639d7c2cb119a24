"""The photo in a request: a multipart field, or the bare bytes."""

from __future__ import annotations

from typing import Any

from fastapi import Request
from starlette.datastructures import UploadFile

from depthsvc.errors import MissingImage, UnsupportedMediaType

FIELDS = ("image", "file")
_MAX_FILES = 8
_MAX_FIELDS = 32

_PHOTO_FIELD = {"type": "string", "format": "binary", "description": "A JPEG, PNG or WebP photo."}
OPENAPI_REQUEST_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "properties": dict.fromkeys(FIELDS, _PHOTO_FIELD),
                    "anyOf": [{"required": [name]} for name in FIELDS],
                }
            },
            **{f"image/{kind}": {"schema": {"type": "string", "format": "binary"}} for kind in ("jpeg", "png", "webp")},
        },
    }
}


async def photo_bytes(request: Request) -> bytes:
    """The photo that a request carries, undecoded.

    Raises UnsupportedMediaType, MissingImage, BodyTooLarge, or HTTPException 400 for a malformed multipart body.
    """
    media_type = request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if media_type == "multipart/form-data":
        return await _photo_of_form(request)
    if media_type.startswith("image/"):
        return await request.body()
    raise UnsupportedMediaType(
        f"The body's Content-Type is {media_type or 'missing'}. Send multipart/form-data with the photo in the "
        "field `image` (curl -F image=@photo.jpg), or the bare bytes with Content-Type: image/jpeg."
    )


async def _photo_of_form(request: Request) -> bytes:
    async with request.form(max_files=_MAX_FILES, max_fields=_MAX_FIELDS) as form:
        for name in FIELDS:
            part = form.get(name)
            if isinstance(part, UploadFile):
                return await part.read()
            if part is not None:
                raise MissingImage(
                    f"The field `{name}` is text. Send it as a file, with a file name: curl -F {name}=@photo.jpg"
                )
    raise MissingImage("The form has no field `image`. Send the photo as a file in it: curl -F image=@photo.jpg")
