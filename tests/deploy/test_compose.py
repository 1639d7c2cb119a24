"""The set of containers: valid, fenced in, and in agreement with nginx.conf and the service."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import yaml

from depthsvc.settings import Settings, variable
from tests.deploy.conftest import DEPLOY, ROOT, checked, needed

FILE = DEPLOY / "compose.yaml"
COMPOSE: dict[str, Any] = yaml.safe_load(FILE.read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
DEPTHSVC = SERVICES["depthsvc"]


def test_it_is_a_compose_file() -> None:
    checked(needed("check-jsonschema"), "--builtin-schema", "vendor.compose-spec", FILE)


def test_every_container_is_fenced_in() -> None:
    for name, service in SERVICES.items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service["mem_limit"], name
        assert service["logging"]["options"]["max-size"], name
        assert name == "depthsvc" or "healthcheck" in service, name  # whose image has one
    assert DEPTHSVC["mem_limit"] == "2g"
    assert "/tmp" in DEPTHSVC["tmpfs"]


def test_nothing_is_open_to_the_network_unless_somebody_says_so() -> None:
    assert "ports" not in DEPTHSVC
    ports = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert ports
    assert all(port.startswith(("127.0.0.1:", "${HTTP_ADDRESS:-127.0.0.1}:")) for port in ports)


def test_the_settings_are_real_and_valid() -> None:
    names = {variable(name): name for name in Settings.model_fields}
    environment = dict(DEPTHSVC["environment"])
    assert "ports" not in DEPTHSVC, "or anybody could say whose a request is"
    assert environment.pop("FORWARDED_ALLOW_IPS") == "*"
    assert set(environment) <= set(names)
    settings = Settings(**{names[name]: value for name, value in environment.items()})
    assert int(DEPTHSVC["stop_grace_period"].removesuffix("s")) >= settings.drain_s + 5
    commented = re.findall(r"# (DEPTHSVC_\w+):", FILE.read_text())
    assert commented
    assert set(commented) <= set(names)


def test_what_is_mounted_exists() -> None:
    for service in SERVICES.values():
        for mount in service.get("volumes", []):
            source = mount.split(":")[0]
            assert source in COMPOSE["volumes"] if not source.startswith(".") else (DEPLOY / source).exists()
    assert (DEPLOY / DEPTHSVC["build"]["context"]).resolve() == ROOT


def test_build_arguments_are_those_of_the_image() -> None:
    known = re.findall(r"^ARG (\w+)", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert set(DEPTHSVC["build"]["args"]) <= set(known)
    assert all(name in FILE.read_text().partition("name: depthsvc")[0] for name in DEPTHSVC["build"]["args"])


def test_prometheus_asks_every_instance() -> None:
    [job] = yaml.safe_load((DEPLOY / "prometheus/prometheus.yaml").read_text())["scrape_configs"]
    [discovery] = job["dns_sd_configs"]
    assert (discovery["names"], discovery["port"]) == (["depthsvc"], Settings.model_fields["port"].default)
    assert job.get("metrics_path", "/metrics") == "/metrics"


def test_prometheus_sends_alerts_to_alertmanager() -> None:
    [manager] = yaml.safe_load((DEPLOY / "prometheus/prometheus.yaml").read_text())["alerting"]["alertmanagers"]
    assert manager["static_configs"] == [{"targets": ["alertmanager:9093"]}]
    assert SERVICES["alertmanager"]["ports"] == ["127.0.0.1:9093:9093"]
    [option] = [each for each in SERVICES["alertmanager"]["command"] if each.startswith("--config.file=")]
    assert (DEPLOY / "prometheus" / Path(option).name).exists()


def nginx_configuration(tmp_path: Path) -> str:
    """What the container's command makes of nginx.conf."""
    making = SERVICES["nginx"]["command"][2].partition("&&")[0]
    script = making.replace("/tmp/", f"{tmp_path}/").replace("/etc/nginx/depthsvc.conf", str(ROOT / "nginx.conf"))
    subprocess.run(["sh", "-euc", script], check=True)
    return (tmp_path / "nginx.conf").read_text()


def test_nginx_sends_photos_to_every_instance(tmp_path: Path) -> None:
    text = nginx_configuration(tmp_path)
    assert re.findall(r"^\s*server\s+([\w.:]+)", text, re.MULTILINE) == ["depthsvc:7860"]
    assert "127.0.0.1:" not in text.partition("upstream")[2].partition("}")[0]
    assert re.search(r"listen\s+80\b", text)


def in_bytes(size: str) -> int:
    """A size of Compose or nginx."""
    return int(size[:-1]) << {"k": 10, "m": 20, "g": 30}[size[-1]]


def test_nginx_has_memory_for_all_its_connections_and_photos() -> None:
    text = (ROOT / "nginx.conf").read_text()

    def numbers(directive: str) -> list[str]:
        [found] = re.findall(rf"^\s*{directive} (.*);", text, re.MULTILINE)
        return str(found).split()

    [processes], [connections] = numbers("worker_processes"), numbers("worker_connections")
    [body], (count, answer) = numbers("client_body_buffer_size"), numbers("proxy_buffers")
    buffers = int(processes) * int(connections) * (in_bytes(body) + int(count) * in_bytes(answer))
    sizes = dict(mount.split(":size=") for mount in SERVICES["nginx"]["tmpfs"])
    assert set(sizes) == {"/tmp", "/run", "/var/cache/nginx"}
    assert buffers + sum(map(in_bytes, sizes.values())) < in_bytes(SERVICES["nginx"]["mem_limit"])


def test_nginx_takes_the_configuration(tmp_path: Path) -> None:
    nginx = needed("nginx")
    text = nginx_configuration(tmp_path).replace("depthsvc:7860", "127.0.0.1:7860")  # there is no such name here
    (tmp_path / "nginx.conf").write_text(text)
    checked(nginx, "-t", "-c", tmp_path / "nginx.conf", "-g", f"pid {tmp_path}/nginx.pid;")
