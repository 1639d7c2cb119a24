"""Waiting in an event loop for the pool's results."""

from __future__ import annotations

import asyncio
from concurrent.futures import Future
from contextlib import suppress
from functools import partial

from depthsvc.pipeline.answer import Answer


def when_done(future: Future[Answer]) -> asyncio.Future[None]:
    """Done when the pool's future is done. asyncio.wrap_future would keep a large result alive in a cycle."""
    loop = asyncio.get_running_loop()
    done = loop.create_future()
    future.add_done_callback(partial(_finish_from_thread, loop, done))
    return done


def _finish_from_thread(loop: asyncio.AbstractEventLoop, done: asyncio.Future[None], _: Future[Answer]) -> None:
    with suppress(RuntimeError):  # the loop is closed
        loop.call_soon_threadsafe(_finish, done)


def _finish(done: asyncio.Future[None]) -> None:
    if not done.done():
        done.set_result(None)
