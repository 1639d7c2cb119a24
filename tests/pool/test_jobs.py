"""Whose turn it is, and what is refused so that everything else is finished in time. No worker runs here."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import Future

import pytest

from depthsvc.errors import QueueFull
from depthsvc.options import HeatmapOptions
from depthsvc.pipeline.answer import Answer
from depthsvc.pool.base import PhotoPool
from depthsvc.pool.fair_queue import FairQueue
from depthsvc.pool.jobs import HeldPhoto, Job

OPTIONS = HeatmapOptions()


def job(client: str, price: float | None = 1.0) -> Job:
    return Job(HeldPhoto(b""), OPTIONS, deadline=float("inf"), price=price, client=client)


def order(queue: FairQueue) -> str:
    """The clients of all jobs in their order."""
    return "".join(job.client for job in taken(queue))


def taken(queue: FairQueue) -> Iterator[Job]:
    while (next_job := queue.take()) is not None:
        yield next_job


def queue_of(*jobs: Job) -> FairQueue:
    queue = FairQueue()
    for one in jobs:
        queue.add(one)
    return queue


def test_one_clients_photos_keep_their_order() -> None:
    jobs = [job("a", price) for price in (2, 1.2, 2.2)]
    assert list(taken(queue_of(*jobs))) == jobs


def test_short_photos_do_not_wait_for_long_ones_of_the_same_address() -> None:
    """Many people may be behind it."""
    queue = queue_of(*(job("long", 2) for _ in range(3)), *(job("a", 2) for _ in range(3)))
    assert queue.take()
    short, long = job("a", 0.05), job("a", 2)
    queue.add(long)
    queue.add(short)
    assert queue.take() is short
    assert list(taken(queue))[-1] is long


def test_photos_without_a_client_or_a_price_are_first_come_first_served() -> None:
    jobs = [job("", None) for _ in range(5)]
    assert list(taken(queue_of(*jobs))) == jobs


def test_a_short_photo_does_not_wait_for_the_long_ones_of_others() -> None:
    queue = queue_of(*(job("a", 7) for _ in range(10)))
    assert queue.take()
    queue.add(job("b", 0.05))
    assert order(queue) == "baaaaaaaaa"


def test_clients_take_turns_by_cost() -> None:
    assert order(queue_of(*(job("a", 2) for _ in range(3)), *(job("b", 1) for _ in range(6)))) == "babbabbab"


def test_what_a_photo_has_really_taken_counts_for_its_client() -> None:
    queue = queue_of(*(job("a", 1) for _ in range(4)), *(job("b", 1) for _ in range(4)))
    first = queue.take()
    assert first
    assert first.client == "a"
    queue.settle(first, 3.5)
    assert order(queue) == "bbbbaaa"


def test_a_long_photo_is_overtaken_only_until_its_clients_turn_has_come() -> None:
    queue = queue_of(job("a", 5), job("b", 1))
    turns = ""
    while (first := queue.take()) is not None:
        turns += first.client
        if first.client == "b":
            queue.add(job("b", 1))
        else:
            break
    assert turns == "bbbba"


def test_who_waited_for_others_is_not_owed_the_past() -> None:
    queue = queue_of(*(job("a", 1) for _ in range(100)))
    for _ in range(50):
        assert queue.take()
    for _ in range(4):
        queue.add(job("b", 1))
    assert sorted(order(queue)[:8]) == list("aaaabbbb")


def test_a_returned_photo_goes_first() -> None:
    queue = queue_of(job("a"), job("b"))
    first = queue.take()
    assert first
    queue.put_back(first)
    assert queue.take() is first


def test_cancelled_photos_cost_their_client_no_turn() -> None:
    jobs = [job("a", 2) for _ in range(5)]
    queue = queue_of(*jobs, job("b", 2))
    for one in jobs[:4]:
        assert one.future.cancel()
    assert next(taken(queue)) is jobs[4]
    assert len(list(taken(queue))) == 1


def test_the_queue_forgets_clients_that_are_gone() -> None:
    queue = FairQueue()
    for number in range(1000):
        queue.add(job(f"client {number}"))
        assert queue.take()
    assert len(queue._clients._done) < 20


class IdlePool(PhotoPool):
    """Never begins a photo by itself; a second of processor time takes a second."""

    warm = busy = 0

    def __init__(self, *, workers: int = 2, queue_size: int = 64) -> None:
        super().__init__(workers=workers, queue_size=queue_size)
        self.note_service(1.0, 1.0)

    def _wake(self) -> None:
        pass

    def ask(self, client: str, price: float | None, deadline_s: float = 30) -> Future[Answer]:
        return self.submit(b"", OPTIONS, deadline_s=deadline_s, price=price, client=client)

    def accepted(self, client: str, price: float) -> int:
        """How many photos of a client are accepted at once."""
        for count in range(1000):
            try:
                self.ask(client, price)
            except QueueFull:
                return count
        raise AssertionError("nothing is ever refused")


def test_a_photo_that_fails_late_has_cost_its_client_what_it_took() -> None:
    pool = IdlePool()
    for client in "aaab":
        pool.ask(client, 1)
    failed = pool.take_now()
    assert failed
    assert failed.client == "a"
    failed.begun -= 10
    pool.end(failed)
    assert [job.client for job in iter(pool.take_now, None)] == ["b", "a", "a"]


def test_a_hopeless_photo_is_refused_at_once() -> None:
    pool = IdlePool()
    assert not IdlePool().ask("a", 31).done()
    for _ in range(20):
        pool.ask("", 2)
    with pytest.raises(QueueFull, match="take longer than its deadline allows"):
        pool.ask("", 2, deadline_s=20)
    assert not pool.ask("b", 2, deadline_s=20).done()


def test_a_client_alone_gets_most_of_the_queue_and_leaves_some_of_it() -> None:
    assert IdlePool().accepted("a", 0.01) == 50
    assert IdlePool().accepted("", 0.01) == 66
    assert IdlePool(workers=1, queue_size=1).accepted("a", 0.01) == 2


def test_clients_share_the_queue() -> None:
    pool = IdlePool()
    assert pool.accepted("a", 0.01) == 50
    assert pool.accepted("b", 0.01) == 12
    pool = IdlePool()
    for _ in range(66):
        for client in "ab":
            try:
                pool.ask(client, 0.01)
            except QueueFull:
                continue
    assert [pool._schedule._loads[client].photos for client in "ab"] == [29, 28]


def test_a_clients_work_leaves_time_for_others() -> None:
    """Two workers have 60 s for 30 s deadlines."""
    pool = IdlePool()
    assert pool.accepted("a", 2) == 10
    assert pool.accepted("b", 2) == 7
    with pytest.raises(QueueFull, match="fill your share"):
        pool.ask("a", 2)
    assert not pool.ask("c", 0.05).done()


def test_a_photo_that_cannot_be_finished_in_time_any_more_is_not_begun() -> None:
    pool = IdlePool()
    future = pool.ask("a", 1)
    late = pool.take_now()
    assert late
    late.deadline = time.monotonic() + 1.9
    assert not pool.begin(late)
    with pytest.raises(QueueFull, match="ran out of time"):
        future.result()
    assert pool.in_flight == 0


def test_a_photo_without_a_price_is_begun_until_its_deadline() -> None:
    pool = IdlePool()
    future = pool.ask("", None, deadline_s=0.5)
    waiting = pool.take_now()
    assert waiting
    assert pool.begin(waiting)
    late = pool.ask("", None, deadline_s=-1)
    missed = pool.take_now()
    assert missed
    assert not pool.begin(missed)
    with pytest.raises(QueueFull, match="No worker was free"):
        late.result()
    assert not future.done()


def test_a_worker_is_not_given_up_while_its_photo_may_just_be_slow() -> None:
    pool = IdlePool()
    assert pool.limit_s(Job(HeldPhoto(b""), OPTIONS, deadline=0, price=2)) == 16
    assert pool.limit_s(Job(HeldPhoto(b""), OPTIONS, deadline=0)) <= 0


def test_the_expected_wait_counts_down_while_a_photo_runs() -> None:
    pool = IdlePool(workers=1)
    pool.ask("a", 10, deadline_s=100)
    assert pool.expected_wait_s == 10
    running = pool.take_now()
    assert running
    assert pool.begin(running)
    running.begun -= 4
    assert pool.expected_wait_s == pytest.approx(6, abs=0.1)
    running.begun -= 100
    assert pool.expected_wait_s == 0
    pool.end(running)


def test_one_worker_is_left_to_short_photos_while_there_are_some() -> None:
    pool = IdlePool(workers=3)
    for _ in range(4):
        pool.ask("flood", 2)
    pool.ask("a", 0.05)
    taken_now = [pool.take_now() for _ in range(4)]
    assert [job.client for job in taken_now if job] == ["a", "flood", "flood"]
    pool.ask("a", 0.05)
    short = pool.take_now()
    assert short
    assert short.client == "a"
    pool._schedule._last_short -= 10
    long = pool.take_now()
    assert long
    assert long.client == "flood"


def test_a_single_worker_takes_what_comes() -> None:
    pool = IdlePool(workers=1)
    pool.ask("a", 0.05)
    pool.ask("flood", 2)
    assert [job.client for job in (pool.take_now(), pool.take_now()) if job] == ["a", "flood"]
