"""Part "engines": the network alone, engines by precision by threads by input size, as `depthsvc bench` measures it."""

from __future__ import annotations

from benchmarks.machine import versions
from benchmarks.material import Material
from benchmarks.results import Part
from depthsvc.bench import forward
from depthsvc.model.loading import resolve
from depthsvc.model.locations import WeightsLocations
from depthsvc.model.weights import sha256_of


def measure(material: Material) -> Part:
    cache = material.folder / "cache"
    weights = WeightsLocations(cache, explicit=material.weights, sha256=sha256_of(material.weights))
    sizes, rounds = ((256,), 5) if material.quick else ((256, 384), 10)
    return Part(
        title="Engines",
        explanation="The forward pass alone; `ratio` is to the first row of the same size.",
        versions=versions(),
        tables=[forward(resolve("midas_small", weights), cache, sizes=sizes, rounds=rounds)],
    )
