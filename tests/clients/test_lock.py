"""The JavaScript clients are pinned, and no registry is named."""

from __future__ import annotations

import json
from pathlib import Path

HERE = Path(__file__).parent


def test_the_lock_pins_everything_and_names_no_registry() -> None:
    text = (HERE / "package-lock.json").read_text()
    packages = {path: one for path, one in json.loads(text)["packages"].items() if path}
    assert packages
    assert all(one["version"] and one["integrity"].startswith("sha512-") for one in packages.values())
    assert '"resolved"' not in text


def test_versions_are_exact() -> None:
    wanted = json.loads((HERE / "package.json").read_text())["dependencies"]
    assert set(wanted) == {"fhirclient", "fhir-kit-client", "jose", "openid-client", "socket.io-client"}
    assert all(version[0].isdigit() for version in wanted.values())
