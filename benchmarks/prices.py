"""Measures the price list by which photos are admitted, src/depthsvc/pipeline/prices.json.

    python -m benchmarks.prices                       measure it again; about 12 minutes
    python -m benchmarks.prices --network NAME        measure only the network of a model; 2 minutes
    python -m benchmarks.prices --codings heic avif   measure only how long photos of these codings take to decode
    python -m benchmarks.prices --results ply glb     measure only how long these kinds of results take to make
    python -m benchmarks.prices --check 300           compare it with mixed photos

Times are processor time of one thread.
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import io
import itertools
import json
import os
import random
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from statistics import median

import cv2
import numpy as np
import pillow_heif
import psutil
from numpy.typing import NDArray
from PIL import Image

import depthsvc
from benchmarks import material
from depthsvc.imaging.photo.formats import header_of
from depthsvc.imaging.photo.header import Header
from depthsvc.imaging.spec import StereoLayout
from depthsvc.options import (
    BokehOptions,
    DepthFormat,
    DepthOptions,
    HeatmapOptions,
    MeshOptions,
    NormalsOptions,
    Options,
    OutputSize,
    PointCloudOptions,
    SideBySideOptions,
    StereoOptions,
)
from depthsvc.pipeline.cost import Appraiser, works_of
from depthsvc.pipeline.limits import Limits
from depthsvc.pipeline.prices import FILE, MEMORY, Prices, Work, price_list
from depthsvc.pipeline.rendering import renderer_for
from depthsvc.pipeline.stages import Pipeline
from depthsvc.pool.launch import pool_config
from depthsvc.pool.worker import open_pipeline
from depthsvc.settings import Settings

SIZES = ((1280, 960), (64, 48), (320, 240), (3000, 2250), (4032, 3024), (8000, 6200))
SCENE, FLAT = "scene", "flat"
CONTENTS = (SCENE, FLAT)
_LEAST_ANSWERS = 3
_REPEATS_S = 0.3
"""A photo is measured again until this much processor time has passed."""
_LITTLE_NS = 3e6
"""Times below this are not told apart: such photos cost nobody anything."""
_ROUNDS = 10
"""Of fitting prices."""

_LARGE = 500_000
"""Pixels of a photo from which its memory can be told from what this process keeps."""

Pixels = NDArray[np.uint8]
Sample = tuple[Work, float]
"""Work, and what it took: seconds or bytes."""


def picture(content: str, width: int, height: int) -> Pixels:
    """RGB (height, width, 3)."""
    if content == FLAT:
        return np.full((height, width, 3), 99, np.uint8)
    return np.asarray(Image.open(io.BytesIO(material.photo(width, height))))


def writers(pixels: Pixels) -> dict[str, Callable[[], bytes]]:
    """How to write the same picture in every coding that has a price.

    Pictures of one colour are compressed as well as possible: that is what takes longest to decode for its bytes.
    """
    image = Image.fromarray(pixels)
    flat = bool((pixels == pixels[0, 0]).all())
    png, webp = (9, 4) if flat else (1, 0)

    def saved(image: Image.Image, format: str, **options: object) -> bytes:
        buffer = io.BytesIO()
        image.save(buffer, format, **options)
        return buffer.getvalue()

    return {
        "jpeg": lambda: saved(image, "JPEG", quality=85),
        "jpeg 4:4:4": lambda: saved(image, "JPEG", quality=90, subsampling=0),
        "progressive_jpeg": lambda: saved(image, "JPEG", quality=85, progressive=True),
        "png": lambda: saved(image, "PNG", compress_level=png),
        "png, grey": lambda: saved(image.convert("L"), "PNG", compress_level=png),
        "png, palette": lambda: saved(image.quantize(64), "PNG", compress_level=png),
        "png, 1 bit": lambda: saved(image.convert("1"), "PNG"),
        "png, alpha": lambda: saved(image.convert("RGBA"), "PNG", compress_level=png),
        "png, Paeth": lambda: slowest_png(pixels, png),
        "interlaced_png": lambda: material.interlaced_png(pixels),
        "webp": lambda: saved(image, "WEBP", quality=80, method=webp),
        "lossless_webp": lambda: saved(image, "WEBP", lossless=True, quality=0, method=0),
        "heic": lambda: heic(image),
        "heic, alpha": lambda: heic(image.convert("RGBA")),
        "avif": lambda: saved(image, "AVIF", speed=10),
        "avif, 4:4:4": lambda: saved(image, "AVIF", speed=10, quality=90, subsampling="4:4:4"),
        "tiff": lambda: saved(image, "TIFF"),
        "deflate_tiff": lambda: saved(image, "TIFF", compression="tiff_adobe_deflate"),
        "deflate_tiff, predictor": lambda: saved(image, "TIFF", compression="tiff_adobe_deflate", tiffinfo={317: 2}),
        "lzw_tiff": lambda: saved(image, "TIFF", compression="tiff_lzw"),
        "lzw_tiff, one strip": lambda: saved(image, "TIFF", compression="tiff_lzw", strip_size=1 << 30),
        "deflate_tiff, one strip": lambda: saved(image, "TIFF", compression="tiff_adobe_deflate", strip_size=1 << 30),
        "bmp": lambda: saved(image, "BMP"),
        "gif": lambda: saved(image.quantize(256), "GIF"),
    }


def heic(image: Image.Image) -> bytes:
    """A HEIC of medium quality."""
    buffer = io.BytesIO()
    pillow_heif.from_pillow(image).save(buffer, quality=60, x265_params={"preset": "ultrafast"})
    return buffer.getvalue()


def slowest_png(pixels: Pixels, level: int) -> bytes:
    """A PNG all of whose rows have the filter that takes longest to undo."""
    settings = (cv2.IMWRITE_PNG_COMPRESSION, level, cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_PAETH)
    return cv2.imencode(".png", pixels, settings)[1].tobytes()


def results() -> list[Options]:
    """One option of every kind that has a price."""
    formats = [DepthFormat(name) for name in ("f16", "npy", "png16", "exr", "tiff")]
    return [
        *(HeatmapOptions(palette=palette, refine=refine) for palette in (False, True) for refine in (False, True)),
        *(DepthOptions(format=format, refine=refine) for format in formats for refine in (False, True)),
        *(SideBySideOptions(refine=refine) for refine in (False, True)),
        *(
            PointCloudOptions(max_points=most, refine=refine)
            for most in (1_000_000, 100_000)
            for refine in (False, True)
        ),
        *(BokehOptions(strength=strength) for strength in (0, 0.5, 1)),
        *(
            StereoOptions(layout=layout, full_size=True)
            for layout in (StereoLayout.SIDE_BY_SIDE, StereoLayout.ANAGLYPH)
        ),
        NormalsOptions(),
        NormalsOptions(input_size=512),
        MeshOptions(),
        MeshOptions(input_size=512),
        MeshOptions(input_size=768, max_vertices=1_000_000),
        HeatmapOptions(size=OutputSize.MODEL),
        DepthOptions(size=OutputSize.MODEL),
        NormalsOptions(size=OutputSize.MODEL),
    ]


def network_requests(limits: Limits) -> Iterator[tuple[bytes, Options]]:
    """Photos and options that together have every amount of work for a network."""
    step = limits.model.input.multiple
    large = writers(picture(SCENE, *SIZES[-2]))["png"]()
    for size in (None, 256, 384, 512, 640, 768, 896, 1024):
        options = DepthOptions(size=OutputSize.MODEL, input_size=size and size // step * step)
        yield material.photo(*SIZES[0]), options
        yield large, options


def requests(limits: Limits, content: str) -> Iterator[tuple[bytes, Options]]:
    """Photos and options that together have every kind of work in several amounts."""
    yield from network_requests(limits)
    for width, height in SIZES:
        files = {coding: write() for coding, write in writers(picture(content, width, height)).items()}
        for data in files.values():
            yield data, DepthOptions(size=OutputSize.MODEL)
            yield data, BokehOptions(strength=0)
        for options in results():
            yield files["jpeg"], options


def measured(pipeline: Pipeline, data: bytes, options: Options) -> tuple[dict[str, float], int]:
    """Processor time of each stage in seconds, the median of a few answers; and the size of the result."""
    answers = [pipeline.answer(data, options)]
    while len(answers) < _LEAST_ANSWERS or sum(sum(one.cpu_seconds.values()) for one in answers) < _REPEATS_S:
        answers.append(replace(pipeline.answer(data, options), body=b""))
    stages = answers[0].cpu_seconds
    return {stage: median(one.cpu_seconds[stage] for one in answers) for stage in stages}, len(answers[0].body)


def fitted(samples: list[Sample], little: float = 0) -> dict[str, float]:
    """Prices of at least 0, by unit: those of all subsets of units for which estimates are nearest to what was taken.

    Twice and half as much are equally far off: minimized is the sum of estimate / taken + taken / estimate, by least
    squares whose weights follow the estimates. Amounts below `little` are not told apart.
    """
    units = ["photo", *samples[0][0].amounts]
    amounts = np.array([[1, *work.amounts.values()] for work, _ in samples], np.float64)
    taken = np.array([took for _, took in samples])
    best: tuple[float, dict[str, float]] = (np.inf, {})
    for count in range(1, len(units) + 1):
        for chosen in itertools.combinations(range(len(units)), count):
            prices = _nearest(amounts[:, chosen], taken, little)
            if prices is None:
                continue
            ratios = (amounts[:, chosen] @ prices + little) / (taken + little)
            error = float((ratios + 1 / ratios - 2).sum())
            if error < best[0] * 0.98:
                best = error, {units[unit]: float(f"{price:.4g}") for unit, price in zip(chosen, prices, strict=True)}
    return best[1]


def _nearest(amounts: NDArray[np.float64], taken: NDArray[np.float64], little: float) -> NDArray[np.float64] | None:
    """Prices of these units, or None if one would have to be negative."""
    estimates = taken
    for _ in range(_ROUNDS):
        weights = 1 / np.sqrt((taken + little) * (estimates + little))
        prices, *_ = np.linalg.lstsq(amounts * weights[:, None], taken * weights, rcond=None)
        estimates = amounts @ prices
        if (prices < 0).any() or (estimates <= 0).any():
            return None
    return np.asarray(prices)


def memory_of(pipeline: Pipeline, data: bytes, options: Options) -> dict[str, float]:
    """Memory in bytes that each stage takes beside what is there before it."""
    renderer = renderer_for(options, pipeline.model.spec)
    peaks: dict[str, float] = {}
    with peak(peaks, "decode"):
        photo = pipeline.decode(data, options.input_size, enough=renderer.enough)
    with peak(peaks, "infer"):
        depth = pipeline.infer(photo, options.input_size)
    with peak(peaks, "render"):
        drawing = renderer.draw(renderer.without_unneeded_pixels(photo), depth)
        options.file_format.encode(drawing.content, **options.style)
    return peaks


@contextmanager
def peak(peaks: dict[str, float], stage: str) -> Iterator[None]:
    """Note by how much this process's memory grows in the block. Needs Linux."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")  # forget the peak so far
    before = psutil.Process().memory_info().rss
    yield
    status = Path("/proc/self/status").read_text()
    highest = next(int(line.split()[1]) << 10 for line in status.splitlines() if line.startswith("VmHWM"))
    peaks[stage] = max(1.0, highest - before)


