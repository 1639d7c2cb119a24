"""Whether an ONNX file is whole. Reads no more of its format (protobuf) than that takes, without the onnx package.

ONNX lets a tensor be in another file, whose name it gives. The hash of the ONNX file says nothing about that file, and
ONNX Runtime and OpenVINO look for it even if they are given bytes: in the current folder.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from depthsvc.errors import ModelError

_TENSOR = "tensor"
_MESSAGES = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "function": {7: "node", 11: "attribute"},
    "graph": {1: "node", 5: _TENSOR, 15: "sparse"},
    "node": {5: "attribute"},
    "attribute": {5: _TENSOR, 6: "graph", 10: _TENSOR, 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: _TENSOR, 2: _TENSOR},
    _TENSOR: {},
}
"""The messages in which tensors are: for each, its fields that hold others, by number (onnx.proto)."""
_LAST_SHIFT = 63
"""That of the tenth byte of a number, which is the last one."""
_ELSEWHERE = (13, 14)
"""The tensor's fields external_data and data_location, of which the latter is 0 for a tensor in this file."""


def refuse_external_data(path: Path, content: bytes) -> None:
    """Raise ModelError if a tensor of an ONNX file is in another file, or if the file is damaged."""
    waiting = [("model", memoryview(content))]
    try:
        while waiting:
            kind, message = waiting.pop()
            for field, value in _fields(message):
                if kind == _TENSOR and field in _ELSEWHERE and value != 0:
                    raise ModelError(
                        f"{path} is refused: it keeps weights in other files, which its SHA-256 does not cover. Save "
                        'it as one file: onnx.save(onnx.load("model.onnx"), "whole.onnx")'
                    )
                if field in _MESSAGES[kind] and isinstance(value, memoryview):
                    waiting.append((_MESSAGES[kind][field], value))
    except (IndexError, ValueError) as error:
        raise ModelError(f"{path} is refused: it is damaged or not an ONNX file.") from error


def _fields(message: memoryview) -> Iterator[tuple[int, memoryview | int]]:
    """Number and value of each field; 0 for numbers of fixed size. Raises IndexError or ValueError."""
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        value: memoryview | int = 0
        match tag & 7:
            case 0:
                value, at = _varint(message, at)
            case 1:
                at += 8
            case 2:
                length, at = _varint(message, at)
                value = message[at : at + length]
                at += length
            case 5:
                at += 4
            case _:
                raise ValueError("a group, or no protobuf at all")
        if at > len(message):
            raise ValueError("cut off")
        yield (tag & 0xFFFFFFFF) >> 3, value


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    """A number of variable length at this place, and the place after it."""
    number = shift = 0
    while (byte := message[at]) & 0x80:
        if shift == _LAST_SHIFT:
            raise ValueError("a number that is too long")
        number |= (byte & 0x7F) << shift
        shift += 7
        at += 1
    return number | byte << shift, at + 1
