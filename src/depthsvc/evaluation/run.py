"""An evaluation: each photo of each source through each model, compared with the truth."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from depthsvc.batch.estimators import Estimator
from depthsvc.batch.progress import Display, harmless, printable
from depthsvc.errors import ConfigurationError, RequestError
from depthsvc.evaluation.contenders import Contender, depth_map
from depthsvc.evaluation.layouts.base import BrokenPair, Layout, Pair
from depthsvc.evaluation.pictures import Pictures
from depthsvc.evaluation.protocol import Crop, Fit, NotComparable, Ordinal, Protocol, Range, crop_of, disagreement
from depthsvc.evaluation.records import Key, Record, Records
from depthsvc.evaluation.room import Room
from depthsvc.imaging.spec import DepthKind


@dataclass(frozen=True)
class Source:
    """A data set, or a part of one."""

    name: str
    path: Path
    layout: Layout
    pairs: Sequence[Pair]
    protocol: Protocol

    def key(self, model: str, pair: Pair) -> Key:
        return Key(model, str(self.path), pair.name, self._versions[pair.name])

    @cached_property
    def _versions(self) -> dict[str, str]:
        """What is read of each pair, as it was when the evaluation began."""
        return {pair.name: f"{self.layout.name} {pair.version()}" for pair in self.pairs}

    def facts(self) -> dict[str, str]:
        """What people want to know of it."""
        depths = self.protocol.range
        return {
            "data": self.layout.title,
            "photos": str(len(self.pairs)),
            "scored": f"{depths.nearest_m:g} to {depths.farthest_m:g} m",
        }


@dataclass(frozen=True)
class Rules:
    """How predictions are compared, whatever the source."""

    fit: Fit = Fit.MIDAS
    crop: Crop = Crop.NONE
    nearest_m: float | None = None
    """None: as is usual for the data set."""
    farthest_m: float | None = None

    def protocol(self, layout: Layout) -> Protocol:
        """The same for a data set. Raises ConfigurationError for a range without depths."""
        usual = layout.range
        nearest = usual.nearest_m if self.nearest_m is None else self.nearest_m
        farthest = usual.farthest_m if self.farthest_m is None else self.farthest_m
        if not nearest < farthest:
            raise ConfigurationError(f"No depth is beyond {nearest:g} and within {farthest:g} m.")
        if math.isinf(farthest):
            raise ConfigurationError("--max-depth must be finite: predictions are clipped to it.")
        return Protocol(self.fit, Range(nearest, farthest), *crop_of(self.crop, layout.name))

    def text(self) -> dict[str, object]:
        """For people and for files."""
        usual = "as usual for the data"
        return {
            "fit": str(self.fit),
            "crop": str(self.crop),
            "min depth": usual if self.nearest_m is None else self.nearest_m,
            "max depth": usual if self.farthest_m is None else self.farthest_m,
        }


def find_sources(
    folders: Sequence[Path], layout_for: dict[Path, Layout], rules: Rules, limit: int | None
) -> list[Source]:
    """The data in folders, at most `limit` pairs of each, evenly spread. Raises ConfigurationError."""
    sources: list[Source] = []
    for folder in folders:
        path = folder.resolve()
        try:
            pairs = list(layout_for[folder].pairs(path))
        except BrokenPair as error:
            raise ConfigurationError(f"{folder}: {error}") from error
        if not pairs:
            raise ConfigurationError(f"{folder}: no photo with depth is in it.")
        if limit and limit < len(pairs):
            pairs = [pairs[number * len(pairs) // limit] for number in range(limit)]
        taken = {source.name for source in sources}
        names = ["/".join(path.parts[-count:]) for count in range(1, len(path.parts))]
        name = next((name for name in names if name not in taken), str(path))
        if any(source.path == path for source in sources):
            raise ConfigurationError(f"{folder} is given twice.")
        sources.append(Source(printable(name), path, layout_for[folder], pairs, rules.protocol(layout_for[folder])))
    return sources


def check_units(contenders: Sequence[Contender], fit: Fit) -> None:
    """Raises ConfigurationError if a model's depth needs to be fitted."""
    relative = [contender.name for contender in contenders if contender.kind is not DepthKind.METRES]
    if fit is Fit.NONE and relative:
        raise ConfigurationError(
            f"{', '.join(relative)}: depth without a unit cannot be compared with metres as it is. "
            "Choose --protocol midas or median."
        )


_FAILURES = (BrokenPair, OSError, NotComparable, RequestError, RuntimeError)
"""What is wrong with a photo, and not with all of them."""


