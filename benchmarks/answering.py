"""What the programs that the part "zoo" compares have in common: each answers a photo whenever it is told to.

Imports the standard library only, so that it adds nothing to a program's start and memory.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from itertools import chain


def answer_lines(answer: Callable[[], tuple[int, int]]) -> None:
    """Call `answer` now and for each line on standard input, and print a line of JSON each time.

    `answer` returns height and width of the network's input. `seconds` and `cpu_s`, the processor time of all threads,
    are those of this call; `peak_bytes` is the most memory that the process has had so far.
    """
    for _ in chain([""], sys.stdin):
        begun, cpu = time.perf_counter(), time.process_time()
        height, width = answer()
        seconds, cpu_s = time.perf_counter() - begun, time.process_time() - cpu
        line = {"seconds": seconds, "cpu_s": cpu_s, "peak_bytes": _peak_bytes(), "height": height, "width": width}
        print(json.dumps(line), flush=True)


def _peak_bytes() -> int:
    """High-water mark of this process's resident memory, in bytes."""
    with open("/proc/self/status") as status:  # noqa: PTH123 - pathlib would be one more import
        kib = next(line.split()[1] for line in status if line.startswith("VmHWM:"))
    return 1024 * int(kib)
