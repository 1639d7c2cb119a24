"""What the tests of the ways to run the service share."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"


def needed(program: str) -> str:
    """The path of a program; a test that needs it is skipped where there is none."""
    path = shutil.which(program) or shutil.which(program, path=str(Path(sys.executable).parent))
    if path is None:
        pytest.skip(f"there is no {program}")
    return path


def checked(*command: str | Path, **options: Any) -> str:
    """What a command prints; it must succeed."""
    result: subprocess.CompletedProcess[str]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, **options)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout
