"""`fhir-server --version`."""

from __future__ import annotations

from fhir_server import __version__
from tests.cli.here import here


def test_the_version_is_said_without_a_command() -> None:
    said = here("--version")
    assert (said.returncode, said.stdout) == (0, f"fhir-server {__version__}\n")
