"""The manifests: valid for Kubernetes, in agreement with each other, and with what the service is."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from fastapi.routing import APIRoute

from depthsvc.server.routes.health import router as health
from depthsvc.server.routes.metrics import router as prometheus
from depthsvc.settings import Settings, variable
from tests.deploy.conftest import DEPLOY, checked, needed

FOLDER = DEPLOY / "kubernetes"
MANIFESTS = [
    path for path in sorted(FOLDER.glob("*/*.yaml")) if path.stem not in {"kustomization", "prometheus-adapter"}
]
VERSIONS = ("1.29", "1.37")
"""Kubernetes versions whose schemas are asked: from the oldest that has all fields to the newest."""
PATHS = {route.path for router in (health, prometheus) for route in router.routes if isinstance(route, APIRoute)}


def manifest(path: Path | str) -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load((FOLDER / path).read_text())
    return document


DEPLOYMENT = manifest("base/deployment.yaml")
POD = DEPLOYMENT["spec"]["template"]["spec"]
[CONTAINER] = POD["containers"]
LABELS = DEPLOYMENT["spec"]["template"]["metadata"]["labels"]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_kubernetes_knows_every_field(path: Path, version: str) -> None:
    kubernetes_validate.validate(manifest(path), version, strict=True)


@pytest.mark.parametrize("folder", ["base", "cpu", "queue-depth"])
def test_every_manifest_is_listed(folder: str) -> None:
    listed = manifest(f"{folder}/kustomization.yaml")["resources"]
    there = {path.name for path in MANIFESTS if path.parent.name == folder}
    assert {name for name in listed if not name.startswith("..")} == there
    assert all((FOLDER / folder / name).exists() for name in listed)


@pytest.mark.parametrize("folder", ["cpu", "queue-depth"])
def test_kustomize_builds_it(folder: str) -> None:
    built = list(yaml.safe_load_all(checked(needed("kubectl"), "kustomize", FOLDER / folder)))
    kinds = {"Deployment", "Service", "PodDisruptionBudget", "NetworkPolicy", "HorizontalPodAutoscaler"}
    assert {document["kind"] for document in built} == kinds
    [deployment] = [document for document in built if document["kind"] == "Deployment"]
    assert deployment["spec"]["template"]["spec"]["containers"][0]["image"] == "registry.example/depthsvc:0.2.0"


def test_the_image_has_a_version() -> None:
    [image] = manifest("base/kustomization.yaml")["images"]
    assert image["name"] == CONTAINER["image"]
    assert re.fullmatch(r"\d+\.\d+\.\d+", image["newTag"])


def test_selectors_find_the_pods() -> None:
    selectors = [
        DEPLOYMENT["spec"]["selector"]["matchLabels"],
        manifest("base/service.yaml")["spec"]["selector"],
        manifest("base/poddisruptionbudget.yaml")["spec"]["selector"]["matchLabels"],
        manifest("base/networkpolicy.yaml")["spec"]["podSelector"]["matchLabels"],
        *(spread["labelSelector"]["matchLabels"] for spread in POD["topologySpreadConstraints"]),
    ]
    assert all(selector and selector.items() <= LABELS.items() for selector in selectors)
    for folder in ("cpu", "queue-depth"):
        target = manifest(f"{folder}/horizontalpodautoscaler.yaml")["spec"]["scaleTargetRef"]
        assert (target["kind"], target["name"]) == (DEPLOYMENT["kind"], DEPLOYMENT["metadata"]["name"])
    assert "replicas" not in DEPLOYMENT["spec"]  # which would undo the autoscaler's choice


def test_ports_and_probes_are_those_of_the_service() -> None:
    [port] = CONTAINER["ports"]
    assert port["containerPort"] == Settings.model_fields["port"].default
    [published] = manifest("base/service.yaml")["spec"]["ports"]
    [allowed] = manifest("base/networkpolicy.yaml")["spec"]["ingress"][0]["ports"]
    assert published["targetPort"] == allowed["port"] == port["name"]
    for name in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert CONTAINER[name]["httpGet"]["port"] == port["name"]
        assert CONTAINER[name]["httpGet"]["path"] in PATHS
    scraped = DEPLOYMENT["spec"]["template"]["metadata"]["annotations"]
    assert scraped["prometheus.io/path"] in PATHS
    assert scraped["prometheus.io/port"] == str(port["containerPort"])


def environment() -> dict[str, str]:
    return {entry["name"]: entry["value"] for entry in CONTAINER["env"]}


def test_the_settings_are_real_and_valid() -> None:
    names = {variable(name): name for name in Settings.model_fields}
    given = environment()
    assert given.pop("FORWARDED_ALLOW_IPS") == "*"
    assert set(given) <= set(names)
    values: dict[str, Any] = {names[name]: value for name, value in given.items()}
    Settings(**values)
    assert POD["enableServiceLinks"] is False  # or there would be a DEPTHSVC_PORT that is no port


def test_a_pod_has_the_cpus_and_the_time_that_it_needs() -> None:
    workers, threads = (int(environment()[variable(name)]) for name in ("workers", "worker_threads"))
    assert int(CONTAINER["resources"]["requests"]["cpu"]) == workers * threads
    assert CONTAINER["resources"]["limits"]["memory"] == "2Gi"
    command = CONTAINER["lifecycle"]["preStop"]["exec"]["command"]
    assert command[0] == "sleep"
    pauses = [float(command[1]), float(environment()["DEPTHSVC_DRAIN_S"]), 5]
    assert POD["terminationGracePeriodSeconds"] >= sum(pauses)
    assert float(command[1]) >= CONTAINER["readinessProbe"]["periodSeconds"]


def test_the_pod_keeps_the_restricted_standard() -> None:
    pod, container = POD["securityContext"], CONTAINER["securityContext"]
    assert pod["runAsNonRoot"] is True
    assert pod["runAsUser"] > 0
    assert pod["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["allowPrivilegeEscalation"] is False
    assert container["readOnlyRootFilesystem"] is True
    assert container["capabilities"] == {"drop": ["ALL"]}
    assert POD["automountServiceAccountToken"] is False
    [tmp] = POD["volumes"]
    assert tmp["emptyDir"]["sizeLimit"]
    assert CONTAINER["volumeMounts"] == [{"name": tmp["name"], "mountPath": "/tmp"}]
    assert manifest("base/networkpolicy.yaml")["spec"]["egress"] == []


def test_both_autoscalers_differ_only_in_what_they_look_at() -> None:
    cpu, queue = (manifest(f"{folder}/horizontalpodautoscaler.yaml")["spec"] for folder in ("cpu", "queue-depth"))
    assert cpu.pop("metrics") != queue.pop("metrics")
    assert cpu == queue
    assert 2 <= cpu["minReplicas"] < cpu["maxReplicas"]
