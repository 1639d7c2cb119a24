"""Every setting of the service: one class, read from DEPTHSVC_* variables and the command line."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from enum import StrEnum
from pathlib import Path
from typing import Annotated

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    PlainValidator,
    SecretStr,
    StringConstraints,
    ValidationError,
)
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from depthsvc.errors import ConfigurationError, RequestError, problem_name, problem_reason
from depthsvc.machine.capacity import available_cpus
from depthsvc.machine.folders import user_cache_folder
from depthsvc.model.choice import CPU, Device, EngineChoice, EngineName, Precision, WeightsLocations


class LogLevel(StrEnum):
    """Severity of a log line."""

    CRITICAL = "critical"
    ERROR = "error"
    WARNING = "warning"
    INFO = "info"
    DEBUG = "debug"

    @classmethod
    def _missing_(cls, value: object) -> LogLevel | None:
        lower = str(value).lower()
        return cls(lower) if lower != value and lower in list(cls) else None


class LogFormat(StrEnum):
    """Format of a log line."""

    AUTO = "auto"
    JSON = "json"
    CONSOLE = "console"


def _split(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


def _split_words(value: object) -> object:
    return _split(value) if isinstance(value, str) else value


def _split_keys(value: object) -> object:
    keys = _split_words(value)
    if keys == []:
        raise ValueError("is set but contains no key; unset it to run without keys")
    return keys


_ROOT_PATH = re.compile(r"(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)*")
_LONGEST_ROOT_PATH = 200


def checked_root_path(text: str) -> str:
    """A path such as /depth, without a slash at its end. It may be written into headers and pages as it is.

    Raises ValueError for everything else: another host, dots that lead upwards, characters that need escaping.
    """
    path = text.removesuffix("/")
    if len(path) > _LONGEST_ROOT_PATH or not _ROOT_PATH.fullmatch(path):
        raise ValueError("use a path such as /depth or /tools/depth, of letters, digits and - . _ ~")
    return path


RootPath = Annotated[str, AfterValidator(checked_root_path)]
Words = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split_words)]
ApiKeys = Annotated[tuple[SecretStr, ...], NoDecode, BeforeValidator(_split_keys)]
DeviceName = Annotated[Device, PlainValidator(lambda text: Device(str(text)))]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-fA-F]{64}$", to_lower=True)]
Hashes = Annotated[tuple[Sha256, ...], NoDecode, BeforeValidator(_split_words)]


def _checked_models(text: str) -> str:
    if not _split(text):
        raise ValueError("names no model")
    return text


class WeightsSettings(BaseSettings):
    """Which model, and where its weights are."""

    model: Annotated[str, AfterValidator(_checked_models)] = Field(
        "auto",
        description="`auto`, a name from `depthsvc weights list`, or the path of a TorchScript (.pt, .ts) or "
        "ONNX (.onnx) file with its JSON description next to it. `serve` accepts several, separated by commas or each "
        "with its own option: photos get the first unless they ask for another.",
    )
    weights: Path | None = Field(
        None, description="Checkpoint file to use for the named model instead of the registered one."
    )
    weights_sha256: Hashes = Field(
        (),
        description="SHA-256 of the model or weights file; required for weights without a published hash. Several "
        "models may have several, separated by commas.",
    )
    weights_dir: Path | None = Field(None, description="Folder to search for registered weights, before the cache.")
    cache_dir: Path = Field(
        default_factory=user_cache_folder,
        description="Folder for downloaded weights and the files prepared from them.",
    )
    download: bool = Field(True, description="Whether to download weights that are not on this machine.")
    accept_licence: Words = Field(
        (),
        description="Licences of weights that you accept, separated by commas. Weights whose licence forbids "
        "commercial use are downloaded only then; `depthsvc weights list` names the licences.",
    )


class EngineSettings(BaseSettings):
    """The engine that runs the network."""

    engine: EngineName = Field(
        EngineName.TORCHSCRIPT,
        description="Engine that runs the network: torchscript, openvino, onnxruntime, ncnn, or auto (the fastest).",
    )
    precision: Precision = Field(
        Precision.FP32,
        description="Number format of the network: fp32, bf16, fp16 (on GPUs only), or auto (bf16 where it is known to "
        "be accurate enough).",
    )
    device: DeviceName = Field(
        CPU,
        description="Where the network runs: `cpu`, `cuda` or `cuda:N` for an NVIDIA GPU, or `auto`, the GPU with the "
        "most free memory if there is one that PyTorch can use. On a GPU the engine is torchscript.",
    )


class PhotoSettings(BaseSettings):
    """Limits on a photo."""

    max_megapixels: float = Field(
        120.0,
        gt=0,
        le=178.0,
        description="Largest photo, in 10^6 pixels, checked before decoding. What formats other than JPEG cost to "
        "decode allows less.",
    )
    max_input_size: int = Field(
        1024,
        ge=32,
        le=4096,
        description="Largest `input_size` of a request, in pixels. The network's input never exceeds a square of this "
        "side.",
    )


class WorkerSettings(BaseSettings):
    """Worker processes, and the photos that wait for them."""

    workers: int = Field(
        default_factory=available_cpus,
        ge=1,
        le=256,
        description="Worker processes. With TorchScript they share the memory of the weights. By default as many as "
        "there are CPUs, or fewer if the memory allows fewer; on a GPU as many as fit into its free memory, 4 at most.",
    )
    worker_threads: int | None = Field(
        None,
        ge=1,
        le=256,
        description="Threads per worker; by default the CPUs divided by the workers, and in a service with OpenVINO at "
        "least 2.",
    )
    queue_size: int = Field(64, ge=0, description="Photos that may wait for a worker; one more gets a 503.")
    deadline_s: float = Field(
        30.0,
        gt=0,
        description="Time limit for a photo, waiting included; by default longer for a model that takes more than 2 s. "
        "A photo that could not keep it gets a 503 at once, one "
        "that no worker has begun by then a 503, and one that is not finished a 504.",
    )
    max_photos_per_worker: int | None = Field(
        None, ge=1, description="Photos after which a worker process is replaced by a fresh one."
    )


class LiveSettings(BaseSettings):
    """Live streams, and how much of them."""

    live_sessions: int = Field(
        4,
        ge=0,
        le=1000,
        description="Live sessions at the same time, half of them for one client; 0 switches `/live` off.",
    )
    live_frame_mb: float = Field(
        2.0, gt=0, le=32, description="Largest frame of a live session, in 10^6 bytes. A session holds a few at a time."
    )
    live_frame_megapixels: float = Field(
        2.1, gt=0, le=50, description="Largest frame of a live session, in 10^6 pixels, checked before decoding."
    )
    live_idle_s: float = Field(30.0, gt=0, description="Time without a frame after which a live session ends.")
    live_session_s: float = Field(3600.0, gt=0, description="Time after which a live session ends in any case.")


class ClusterSettings(BaseSettings):
    """Ray instead of worker processes."""

    ray: bool = Field(
        False, description="Whether to use Ray instead of worker processes: each worker is a replica of Ray Serve."
    )
    ray_address: str = Field(
        "local",
        min_length=1,
        description="With Ray: `local` starts it on this machine, `auto` joins the cluster that this machine belongs "
        "to, `HOST:PORT` joins the cluster at that address.",
    )
    ray_max_workers: int | None = Field(
        None, ge=1, description="With Ray: maximum replicas; those above `workers` are autoscaled."
    )


class LogSettings(BaseSettings):
    """What is logged, and how."""

    log_level: LogLevel = Field(
        LogLevel.INFO, description="Least severe level to log: critical, error, warning, info or debug."
    )
    log_format: LogFormat = Field(
        LogFormat.AUTO, description="`json`, `console`, or `auto`: console on a terminal, else json."
    )


class HttpSettings(BaseSettings):
    """Where the service listens, who may use it, and how much a client may cost it."""

    host: str = Field("127.0.0.1", description="Address to listen on.")
    port: int = Field(7860, ge=0, le=65535, description="TCP port to listen on; 0 picks a free one.")
    root_path: RootPath = Field(
        "",
        description="Path under which a proxy publishes the service, such as /depth, whether or not the proxy strips "
        "it. X-Forwarded-Prefix from a trusted proxy comes first.",
    )
    max_upload_mb: float = Field(32.0, gt=0, description="Largest request body, in 10^6 bytes.")
    photo_formats: Words = Field(
        (),
        description="Photo formats that are accepted, such as `jpeg,png,webp`, comma-separated; other files get a "
        "415. A decoder that is left out is out of reach for hostile files.",
    )
    client_timeout_s: float = Field(
        30.0,
        gt=0,
        description="How long a client may stall while sending its request or reading the response.",
    )
    max_buffered_mb: float = Field(
        128.0,
        gt=0,
        description="Memory for incoming photos, and as much again for outgoing responses, in 10^6 bytes. It is "
        "reserved by a photo's Content-Length and by the expected size of its result; a photo without room gets a 503. "
        "So only 12 photos of 10 MB can wait, or 5 whose result is float16 depth of 12 megapixels, whatever "
        "`queue_size` says, and fewer of one client, which may take half of what is free.",
    )
    max_photo_cost: float = Field(
        30.0,
        gt=0,
        description="Largest expected processor time of a photo, as a multiple of a normal photo's, a heatmap of "
        "1280 x 960 by the same model; a photo that would take longer gets a 422.",
    )
    max_photo_memory_mb: float = Field(
        800.0,
        gt=0,
        description="Largest expected memory of a worker for one photo, beside its model, in 10^6 bytes; a photo that "
        "would need more gets a 422. A model that takes most of it for a normal photo gets half as much again as that.",
    )
    max_connections: int = Field(
        4096,
        ge=1,
        description="Maximum open connections, a quarter of them for one client; beyond that idle ones are closed, and "
        "if there are none, only health is served.",
    )
    drain_s: float = Field(30.0, ge=0, description="Time limit for finishing accepted photos after SIGTERM.")
    api_keys: ApiKeys = Field(
        (),
        description="API keys, comma-separated; each request must send one. Without keys the service is open. Prefer "
        "`api_keys_file`: options show up in the process list.",
    )
    api_keys_file: Path | None = Field(None, description="File with more API keys, one per line.")
    cors_origins: Words = Field(
        (), description="Origins of other web pages that may call the service, comma-separated, or `*` for all."
    )
    docs: bool = Field(True, description="Whether to serve /docs and /openapi.json.")
    metrics: bool = Field(True, description="Whether to serve /metrics.")
    traces: bool = Field(
        False,
        description="Whether to trace requests with OpenTelemetry; its own `OTEL_*` variables say where traces go.",
    )


class Settings(
    LogSettings,
    ClusterSettings,
    LiveSettings,
    WorkerSettings,
    PhotoSettings,
    EngineSettings,
    WeightsSettings,
    HttpSettings,
):
    """Settings of the service, validated once at start. Units are in the names."""

    model_config = SettingsConfigDict(env_prefix="DEPTHSVC_", extra="forbid", frozen=True, allow_inf_nan=False)

    @property
    def models(self) -> tuple[str, ...]:
        """The models to serve, the default first."""
        return tuple(_split(self.model))

    @property
    def weights_locations(self) -> WeightsLocations:
        return WeightsLocations(
            cache_dir=self.cache_dir,
            explicit=self.weights,
            sha256=self.weights_sha256[0] if self.weights_sha256 and len(self.models) == 1 else None,
            trusted_sha256=self.weights_sha256,
            weights_dir=self.weights_dir,
            download=self.download,
            accepted_licences=self.accept_licence,
        )

    @property
    def engine_choice(self) -> EngineChoice:
        """Engine, precision and threads of each worker, and its device, which may be `auto`."""
        return EngineChoice(self.engine, self.precision, self.threads_per_worker, self.device)

    @property
    def has_workers(self) -> bool:
        """Whether somebody has set the number of workers. If not, a GPU's memory may decide it."""
        return "workers" in self.model_fields_set

    @property
    def threads_per_worker(self) -> int:
        return self.threads_of(self.workers)

    def threads_of(self, workers: int) -> int:
        """Threads of each worker if there are this many."""
        if self.worker_threads is None and self.ray:
            return 1  # the CPUs belong to a cluster, not to this machine
        return self.worker_threads or max(1, available_cpus() // workers)

    @property
    def max_upload_bytes(self) -> int:
        return round(self.max_upload_mb * 1e6)

    @property
    def max_buffered_bytes(self) -> int:
        return round(self.max_buffered_mb * 1e6)

    @property
    def max_pixels(self) -> int:
        return round(self.max_megapixels * 1e6)

    @property
    def live_frame_bytes(self) -> int:
        return round(self.live_frame_mb * 1e6)

    @property
    def live_frame_pixels(self) -> int:
        return round(self.live_frame_megapixels * 1e6)


def read_settings(given: Mapping[str, object], name: Callable[[str], str] = str) -> Settings:
    """Settings from `given`, by name, and from the environment. `name` maps a setting to its name in errors.

    Raises ConfigurationError, with a line for each invalid setting.
    """
    try:
        return Settings(**given)  # type: ignore[arg-type]  # pydantic reports what is wrong with them
    except ValidationError as error:
        raise ConfigurationError("\n".join(sentences(error, name))) from error


def sentences(error: ValidationError, name: Callable[[str], str] = str) -> list[str]:
    """A sentence for each invalid setting; `name` maps a setting to its name in it."""
    return [
        f"{name(problem_name(problem))}: {problem_reason(problem, 'setting', echo=True)}." for problem in error.errors()
    ]


def unknown_variables() -> dict[str, list[str]]:
    """DEPTHSVC_* variables that are not settings, perhaps misspelt, and the closest setting of each."""
    known = [variable(name) for name in Settings.model_fields]
    unknown = sorted(name for name in os.environ if name.startswith("DEPTHSVC_") and name not in known)
    return {name: get_close_matches(name, known, n=1, cutoff=0.85) for name in unknown}


def variable(name: str) -> str:
    """The environment variable of a setting."""
    return f"{Settings.model_config['env_prefix']}{name.upper()}"


def flag(name: str) -> str:
    """The command-line option of a setting."""
    return f"--{name.replace('_', '-')}"


def advice(error: RequestError) -> str:
    """What went wrong and what to do about it, for somebody who can give options: a limit's own is named."""
    return f"{error.detail.removesuffix('.')}, or raise {flag(error.setting)}." if error.setting else error.detail


_COMPUTED_DEFAULTS = {"workers": "one per CPU", "cache_dir": "the user's cache folder", "photo_formats": "all"}


def default_text(name: str) -> str:
    """The default of a setting, in words."""
    default = Settings.model_fields[name].default
    return _COMPUTED_DEFAULTS.get(name) or ("none" if default in (None, (), "") else str(default).lower())


def markdown_table() -> str:
    """Every setting, as a Markdown table for docs/settings.md."""
    rows = [
        f"| `{variable(name)}` | `{flag(name)}` | {default_text(name)} | {field.description} |"
        for name, field in Settings.model_fields.items()
    ]
    return "\n".join(["| variable | option | default | meaning |", "| -- | -- | -- | -- |", *rows])