def network_rows(pipeline: Pipeline) -> tuple[dict[str, float], dict[str, float]]:
    """The prices of a pipeline's network, and its memory."""
    times, memory = [], []
    for data, options in network_requests(pipeline.limits):
        work = works_of(header_of(data), options, pipeline.limits)["infer"]
        times.append((work, 1e9 * measured(pipeline, data, options)[0]["infer"]))
        memory.append((work, memory_of(pipeline, data, options)["infer"]))
    return fitted(times, _LITTLE_NS), fitted(memory)


def decoding_rows(pipeline: Pipeline, codings: list[str]) -> dict[str, dict[str, dict[str, float]]]:
    """The prices of decoding photos of these codings, and their memory."""
    times: dict[str, list[Sample]] = defaultdict(list)
    memory: dict[str, list[Sample]] = defaultdict(list)
    for content, (width, height) in itertools.product(CONTENTS, SIZES):
        for name, write in writers(picture(content, width, height)).items():
            if name.split(",")[0] not in codings:
                continue
            data = write()
            for options in (DepthOptions(size=OutputSize.MODEL), BokehOptions(strength=0)):
                work = works_of(header_of(data), options, pipeline.limits)["decode"]
                times[work.kind].append((work, 1e9 * measured(pipeline, data, options)[0]["decode"]))
                if content == SCENE and header_of(data).pixels >= _LARGE:
                    memory[work.kind].append((_sizes(work), memory_of(pipeline, data, options)["decode"]))
            print(".", end="", flush=True)
    return {
        "decode": {kind: fitted(taken, _LITTLE_NS) for kind, taken in times.items()},
        f"decode{MEMORY}": {kind: fitted(taken) for kind, taken in memory.items()},
    }


