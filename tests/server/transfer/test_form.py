from __future__ import annotations

import base64

import pytest
from python_multipart.exceptions import FormParserError

from depthsvc.errors import MalformedBody, MissingImage
from depthsvc.server.transfer.form import FormParser
from tests.conftest import encoded
from tests.parity import photo

JPEG = encoded(photo(6, 8), "JPEG")
NAMED = 'name="image"; filename="a.jpg"'


def part(disposition: str, content: bytes, *headers: str) -> bytes:
    lines = ["--B", f"Content-Disposition: form-data; {disposition}", *headers, "", ""]
    return "\r\n".join(lines).encode() + content + b"\r\n"


def parsed(*parts: bytes, size: int = 1000) -> FormParser:
    form = FormParser(b"B")
    body = b"".join(parts) + b"--B--\r\n"
    for start in range(0, len(body), size):
        form.write(body[start : start + size])
    return form


@pytest.mark.parametrize(
    "photo_part",
    [
        part(NAMED, JPEG),
        part("name=image; filename=a.jpg", JPEG),
        part('name="file"; filename=""', JPEG),
        part("name=\"image\"; filename*=UTF-8''p%C3%A4r.jpg", JPEG),
        part('name="image"', JPEG, "Content-Type: image/jpeg"),
        part('name="image"', JPEG, "content-type: application/octet-stream"),
        part('name="image"', JPEG),
        part('name="image"', JPEG, "Content-Type: text/plain"),
    ],
)
@pytest.mark.parametrize("size", [1, 7, 100_000])
def test_a_part_with_a_photo_is_a_file_however_it_is_labelled(photo_part: bytes, size: int) -> None:
    form = parsed(part('name="refine"', b"true"), photo_part, size=size)
    assert form.photo() == JPEG
    assert form.fields == {"refine": "true"}


def test_a_field_that_a_page_leaves_empty_does_not_count() -> None:
    assert parsed(part('name="file"; filename=""', b""), part(NAMED, JPEG)).photo() == JPEG


def test_what_a_page_or_a_browser_leaves_in_a_form_is_no_option() -> None:
    empty, charset = part('name="size"', b""), part('name="_charset_"', b"UTF-8")
    form = parsed(empty, charset, part('name="format"', b"npy\r\n"), part(NAMED, JPEG))
    assert form.fields == {"format": "npy"}


def test_another_file_is_dropped() -> None:
    form = parsed(part('name="mask"; filename="m.png"', bytes(50_000)), part(NAMED, JPEG))
    assert form.photo() == JPEG
    assert form.fields == {}


def test_text_instead_of_a_photo_is_refused() -> None:
    with pytest.raises(MissingImage, match=r"`image` is text\. Send it as a file"):
        parsed(part('name="image"', b"a path")).photo()
    encoded_photo = base64.b64encode(JPEG)
    assert parsed(part('name="image"', encoded_photo)).photo() == encoded_photo, "which is then named as base64"


def test_the_fields_of_a_form_without_a_photo_are_named() -> None:
    with pytest.raises(MissingImage, match="no field `image`; it has `picture`, `size`"):
        parsed(part('name="picture"; filename="a.jpg"', JPEG), part('name="size"', b"model")).photo()
    with pytest.raises(MissingImage, match=r"no field `image`\. Send"):
        parsed().photo()


def test_two_photos_and_too_many_parts_and_long_fields_are_refused() -> None:
    with pytest.raises(MalformedBody, match="more than one photo"):
        parsed(part(NAMED, JPEG), part('name="file"; filename="b"', JPEG)).photo()
    with pytest.raises(MalformedBody, match="more than 32 parts"):
        parsed(*[part('name="a"', b"1")] * 33)
    with pytest.raises(MalformedBody, match="`note` has more than 1000 bytes"):
        parsed(part('name="note"', bytes(2000)))


@pytest.mark.parametrize("slow", [b" " * 8_000_000, b"\t\r\n" * 2_000_000])
def test_a_form_that_is_slow_to_parse_is_refused(slow: bytes) -> None:
    """By processor time: the parser goes through such bytes one by one, two seconds for 10 MB."""
    form = FormParser(b"B")
    form.write(part(NAMED, JPEG) + b"--B")
    pieces = (slow[start : start + 65_536] for start in range(0, len(slow), 65_536))
    with pytest.raises((MalformedBody, FormParserError)):
        list(map(form.write, pieces))


def test_a_large_photo_is_not_slow() -> None:
    form = parsed(part(NAMED, bytes(30_000_000)), size=65_536)
    assert len(form.photo()) == 30_000_000
