"""The runbook knows every error, and its links lead to its own headings."""

from __future__ import annotations

import re

from depthsvc import errors
from tests.deploy.conftest import ROOT

OPERATIONS = (ROOT / "docs/operations.md").read_text()


def test_every_error_code_has_its_line_in_the_runbook() -> None:
    runbook = OPERATIONS.partition("## Errors by code")[2].partition("\n## ")[0]
    rows = [re.findall(r"`([a-z_]+)`", row.split("|")[1]) for row in runbook.splitlines() if row.startswith("| `")]
    told = {code for row in rows for code in row}
    interface = (ROOT / "docs/http.md").read_text().partition("## Errors")[2]
    documented = {code for row in re.findall(r"^\| \d.*", interface, re.MULTILINE) for code in _codes(row)}
    known = {error.code for error in vars(errors).values() if hasattr(error, "code")}
    assert known | documented | {"client_disconnected", "answer_not_taken"} <= told


def _codes(row: str) -> list[str]:
    return re.findall(r"`([a-z_]+)`", row.split("|")[2])


def test_links_within_the_documents_lead_to_headings() -> None:
    for document in (ROOT / "docs/operations.md", ROOT / "docs/scale.md", ROOT / "deploy/README.md"):
        for target, anchor in re.findall(r"\]\(([^)#]*)#([^)]+)\)", document.read_text()):
            text = ((document.parent / target) if target else document).read_text()
            headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
            anchors = {re.sub(r"[^\w -]", "", heading.strip().lower()).replace(" ", "-") for heading in headings}
            assert anchor in anchors, f"{document.name}: {target}#{anchor}"
