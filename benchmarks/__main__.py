"""`make bench`: measure this machine part by part.

python -m benchmarks [--quick] [--publish] [--only PART ...] [--weights FILE]
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from benchmarks import engines, hop, machine, pixels, results, serving, start, video, workers, zoo
from benchmarks.contenders import DEPTHSVC
from benchmarks.material import Material, random_weights
from benchmarks.plot import svg
from benchmarks.results import Part

_ROOT = Path(__file__).parents[1]
_PUBLISHED = _ROOT / "benchmarks/results"
_OWN = _ROOT / "benchmarks/own_results"
"""Git ignores it."""
_QUICK = ("serving", "hop", "engines", "video")
"""Parts of a quick run."""


def main() -> None:
    """Run the parts. A failed part is reported and keeps its earlier results; the exit status is then 1."""
    arguments = _arguments()
    parts: dict[str, Callable[[Material], Part]] = {
        "serving": partial(serving.measure, alternatives=arguments.alternatives),
        "hop": hop.measure,
        "workers": workers.measure,
        "start": start.measure,
        "pixels": pixels.measure,
        "engines": engines.measure,
        "zoo": partial(zoo.measure, alternatives=arguments.alternatives),
        "video": partial(video.measure, alternatives=arguments.alternatives),
    }
    failed = False
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        weights = arguments.weights or Path(folder) / "midas_small.pt"
        if not arguments.weights:
            random_weights(weights)
        material = Material(Path(folder), weights.resolve(), arguments.quick)
        for name in arguments.only or (_QUICK if arguments.quick else parts):
            print(f"{name} ...", file=sys.stderr, flush=True)
            begun, load = time.monotonic(), machine.load()
            try:
                measured = parts[name](material)
            except Exception as error:  # the other parts are still worth measuring
                failed = True
                print(f"{name} FAILED: {error!r}", file=sys.stderr, flush=True)
                continue
            measured.load, measured.quick = load, arguments.quick
            for target in folders_for(measured, arguments.results, publish=arguments.publish):
                keep_part(target, name, measured, list(parts))
            print(f"{name} took {time.monotonic() - begun:.0f} s", file=sys.stderr, flush=True)
    if (report := arguments.results / results.REPORT).exists():
        print(report.read_text())
        print(f"Written to {report}", file=sys.stderr)
    sys.exit(failed)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="3 minutes: fewer parts, contenders, sizes and rounds")
    parser.add_argument(
        "--publish", action="store_true", help=f"also write {_PUBLISHED.relative_to(_ROOT)}, if the machine was idle"
    )
    names = ("serving", "hop", "workers", "start", "pixels", "engines", "zoo", "video")
    parser.add_argument("--only", choices=names, action="append", help="measure only this part; repeatable")
    parser.add_argument("--weights", type=Path, help="a MiDaS_small checkpoint instead of random weights")
    parser.add_argument("--results", type=Path, default=_OWN, help="folder to write")
    parser.add_argument(
        "--alternatives",
        type=Path,
        default=_ROOT / ".venv-bench/bin/python",
        help="Python with benchmarks/alternatives/requirements.txt; without it only depthsvc is measured",
    )
    return parser.parse_args()


def folders_for(measured: Part, own: Path, *, publish: bool) -> list[Path]:
    """Where a part is to be written. One that other programs disturbed is not published."""
    if publish and measured.is_disturbed:
        print(f"NOT published: {measured.load:.1f} processors were busy before it began", file=sys.stderr, flush=True)
    return [own, _PUBLISHED] if publish and not measured.is_disturbed else [own]


def keep_part(folder: Path, name: str, measured: Part, order: list[str]) -> None:
    """Merge a part with those of earlier runs, and rewrite the results."""
    kept = results.kept(folder) | {name: measured}
    results.keep(folder, kept)
    parts = [kept[name] for name in order if name in kept]
    (folder / results.REPORT).write_text(results.markdown(parts))
    panels = [panel for part in parts for panel in part.panels]
    if panels:
        (folder / results.PLOT).write_text(svg(panels, DEPTHSVC))


if __name__ == "__main__":
    main()
