"""Part "serving": depthsvc against its alternatives, with the same weights, photos and CPUs, in turns."""

from __future__ import annotations

import asyncio
import io
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from itertools import product
from pathlib import Path
from statistics import median

from PIL import Image

from benchmarks.contenders import DEPTHSVC, NAIVE, SERVERS, Contender, contenders
from benchmarks.load import Ask, Tally, closed_load, open_load, patient
from benchmarks.machine import versions, versions_of_alternatives
from benchmarks.material import LARGE, PHOTO_SIZES, Material, photo
from benchmarks.results import Panel, Part, Target, percentile, spread
from benchmarks.servers import START_S, Server, ServerFailed, free_port, started
from depthsvc.evaluation.table import Table
from depthsvc.machine.capacity import available_cpus

Size = tuple[int, int]

PATIENCE_S = 60.0
"""How long a client waits, in seconds; under overload it is _OVERLOAD_PATIENCE_S."""
_OVERLOAD_PATIENCE_S = 20.0
_OVERLOAD = 4
"""Overload as a multiple of the service's own capacity."""


@dataclass(frozen=True)
class Pace:
    """Durations of the measurements, in seconds."""

    rounds: int
    lone_s: float
    busy_s: float
    overload_s: float
    """0: they are not overloaded."""
    sizes: Sequence[Size] = PHOTO_SIZES

    @classmethod
    def of(cls, material: Material) -> Pace:
        return cls(1, 2, 4, 0, (LARGE,)) if material.quick else cls(3, 4, 5, 6)

    def share(self, size: Size) -> float:
        """Fraction of the time for a size of photo; the size of the targets gets all of it."""
        return 1.0 if size == LARGE else 0.4


@dataclass
class Course:
    """One contender's results at one photo size."""

    lone: list[list[float]] = field(default_factory=list)
    """Seconds of each photo sent alone, by round."""
    rates: list[float] = field(default_factory=list)
    """Photos per second under many clients, by round."""
    cpu_s: list[float] = field(default_factory=list)
    """CPU time per photo under many clients in seconds, by round; other programs affect it little."""
    lost: int = 0
    """Photos that got no response."""

    @property
    def latest(self) -> str:
        return f"lone {1000 * median(self.lone[-1]):.0f} ms, busy {self.rates[-1]:.2f}/s"


@dataclass
class Entrant:
    """A running contender."""

    contender: Contender
    server: Server
    processes: ExitStack
    """Ends it when closed."""
    url: str
    courses: dict[Size, Course]
    overload: Tally = field(default_factory=Tally)
    memory_mb: float = 0.0

    @property
    def name(self) -> str:
        return self.contender.name

    @property
    def main(self) -> Course:
        """Its results at the largest size, the one of the targets."""
        return self.courses[max(self.courses)]

    def ask(self, size: Size) -> Ask:
        return self.contender.asker(self.url, photo(*size))

    async def until_ready(self) -> None:
        """Wait for the first response, and check that responses have the photo's size."""
        ends = time.monotonic() + START_S
        while (reply := await self.ask(min(self.courses))()).status != 200:
            self.server.check()
            if time.monotonic() > ends:
                raise self.server.failure(f"does not answer photos, the last status was {reply.status}")
            await asyncio.sleep(0.2)
        for size in self.courses:
            tally = await closed_load(patient(self.ask(size), PATIENCE_S), clients=2 * available_cpus(), seconds=0.1)
            for reply in tally.replies:
                if reply.status != 200:
                    raise ServerFailed(f"answered {size} with status {reply.status}: {reply.body[:200]!r}")
                with Image.open(io.BytesIO(reply.body)) as heatmap:
                    if heatmap.size != size or heatmap.format != "PNG":
                        raise ServerFailed(f"answered {size} with {heatmap.format} {heatmap.size}")

    async def take_turn(self, size: Size, pace: Pace) -> None:
        """One round at one size: lone photos, then many clients."""
        ask, course = patient(self.ask(size), PATIENCE_S), self.courses[size]
        alone = await closed_load(ask, clients=1, seconds=pace.share(size) * pace.lone_s)
        used = self.server.cpu_s()
        busy = await closed_load(ask, clients=4 * available_cpus(), seconds=pace.share(size) * pace.busy_s)
        self.server.check()
        if not alone.of(200) or not busy.of(200):
            raise self.server.failure(f"answered nothing: {dict(alone.statuses + busy.statuses)}")
        course.lone.append([reply.seconds for reply in alone.of(200)])
        course.rates.append(busy.goodput)
        course.cpu_s.append((self.server.cpu_s() - used) / len(busy.of(200)))
        course.lost += len(alone.replies) + len(busy.replies) - len(alone.of(200)) - len(busy.of(200))
        self.memory_mb = max(self.memory_mb, self.server.memory_mb())

    async def be_flooded(self, pace: Pace) -> None:
        """One round of overload."""
        rate = _OVERLOAD * median(self.main.rates)
        ask = patient(self.ask(max(self.courses)), _OVERLOAD_PATIENCE_S)
        self.overload = await open_load(ask, rate=rate, seconds=pace.overload_s)
        self.overload.replies = [replace(reply, body=b"") for reply in self.overload.replies]
        self.memory_mb = max(self.memory_mb, self.server.memory_mb())


