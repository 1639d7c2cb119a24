"""Child processes that fork from a server with their imports already done, and never outlive this process."""

from __future__ import annotations

import fcntl
import logging
import multiprocessing
import os
import select
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from logging.handlers import QueueHandler
from multiprocessing import forkserver, parent_process, resource_tracker
from multiprocessing.context import ForkServerProcess
from queue import SimpleQueue
from typing import Any, TypeVar

from depthsvc.pool.channel import Channel

Result = TypeVar("Result")
_CONTEXT = multiprocessing.get_context("forkserver")
_ENDING = (signal.SIGINT, signal.SIGTERM)

_START_S = 5.0
"""How long to wait for a start in another thread, in seconds."""

_starting = threading.Lock()  # Process.start is not thread-safe


def start_fork_server(*modules: str) -> None:
    """Have the fork server import what children need while this process continues.

    Optional. A fork server that is already running imports nothing more; one that replaces it will.
    """
    _CONTEXT.set_forkserver_preload(list(modules))
    _ensure_fork_server()


def _ensure_fork_server() -> None:
    with _uninterrupted():  # inherited by the server: a signal to the whole group would end it
        forkserver.ensure_running()


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Postpone the signals that end a process until the end of the block; processes started within it block them."""
    resource_tracker.ensure_running()  # starting it unblocks them
    postponed: list[int] = []
    handlers = {}
    if threading.current_thread() is threading.main_thread():  # where handlers run, whichever thread gets the signal
        handlers = {number: signal.signal(number, lambda late, _: postponed.append(late)) for number in _ENDING}
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, _ENDING)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        for number, handler in handlers.items():
            signal.signal(number, handler or signal.SIG_DFL)
        for late in postponed:
            signal.raise_signal(late)


def start_child(
    main: Callable[..., object], *arguments: object, name: str = "depthsvc-child"
) -> tuple[ForkServerProcess, Channel]:
    """Run `main(channel, *arguments)` in a new process; returns the process and the channel's other end.

    The child is killed when this process ends for whatever reason. Raises OSError or EOFError if it cannot be started.
    """
    ours, theirs = Channel.pair()
    process = _CONTEXT.Process(target=_run, args=(main, theirs, *arguments), daemon=True, name=name)
    try:
        with _starting:
            _ensure_fork_server()
            with _uninterrupted():  # an interrupted start would leave a child that prints a traceback
                process.start()
    except BaseException:
        ours.close()
        raise
    finally:
        theirs.close()
    return process, ours


def _run(main: Callable[..., object], channel: Channel, *arguments: Any) -> None:
    for number in _ENDING:
        # Ctrl-C and some service managers signal the whole group; the parent decides when this process ends.
        signal.signal(number, signal.SIG_IGN)
    _die_with_parent()
    main(channel, *arguments)


def _die_with_parent() -> None:
    """Have the kernel kill this process when its parent ends, even if it is stuck or stopped.

    The kernel's parent of this process is the fork server, so PR_SET_PDEATHSIG would watch the wrong process. The
    sentinel is a pipe whose other end the real parent holds.
    """
    parent = parent_process()
    assert parent is not None
    sentinel = parent.sentinel
    fcntl.fcntl(sentinel, fcntl.F_SETOWN, os.getpid())
    if hasattr(fcntl, "F_SETSIG"):  # Linux; elsewhere the signal is SIGIO, which also ends a process
        fcntl.fcntl(sentinel, fcntl.F_SETSIG, signal.SIGKILL)
    fcntl.fcntl(sentinel, fcntl.F_SETFL, fcntl.fcntl(sentinel, fcntl.F_GETFL) | os.O_ASYNC)
    if select.select([sentinel], [], [], 0)[0]:  # the parent ended before O_ASYNC was set
        os.kill(os.getpid(), signal.SIGKILL)


def kill_children() -> None:
    """Kill every child at once. At exit Python would send SIGTERM, which they ignore, and hang waiting for them."""
    started = _starting.acquire(timeout=_START_S)  # a child whose start breaks off prints a traceback
    for child in multiprocessing.active_children():
        child.kill()
    if started:
        _starting.release()


def run_in_child(function: Callable[..., Result], *arguments: object) -> Result:
    """`function(*arguments)`, computed in a separate process, so that its memory is freed afterwards.

    What it logs, from warnings on, is logged by this process. Raises what the function raises, and ChildProcessError
    if the process is killed.
    """
    process, channel = start_child(_send_result, function, *arguments)
    with channel:
        try:
            result: Result | Exception = _result_of(channel)
        except EOFError as error:
            raise ChildProcessError(f"{process.name} was killed") from error
        finally:
            process.kill()  # it has sent its result, or this process is ending
            process.join()
    if isinstance(result, Exception):
        raise result
    return result


def _result_of(channel: Channel) -> Any:
    while isinstance(message := channel.receive()[0], logging.LogRecord):
        logging.getLogger(message.name).handle(message)
    return message


class _LogSender(QueueHandler):
    """Sends what is logged to the parent, which knows how logs are to look."""

    def __init__(self, channel: Channel) -> None:
        super().__init__(SimpleQueue())
        self._channel = channel

    def enqueue(self, record: logging.LogRecord) -> None:
        self._channel.send(record)


def _send_result(channel: Channel, function: Callable[..., object], *arguments: object) -> None:
    logging.getLogger().addHandler(_LogSender(channel))
    try:
        result = function(*arguments)
    except Exception as error:
        channel.send(error)
    else:
        channel.send(result)
