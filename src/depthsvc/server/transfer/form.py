"""A multipart form with a photo, parsed while it arrives."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from depthsvc.errors import MalformedBody, MissingImage
from depthsvc.imaging.photo.formats import is_known

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

PHOTO_FIELDS = ("image", "file")
"""Names of the field with the photo."""
MAX_PARTS = 32
_CHARSET = "_charset_"
_MAX_TEXT = 1000
"""Bytes of a text field's value, and of a header of a part."""
_FILE_TYPES = (b"image/", b"application/octet-stream", b"binary/octet-stream")
_MAX_PARSING_S = 0.2
"""Processor time for a form. The parser goes through blanks and what looks like a boundary byte by byte; an ordinary
form of 30 MB takes a hundredth of this."""


@dataclass
class _Part:
    """One field of a form."""

    headers: dict[bytes, bytes] = field(default_factory=dict)
    name: str = ""
    is_file: bool = False
    content: bytearray = field(default_factory=bytearray)
    kept: bool = True
    """Whether its content is wanted."""

    @property
    def is_photo(self) -> bool:
        return self.name in PHOTO_FIELDS


class FormParser:
    """The photo of a form and its text fields; other files are dropped."""

    def __init__(self, boundary: bytes) -> None:
        """Raises MalformedBody for an impossible boundary."""
        self._content = _Content()
        self._spent_s = 0.0
        try:
            self._parser = MultipartParser(boundary, self._content.callbacks())
        except FormParserError as error:
            raise MalformedBody(f"The multipart boundary is invalid: {error}. Let your HTTP library set it.") from error

    def write(self, chunk: bytes) -> int:
        """Parse a chunk of the body; returns how many bytes of it are kept. Raises FormParserError or MalformedBody."""
        before, began = self._content.kept, time.thread_time()
        self._parser.write(chunk)
        self._spent_s += time.thread_time() - began
        if self._spent_s > _MAX_PARSING_S:
            raise MalformedBody(
                "The form takes too long to parse: it is full of blanks, or of lines that begin like its boundary. "
                "Send the photo as the bare body."
            )
        return self._content.kept - before

    @property
    def fields(self) -> dict[str, str]:
        """The values of text fields by name, without those that a page's form leaves empty or a browser fills in."""
        texts = {
            part.name: part.content.decode("utf-8", "replace").strip()
            for part in self._content.parts
            if not (part.is_file or part.is_photo)
        }
        return {name: text for name, text in texts.items() if text and name != _CHARSET}

    def photo(self) -> bytearray:
        """The photo's file. Raises MalformedBody or MissingImage."""
        if not self._content.complete:
            raise MalformedBody("The multipart body ends before its last boundary. Send all of it.")
        photos = [part for part in self._content.parts if part.is_photo]
        photos = [part for part in photos if part.content] or photos[:1]  # a page may send an empty one
        if not photos:
            raise MissingImage(
                f"The form has no field `image`{_names(self._content.parts)}. Send the photo as a file in it: curl -F "
                "image=@photo.jpg"
            )
        if len(photos) > 1:
            raise MalformedBody("The form contains more than one photo. Send one photo per request.")
        [photo] = photos
        if not photo.is_file and not is_known(photo.content):
            raise MissingImage(
                f"The field `{photo.name}` is text. Send it as a file, with a file name: curl -F "
                f"{photo.name}=@photo.jpg"
            )
        return photo.content


def _names(parts: list[_Part]) -> str:
    names = ", ".join(f"`{part.name[:40]}`" for part in parts[:4])
    return f"; it has {names}" if names else ""


class _Content:
    """The parts of a form that is being parsed.

    It does not refer to its parser: the cycle would keep the photo alive until the next garbage collection.
    """

    def __init__(self) -> None:
        self.parts: list[_Part] = []
        self.complete = False
        self.kept = 0
        """Bytes of all parts that are kept."""
        self._header = (bytearray(), bytearray())

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
        if len(self.parts) == MAX_PARTS:
            raise MalformedBody(f"The form has more than {MAX_PARTS} parts. Send the photo alone.")
        self.parts.append(_Part())

    def _header_name(self, data: bytes, start: int, end: int) -> None:
        self._header[0].extend(data[start:end])

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._header[1].extend(data[start:end])

    def _end_header(self) -> None:
        name, value = map(bytes, self._header)
        self.parts[-1].headers[name.lower()] = value[:_MAX_TEXT]
        self._header = (bytearray(), bytearray())

    def _end_headers(self) -> None:
        part = self.parts[-1]
        _, parameters = parse_options_header(part.headers.get(b"content-disposition", b""))
        part.name = parameters.get(b"name", b"").decode("utf-8", "replace")
        kind = part.headers.get(b"content-type", b"").lower()
        part.is_file = b"filename" in parameters or kind.startswith(_FILE_TYPES)
        part.kept = part.is_photo or not part.is_file

    def _part_data(self, data: bytes, start: int, end: int) -> None:
        part = self.parts[-1]
        if not part.kept:
            return
        part.content += memoryview(data)[start:end]
        self.kept += end - start
        if not part.is_photo and len(part.content) > _MAX_TEXT:
            raise MalformedBody(
                f"The field `{part.name[:40]}` has more than {_MAX_TEXT} bytes. Send the photo as `image`."
            )

    def _end(self) -> None:
        self.complete = True
