"""Runs SUSHI, pinned by package-lock.json, in a folder of its own and without a network."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

HERE = Path(__file__).parent
NOWHERE = "http://127.0.0.1:9"  # the discard port: whatever would be fetched is refused at once


class Unavailable(Exception):
    """Something that compiling needs is not on this machine; the text says what."""


def compile_guide(guide: Path, work: Path) -> Path:
    """Compile `guide`; the folder of the compiled resources. Raises Unavailable, also when SUSHI found errors."""
    node = shutil.which("node")
    if node is None:
        raise Unavailable("node is needed to compile the guide (the server itself runs without)")
    app = _installed(work)
    out = work / "out"
    shutil.rmtree(out, ignore_errors=True)
    command = [*_isolation(), node, str(app), "build", "--log-level", "warn", "--out", str(out), str(guide)]
    if subprocess.run(command, env=_offline(work / "home"), check=False).returncode:
        raise Unavailable("SUSHI found errors; they are listed above")
    return out / "fsh-generated" / "resources"


def _installed(work: Path) -> Path:
    """SUSHI's entry point; npm fetches what the lock file names when it is not there yet."""
    folder = work / "sushi"
    app = folder / "node_modules" / "fsh-sushi" / "dist" / "app.js"
    lock = HERE / "package-lock.json"
    if app.exists() and (folder / lock.name).read_bytes() == lock.read_bytes():
        return app
    if (npm := shutil.which("npm")) is None:
        raise Unavailable("npm is needed to install SUSHI")
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("package.json", lock.name):
        shutil.copy(HERE / name, folder)
    if subprocess.run([npm, "ci", "--no-audit", "--no-fund", "--ignore-scripts"], cwd=folder, check=False).returncode:
        raise Unavailable("npm could not install SUSHI")
    return app


def _offline(home: Path) -> dict[str, str]:
    """The environment of the call: its own home, and every way out leads nowhere."""
    proxies = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"), NOWHERE)
    registries = {"FPL_REGISTRY": NOWHERE, "npm_config_registry": NOWHERE, "npm_config_fetch_retries": "0"}
    return {"PATH": "", "HOME": str(home), **proxies, **registries}


def _isolation() -> list[str]:
    """A network namespace without any interface where the system allows it (Linux), to prove the point."""
    unshare = shutil.which("unshare")
    prefix = [unshare, "--map-root-user", "--net"] if unshare else []
    if prefix and subprocess.run([*prefix, "true"], capture_output=True, check=False).returncode == 0:
        return prefix
    return []
