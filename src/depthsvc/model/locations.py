"""Where weights are looked for. Imports nothing heavy, because the settings need it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class WeightsLocations:
    """Where to look for weights, in this order."""

    cache_dir: Path
    explicit: Path | None = None
    sha256: str | None = None
    """Of the explicit file, or of the registered one where there is none."""
    weights_dir: Path | None = None
    download: bool = True

    @property
    def cached_weights(self) -> Path:
        return self.cache_dir / "weights"
