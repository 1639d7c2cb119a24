"""The engines, and what is known about each without importing its library."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, cast

from depthsvc.errors import MissingExtra, ModelError
from depthsvc.imaging.spec import InputSpec, Shape
from depthsvc.model.choice import CPU, Device, EngineName, Precision

if TYPE_CHECKING:
    from depthsvc.model.architecture import Architecture
    from depthsvc.model.engines.base import Engine
    from depthsvc.model.networks.base import Network


@dataclass(frozen=True)
class EngineKind:
    """What is known about an engine without importing its library."""

    name: EngineName
    suffix: str
    """Suffix of the files that it runs."""
    packages: tuple[str, ...]
    """Modules, named like their distributions: the first runs the engine's files, all are needed to write one."""
    precisions: tuple[Precision, ...]
    """On the CPU."""
    gpu_precisions: tuple[Precision, ...] = ()
    """On GPUs; empty if it does not run there."""
    threads_alone: int = 1
    """Threads on the CPU that make a photo that comes alone faster, and cost little while all workers are busy: they
    sleep while they wait."""
    suits_processor: bool = False
    """Whether its files for the CPU are faster on the kind of processor on which they were written."""
    families: tuple[str, ...] | None = None
    """Families of the architectures that it can run; None: all."""

    def precisions_on(self, device: Device) -> tuple[Precision, ...]:
        return self.gpu_precisions if device.is_cuda else self.precisions

    def suits(self, architecture: Architecture) -> bool:
        """Whether it can run networks of this architecture."""
        return self.families is None or architecture.family in self.families

    def can_run(self) -> bool:
        """Whether the package that runs its files is installed."""
        return find_spec(self.packages[0]) is not None

    def can_write(self) -> bool:
        """Whether all packages that write its files are installed."""
        return all(map(find_spec, self.packages))

    def require(self, *, to_write: bool = True) -> None:
        """Raise ConfigurationError, with the install command, if a package to run or write files is missing."""
        if missing := [package for package in self.packages[: None if to_write else 1] if find_spec(package) is None]:
            raise MissingExtra(f"The engine {self.name} needs the package {missing[0]}", _EXTRAS[self.name])

    def versions(self) -> str:
        """The versions of the packages that affect its files, without importing them."""
        return "-".join(f"{package}{version(package)}" for package in sorted({"torch", *self.packages}))

    @property
    def module(self) -> str:
        """The module that imports its packages."""
        return f"{__package__}.{self.name}"

    def write(
        self,
        network: Network,
        spec: InputSpec,
        path: Path,
        precision: Precision,
        device: Device = CPU,
        *,
        whole: bool = False,
    ) -> None:
        """Write a network in evaluation mode as a file for this engine, valid for every input size of `spec`.

        `whole`: as other programs expect it. Otherwise TorchScript, as OpenVINO and ncnn always, puts weights in a
        second file.

        The network may be changed: moved to the device and to the precision. Imports torch. Raises OSError if it
        cannot be written, ConfigurationError if a package is missing.
        """
        self.require()
        self._import_module().write(network, spec.example_shape, path, precision, device, whole=whole)

    def open(
        self, path: Path, threads: int, precision: Precision, content: bytes | None = None, device: Device = CPU
    ) -> Engine:
        """Load a file into this process, or with `content` these bytes of it, without opening the file.

        Raises ModelError, and ConfigurationError if a package is missing.
        """
        self.require(to_write=False)
        return self._import_module().open_file(path, threads, precision, content, device)

    def _import_module(self) -> _EngineModule:
        try:
            return cast(_EngineModule, import_module(self.module))
        except ImportError as error:
            raise ModelError(f"The engine {self.name} is installed but cannot be imported: {error}") from error


class _EngineModule(Protocol):
    """The interface of an engine's module."""

    def write(
        self, network: Network, example_shape: Shape, path: Path, precision: Precision, device: Device, *, whole: bool
    ) -> None: ...

    def open_file(
        self, path: Path, threads: int, precision: Precision, content: bytes | None, device: Device
    ) -> Engine: ...


TORCHSCRIPT = EngineKind(
    EngineName.TORCHSCRIPT,
    ".ts",
    ("torch",),
    (Precision.FP32, Precision.BF16),
    gpu_precisions=(Precision.FP32, Precision.FP16, Precision.BF16),
    suits_processor=True,
)
OPENVINO = EngineKind(EngineName.OPENVINO, ".xml", ("openvino",), (Precision.FP32, Precision.BF16), threads_alone=2)
ONNXRUNTIME = EngineKind(EngineName.ONNXRUNTIME, ".onnx", ("onnxruntime", "onnx"), (Precision.FP32,))
NCNN = EngineKind(EngineName.NCNN, ".param", ("ncnn",), (Precision.FP32,), families=("midas",))
KINDS = {kind.name: kind for kind in (TORCHSCRIPT, OPENVINO, ONNXRUNTIME, NCNN)}

_EXTRAS = {EngineName.OPENVINO: "openvino", EngineName.ONNXRUNTIME: "onnx", EngineName.NCNN: "ncnn"}
