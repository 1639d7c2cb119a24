"""The pool before the replicas of Ray Serve: it leases them, and gives each of them one photo at a time."""

from __future__ import annotations

import asyncio
import logging
import secrets
import threading
import time
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, replace
from typing import Any

from ray.exceptions import ActorDiedError, OutOfMemoryError, RayActorError, RayTaskError
from ray.serve.exceptions import BackPressureError, RayServeException

from depthsvc.distributed.lease import TOKEN_BYTES, Address, Line, Listener
from depthsvc.errors import ConfigurationError, DeadlineExceeded, QueueFull, Unavailable
from depthsvc.jobs import Job
from depthsvc.photopool import TRIES, PhotoPool, RestartCause, closing, given_up
from depthsvc.pipeline import Answer

logger = logging.getLogger(__name__)

_LOOK_EVERY_S = 2.0
"""How often the replicas are counted, and leases ended that are not needed."""
_DEADLINE_MARGIN_S = 0.5
"""A replica ends itself at a photo's deadline; only later is it taken to be out of reach."""
_LEASE_S = 2.0
"""How long a replica works for the service before Serve has a say again: it ends none while it does."""
_PAUSE_S = 0.05
"""Between attempts to find a replica that is not dead."""
_END_S = 5.0


@dataclass
class _Lease:
    """A replica that works for this service."""

    line: Line
    call: asyncio.Task[None]
    """Serve's answer, which comes when the replica's end of the line is closed."""
    ends: float
    """On time.monotonic()'s clock."""