def measure(material: Material, alternatives: Path) -> Part:
    """Measure whole services. `alternatives`: the Python of their environment."""
    pace = Pace.of(material)
    part = Part(title="Side by side", explanation=_explanation(pace))
    part.versions = f"depthsvc with {versions()}. The others with {versions_of_alternatives(alternatives)}."
    entrants = asyncio.run(compete(contenders(material, alternatives), material.folder, pace, part.failures))
    part.tables = tables(entrants)
    part.targets = targets(entrants)
    part.panels = panels(entrants)
    return part


def _explanation(pace: Pace) -> str:
    return (
        "All services run at once and take turns, in every round and at every size first with lone photos, then with "
        f"{4 * available_cpus()} clients. Figures are the median of {pace.rounds} round(s) and their range."
    )


async def compete(which: Sequence[Contender], folder: Path, pace: Pace, failures: list[str]) -> list[Entrant]:
    """The contenders that finished, in order. Failures are added to `failures`."""
    with ExitStack() as running:
        race = Race([], failures)
        for contender in which:
            _say(f"starting {contender.name}")
            entrant = _entrant(contender, folder, pace, running)
            race.entrants.append(entrant)
            with race.tolerated(entrant):
                await entrant.until_ready()
        for turn, size in product(range(1, pace.rounds + 1), pace.sizes):
            for entrant in race.runners():
                with race.tolerated(entrant):
                    await entrant.take_turn(size, pace)
                    _say(f"round {turn}, {_title(size)}, {entrant.name}: {entrant.courses[size].latest}")
        for entrant in race.runners() if pace.overload_s else ():
            with race.tolerated(entrant):
                await entrant.be_flooded(pace)
                _say(f"{_OVERLOAD} times its capacity, {entrant.name}: {dict(entrant.overload.statuses)}")
            entrant.processes.close()  # its unfinished photos would disturb the next one
        return race.entrants


def _entrant(contender: Contender, folder: Path, pace: Pace, running: ExitStack) -> Entrant:
    """Start a contender."""
    processes, port = running.enter_context(ExitStack()), free_port()
    server = processes.enter_context(
        started(contender.command(port), contender.environment, folder / f"{contender.name}.log")
    )
    courses = {size: Course() for size in pace.sizes}
    return Entrant(contender, server, processes, f"http://127.0.0.1:{port}", courses)


@dataclass
class Race:
    """The contenders still running, and the failures."""

    entrants: list[Entrant]
    failures: list[str]

    def runners(self) -> tuple[Entrant, ...]:
        return tuple(self.entrants)

    @contextmanager
    def tolerated(self, entrant: Entrant) -> Iterator[None]:
        """Keep measuring the others, whatever this contender does."""
        try:
            yield
        except Exception as error:
            self.failures.append(f"{entrant.name}: {error!s}")
            _say(f"FAILED {self.failures[-1]}")
            self.entrants.remove(entrant)
            entrant.processes.close()


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _ratios(mine: Sequence[float], other: Sequence[float]) -> list[float]:
    """Ratios round by round."""
    return [one / two for one, two in zip(mine, other, strict=True)]


def _title(size: Size) -> str:
    return f"{size[0]} x {size[1]}"


def tables(entrants: Sequence[Entrant]) -> list[Table]:
    overload = [_overload(entrants)] if any(entrant.overload.replies for entrant in entrants) else []
    return [_throughput(entrants), _latency(entrants), *overload, _settings(entrants)]


