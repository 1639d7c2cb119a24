"""The house keeps its shape: which room may know which, no circles, and a map that names every module."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src/depthsvc"
MAP = (ROOT / "CONTRIBUTING.md").read_text()

FLOORS = (
    ("version", "errors", "machine"),
    ("imaging", "outbound"),
    ("formats", "model"),
    ("options",),
    ("settings", "status", "depth"),
    ("pipeline", "verbs"),
    ("pool", "client", "video"),
    ("batch", "estimator"),
    ("cluster", "evaluation"),
    ("server",),
    ("cli",),
    ("__main__",),
)
"""Rooms and the words beside them, from the ground up. Each knows only what is below it."""
WORDS = {"version", "errors", "settings", "options", "formats", "status", "depth", "verbs", "estimator"}
"""Files at the top: words that anyone above them may import. Every mechanism has a room."""
MOST_ROOMS = 16
MOST_FLOORS = 12

_ENGINES = {"torch", "timm", "torchvision", "openvino", "onnxruntime", "onnx", "ncnn"}
_HTTP = {"fastapi", "starlette", "uvicorn", "httptools", "httpx", "python_multipart", "requests", "aiohttp"}
_PROCESSES = {"multiprocessing", "subprocess", "concurrent"}
_RAY = {"ray", "pyarrow"}
FORBIDDEN = {
    "machine": _ENGINES | _HTTP | _PROCESSES | _RAY,
    "imaging": _ENGINES | _HTTP | _PROCESSES | _RAY,
    "outbound": _ENGINES | _PROCESSES | _RAY,
    "model": _HTTP | _PROCESSES | _RAY,
    "pipeline": _ENGINES | _HTTP | _PROCESSES | _RAY,
    "pool": _ENGINES | _HTTP | _RAY,
    "evaluation": _ENGINES | _HTTP | _RAY,
    "client": _ENGINES | _RAY,
    "batch": _ENGINES | _RAY,
    "video": _ENGINES | _HTTP | _RAY,
    "server": _ENGINES | _RAY,
    "cli": _ENGINES | _HTTP | _RAY,
    "cluster": _ENGINES | _HTTP,
    **dict.fromkeys(
        ("errors", "settings", "options", "formats", "status", "depth"), _ENGINES | _HTTP | _PROCESSES | _RAY
    ),
}
"""Libraries that a room must not import."""
EXCEPTIONS = {("model.weights.download", "httpx")}
"""Weights are downloaded by HTTP, and nothing else of a model is."""
TORCH_MODULES = (
    "model.networks.",
    "model.engines.torchscript",
    "model.engines.convolutions",
    "model.engines.winograd",
    "model.engines.ncnn_file",
    "model.engines.ncnn_head",
    "model.engines.ncnn_layers",
    "model.engines.onnxruntime",
    "model.engines.cuda",
)
"""Where torch may be imported; elsewhere a model is prepared without it."""


@cache
def modules() -> dict[str, Path]:
    """Every module of the package by its name below it; a package is named by its folder."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        *folders, last = path.relative_to(PACKAGE).with_suffix("").parts
        found[".".join([*folders, *([] if last == "__init__" else [last])])] = path
    return found


@cache
def imported(module: str) -> frozenset[str]:
    """What a module imports anywhere in it, also for type checkers alone: full dotted names."""
    path = modules()[module]
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return frozenset(names)


def targets(module: str) -> Iterator[str]:
    """The modules of this package that a module imports."""
    for name in imported(module):
        if name.split(".")[0] == "depthsvc":
            below = name.removeprefix("depthsvc").removeprefix(".")
            yield below if below in modules() else below.rpartition(".")[0]


def libraries(module: str) -> set[str]:
    return {name.split(".")[0] for name in imported(module)} - {"depthsvc"}


def room(module: str) -> str:
    return module.split(".")[0]


def arrows(names: Iterable[str]) -> set[tuple[str, str]]:
    """Which room knows which."""
    return {(room(name), room(target)) for name in names for target in targets(name) if room(name) != room(target)}


def test_every_entry_at_the_top_is_a_room_or_a_word() -> None:
    rooms = {path.relative_to(PACKAGE).parts[0] for path in PACKAGE.glob("*/**/*.[pj][ys]")}
    files = {path.stem for path in PACKAGE.glob("*.py")} - {"__init__", "__main__"}
    assert files == WORDS
    assert len(rooms) <= MOST_ROOMS
    assert rooms - {"web"} | files | {"__main__"} == {name for floor in FLOORS for name in floor}


def test_no_arrow_runs_up() -> None:
    assert len(FLOORS) <= MOST_FLOORS
    floor = {name: number for number, names in enumerate(FLOORS) for name in names}
    inside = [name for name in modules() if name]  # the package itself is the face of all of it
    upward = {(above, below) for above, below in arrows(inside) if floor[below] >= floor[above]}
    assert upward == set()


def test_nothing_inside_imports_the_public_face() -> None:
    assert [name for name in modules() if name and "" in set(targets(name))] == []


def test_nothing_imports_the_server_but_the_command() -> None:
    assert {above for above, below in arrows(modules()) if below == "server"} == {"cli"}


def test_there_are_no_circles() -> None:
    graph = {name: set(targets(name)) - {name} for name in modules() if name}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(f"a circle: {' <- '.join(error.args[1])}")


def test_the_floors_of_the_whole_tree_are_few() -> None:
    """The longest chain of rooms that know each other, with what stands beside the package."""
    graph: dict[str, set[str]] = {}
    for above, below in arrows(name for name in modules() if name):
        graph.setdefault(above, set()).add(below)
    for beside in ("benchmarks", "training"):
        for path in (ROOT / beside).rglob("*.py"):
            names = re.findall(r"^\s*(?:from|import) depthsvc\.(\w+)", path.read_text(), re.MULTILINE)
            graph.setdefault(beside, set()).update(names)
    height: dict[str, int] = {}
    for name in TopologicalSorter(graph).static_order():
        height[name] = 1 + max((height[below] for below in graph.get(name, ())), default=0)
    assert max(height.values()) <= MOST_FLOORS


@pytest.mark.parametrize("name", FORBIDDEN)
def test_a_room_imports_no_library_that_is_not_its_own(name: str) -> None:
    inside = [module for module in modules() if room(module) == name]
    forbidden = {(module, library) for module in inside for library in libraries(module) & FORBIDDEN[name]}
    assert forbidden - EXCEPTIONS == set()


def test_torch_is_imported_where_networks_are_made_and_run() -> None:
    with_torch = {module for module in modules() if {"torch", "timm"} & libraries(module)}
    assert with_torch
    assert [module for module in with_torch if not module.startswith(TORCH_MODULES)] == []


def test_pyav_is_imported_where_its_absence_is_explained() -> None:
    assert [module for module in modules() if "av" in libraries(module)] == ["video.library"]


def test_the_map_names_every_module() -> None:
    """CONTRIBUTING.md has a row for each folder, with every module in it and none besides."""
    rows = dict(re.findall(r"^\| `([\w/]+)/` \| (.*?) \|$", MAP, re.MULTILINE))
    mapped = {folder: set(re.findall(r"`(\w+)`", text)) for folder, text in rows.items()}
    there: dict[str, set[str]] = {}
    for path in [*PACKAGE.rglob("*.py"), *(PACKAGE / "web").rglob("*.js")]:
        if path.stem != "__init__":
            folder = "/".join(["depthsvc", *path.parent.relative_to(PACKAGE).parts])
            there.setdefault(folder, set()).add(path.stem)
    assert mapped == there
