"""The pool in front of Ray Serve's replicas: it leases them and gives each one photo at a time."""

from __future__ import annotations

import asyncio
import logging
import secrets
import threading
import time
from collections.abc import Awaitable, Callable, Collection, Coroutine
from dataclasses import dataclass, replace
from typing import Any

from ray.exceptions import ActorDiedError, OutOfMemoryError, RayActorError, RayTaskError
from ray.serve.exceptions import BackPressureError, RayServeException

from depthsvc.cluster.lease import Address, Connection, Listener
from depthsvc.cluster.seal import TOKEN_BYTES
from depthsvc.errors import ConfigurationError, DeadlineExceeded, QueueFull, Unavailable
from depthsvc.pipeline.answer import Answer
from depthsvc.pool.base import TRIES, PhotoPool, RestartCause, gave_up_error, shutting_down_error
from depthsvc.pool.jobs import Job

logger = logging.getLogger(__name__)

_LOOK_EVERY_S = 2.0
"""Seconds between counts of the replicas."""
_DEADLINE_MARGIN_S = 0.5
"""A replica kills itself at a photo's deadline; past this margin, assume it is out of reach."""
_LEASE_S = 2.0
"""Seconds that a replica works for the service before it goes back to Serve, which stops no replica in the meantime."""
_IDLE_S = 0.2
"""Seconds that an idle replica is kept for the next photo. Serve sees it as busy, and may start another one."""
_PAUSE_S = 0.2
"""Seconds between attempts to find a replica that is alive and can connect."""
_HANG_UP_S = 1.0
"""How long to wait for Serve to notice that a replica is free again, in seconds."""
_OPEN_S = 20.0
"""How long to wait for the first replica to connect, in seconds."""
_ACCEPT_S = 0.1
"""How long to wait at the end for a connection that is just being accepted, in seconds."""
_END_S = 5.0


@dataclass
class _Lease:
    """A replica working for this service."""

    connection: Connection
    call: asyncio.Task[None]
    """Serve's reply, which arrives when the replica closes its end of the connection or dies."""
    ends: float
    """On time.monotonic()'s clock."""
    idle: asyncio.TimerHandle | None = None
    """Ends the lease if no photo comes."""


