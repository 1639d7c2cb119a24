"""What the OpenAPI document promises, tried by a machine that reads it: no 5xx, no other status, no other schema."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import RunningService, StartService
from tests.security.conftest import OPTIONS

SCHEMATHESIS = Path(sys.executable).with_name("schemathesis")

CHECKS = ("--checks", "all", "--exclude-checks", "positive_data_acceptance")
"""A schema cannot say that the bytes of a photo must be a photo, so what it allows is not always taken."""


_ALWAYS = ("--seed", "1", "--request-timeout", "60")
"""On a busy machine some requests take more than the usual ten seconds."""


def run(service: RunningService, folder: Path, *options: str) -> None:
    result = subprocess.run(
        [
            SCHEMATHESIS,
            "run",
            f"{service.url}/openapi.json",
            *CHECKS,
            "--seed",
            "1",
            "--request-timeout",
            "60",
            *options,
        ],
        capture_output=True,
        text=True,
        cwd=folder,
    )
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize("examples", ["10", pytest.param("300", marks=pytest.mark.long)])
def test_the_service_does_what_its_document_says(target: RunningService, tmp_path: Path, examples: str) -> None:
    run(target, tmp_path, "--max-examples", examples, "--suppress-health-check", "all")


@pytest.mark.long
def test_the_service_with_keys_does_too(start_service: StartService, tmp_path: Path) -> None:
    service = start_service(*OPTIONS, "--api-keys", "the-key")
    bearer = ["--header", "Authorization: Bearer the-key"]
    run(service, tmp_path, "--phases", "coverage", "--suppress-health-check", "all", *bearer)
