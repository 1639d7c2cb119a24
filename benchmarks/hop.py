"""Part "hop": what HTTP, the queue and the hop to a worker process add to the pipeline's own time."""

from __future__ import annotations

import itertools
import re
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from statistics import median

from benchmarks.load import Reply, form_request_bytes, send_alone
from benchmarks.machine import versions
from benchmarks.material import MIDDLE, PHOTO_SIZES, SMALL, Material, photo
from benchmarks.results import Part, Target, percentile
from benchmarks.servers import free_port, running_service
from depthsvc.evaluation.table import Table

_PIPELINE = ("decode", "infer", "render")
_WARMING_TURNS = 4


def measure(material: Material) -> Part:
    part = Part(
        title="HTTP, queue and process hop",
        explanation="Lone photos, default settings. The hop is the client's time from opening a connection to the last "
        "byte, less what `Server-Timing` says of decode, infer and render.",
        versions=versions(),
    )
    port = free_port()
    command = material.service_command(sys.executable, "--port", str(port))
    with running_service(command, material):
        replies = _lone_photos(f"http://127.0.0.1:{port}", 6.0 if material.quick else 30.0)
    heads = ["photo", "request p50 ms", *(f"{stage} p50 ms" for stage in _PIPELINE)]
    heads += ["hop p50 ms", "hop p99 ms", "hop p50 of the pipeline"]
    rows = []
    for size, taken in replies.items():
        hops = [reply.seconds - pipeline_s(reply) for reply in taken]
        stages = [median(stage_s(reply)[stage] for reply in taken) for stage in _PIPELINE]
        times = [median(reply.seconds for reply in taken), *stages, median(hops), percentile(hops, 0.99)]
        rows.append([f"{size[0]} x {size[1]}", *(f"{1000 * time:.1f}" for time in times), f"{share(hops, taken):.1%}"])
    part.tables = [Table("Lone photos", heads, rows)]
    part.targets = targets(replies[MIDDLE], replies[SMALL])
    return part


def _lone_photos(url: str, seconds: float) -> dict[tuple[int, int], list[Reply]]:
    """Replies to photos of each size, in turns, after a warm-up."""
    requests = {size: form_request_bytes(photo(*size)) for size in PHOTO_SIZES}
    replies: dict[tuple[int, int], list[Reply]] = {size: [] for size in requests}
    ends = time.monotonic() + seconds
    for turn in itertools.count(-_WARMING_TURNS):
        if turn > 0 and time.monotonic() > ends:
            break
        for size, request in requests.items():
            reply = send_alone(url, request)
            if reply.status != 200:
                raise RuntimeError(f"the service answered {reply.status}")
            if turn >= 0:
                replies[size].append(replace(reply, body=b""))  # holding on to the bodies would cost time
    return replies


def pipeline_s(reply: Reply) -> float:
    """Seconds that the pipeline took for a photo, from Server-Timing."""
    return sum(stage_s(reply).values())


def stage_s(reply: Reply) -> dict[str, float]:
    """Seconds of each stage of the pipeline."""
    durations = dict(re.findall(r"(\w+);dur=([\d.]+)", reply.headers["server-timing"]))
    return {stage: float(durations[stage]) / 1000 for stage in _PIPELINE}


def share(hops: Sequence[float], replies: Sequence[Reply]) -> float:
    """The median of the hops as fractions of their photos' pipeline time."""
    return median(hop / pipeline_s(reply) for hop, reply in zip(hops, replies, strict=True))


def targets(middle: Sequence[Reply], small: Sequence[Reply]) -> list[Target]:
    part = share([reply.seconds - pipeline_s(reply) for reply in middle], middle)
    hop_ms = 1000 * median(reply.seconds - pipeline_s(reply) for reply in small)
    return [
        Target(
            name="HTTP, queue and hop at 1920 x 1080, part of the pipeline's time",
            wanted="<= 5 %",
            measured=f"{part:.1%}",
            reached=part <= 0.05,
        ),
        Target(name="the same at 640 x 480", wanted="<= 3 ms", measured=f"{hop_ms:.1f} ms", reached=hop_ms <= 3),
    ]
