"""`fhir-server doctor`: is everything there that a server needs, and what to do where it is not."""

from __future__ import annotations

from itertools import chain
from typing import Annotated

import structlog
import typer
from rich.console import Console
from rich.text import Text

from fhir_server.cli.checks import access, database, machine
from fhir_server.cli.checks.finding import Level
from fhir_server.cli.options import DataDir, settings_with

_STYLE = {Level.OK: "green", Level.WARN: "yellow", Level.FAIL: "bold red"}


def doctor(
    data_dir: DataDir = None,
    port: Annotated[int | None, typer.Option(help="The server's port.", show_default="8080")] = None,
) -> None:
    """Check the machine, the configuration and the database; exit code 1 when something would keep a server down."""
    settings = settings_with(data_dir=data_dir, port=port)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger("error"))  # the findings are enough
    console = Console(highlight=False, soft_wrap=True)
    failed = False
    for finding in chain(machine.examine(settings), access.examine(settings), database.examine(settings)):
        failed |= finding.level is Level.FAIL
        console.print(Text(f"{finding.level.name:<5}", _STYLE[finding.level]) + f"{finding.subject:<15} {finding.text}")
        for line in finding.advice.splitlines():
            console.print(Text(f"     {line}"))
    raise typer.Exit(int(failed))
