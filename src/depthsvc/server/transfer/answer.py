"""Sending a response to a client that may be slow, gone, or no longer reading."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from fastapi import Response
from starlette.types import Receive, Scope, Send
from structlog.contextvars import bind_contextvars

from depthsvc.server.transfer.buffers import Hold

_CHUNK = 1 << 18
"""Bytes handed to the connection at a time; it accepts the next chunk once it has sent most of this one."""


class BufferedResponse(Response):
    """A body whose bytes are held until the client has read it. A client that stops reading is disconnected."""

    def __init__(
        self,
        body: bytes,
        *,
        hold: Hold,
        media_type: str,
        headers: Mapping[str, str],
        afterwards: Callable[[], object],
    ) -> None:
        """`hold`: what was promised for the body. It is released once the body has been sent. `afterwards` is called
        then, or if the body cannot be sent: what no client has to wait for."""
        super().__init__(body, media_type=media_type, headers=headers)
        self._hold = hold
        self._afterwards = afterwards

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._hold as hold:
            connection = scope["state"]
            try:
                async with hold.transfer(longest_s=math.inf, waiting=connection.get("unsent", _none)):
                    await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
                    for start in range(0, len(self.body), _CHUNK):
                        chunk = bytes(self.body[start : start + _CHUNK])
                        more = start + _CHUNK < len(self.body)
                        await send({"type": "http.response.body", "body": chunk, "more_body": more})
                        hold.moved(len(chunk))
                self.body = b""
                hold.linger(connection.get("abort", _none))
            except TimeoutError:
                self.body = b""
                reason = "read too slowly while others needed the memory" if hold.evicted else "stopped reading"
                bind_contextvars(code="answer_not_taken", detail=f"The client {reason}.")
                await _cut_off(scope, receive)
            finally:
                self.body = b""  # free the bytes even if something still refers to this response
                self._afterwards()


def _none() -> int:
    """Of an ASGI server other than ours, nothing is known of what waits to be sent."""
    return 0


async def _cut_off(scope: Scope, receive: Receive) -> None:
    """Close the connection and wait until it is closed."""
    scope["state"]["abort"]()
    while (await receive())["type"] != "http.disconnect":
        pass
