"""The container files are valid and keep their promises; no engine is needed."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    return loaded


def test_a_compose_validator_accepts_it() -> None:
    if validator := shutil.which("docker-compose"):
        call = [validator]
    elif _has_plugin():
        call = ["docker", "compose"]
    else:
        pytest.skip("neither docker-compose nor docker's compose plugin is installed")
    checked = subprocess.run(
        [*call, "-f", "docker-compose.yml", "--profile", "redis", "config"], cwd=ROOT, capture_output=True, text=True
    )
    assert checked.returncode == 0, checked.stderr


def _has_plugin() -> bool:
    docker = shutil.which("docker")
    return docker is not None and subprocess.run([docker, "compose", "version"], capture_output=True).returncode == 0


def test_every_reference_has_its_target(compose: dict[str, Any]) -> None:
    for name, service in compose["services"].items():
        assert "image" in service or "build" in service, name
        assert set(service.get("networks", [])) <= set(compose["networks"])
        assert set(service.get("depends_on", {})) <= set(compose["services"])
        for volume in service.get("volumes", []):
            assert volume.split(":")[0] in compose["volumes"]


def test_nothing_is_published_beyond_loopback(compose: dict[str, Any]) -> None:
    published = {name: s["ports"] for name, s in compose["services"].items() if "ports" in s}
    assert published.keys() == {"server"}
    assert all(port.startswith("127.0.0.1:") for port in published["server"])
    assert compose["networks"]["inside"]["internal"] is True


def test_no_secret_has_a_default() -> None:
    text = (ROOT / "docker-compose.yml").read_text() + (ROOT / "Dockerfile").read_text()
    assert not re.findall(r"(?im)^.*(?:password|secret|token|api_?key)\w*\s*[:=].*$", text)


def test_the_image_does_not_run_as_root() -> None:
    lines = (ROOT / "Dockerfile").read_text().splitlines()
    last = max(number for number, line in enumerate(lines) if line.startswith("FROM"))
    assert "USER fhir" in lines[last:]
    assert any(line.startswith("HEALTHCHECK") for line in lines[last:])


def test_the_image_has_every_package_of_the_project() -> None:
    copied = set(re.findall(r"^COPY (\w+) \1$", (ROOT / "Dockerfile").read_text(), re.MULTILINE))
    assert copied == {
        "fhir_server",
        "smart_auth",
        "subscriptions",
        "realtime",
        "workflow",
        "extensions",
        "ig",
        "web_views",
    }
