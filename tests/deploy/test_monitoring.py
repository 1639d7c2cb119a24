"""Dashboard, alerts and autoscaler ask only for what the service exposes, and every alert is explained."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from depthsvc.pool.base import RestartCause
from tests.conftest import RunningService
from tests.deploy.conftest import DEPLOY, ROOT, checked, needed

ALERTS = DEPLOY / "prometheus/alerts.yaml"
OPERATIONS = (ROOT / "docs/operations.md").read_text()
DASHBOARD = json.loads((DEPLOY / "grafana/dashboards/depthsvc.json").read_text())
_SAMPLE = re.compile(r"\b(?:depthsvc|process|python)_[a-z_]+\b(?!\")|\bup\b")
_LABEL = re.compile(r"([a-z_]+)=~?\"")


def rules() -> list[dict[str, Any]]:
    [group] = yaml.safe_load(ALERTS.read_text())["groups"]
    found: list[dict[str, Any]] = group["rules"]
    return found


def questions() -> list[str]:
    """Everything that is asked of Prometheus."""
    panels = [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]]
    variables = [variable["query"]["query"] for variable in DASHBOARD["templating"]["list"]]
    adapter = yaml.safe_load((DEPLOY / "kubernetes/queue-depth/prometheus-adapter.yaml").read_text())
    autoscaler = yaml.safe_load((DEPLOY / "kubernetes/queue-depth/horizontalpodautoscaler.yaml").read_text())
    names = [rule["name"]["as"] for rule in adapter["rules"]["custom"]]
    names += [metric["pods"]["metric"]["name"] for metric in autoscaler["spec"]["metrics"]]
    return [*panels, *variables, *names, *(rule["expr"] for rule in rules())]


def test_what_is_asked_for_is_what_the_service_tells(embedded_service: RunningService, photo_png: bytes) -> None:
    with embedded_service.client() as client:
        client.post("/upload", files={"image": photo_png})
        client.post("/upload", files={"image": b"no photo"})
        text = client.get("/metrics").text
    told = {sample.name for family in text_string_to_metric_families(text) for sample in family.samples} | {"up"}
    labels = {
        label for family in text_string_to_metric_families(text) for one in family.samples for label in one.labels
    }
    asked = {name for question in questions() for name in _SAMPLE.findall(question)}
    assert asked - told == set()
    used = {label for question in questions() for label in _LABEL.findall(question)}
    assert used - labels - {"job", "instance"} == set()
    ours = {name for name in told if name.startswith("depthsvc_") and not name.endswith(("_created", "_bucket"))}
    assert ours - asked - {"depthsvc_request_seconds_sum"} == set(), "it is on no panel and in no alert"
    assert all(f"`{name.removesuffix('_count').removesuffix('_sum')}`" in OPERATIONS for name in ours)


def test_causes_and_codes_in_alerts_exist() -> None:
    from depthsvc import errors

    text = " ".join(questions())
    codes = {error.code for error in vars(errors).values() if hasattr(error, "code")}
    assert set(re.findall(r'cause="([a-z]+)"', text)) <= set(RestartCause)
    assert set(re.findall(r'reason="([a-z_]+)"', text)) <= codes


def test_every_alert_leads_to_what_to_do() -> None:
    headings = {heading.strip().lower() for heading in re.findall(r"^#+ (.*)$", OPERATIONS, re.MULTILINE)}
    for rule in rules():
        document, _, anchor = rule["annotations"]["runbook_url"].partition("#")
        assert document == "https://github.com/depthsvc/depthsvc/blob/main/docs/operations.md"
        assert anchor == rule["alert"].lower()
        assert anchor in headings
        assert rule["labels"]["severity"] in {"page", "ticket"}


def test_alerts_that_wake_somebody_are_those_of_the_whole_service() -> None:
    pages = [rule for rule in rules() if rule["labels"]["severity"] == "page"]
    assert pages
    for rule in pages:
        assert "by (job)" in rule["expr"] or rule["expr"].startswith("absent("), rule["alert"]
        assert "$labels.instance" not in rule["annotations"]["summary"], rule["alert"]
        if "rate(" in rule["expr"]:
            assert rule["expr"].endswith('(rate(depthsvc_request_seconds_count{method="POST"}[5m])) > 0.1'), (
                "few photos"
            )


def test_alertmanager_takes_its_file() -> None:
    checked(needed("amtool"), "check-config", DEPLOY / "prometheus/alertmanager.yaml")


@pytest.mark.parametrize(
    "arguments",
    [("check", "rules", "alerts.yaml"), ("check", "config", "prometheus.yaml"), ("test", "rules", "alerts.test.yaml")],
    ids=" ".join,
)
def test_prometheus_takes_the_files(arguments: tuple[str, ...]) -> None:
    checked(needed("promtool"), *arguments, cwd=DEPLOY / "prometheus")


def test_grafana_finds_its_dashboard_and_its_source() -> None:
    [source] = yaml.safe_load((DEPLOY / "grafana/provisioning/datasources/prometheus.yaml").read_text())["datasources"]
    [provider] = yaml.safe_load((DEPLOY / "grafana/provisioning/dashboards/depthsvc.yaml").read_text())["providers"]
    assert {panel["datasource"]["uid"] for panel in DASHBOARD["panels"]} == {source["uid"]}
    mounted = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]["grafana"]["volumes"]
    assert f"./grafana/dashboards:{provider['options']['path']}:ro" in mounted
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])
    assert all(panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24 for panel in DASHBOARD["panels"])