def result_rows(pipeline: Pipeline, kinds: list[str]) -> dict[str, dict[str, dict[str, float]]]:
    """The prices of rendering results of these kinds, their memory and their bytes."""
    samples: dict[str, dict[str, list[Sample]]] = defaultdict(lambda: defaultdict(list))
    for content, (width, height) in itertools.product(CONTENTS, SIZES):
        data = writers(picture(content, width, height))["jpeg"]()
        header = header_of(data)
        for options in results():
            work = works_of(header, options, pipeline.limits)["render"]
            if work.kind not in kinds:
                continue
            seconds, size = measured(pipeline, data, options)
            samples["render"][work.kind].append((work, 1e9 * seconds["render"]))
            if content == SCENE:
                samples["bytes"][work.kind].append((_sizes(work), size))
                if _shows_its_memory(header, options):
                    taken = memory_of(pipeline, data, options)["render"]
                    samples[f"render{MEMORY}"][work.kind].append((_sizes(work), taken))
        print(".", end="", flush=True)
    rows = {
        section: {kind: fitted(taken, little) for kind, taken in samples[section].items()}
        for section, little in (("render", _LITTLE_NS), (f"render{MEMORY}", 0), ("bytes", 0))
    }
    rows["bytes"] |= {kind: row for kind, row in MOST_BYTES.items() if kind in rows["bytes"]}
    return rows


