"""The compared services: how to start each, and how to request a heatmap from it."""

from __future__ import annotations

import itertools
import json
import re
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from benchmarks.load import Ask, Reply, form_request_bytes, get_bytes, request_bytes, send
from benchmarks.material import Material
from depthsvc.machine.capacity import available_cpus
from depthsvc.model.engines.kinds import NCNN, OPENVINO

DEPTHSVC = "depthsvc"
NAIVE = "naive"
SERVERS = ("LitServe", "BentoML", "Gradio")
"""Ready-made servers, by name."""


def by_form(url: str, photo: bytes) -> Ask:
    """One request: a form with the photo."""
    return partial(send, url, form_request_bytes(photo))


def by_gradio(url: str, photo: bytes) -> Ask:
    """Gradio's four requests: upload the file, start the call, wait for its end, download the result.

    No two files are alike, as in practice: Gradio would write the same file again while another call reads it.
    """
    numbers = itertools.count()

    async def ask() -> Reply:
        started = time.perf_counter()
        numbered = photo + next(numbers).to_bytes(8)
        reply = await send(url, form_request_bytes(numbered, "/gradio_api/upload", "files"))
        if reply.status == 200:
            file = {"path": json.loads(reply.body)[0], "meta": {"_type": "gradio.FileData"}}
            call = json.dumps({"data": [file]}).encode()
            reply = await send(url, request_bytes(call, "/gradio_api/call/depth", "application/json"))
        if reply.status == 200:
            reply = await send(url, get_bytes(f"/gradio_api/call/depth/{json.loads(reply.body)['event_id']}"))
        if reply.status == 200:
            path = re.search(rb'event: complete\s.*?"path": "([^"]+)"', reply.body, re.DOTALL)
            reply = await send(url, get_bytes(f"/gradio_api/file={path[1].decode()}")) if path else Reply(500, 0)
        return Reply(reply.status, time.perf_counter() - started, reply.headers, reply.body)

    return ask


@dataclass(frozen=True)
class Contender:
    """One service."""

    name: str
    settings: str
    """Its settings for this machine, in words."""
    command: Callable[[int], list[str]]
    """The command that serves on a loopback port."""
    environment: dict[str, str] = field(default_factory=dict)
    asker: Callable[[str, bytes], Ask] = by_form


def contenders(material: Material, python: Path) -> list[Contender]:
    """All available contenders; `python` is the alternatives' interpreter, which may be missing."""
    others = _alternatives(material, str(python)) if python.exists() else []
    return [*_own(material), *(other for other in others if other.name.startswith(NAIVE) or not material.quick)]


def _own(material: Material) -> list[Contender]:
    def serve(*options: str) -> Callable[[int], list[str]]:
        return lambda port: material.service_command(sys.executable, "--port", str(port), *options)

    engines = [kind.name for kind in (OPENVINO, NCNN) if kind.can_run() and not material.quick]
    return [
        Contender(DEPTHSVC, "default settings", serve(), material.environment),
        *(
            Contender(f"{DEPTHSVC}, {name}", f"`--engine {name}`", serve("--engine", name), material.environment)
            for name in engines
        ),
    ]


def _alternatives(material: Material, python: str) -> list[Contender]:
    cpus = str(available_cpus())
    app = "benchmarks.alternatives"
    uvicorn = [python, "-m", "uvicorn", f"{app}.naive:app", "--log-level", "warning", "--port"]
    litserve, gradio = (
        [python, "-m", f"{app}.{name}_app", "--workers", cpus, "--port"] for name in ("litserve", "gradio")
    )
    bentoml = [python, "-m", "bentoml", "serve", f"{app}.bentoml_app:Depth", "--host", "127.0.0.1", "--port"]
    quiet = {
        "BENTOML_DO_NOT_TRACK": "True",
        "BENTOML_HOME": str(material.folder / "bentoml"),
        "GRADIO_ANALYTICS_ENABLED": "False",
        "GRADIO_TEMP_DIR": str(material.folder / "gradio"),
    }
    root = Path(__file__).parents[1]
    shared = material.environment | quiet | {"PYTHONPATH": f"{root / 'src'}:{root}"}
    single = shared | {"OMP_NUM_THREADS": "1"}
    return [
        Contender(NAIVE, "one process, PyTorch's default threads", lambda port: [*uvicorn, str(port)], shared),
        Contender(
            f"{NAIVE}, {cpus} workers",
            f"`--workers {cpus}`, one thread each",
            lambda port: [*uvicorn, str(port), "--workers", cpus],
            single,
        ),
        Contender(
            "LitServe", f"`workers_per_device={cpus}`, one thread each", lambda port: [*litserve, str(port)], single
        ),
        Contender("BentoML", '`workers="cpu_count"`, one thread each', lambda port: [*bentoml, str(port)], single),
        Contender(
            "Gradio",
            f"`default_concurrency_limit={cpus}`, one thread each",
            lambda port: [*gradio, str(port)],
            single,
            by_gradio,
        ),
    ]
