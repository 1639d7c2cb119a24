"""The Ray cluster: a temporary one on this machine, or an existing one."""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

from depthsvc.errors import ConfigurationError, MissingExtra
from depthsvc.settings import Settings

_log_records = logging.getLogRecordFactory()
try:
    import ray
except ImportError as missing:
    raise MissingExtra("Ray is not installed", "ray") from missing
logging.setLogRecordFactory(_log_records)  # Ray's factory adds a field to every log line of this process

logger = logging.getLogger(__name__)

LOCAL = "local"
_OBJECT_STORE_BYTES = 256_000_000
"""Shared memory for photos and results in transit on this machine; Ray spills what does not fit to disk."""
_OF_A_LOCAL_ONE = {
    "RAY_USAGE_STATS_ENABLED": "0",  # no telemetry
    "RAY_worker_niceness": "0",  # replicas get the same priority as the service
    "RAY_enable_metrics_collection": "0",  # nobody reads Ray's metrics; the service has its own
    "RAY_SERVE_CONTROL_LOOP_INTERVAL_S": "0.5",  # instead of 0.1, which takes 3 % of a core for nothing
}
"""Ray's settings for a cluster on this machine, unless the environment sets them."""
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def connected(settings: Settings, cpus: int) -> Iterator[None]:
    """Connect to the cluster in the settings; a local one is started with `cpus` CPUs and stopped at the end.

    Raises ConfigurationError if it cannot be reached.
    """
    try:
        with _own_signals():
            _connect(settings.ray_address, cpus)
    except (OSError, ValueError, RuntimeError) as error:
        raise ConfigurationError(f"Cannot connect to a Ray cluster at {settings.ray_address}: {error}") from error
    try:
        _tell_if_too_small(settings.workers * settings.threads_per_worker)
        yield
    finally:
        ray.shutdown()


def _tell_if_too_small(cpus: int) -> None:
    """Log why nothing happens if the cluster has fewer CPUs than needed: Ray waits, because the cluster may grow."""
    there = ray.cluster_resources().get("CPU", 0)
    if there < cpus:
        logger.warning("waiting for CPUs: %d are needed, and the cluster has %d now", cpus, there)


@contextmanager
def _own_signals() -> Iterator[None]:
    """Keep Ray from changing what signals do in this process."""
    handlers = {number: signal.getsignal(number) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


def _connect(address: str, cpus: int) -> None:
    os.environ.setdefault(
        "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0"
    )  # the default of later versions of Ray; avoids a warning
    if address != LOCAL:
        ray.init(address, log_to_driver=False, logging_level=logging.ERROR)
        return
    for name, value in _OF_A_LOCAL_ONE.items():
        os.environ.setdefault(name, value)
    ray.init(
        LOCAL,
        num_cpus=cpus,
        object_store_memory=_OBJECT_STORE_BYTES,
        include_dashboard=False,
        log_to_driver=False,
        logging_level=logging.ERROR,
    )