MOST_BYTES = {
    "glb": {"photo": 4096.0, "pixel": 1.2, "detail": 44.0},
    "tiff": {"photo": 1024.0, "pixel": 4.0},
    "tiff_refined": {"photo": 1024.0, "pixel": 4.0},
    "normals": {"photo": 4096.0, "pixel": 0.6, "detail": 3.0},
    "ply": {"photo": 300.0, "pixel": 15.0},
    "jpeg": {"photo": 200_000.0, "pixel": 1.2},
    "jpeg_sharp": {"photo": 200_000.0, "pixel": 1.2},
    "stereo": {"photo": 200_000.0, "pixel": 2.4},
    "pair": {"photo": 8192.0, "pixel": 2.2},
    "pair_refined": {"photo": 8192.0, "pixel": 2.4},
    "png_refined": {"photo": 4096.0, "pixel": 1.2},
    "png_palette_refined": {"photo": 4096.0, "pixel": 0.6},
}
"""Results that show a photo's own detail, at their largest: room is promised to them before that is known. Two of
them keep the photo's metadata."""


def _shows_its_memory(header: Header, options: Options) -> bool:
    """Whether a photo takes more than what this process keeps anyway, also for its result."""
    return header.pixels >= _LARGE and getattr(options, "size", None) is not OutputSize.MODEL


def _sizes(work: Work) -> Work:
    """Work without the amounts that only take time."""
    return Work(work.kind, {unit: amount for unit, amount in work.amounts.items() if unit != "large"})