class ReplicaPool(PhotoPool):
    """Gives every replica one photo at a time, and lets the others wait here. A context manager.

    Serve's own queue is left empty, since it looks for a free replica only now and then.
    """

    def __init__(
        self,
        hire: Callable[[Address, bytes], Awaitable[None]],
        running: Callable[[], int],
        *,
        host: str,
        workers: int,
        queue_size: int,
    ) -> None:
        """`hire` has Serve choose a replica for `Replica.__call__`; `running` is the number of replicas that run, and
        `host` this machine's name for them.
        """
        super().__init__(workers=workers, queue_size=queue_size)
        self._hire = hire
        self._running = running
        self._host = host
        self._least = self._warm = workers
        self._jobs: deque[Job] = deque()
        self._listener = Listener()
        self._idle: list[_Lease] = []
        self._busy = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="replicas", daemon=True)

    def __enter__(self) -> ReplicaPool:
        """Raises ConfigurationError if a replica cannot connect to this service."""
        self._thread.start()
        try:
            asyncio.run_coroutine_threadsafe(self._open(), self._loop).result()
        except (OSError, RayTaskError) as error:
            self.close()
            reason = error.cause if isinstance(error, RayTaskError) else error
            raise ConfigurationError(f"Replicas cannot connect to this service on {self._host}: {reason}") from error
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def warm(self) -> int:
        return self._warm

    @property
    def busy(self) -> int:
        return self._busy

    def close(self) -> None:
        """Send nothing more. What has been accepted and not yet answered fails with Unavailable."""
        with self._lock:
            self.closed.set()
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(_END_S)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_END_S)
        self._loop.close()

    def _add(self, job: Job) -> None:
        self._loop.call_soon_threadsafe(self._enqueue, job)

    # What follows runs in the loop's thread.

    async def _open(self) -> None:
        await self._listener.open(self._host)
        self._idle.append(await self._lease())
        self._start(self._look_after())

    async def _end(self) -> None:
        while self._jobs:  # first of all, or they would be sent when those are over that are being answered
            self._jobs.popleft().fail(closing())
        self._listener.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for lease in self._idle:
            lease.line.close()

    def _enqueue(self, job: Job) -> None:
        self._jobs.append(job)
        self._send_some()

    def _start(self, coroutine: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = self._loop.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _look_after(self) -> None:
        """Count the replicas again and again: they die, and autoscaling makes and ends them."""
        while True:
            await asyncio.sleep(_LOOK_EVERY_S)
            for lease in self._idle:
                self._start(self._end_lease(lease))
            self._idle.clear()
            try:
                self._warm = await asyncio.to_thread(self._running)
            except Exception as error:  # Serve's own process may be away for a while; photos may get through meanwhile
                logger.warning("the replicas cannot be counted: %s", error)
            self.workers = max(self._least, self._warm)
            self._send_some()

    def _send_some(self) -> None:
        """Send as many photos as there are free replicas; one even if there is none, since Serve may know better."""
        while self._jobs and self._busy < max(1, self._warm):
            job = self._jobs.popleft()
            if job.begin():
                self._busy += 1
                self._start(self._see_to(job))

    async def _see_to(self, job: Job) -> None:
        try:
            await self._answer(job)
        except asyncio.CancelledError:
            job.fail(closing())
            raise
        except Exception as error:
            job.fail(error)
        finally:
            self._busy -= 1
            self._send_some()

    async def _answer(self, job: Job) -> None:
        try:
            async with asyncio.timeout(job.remaining):
                lease = self._idle_lease() or await self._lease()
        except TimeoutError as error:
            raise DeadlineExceeded("No replica was free until the photo's deadline. Try again later.") from error
        except BackPressureError as error:
            raise QueueFull("Ray Serve has as many photos as it may. Try again later.") from error
        except RayServeException as error:
            raise Unavailable(f"Ray Serve has no replica: {error}") from error
        except RayTaskError as error:
            raise Unavailable(f"A replica cannot connect to the service: {error.cause}") from error
        try:
            async with asyncio.timeout(job.remaining + _DEADLINE_MARGIN_S):
                answer = await lease.line.ask(job.photo[0], job.options, job.remaining)
        except TimeoutError as error:
            self._start(self._end_lease(lease, late=True))
            raise _too_late() from error
        except (EOFError, OSError) as error:
            late = job.remaining <= 0
            self._start(self._end_lease(lease, late=late))
            if late:
                raise _too_late() from error
            if job.tries >= TRIES:
                raise given_up() from error
            self._jobs.appendleft(job)
            return
        except BaseException:
            lease.line.close()
            raise
        self._finish(job, answer)
        if time.monotonic() < lease.ends:
            self._idle.append(lease)
        else:
            await self._end_lease(lease)

    def _idle_lease(self) -> _Lease | None:
        """The lease that has been idle for the shortest time."""
        while self._idle:
            lease = self._idle.pop()
            if not lease.line.broken:
                return lease
            self._start(self._end_lease(lease))
        return None

    async def _lease(self) -> _Lease:
        """A replica, once one is free. Raises RayServeException, or RayTaskError if it cannot connect."""
        while True:
            token = secrets.token_bytes(TOKEN_BYTES)
            line: asyncio.Future[Any] = self._listener.expect(token)
            call = self._start(self._call(token))
            try:
                await asyncio.wait([line, call], return_when=asyncio.FIRST_COMPLETED)
                if line.done():
                    return _Lease(line.result(), call, time.monotonic() + _LEASE_S)
                await call
            except (RayActorError, OutOfMemoryError) as error:  # before it had a photo
                self._note_death(error)
            except asyncio.CancelledError:
                call.cancel()
                raise
            finally:
                line.cancel()
            await asyncio.sleep(_PAUSE_S)

    async def _call(self, token: bytes) -> None:
        await self._hire(self._listener.address, token)

    async def _end_lease(self, lease: _Lease, *, late: bool = False) -> None:
        """Hang up, and learn from Serve what became of the replica."""
        lease.line.close()
        try:
            await lease.call
        except (RayActorError, OutOfMemoryError) as error:
            self._note_death(error, late=late)
        except Exception as error:
            logger.warning("a replica failed: %s", error)

    def _finish(self, job: Job, answer: Answer | Exception) -> None:
        if isinstance(answer, Exception):
            job.fail(answer)
            return
        worked_s = sum(answer.seconds.values())
        self.note_service(worked_s)
        queue_s = time.monotonic() - job.submitted - worked_s
        job.future.set_result(replace(answer, seconds={"queue": queue_s, **answer.seconds}))

    def _note_death(self, error: RayActorError | OutOfMemoryError, *, late: bool = False) -> None:
        logger.warning("a replica is replaced: %s", str(error).partition("\n")[0])
        if isinstance(error, OutOfMemoryError):
            self.note_restart(RestartCause.KILLED)
        elif isinstance(error, ActorDiedError):  # not only out of reach
            self.note_restart(RestartCause.DEADLINE if late else RestartCause.CRASHED)


def _too_late() -> DeadlineExceeded:
    return DeadlineExceeded("The photo was not ready at its deadline. Send a smaller one.")
