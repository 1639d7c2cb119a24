"""One worker process, seen from the process that feeds it."""

from __future__ import annotations

import os
import select
import signal
from contextlib import suppress

from depthsvc.errors import DeadlineExceeded, ModelError
from depthsvc.pipeline.answer import Answer
from depthsvc.pool.base import RestartCause
from depthsvc.pool.channel import Channel
from depthsvc.pool.config import WorkerConfig
from depthsvc.pool.jobs import Job
from depthsvc.pool.processes import start_child

START_TIMEOUT_S = 120.0
"""Time limit for a worker to load and warm its model, in seconds."""
END_S = 5.0
"""How long to wait for a killed process, and for the thread that feeds it, to end, in seconds."""


def _pidfd(pid: int | None) -> int | None:
    """A file that can be polled for the process's end; None where there are no such files.

    The fork server's word is not enough: when it is killed, all that it has forked seem to have ended.
    """
    try:
        return os.pidfd_open(pid or 0)
    except (AttributeError, OSError):  # not Linux, or forbidden, or it has already ended
        return None


class WorkerDied(Exception):
    """The process ended, or its channel broke."""


class WorkerHandle:
    """One process and this side's end of its channel."""

    def __init__(self, config: WorkerConfig) -> None:
        """Start the process; call `wait_until_warm` next."""
        self.process, self._channel = start_child(_serve, config, name="depthsvc-worker")
        self._pidfd = _pidfd(self.process.pid)
        self._ended = select.poll()
        self._ended.register(self.process.sentinel if self._pidfd is None else self._pidfd, select.POLLIN)
        self.answered = 0

    def wait_until_warm(self) -> None:
        """Raises ModelError or WorkerDied."""
        first = self._receive_first()
        if isinstance(first, Exception):
            self.kill()
            kind = type(first) if isinstance(first, ModelError) else ModelError
            raise kind(f"A worker could not load the model: {first}") from first

    def _receive_first(self) -> object:
        try:
            self._channel.wait_at_most(START_TIMEOUT_S)
            return self._channel.receive()[0]
        except BlockingIOError as error:
            self.kill()
            raise WorkerDied(f"it was not ready after {START_TIMEOUT_S:g} s") from error
        except (EOFError, OSError) as error:
            self.kill()
            raise WorkerDied("it died while starting") from error

    @property
    def alive(self) -> bool:
        return not self._ended.poll(0)  # runs before every photo; takes a seventh of the time of process.is_alive()

    def reply(self, job: Job, limit_s: float) -> Answer | Exception:
        """The process's reply to one job: a result or an exception.

        Raises DeadlineExceeded after `limit_s`, or WorkerDied. After any exception the channel cannot be used again.
        """
        try:
            self._channel.wait_at_most(limit_s)
            self._channel.send(job.options, job.photo.data)
            reply, body = self._channel.receive()
        except BlockingIOError as error:
            raise DeadlineExceeded("The photo was not finished by its deadline. Send a smaller one.") from error
        except (EOFError, OSError) as error:
            raise WorkerDied("it died on a photo") from error
        self.answered += 1
        return reply if isinstance(reply, Exception) else reply.with_body(body)

    def kill(self) -> None:
        self._channel.close()
        if self._pidfd is not None:
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)
            self._ended.poll()
            self._ended.unregister(self._pidfd)
            os.close(self._pidfd)
            self._pidfd = None
        with suppress(OSError):
            self.process.kill()
        self.process.join()

    def cause_of_death(self) -> RestartCause:
        """Why a process whose channel is broken has ended."""
        self.process.join(END_S)
        return RestartCause.KILLED if self.process.exitcode == -signal.SIGKILL else RestartCause.CRASHED


def _serve(channel: Channel, config: WorkerConfig) -> None:
    """A worker's main function. Imports the worker's modules only in its own process."""
    from depthsvc.pool.worker import serve

    serve(channel, config)
