"""The `fhir-server` command. A module of this package that has a function of its own name is a command.

`load.py` with a function `load` is `fhir-server load`; its parameters are Typer's, its docstring is the help.
"""

from __future__ import annotations

import importlib
import pkgutil
import sys

import typer

from fhir_server import __version__


def main() -> None:
    """Run the command line; expected failures are said in words on standard error, with exit code 1."""
    from fhir_server.outcomes import FhirError
    from fhir_server.storage.mongod import MongodUnavailable

    try:
        commands()()
    except (MongodUnavailable, FhirError) as failure:
        sys.exit(f"fhir-server: {failure}")


def commands() -> typer.Typer:
    """The application with every command that is present."""
    app = typer.Typer(
        name="fhir-server", no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, callback=_common
    )
    for found in pkgutil.iter_modules(__path__):
        if not found.name.startswith("_"):
            module = importlib.import_module(f"{__name__}.{found.name}")
            command = getattr(module, found.name, None)
            if callable(command):
                app.command(found.name.replace("_", "-"))(command)
    return app


def _common(
    version: bool = typer.Option(False, "--version", help="Show the version and end.", is_eager=True),
) -> None:
    """A FHIR R4 server on MongoDB."""
    if version:
        typer.echo(f"fhir-server {__version__}")
        raise typer.Exit
