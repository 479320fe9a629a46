"""The module that browsers run is built from its source, by pinned tools, and served by the server."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import httpx
import pytest

import web_views
from tests.clients.node import missing
from tests.workflows.clinic import SECONDS, Clinic

SOURCE = Path(web_views.__file__).parent / "end_to_end"
BUILT = web_views.STATIC / "end-to-end.js"


def run(*command: str) -> str:
    """What node says of a script of the source folder, which must succeed."""
    node = shutil.which("node")
    if node is None or not (SOURCE / "node_modules" / ".package-lock.json").exists():
        missing("node, or what web_views/end_to_end needs, is not here: make dev")
    done = subprocess.run([node, *command], cwd=SOURCE, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_committed_module_is_what_the_source_makes(tmp_path: Path) -> None:
    run("build.mjs", str(tmp_path / "built.js"))
    assert (tmp_path / "built.js").read_bytes() == BUILT.read_bytes(), "make views"


def test_its_types_are_right() -> None:
    run("node_modules/typescript/bin/tsc", "--noEmit")


def test_another_source_makes_another_module(tmp_path: Path) -> None:
    """The comparison can fail."""
    run("--version")
    copy = tmp_path / "end_to_end"
    shutil.copytree(SOURCE, copy, ignore=shutil.ignore_patterns("node_modules"))
    (copy / "node_modules").symlink_to(SOURCE / "node_modules")
    (copy / "keys.ts").write_text((copy / "keys.ts").read_text().replace("false, [", "true, ["))
    run(str(copy / "build.mjs"), str(tmp_path / "built.js"))
    assert (tmp_path / "built.js").read_bytes() != BUILT.read_bytes()


def test_the_licence_of_what_is_in_it_is_in_it() -> None:
    assert "Permission is hereby granted" in BUILT.read_text()


def test_the_lock_pins_everything_and_names_no_registry() -> None:
    text = (SOURCE / "package-lock.json").read_text()
    packages = {path: one for path, one in json.loads(text)["packages"].items() if path}
    assert packages
    assert all(one["version"] and one["integrity"].startswith("sha512-") for one in packages.values())
    assert '"resolved"' not in text
    wanted = json.loads((SOURCE / "package.json").read_text())
    versions = {**wanted["dependencies"], **wanted["devDependencies"]}
    assert set(versions) == {"jose", "esbuild", "typescript"}
    assert all(version[0].isdigit() for version in versions.values())


@pytest.mark.row("A-8")
async def test_the_server_serves_it(clinic: Clinic) -> None:
    async with httpx.AsyncClient(timeout=SECONDS) as http:
        answer = await http.get(f"{clinic.issuer}/views/end-to-end.js")
    assert answer.status_code == 200
    assert "javascript" in answer.headers["content-type"]
    assert answer.content == BUILT.read_bytes()