class Evaluation:
    """Scores what has not been scored yet."""

    def __init__(self, sources: Sequence[Source], records: Records, pictures: Pictures, shown: Display) -> None:
        self._sources = sources
        self._records = records
        self._pictures = pictures
        self._display = shown
        self._adding = threading.Lock()
        self._stop = threading.Event()
        self._room = Room()

    def score(self, contender: Contender) -> None:
        """Score a model on all photos that have no score of it. Raises DepthServiceError or OSError."""
        self._records.begin(contender.name, contender.about)
        tasks = [
            (source, pair)
            for source in self._sources
            for pair in source.pairs
            if not ((record := self._records.get(source.key(contender.name, pair))) and record.is_ok)
        ]
        if not tasks and not self._undrawn(contender):
            return
        self._display.begin(len(tasks))
        with ThreadPoolExecutor(contender.concurrency) as threads, contender.open() as estimator:
            try:
                waiting = iter(tasks)
                consuming = [
                    threads.submit(self._consume, contender, estimator, waiting) for _ in range(contender.concurrency)
                ]
                for consumer in consuming:
                    consumer.result()
                for source, pair in self._undrawn(contender):
                    try:
                        self._draw(contender, estimator, source, pair)
                    except _FAILURES as error:
                        self._display.note(harmless(f"{source.name}: {pair.name}: no picture: {_why(error)[1]}"))
            finally:
                self._stop.set()
        self._stop.clear()

    def _consume(self, contender: Contender, estimator: Estimator, waiting: Iterator[tuple[Source, Pair]]) -> None:
        while not self._stop.is_set():
            with self._adding:
                task = next(waiting, None)
            if task is None:
                return
            record = self._scored(contender, estimator, *task)
            if self._stop.is_set():
                return
            with self._adding:
                self._records.add(record)
            if not record.is_ok:
                self._display.note(harmless(f"{task[0].name}: {record.key.pair}: {record.reason}"))
            self._display.advance()

    def _scored(self, contender: Contender, estimator: Estimator, source: Source, pair: Pair) -> Record:
        key, made_by = source.key(contender.name, pair), contender.about["made_by"]
        try:
            photo, truth = pair.read()
            result = estimator.estimate(photo)
            prediction = depth_map(result)
            if isinstance(truth, Ordinal):
                scores = disagreement(prediction, truth)
            else:
                with self._room.of(truth.depth.size):
                    scores = source.protocol.compare(prediction, truth).scores
        except _FAILURES as error:
            return Record(key, made_by, {}, *_why(error))
        return Record(key, made_by, scores, seconds=result.facts.seconds, peak_memory=estimator.peak_memory())

    def _undrawn(self, contender: Contender) -> list[tuple[Source, Pair]]:
        """The best, the median and the worst photo of each source, as far as there is no picture of them."""
        undrawn = []
        for source in self._sources:
            pairs = {pair.name: pair for pair in source.pairs}
            for _, record in cases(source, contender.name, self._records):
                if not self._pictures.path(record).exists():
                    undrawn.append((source, pairs[record.key.pair]))
        return undrawn

    def _draw(self, contender: Contender, estimator: Estimator, source: Source, pair: Pair) -> None:
        record = self._records.get(source.key(contender.name, pair))
        assert record
        photo, truth = pair.read()
        prediction = depth_map(estimator.estimate(photo))
        if isinstance(truth, Ordinal):
            self._pictures.draw_ordinal(record, photo, prediction, truth)
        else:
            comparison = source.protocol.compare(prediction, truth)
            self._pictures.draw(record, photo, truth, comparison)


def cases(source: Source, model: str, records: Records) -> list[tuple[str, Record]]:
    """The photos of a source on which a model is best, in the middle and worst, by AbsRel or WHDR."""
    found = [record for pair in source.pairs if (record := records.get(source.key(model, pair))) and record.is_ok]
    found.sort(key=lambda record: (record.scores.get("abs_rel", record.scores.get("whdr", 0.0)), record.key.pair))
    chosen = {len(found) // 2: "median", len(found) - 1: "worst", 0: "best"} if found else {}
    return [(name, found[number]) for number, name in sorted(chosen.items())]


def _why(error: Exception) -> tuple[str, str]:
    """Code and reason of a failure."""
    match error:
        case RequestError():
            return error.code, error.detail
        case NotComparable():
            return "not_comparable", str(error)
        case RuntimeError():  # an unexpected failure in a worker
            return RequestError.code, str(error)
        case OSError():
            return "unreadable", f"{error.filename or ''}: {error.strerror or error}".removeprefix(": ")
        case _:
            return "broken_pair", str(error)
