"""What the commands share: the options that choose a server's data, and settings made of them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError

from fhir_server.config import Settings

DataDir = Annotated[
    Path | None, typer.Option("--data-dir", help="The server's data directory.", show_default="FHIR_DATA_DIR or ./data")
]


def settings_with(**given: Any) -> Settings:
    """The environment's settings, with those given (not None) in their place; a wrong one ends the command in words."""
    try:
        return Settings(**{name: value for name, value in given.items() if value is not None})
    except ValidationError as wrong:
        lines = (f"FHIR_{'_'.join(map(str, e['loc'])).upper()}: {e['msg']}" for e in wrong.errors())
        raise refuse("Wrong configuration:\n  " + "\n  ".join(lines)) from None


def refuse(reason: str) -> typer.Exit:
    """Say on standard error why the command ends; `raise refuse("…")`."""
    typer.echo(f"fhir-server: {reason}", err=True)
    return typer.Exit(1)