class ReplicaPool(PhotoPool):
    """Gives every replica one photo at a time and queues the others here. A context manager.

    It asks Serve for no more replicas than seem to be free, because Serve checks its own queue only now and then.
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
        """`hire` has Serve choose a replica for `Replica.__call__`, `running` counts the running replicas, and `host`
        is this machine's address for them.
        """
        super().__init__(workers=workers, queue_size=queue_size)
        self._hire = hire
        self._count = running
        self._host = host
        self._least = self._warm = workers
        self._listener = Listener()
        self._idle: list[_Lease] = []
        self._busy = self._hiring = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="replicas", daemon=True)

    def __enter__(self) -> ReplicaPool:
        """Raises ConfigurationError if no replica connects to this service."""
        self._thread.start()
        try:
            asyncio.run_coroutine_threadsafe(self._open(), self._loop).result()
        except BaseException as error:
            self.close()
            if isinstance(error, OSError):  # TimeoutError too
                reason = error.strerror or "none did. See the log for the reason"
                raise ConfigurationError(f"Replicas cannot connect to {self._host}: {reason}.") from error
            raise
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
        """Send nothing more. Accepted photos that are not finished fail with Unavailable."""
        with self._lock:
            self.closed.set()
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(_END_S)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_END_S)
        self._loop.close()

    def _wake(self) -> None:
        self._loop.call_soon_threadsafe(self._send_some)

    # The methods below run in the loop's thread.

    async def _open(self) -> None:
        await self._listener.open(self._host)
        async with asyncio.timeout(_OPEN_S):
            self._release(await self._lease())
        self._start(self._look_after())

    async def _end(self) -> None:
        await asyncio.sleep(0)  # a task cancelled before it starts could not fail its job
        while tasks := self._tasks | self._listener.proving:
            await _cancelled(tasks)
        if others := _other_tasks():  # asyncio leaks a connection that it is just accepting when its server closes
            await asyncio.wait(others, timeout=_ACCEPT_S)
        self._listener.close()
        await _cancelled(_other_tasks())
        self.fail_all()

    def _start(self, coroutine: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = self._loop.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # the waiter has already handled it

    async def _look_after(self) -> None:
        """Count the replicas regularly: they die, and autoscaling starts and stops them."""
        while True:
            await asyncio.sleep(_LOOK_EVERY_S)
            try:
                self._warm = await asyncio.to_thread(self._count)
            except Exception as error:  # Serve's controller may be down for a while; photos may still get through
                logger.warning("cannot count the replicas: %s", error)
            self._schedule.workers = max(self._least, self._warm)
            self._send_some()

    def _send_some(self) -> None:
        """Send as many photos as there are free replicas; one even if none is known, since Serve may know better."""
        while self._busy < max(1, self._warm) and not self.closed.is_set() and (job := self.take_now()):
            if self.begin(job):
                self._busy += 1
                self._start(self._see_to(job))
            else:
                self.end(job)

    async def _see_to(self, job: Job) -> None:
        try:
            await self._answer(job)
        except asyncio.CancelledError:
            job.fail(shutting_down_error())
            raise
        except Exception as error:
            job.fail(error)
        finally:
            self.end(job)
            self._busy -= 1
            self._send_some()

    async def _answer(self, job: Job) -> None:
        lease = await self._replica_for(job)
        try:
            async with asyncio.timeout(job.remaining + _DEADLINE_MARGIN_S):
                answer = await lease.connection.ask(job.photo.data, job.options, job.remaining)
        except (EOFError, OSError) as error:  # TimeoutError too
            late = job.remaining <= 0
            self._start(self._end_lease(lease, late=late))
            if late:
                raise _too_late() from error
            if job.tries >= TRIES:
                raise gave_up_error() from error
            self.put_back(job)
            return
        except BaseException:
            lease.connection.close()
            raise
        self._finish(job, answer)
        del job, answer
        if time.monotonic() < lease.ends and not self._hiring:
            self._release(lease)
        else:  # return it, so that Serve may stop or reassign it
            await asyncio.wait([self._start(self._end_lease(lease))], timeout=_HANG_UP_S)

    async def _replica_for(self, job: Job) -> _Lease:
        """A replica for the job. Raises the photo's error if there is none."""
        self._hiring += 1
        try:
            async with asyncio.timeout(job.remaining):
                return self._idle_lease() or await self._lease()
        except BackPressureError as error:
            raise QueueFull("Ray Serve's queue is full. Try again later.") from error
        except RayServeException as error:
            raise Unavailable(f"Ray Serve has no replica ({error}). Try again later.") from error
        except TimeoutError as error:
            raise QueueFull("No replica was free before the photo's deadline. Try again later.") from error
        finally:
            self._hiring -= 1

    def _release(self, lease: _Lease) -> None:
        """Keep a lease for the next photo, in case it comes soon."""
        self._idle.append(lease)
        lease.idle = self._loop.call_later(_IDLE_S, self._dismiss, lease)

    def _dismiss(self, lease: _Lease) -> None:
        self._idle.remove(lease)
        self._start(self._end_lease(lease))

    def _idle_lease(self) -> _Lease | None:
        """The lease that has been idle for the shortest time."""
        while self._idle:
            lease = self._idle.pop()
            assert lease.idle
            lease.idle.cancel()
            if not lease.connection.broken:
                return lease
            self._start(self._end_lease(lease))
        return None

    async def _lease(self) -> _Lease:
        """A replica, once one is free, alive and connected. Raises RayServeException."""
        while True:
            token = secrets.token_bytes(TOKEN_BYTES)
            expected = self._listener.expect(token)
            call = self._start(self._call(token))
            waiting: list[asyncio.Future[Any]] = [expected, call]
            try:
                await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                if not expected.done():
                    await call
            except (RayActorError, OutOfMemoryError) as error:  # it had no photo yet
                self._note_death(error)
            except RayTaskError as error:
                logger.warning("a replica could not connect to this service: %s", error.cause)
            except BaseException:
                call.cancel()
                if not expected.cancel() and not expected.cancelled():
                    expected.result().close()
                raise
            if not expected.cancel():
                return _make_lease(expected.result(), call)
            await asyncio.sleep(_PAUSE_S)

    async def _call(self, token: bytes) -> None:
        """Have Serve choose a replica, and wait until it is free again. A coroutine, because `hire` may not be one."""
        await self._hire(self._listener.address, token)

    async def _end_lease(self, lease: _Lease, *, late: bool = False) -> None:
        """Hang up, and wait for Serve to report the replica's fate."""
        lease.connection.close()
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
        self.note_service(worked_s, job.cost)
        queue_s = time.monotonic() - job.submitted - worked_s
        job.future.set_result(replace(answer, seconds={"queue": queue_s, **answer.seconds}))

    def _note_death(self, error: RayActorError | OutOfMemoryError, *, late: bool = False) -> None:
        logger.warning("replacing a replica: %s", str(error).partition("\n")[0])
        if isinstance(error, OutOfMemoryError):
            self.note_restart(RestartCause.KILLED)
        elif isinstance(error, ActorDiedError):  # dead, not just out of reach
            self.note_restart(RestartCause.DEADLINE if late else RestartCause.CRASHED)


def _other_tasks() -> set[asyncio.Task[Any]]:
    return {task for task in asyncio.all_tasks() if task is not asyncio.current_task()}


async def _cancelled(tasks: Collection[asyncio.Task[Any]]) -> None:
    """Cancel the tasks, and wait until they have ended."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _make_lease(connection: Connection, call: asyncio.Task[None]) -> _Lease:
    call.add_done_callback(lambda _: connection.close())  # a lost machine does not close its connections
    return _Lease(connection, call, time.monotonic() + _LEASE_S)


def _too_late() -> DeadlineExceeded:
    return DeadlineExceeded("The photo was not finished by its deadline. Send a smaller one.")
