from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import threading
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import forkserver
from unittest import mock

import pytest

from depthsvc.errors import ModelError
from depthsvc.pool.channel import Channel
from depthsvc.pool.processes import run_in_child, start_child


def product(a: int, b: int) -> tuple[int, int]:
    return a * b, os.getpid()


def failing() -> None:
    raise ModelError("no such model")


def killing_itself() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def logging_something(number: int) -> int:
    log = logging.getLogger("depthsvc.test")
    log.warning("%d is %s", number, ModelError("wrong"))
    log.info("nobody asked")
    return number


def echo(channel: Channel) -> None:
    channel.send(*channel.receive())


def test_a_child_computes_in_a_process_of_its_own() -> None:
    result, pid = run_in_child(product, 6, 7)
    assert result == 42
    assert pid != os.getpid()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_what_a_child_raises_is_raised() -> None:
    with pytest.raises(ModelError, match="no such model"):
        run_in_child(failing)


def test_what_a_child_logs_is_logged_here(caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]) -> None:
    assert run_in_child(logging_something, 7) == 7
    assert caplog.record_tuples == [("depthsvc.test", logging.WARNING, "7 is wrong")]
    assert capfd.readouterr() == ("", "")


def test_a_killed_child_is_reported() -> None:
    with pytest.raises(ChildProcessError, match="was killed"):
        run_in_child(killing_itself)


def test_a_child_survives_the_signals_of_its_group_and_talks_over_its_channel() -> None:
    process, channel = start_child(echo)
    with channel:
        for number in (signal.SIGINT, signal.SIGTERM):
            channel.wait_at_most(1)
            with pytest.raises(BlockingIOError):  # nothing comes before it is asked
                channel.receive()
            os.kill(process.pid or 0, number)
        channel.wait_at_most(60)
        channel.send("still here")
        assert channel.receive() == ("still here", b"")
    process.join(10)
    assert process.exitcode == 0


def events_of_a_signalled_start() -> list[str]:
    """What happens, in this order, if SIGTERM arrives while a child starts and a thread that blocks nothing gets it."""
    events: list[str] = []
    done = threading.Event()
    threading.Thread(target=done.wait).start()
    connect = forkserver.connect_to_new_process

    def slowly(fds: list[int]) -> tuple[int, int]:
        os.kill(os.getpid(), signal.SIGTERM)
        while signal.SIGTERM in signal.sigpending():  # until the other thread has it
            time.sleep(0.001)
        time.sleep(0.01)  # and has run the handler
        pipes = connect(fds)
        events.append("connected")
        return pipes

    def end(*_: object) -> None:
        events.append("ended")
        raise InterruptedError

    signal.signal(signal.SIGTERM, end)
    try:
        with mock.patch.object(forkserver, "connect_to_new_process", slowly):
            start_child(echo)
    except InterruptedError:
        events.append("interrupted")
    finally:
        done.set()
    restored = signal.getsignal(signal.SIGTERM) is end
    unblocked = signal.SIGTERM not in signal.pthread_sigmask(signal.SIG_BLOCK, [])
    return [*events, *["restored"] * restored, *["unblocked"] * unblocked]


def test_a_signal_waits_for_the_start_of_a_child_even_if_another_thread_gets_it() -> None:
    """As the threads of a BLAS library do, which block nothing. In a process of its own, which the signal may end."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as fresh:
        events = fresh.submit(events_of_a_signalled_start).result(60)
    assert events == ["connected", "ended", "interrupted", "restored", "unblocked"]
