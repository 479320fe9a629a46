"""What `serve` says once the server answers: where everything is, and who may come in."""

from __future__ import annotations

import http.client
import os
import subprocess
import sys
import threading

import typer

from fhir_server import __version__
from fhir_server.cli._sign_ins import SIGN_INS, read_sign_ins
from fhir_server.config import Settings
from fhir_server.storage.embedded import is_private


def greet(settings: Settings, database_version: str, demo: bool, ended: threading.Event) -> None:
    """Wait until the server answers, load the demo if asked to, and print the banner; gives up when `ended`."""
    while not _answers(settings):
        if ended.wait(0.05):
            return
    if demo:
        demo_command = [sys.executable, "-m", "fhir_server.cli", "demo", "--if-empty", "--today"]
        subprocess.run(demo_command, stdin=subprocess.DEVNULL, env=os.environ | _like(settings))
    if not ended.is_set():
        typer.echo(banner(settings, database_version))


def banner(settings: Settings, database_version: str) -> str:
    """The text of the welcome."""
    host = _reachable(settings.host)
    root = f"http://{f'[{host}]' if ':' in host else host}:{settings.port}"
    database = f"MongoDB {database_version}"
    if is_private(settings.mongodb_uri or ""):
        database += f", private, in {settings.data_dir.resolve()}"
    sign_in = "NO SIGN-IN (open mode): whoever reaches this address reads and changes everything"
    return f"""
  fhir-server {__version__} is ready

  Landing page  {root}/
  Views         {root}/app
  FHIR R4 base  {settings.base_url or f"{root}/fhir"}
  Capabilities  {root}/fhir/metadata
  API docs      {root}/docs
  Database      {database}
  Workers       {settings.workers}
  Sign-in       {sign_in if settings.open else f"SMART on FHIR, {root}/auth/login"}
{_demo_sign_ins(settings)}
  Ctrl-C stops it.
"""


def _demo_sign_ins(settings: Settings) -> str:
    """The demo clinic's people and their passwords, where there are any."""
    passwords = {} if settings.open else read_sign_ins(settings.data_dir)
    known = [one for one in SIGN_INS if one.login in passwords]
    lines = [f"    {one.login:<14} {passwords[one.login]:<18} {one.name}, {one.role}" for one in known]
    return "\n  Demo sign-ins (user, password)\n" + "\n".join(lines) + "\n" if lines else ""


def _like(settings: Settings) -> dict[str, str]:
    """What a command needs to know of the settings that `serve` was given as options."""
    return {"FHIR_OPEN": str(settings.open).lower(), "FHIR_DATA_DIR": str(settings.data_dir)}


def _answers(settings: Settings) -> bool:
    connection = http.client.HTTPConnection(_reachable(settings.host), settings.port, timeout=5)
    try:
        connection.request("GET", "/health/live")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _reachable(host: str) -> str:
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