def measure(pipeline: Pipeline) -> dict[str, dict[str, dict[str, float]]]:
    """The price list, with the row of this pipeline's network only."""
    samples: dict[str, dict[str, list[Sample]]] = defaultdict(lambda: defaultdict(list))
    for content in CONTENTS:
        for data, options in requests(pipeline.limits, content):
            works = works_of(header_of(data), options, pipeline.limits)
            seconds, size = measured(pipeline, data, options)
            for stage, work in works.items():
                samples[stage][work.kind].append((work, 1e9 * seconds[stage]))
            if content == SCENE and _shows_its_memory(header_of(data), options):
                for stage, taken in memory_of(pipeline, data, options).items():
                    samples[f"{stage}{MEMORY}"][works[stage].kind].append((_sizes(works[stage]), taken))
            if content == SCENE:
                samples["bytes"][works["render"].kind].append((_sizes(works["render"]), size))
            print(".", end="", flush=True)
    listed = {
        section: {kind: fitted(taken, _LITTLE_NS if section in works else 0) for kind, taken in sorted(kinds.items())}
        for section, kinds in samples.items()
    }
    listed["bytes"] |= MOST_BYTES
    return listed


def mixed(limits: Limits, count: int) -> Iterator[tuple[bytes, Options]]:
    """Photos of any size, coding and options, as nobody measured them before."""
    chance = random.Random(1)
    step = limits.model.input.multiple
    for _ in range(count):
        pixels = 10 ** chance.uniform(4.8, 7.69)
        aspect = chance.choice((1, 4 / 3, 3 / 4, 16 / 9, 3))
        width, height = round((pixels * aspect) ** 0.5), round((pixels / aspect) ** 0.5)
        files = writers(picture(chance.choice(CONTENTS), width, height))
        options = chance.choice(results())
        size = chance.choice((None, None, None, 320, 512, 768))
        yield (
            chance.choice(list(files.values()))(),
            options.model_copy(update={"input_size": size and size // step * step}),
        )


def check(pipeline: Pipeline, count: int) -> None:
    """Print how far estimates are from what photos take, corrected by the photos before."""
    appraiser = Appraiser(pipeline.limits, Prices(), max_cost=np.inf, max_memory_bytes=np.inf, max_answer_bytes=np.inf)
    ratios: list[float] = []
    for data, options in mixed(pipeline.limits, count):
        cost = appraiser.appraise(data, options)
        answer = pipeline.answer(data, options)
        took = sum(answer.cpu_seconds.values())
        ratios.append(took / cost.seconds)
        appraiser.learn(cost, answer.cpu_seconds)
    logs = np.abs(np.log(ratios))
    within = {factor: float(np.mean(logs <= np.log(factor))) for factor in (1.25, 1.6, 2.0)}
    print(f"{count} photos; within a factor of " + ", ".join(f"{key}: {share:.1%}" for key, share in within.items()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", metavar="NAME", help="a model; its settings come from DEPTHSVC_* variables")
    parser.add_argument("--codings", nargs="+", help="kinds of photo files, by their names in the list")
    parser.add_argument("--results", nargs="+", help="kinds of results, by their names in the list")
    parser.add_argument("--check", type=int, metavar="PHOTOS", help="measure nothing, compare the list with photos")
    arguments = parser.parse_args()
    pipeline = open_pipeline(pool_config(Settings(model=arguments.network or "embedded", worker_threads=1)).worker)
    if arguments.check:
        check(pipeline, arguments.check)
        return
    listed, name = price_list(), pipeline.model.spec.name
    if arguments.codings or arguments.results:
        some = decoding_rows(pipeline, arguments.codings or []) | result_rows(pipeline, arguments.results or [])
        for section, rows in some.items():
            listed[section].update(dict(sorted(rows.items())))
    elif not arguments.network:
        networks = {section: listed.get(section, {}) for section in ("infer", f"infer{MEMORY}")}
        listed = {**measure(pipeline), **networks}
    if not (arguments.codings or arguments.results):
        listed["infer"][name], listed[f"infer{MEMORY}"][name] = network_rows(pipeline)
    path = Path(depthsvc.__file__).parent / "pipeline" / FILE
    path.write_text(json.dumps(listed, indent=1) + os.linesep)
    print(f"\nWritten to {path}")


if __name__ == "__main__":
    main()
