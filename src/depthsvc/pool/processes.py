"""Child processes: forked from a server that has already imported what they need, and never outliving this process."""

from __future__ import annotations

import fcntl
import multiprocessing
import os
import select
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing import forkserver, parent_process, resource_tracker
from multiprocessing.context import ForkServerProcess
from typing import Any, TypeVar

from depthsvc.pool.channel import Channel

Result = TypeVar("Result")
_CONTEXT = multiprocessing.get_context("forkserver")
_ENDING = (signal.SIGINT, signal.SIGTERM)

_starting = threading.Lock()  # Process.start is not meant to be called by several threads at once


def start_fork_server(*modules: str) -> None:
    """Have the fork server import what children need while this process does something else.

    Not required. A fork server that runs already imports nothing more; one that replaces it will.
    """
    _CONTEXT.set_forkserver_preload(list(modules))
    _ensure_fork_server()


def _ensure_fork_server() -> None:
    with _uninterrupted(*_ENDING):  # which the server inherits: sent to the whole group, they would end it
        forkserver.ensure_running()


@contextmanager
def _uninterrupted(*numbers: signal.Signals) -> Iterator[None]:
    """Have signals wait."""
    resource_tracker.ensure_running()  # starting it unblocks them
    before = signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def start_child(
    main: Callable[..., object], *arguments: object, name: str = "depthsvc-child"
) -> tuple[ForkServerProcess, Channel]:
    """Run `main(channel, *arguments)` in a new process, and give the process and the channel's other end.

    The child is killed when this process ends, however it ends. Raises OSError or EOFError if it cannot be started.
    """
    ours, theirs = Channel.pair()
    process = _CONTEXT.Process(target=_run, args=(main, theirs, *arguments), daemon=True, name=name)
    try:
        with _starting:
            _ensure_fork_server()
            with _uninterrupted(*_ENDING):  # half a start would leave a child that complains of it
                process.start()
    except BaseException:
        ours.close()
        raise
    finally:
        theirs.close()
    return process, ours


def _run(main: Callable[..., object], channel: Channel, *arguments: Any) -> None:
    for number in _ENDING:
        # Ctrl-C and some service managers signal the whole group; this process's parent decides what that means.
        signal.signal(number, signal.SIG_IGN)
    _die_with_parent()
    main(channel, *arguments)


def _die_with_parent() -> None:
    """Have the kernel kill this process when its parent has ended, even if it is stuck or stopped.

    The parent of a process from a fork server is the server, so PR_SET_PDEATHSIG would watch the wrong one. The
    sentinel is a pipe whose other end the real parent holds.
    """
    parent = parent_process()
    assert parent is not None
    sentinel = parent.sentinel
    fcntl.fcntl(sentinel, fcntl.F_SETOWN, os.getpid())
    if hasattr(fcntl, "F_SETSIG"):  # Linux; elsewhere the signal is SIGIO, which ends a process as well
        fcntl.fcntl(sentinel, fcntl.F_SETSIG, signal.SIGKILL)
    fcntl.fcntl(sentinel, fcntl.F_SETFL, fcntl.fcntl(sentinel, fcntl.F_GETFL) | os.O_ASYNC)
    if select.select([sentinel], [], [], 0)[0]:  # it ended before the kernel knew
        os.kill(os.getpid(), signal.SIGKILL)


def kill_children() -> None:
    """End every child at once. Python itself would send them SIGTERM when it exits, which they ignore, and wait."""
    for child in multiprocessing.active_children():
        child.kill()


def run_in_child(function: Callable[..., Result], *arguments: object) -> Result:
    """`function(*arguments)`, computed in a process of its own, whose memory is free again afterwards.

    Raises what the function raises, and ChildProcessError if the process is killed.
    """
    process, channel = start_child(_send_result, function, *arguments)
    with channel:
        try:
            result: Result | Exception = channel.receive()[0]
        except EOFError as error:
            raise ChildProcessError(f"{process.name} was killed") from error
        finally:
            process.kill()  # it has nothing more to say; or this process is being ended
            process.join()
    if isinstance(result, Exception):
        raise result
    return result


def _send_result(channel: Channel, function: Callable[..., object], *arguments: object) -> None:
    try:
        result = function(*arguments)
    except Exception as error:
        channel.send(error)
    else:
        channel.send(result)
