"""Sending a response to a client that may be slow, gone, or no longer reading."""

from __future__ import annotations

import math
from collections.abc import Mapping

from fastapi import Response
from starlette.types import Receive, Scope, Send
from structlog.contextvars import bind_contextvars

from depthsvc.server.transfer.buffers import Buffer

_CHUNK = 1 << 18
"""Bytes handed to the connection at a time; it accepts the next chunk once it has sent most of this one."""


class BufferedResponse(Response):
    """A body that counts in a buffer until the client has read it. A client that stops reading is disconnected."""

    def __init__(self, body: bytes, *, buffer: Buffer, media_type: str, headers: Mapping[str, str]) -> None:
        super().__init__(body, media_type=media_type, headers=headers)
        self._buffer = buffer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._buffer.hold() as hold:
            try:
                async with hold.transfer(longest_s=math.inf):
                    hold.add(len(self.body))
                    await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
                    for start in range(0, len(self.body), _CHUNK):
                        chunk = bytes(self.body[start : start + _CHUNK])
                        more = start + _CHUNK < len(self.body)
                        await send({"type": "http.response.body", "body": chunk, "more_body": more})
                        hold.moved(len(chunk))
            except TimeoutError:
                self.body = b""
                bind_contextvars(code="answer_not_taken")
                await _cut_off(scope, receive)
            finally:
                self.body = b""  # free the bytes even if something still refers to this response


async def _cut_off(scope: Scope, receive: Receive) -> None:
    """Close the connection and wait until it is closed."""
    scope["state"]["abort"]()
    while (await receive())["type"] != "http.disconnect":
        pass
