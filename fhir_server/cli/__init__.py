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
        commands(*sys.argv[1:2])()
    except (MongodUnavailable, FhirError) as failure:
        sys.exit(f"fhir-server: {failure}")


def commands(wanted: str = "") -> typer.Typer:
    """The application with every command that is present, or with the wanted one alone, which starts sooner."""
    app = typer.Typer(
        name="fhir-server", no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, callback=_common
    )
    present = {name.replace("_", "-"): name for _, name, _ in pkgutil.iter_modules(__path__) if name[0] != "_"}
    for shown in [wanted] if wanted in present else present:
        module = importlib.import_module(f"{__name__}.{present[shown]}")
        command = getattr(module, present[shown], None)
        if callable(command):
            app.command(shown)(command)
    return app


def _told(wanted: bool) -> None:
    if wanted:
        typer.echo(f"fhir-server {__version__}")
        raise typer.Exit


def _common(
    version: bool = typer.Option(False, "--version", help="Show the version and end.", callback=_told, is_eager=True),
) -> None:
    """A FHIR R4 server on MongoDB."""