def _throughput(entrants: Sequence[Entrant]) -> Table:
    rows = []
    for entrant in entrants:
        row = [entrant.name]
        for size, course in entrant.courses.items():
            row += [spread(course.rates, 2), spread(_ratios(entrants[0].courses[size].rates, course.rates), 2)]
            row.append(spread([1000 * seconds for seconds in course.cpu_s], 0))
        rows.append([*row, str(sum(course.lost for course in entrant.courses.values()))])
    sizes = entrants[0].courses if entrants else []
    heads = []
    for size in sizes:
        heads += [f"{_title(size)}, photos/s", f"{entrants[0].name} speed-up", "CPU ms a photo"]
    return Table(f"Throughput of /upload, {4 * available_cpus()} clients", ["service", *heads, "lost"], rows)


def _latency(entrants: Sequence[Entrant]) -> Table:
    rows = []
    for entrant in entrants:
        row = [entrant.name]
        for course in entrant.courses.values():
            every = [seconds for turn in course.lone for seconds in turn]
            medians = [1000 * median(turn) for turn in course.lone]
            row += [spread(medians, 0), f"{1000 * percentile(every, 0.99):.0f} of {len(every)}"]
        rows.append(row)
    sizes = entrants[0].courses if entrants else []
    heads = [head for size in sizes for head in (f"{_title(size)}, p50 ms", "p99 ms")]
    return Table("Latency of lone photos", ["service", *heads], rows)


def _overload(entrants: Sequence[Entrant]) -> Table:
    rows = []
    for entrant in entrants:
        answered = [reply.seconds for reply in entrant.overload.of(200)]
        replies = max(1, len(entrant.overload.replies))
        refused = sum(count for status, count in entrant.overload.statuses.items() if status >= 300)
        latencies = [f"{percentile(answered, share):.1f}" if answered else "-" for share in (0.5, 0.99)]
        lost = replies - len(answered) - refused
        shares = [f"{100 * count / replies:.0f} %" for count in (len(answered), refused, lost)]
        rows.append([entrant.name, str(replies), *shares, *latencies, f"{entrant.memory_mb:.0f}"])
    heads = ["service", "photos sent", "answered", "refused", "never answered", "p50 s", "p99 s", "memory MB"]
    title = (
        f"{_OVERLOAD} times what each can do, clients that wait {_OVERLOAD_PATIENCE_S:.0f} s; most memory of the run"
    )
    return Table(title, heads, rows)


def _settings(entrants: Sequence[Entrant]) -> Table:
    return Table("Settings", ["service", "told"], [[entrant.name, entrant.contender.settings] for entrant in entrants])


def targets(entrants: Sequence[Entrant]) -> list[Target]:
    """What depthsvc must reach against the others that finished."""
    by_name = {entrant.name: entrant.main for entrant in entrants}
    mine, naive = by_name.get(DEPTHSVC), by_name.get(NAIVE)
    servers = {name: by_name[name] for name in SERVERS if name in by_name}
    found = []
    if mine and naive:
        times = _ratios(mine.rates, naive.rates)
        lone = _ratios([median(turn) for turn in mine.lone], [median(turn) for turn in naive.lone])
        found += [
            _target("throughput of 3840 x 2160 to the naive service's", ">= 4", times, median(times) >= 4),
            _target("lone latency p50 to the naive service's", "<= 0.5", lone, median(lone) <= 0.5),
        ]
    if mine and servers:
        best = max(servers, key=lambda name: median(servers[name].rates))
        times = _ratios(mine.rates, servers[best].rates)
        name = f"throughput of 3840 x 2160 to the best ready-made server's ({best})"
        found.insert(1, _target(name, ">= 1.5", times, median(times) >= 1.5))
    return found


def _target(name: str, wanted: str, ratios: Sequence[float], reached: bool) -> Target:
    return Target(name=name, wanted=wanted, measured=spread(ratios, 2), reached=reached)


def panels(entrants: Sequence[Entrant]) -> list[Panel]:
    def panel(title: str, values: dict[str, float]) -> Panel:
        return Panel(title=title, values=values)

    courses = {entrant.name: entrant.main for entrant in entrants}
    answered = {entrant.name: [reply.seconds for reply in entrant.overload.of(200)] for entrant in entrants}
    return [
        panel("3840 x 2160, photos a second", {name: median(course.rates) for name, course in courses.items()}),
        panel(
            "Lone photo, milliseconds",
            {name: 1000 * median(median(turn) for turn in course.lone) for name, course in courses.items()},
        ),
        panel(
            "Four times the capacity: seconds until 99 % of the answered are answered",
            {name: percentile(seconds, 0.99) for name, seconds in answered.items() if seconds},
        ),
        panel("Memory, MB", {entrant.name: entrant.memory_mb for entrant in entrants}),
    ]
