"""NVIDIA's GPUs, through PyTorch."""

from __future__ import annotations

import ctypes
from contextlib import suppress

import torch

from depthsvc.errors import DeviceLost
from depthsvc.model.choice import Device
from depthsvc.model.engines.devices import Gpu, Gpus

_INDEX = "https://download.pytorch.org/whl"
_NO_CUDA = (
    "this PyTorch has no CUDA",
    "Install a build that has it from PyTorch's own index, such as pip install --force-reinstall torch torchvision "
    f"--index-url {_INDEX}/cu130, or choose device cpu.",
)
_NO_GPU = (
    "PyTorch finds no GPU",
    "Check that nvidia-smi lists one, that CUDA_VISIBLE_DEVICES does not hide it, and that a container is started with "
    "--gpus all; or choose device cpu.",
)
_OLD_DRIVER = (
    "the driver supports CUDA {driver}, and this PyTorch needs {build}",
    f"Update the driver, install a PyTorch for an older CUDA from {_INDEX}, or choose device cpu.",
)
_BF16_CAPABILITY = (8, 0)
"""Ampere, the first generation that multiplies bf16 numbers."""
_DRIVER = "libcuda.so.1"


def gpus() -> Gpus:
    """What PyTorch finds, after it has tried each GPU."""
    driver = _driver_version()
    if torch.version.cuda is None:
        return Gpus((), *_NO_CUDA, driver)
    found = tuple(_gpu(Device(f"cuda:{number}")) for number in range(torch.cuda.device_count()))
    if found:
        return Gpus(found, driver=driver)
    return Gpus((), *_why_none(driver, torch.version.cuda), driver)


def _why_none(driver: str, build: str) -> tuple[str, str]:
    """Why there is no GPU, given the driver's and PyTorch's versions of CUDA, and what to do about it."""
    if driver and int(driver.split(".")[0]) < int(build.split(".")[0]):  # newer minor versions do not need a new driver
        reason, advice = _OLD_DRIVER
        return reason.format(driver=driver, build=build), advice
    return _NO_GPU


def _gpu(device: Device) -> Gpu:
    properties = torch.cuda.get_device_properties(device)
    free, problem = 0, ""
    try:
        free = free_bytes(device)
        torch.ones(1, device=device).add(1).item()  # this build may have no code for a GPU so old or so new
    except RuntimeError as error:
        problem = _first_line(error)
    has_bf16 = (properties.major, properties.minor) >= _BF16_CAPABILITY
    return Gpu(device, properties.name, properties.total_memory, free, has_bf16, problem)


def _driver_version() -> str:
    """The newest CUDA that the driver supports, such as 12.8; empty without a driver."""
    number = ctypes.c_int()
    with suppress(OSError, AttributeError):
        if ctypes.CDLL(_DRIVER).cuDriverGetVersion(ctypes.byref(number)) == 0:
            return f"{number.value // 1000}.{number.value % 1000 // 10}"
    return ""


def compute_exactly() -> None:
    """Have this process multiply float32 numbers as such: TF32 keeps 10 of their 23 bits, cuDNN's default."""
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False


def raise_if_lost(device: Device) -> None:
    """Raise DeviceLost if this process can no longer compute on the GPU, as after a fault in a kernel."""
    try:
        torch.cuda.synchronize(device)
    except RuntimeError as error:
        raise DeviceLost(f"{device} does not work in this process any more ({_first_line(error)}).") from error


def free_bytes(device: Device) -> int:
    """Memory of the GPU that no process has taken; this one takes some, once it has asked."""
    free, _ = torch.cuda.mem_get_info(device)
    return free


def peak_bytes(device: Device) -> int:
    """The most memory that PyTorch has held on the GPU in this process: weights and workspace."""
    return torch.cuda.max_memory_reserved(device)


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
