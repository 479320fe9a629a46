"""`fhir-server package`: FHIR packages (implementation guides) into the database, beside a running server or not."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import structlog
import typer

from fhir_server.cli.database import await_database
from fhir_server.cli.options import DataDir, refuse, settings_with
from fhir_server.config import Settings
from fhir_server.outcomes import FhirError
from fhir_server.packages.install import install_file, remove
from fhir_server.packages.records import INSTALLED, Record, Records
from fhir_server.packages.report import Report
from fhir_server.storage.embedded import database_uri

if TYPE_CHECKING:
    from fhir_server.main import Server


def package(
    action: Annotated[Literal["install", "list", "remove"], typer.Argument(help="What to do.")],
    what: Annotated[
        list[str] | None, typer.Argument(help="install: .tgz files or folders. remove: names of packages.")
    ] = None,
    examples: Annotated[bool, typer.Option("--examples", help="Load the packages' examples, too.")] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Install nothing of a package that has an error.")] = False,
    repair: Annotated[
        bool, typer.Option("--repair", help="Write again what was changed or deleted since it was installed.")
    ] = False,
    data_dir: DataDir = None,
) -> None:
    """Install, list or remove FHIR packages: their profiles, value sets, search parameters and other definitions."""
    names = what or []
    if action != "list" and not names:
        raise refuse("name the files to install." if action == "install" else "name the packages to remove.")
    settings = settings_with(data_dir=data_dir)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger("error"))  # the report is enough
    with database_uri(settings) as uri:
        await_database(uri)
        settings = settings.model_copy(update={"mongodb_uri": uri})
        if action == "install":
            asyncio.run(_install(settings, [Path(name) for name in names], examples, strict, repair))
        elif action == "remove":
            asyncio.run(_remove(settings, names))
        else:
            asyncio.run(_list(settings))


async def _install(settings: Settings, paths: list[Path], examples: bool, strict: bool, repair: bool) -> None:
    from fhir_server.main import running  # not at the top: every other command would wait for it

    failed = False
    async with running(settings) as server:
        for path in paths:
            try:
                report = await install_file(
                    server.context(), server.database, path, examples=examples, strict=strict, repair=repair
                )
            except FhirError as error:
                failed = True
                for issue in error.issues:
                    typer.echo(f"fhir-server: {path.name}: {issue.diagnostics}", err=True)
            except OSError as error:
                failed = True
                typer.echo(f"fhir-server: {path}: it cannot be read ({type(error).__name__}).", err=True)
            else:
                _show(report)
    if failed:
        raise typer.Exit(1)


def _show(report: Report) -> None:
    for refusal in report.refused:
        for reason in refusal.reasons:
            typer.echo(f"refused {report.name}, {refusal.path}: {reason}", err=True)
    for line in report.lines():
        typer.echo(line)


async def _remove(settings: Settings, names: list[str]) -> None:
    from fhir_server.main import running

    async with running(settings) as server:
        for name in names:
            count = await remove(server.context(), server.database, name)
            typer.echo(f"{name} removed: {count:,} resources deleted.")


async def _list(settings: Settings) -> None:
    from fhir_server.main import running

    async with running(settings) as server:
        records = await _records(server)
    for record in records:
        state = "" if record.state == INSTALLED else f", {record.state}: run the same command again"
        typer.echo(
            f"{record.name} {record.version}: {len(record.resources):,} resources{state}  {record.title}".rstrip()
        )
    if not records:
        typer.echo("No packages are installed.")


async def _records(server: Server) -> list[Record]:
    return await Records(server.database).all()
