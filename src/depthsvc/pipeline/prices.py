"""The price list: processor time and bytes of each kind of work, measured once and corrected while the service runs.

prices.json has for each stage a row for each kind of work, with the nanoseconds and the bytes of memory of every unit
of it, and for each kind of result its bytes. `python -m benchmarks.prices` measures them.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files

Row = Mapping[str, float]
"""Price by unit. The unit `photo` counts once a photo."""

FILE = "prices.json"
_BYTES = "bytes"
"""Section of the list with the bytes of results."""
MEMORY = "_memory"
"""Sections with the memory of stages are named after them with this at the end."""
_UNLISTED: Mapping[str, Row] = {
    "decode": {"coded": 3.0, "pixel": 5.0},
    "infer": {"network": 1000.0, "pixel": 4.0},
    "render": {"photo": 1e6, "pixel": 20.0, "detail": 15.0},
    f"decode{MEMORY}": {"stored": 8.0},
    f"infer{MEMORY}": {"network": 500.0},
    f"render{MEMORY}": {"pixel": 12.0},
    _BYTES: {"pixel": 4.0},
}
"""Prices of kinds of work that are not in the list, such as a custom model, until photos have corrected them."""
_PIXEL_BYTES = 3


@dataclass(frozen=True)
class Work:
    """The work of one stage: its kind, and amounts by unit."""

    kind: str
    amounts: Mapping[str, float]

    def priced(self, row: Row) -> float:
        """The sum of a row's prices for these amounts."""
        return row.get("photo", 0) + sum(row.get(unit, 0) * amount for unit, amount in self.amounts.items())


Works = Mapping[str, Work]
"""The work of each stage."""


def price_list() -> dict[str, dict[str, dict[str, float]]]:
    """The measured list: by section, kind and unit."""
    content: dict[str, dict[str, dict[str, float]]] = json.loads(files("depthsvc.pipeline").joinpath(FILE).read_text())
    return content


class Prices:
    """The list, and corrections for this machine, engine and model. Belongs to one thread."""

    def __init__(self) -> None:
        self._list = price_list()
        self._machine = _Correction(most=_MOST_MACHINE)
        self._corrections: dict[tuple[str, str], _Correction] = {}

    def listed_s(self, works: Works) -> dict[str, float]:
        """Processor time of each stage in seconds by the list alone: the same on every machine."""
        return {stage: work.priced(self._row(stage, work)) / 1e9 for stage, work in works.items()}

    def expected_s(self, works: Works, listed: Mapping[str, float]) -> dict[str, float]:
        """Processor time of each stage in seconds: as listed, corrected by the photos so far."""
        return {stage: listed[stage] * self._factor(stage, work) for stage, work in works.items()}

    def normal_s(self, works: Works) -> float:
        """Processor time of a normal photo in seconds: as listed, or as expected on a slower machine."""
        listed = self.listed_s(works)
        return max(sum(listed.values()), sum(self.expected_s(works, listed).values()))

    def answer_bytes(self, rendering: Work) -> int:
        """Size of a result in bytes: exact for uncompressed formats, plentiful for others."""
        return math.ceil(rendering.priced(self._row(_BYTES, rendering)))

    def decoding_bytes(self, decoding: Work) -> float:
        """Memory of a worker while it decodes a photo, in bytes."""
        return decoding.priced(self._row(f"decode{MEMORY}", decoding))

    def peak_bytes(self, works: Works) -> int:
        """Memory of a worker for a photo in bytes: while it is decoded or, beside its pixels, inferred or rendered."""
        decoding, *later = (work.priced(self._row(f"{stage}{MEMORY}", work)) for stage, work in works.items())
        return math.ceil(max(decoding, _PIXEL_BYTES * works["decode"].amounts["pixel"] + max(later)))

    def learn(self, works: Works, listed: Mapping[str, float], spent: Mapping[str, float]) -> None:
        """Correct the prices by the processor time in seconds that each stage of a photo took.

        What a photo teaches of the machine counts for all kinds of work, and the rest for its own.
        """
        for stage, work in works.items():
            if stage in spent:
                certainty = (listed[stage] / (listed[stage] + _LITTLE_S)) ** 2
                expected = listed[stage] * self._factor(stage, work)
                error = math.log((spent[stage] + _LITTLE_S) / (expected + _LITTLE_S))
                of_machine = self._machine.learn(min(max(error, -_MOST_AT_ONCE), _MOST_AT_ONCE), certainty)
                self._correction(stage, work).learn(error - of_machine, certainty)

    def _factor(self, stage: str, work: Work) -> float:
        return math.exp(self._machine.log + self._correction(stage, work).log)

    def _row(self, section: str, work: Work) -> Row:
        return self._list[section].get(work.kind, _UNLISTED[section])

    def _correction(self, stage: str, work: Work) -> _Correction:
        key = stage, work.kind
        if key not in self._corrections:
            self._corrections[key] = _Correction()
        return self._corrections[key]


_MOST = math.log(64)
"""Largest correction of a kind of work either way, as a logarithm."""
_MOST_MACHINE = math.log(8)
"""The same of the machine."""
_MOST_AT_ONCE = math.log(4)
"""Largest error from which the machine's correction learns: beyond it, the photo is odd and not the machine."""
_LEAST_WEIGHT = 0.05
"""Weight of the latest photo in a correction once there have been some."""
_LITTLE_S = 0.01
"""Times in seconds below this teach little: a photo of one pixel takes a thousand times its price, and costs nobody
anything."""


class _Correction:
    """The logarithm of a factor on prices: twice and half as much are equally far off."""

    def __init__(self, most: float = _MOST) -> None:
        self.log = 0.0
        self._most = most
        self._learned = 1

    def learn(self, error: float, certainty: float) -> float:
        """Lessen an error, a logarithm, with a weight of 0 to 1 by how much it says; returns by how much."""
        self._learned += 1
        before = self.log
        after = before + max(1 / self._learned, _LEAST_WEIGHT) * certainty * error
        self.log = min(max(after, -self._most), self._most)
        return self.log - before
