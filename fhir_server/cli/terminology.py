"""`fhir-server terminology`: LOINC, SNOMED CT and other large code systems: load them, list them, remove them."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Literal

import structlog
import typer
from pymongo.errors import PyMongoError
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.table import Table

from fhir_server.cli.database import await_database
from fhir_server.cli.options import DataDir, refuse, settings_with
from fhir_server.config import Settings
from fhir_server.context import FhirRequest
from fhir_server.outcomes import Gone, NotFound
from fhir_server.storage.embedded import database_uri

if TYPE_CHECKING:
    from fhir_server.main import Server
    from fhir_server.terminology.loaders import Release

_INTERRUPTED = 130
_WIDE = 1000

Version = Annotated[str, typer.Option("--version", help="load: of a release that does not tell. remove: which one.")]
Language = Annotated[
    list[str] | None,
    typer.Option(help="SNOMED CT: of the displays, e.g. en-GB or es. LOINC: of the translations to load (may repeat)."),
]


def terminology(
    action: Annotated[Literal["load", "list", "remove"], typer.Argument(help="What to do.")],
    what: Annotated[str, typer.Argument(help="load: a file or folder. remove: the URL of a code system.")] = "",
    version: Version = "",
    language: Language = None,
    restart: Annotated[bool, typer.Option("--restart", help="Forget how far an interrupted load came.")] = False,
    data_dir: DataDir = None,
) -> None:
    """Load a LOINC or SNOMED CT release (zip or folder) or a large CodeSystem (JSON, NDJSON); list; remove."""
    settings = settings_with(data_dir=data_dir)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger("error"))  # what is said here is enough
    if action != "list" and not what:
        raise refuse(f"say what to {action}: `fhir-server terminology {action} …`.")
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        if action == "load":
            release = _opened(Path(what), version, tuple(language or ()))
            _with(settings, lambda server: _load(server, release, restart))
        elif action == "remove":
            _with(settings, lambda server: _remove(server, what, version))
        else:
            _with(settings, _list)
    except PyMongoError as error:
        raise refuse(
            f"the database failed ({type(error).__name__}). The same command again goes on where it stopped."
        ) from None
    except KeyboardInterrupt:
        typer.echo("It was interrupted. The same command again goes on where it stopped.", err=True)
        raise typer.Exit(_INTERRUPTED) from None


def _interrupt(_: int, __: FrameType | None) -> None:
    raise KeyboardInterrupt


def _opened(path: Path, version: str, languages: tuple[str, ...]) -> Release:
    from fhir_server.terminology.loaders import BadRelease, Options, open_release

    typer.echo(f"Looking at {path} …", err=True)
    try:
        return open_release(path, Options(version, next(iter(languages), ""), languages))
    except BadRelease as wrong:
        raise refuse(str(wrong)) from None
    except OSError as error:
        raise refuse(f"{path} cannot be read: {os.strerror(error.errno or 0)}.") from None


def _with(settings: Settings, work: Callable[[Server], Awaitable[None]]) -> None:
    """Do it with a server's parts on the database, beside running servers."""
    from fhir_server.main import running  # not at the top: every other command would wait for it

    async def run(uri: str) -> None:
        async with running(settings.model_copy(update={"mongodb_uri": uri})) as server:
            await work(server)

    with database_uri(settings) as uri:
        await_database(uri)
        asyncio.run(run(uri))


# ---- load ------------------------------------------------------------------------------------------------


async def _load(server: Server, release: Release, restart: bool) -> None:
    from fhir_server.terminology.loaders import BadRelease
    from fhir_server.terminology.loaders.records import records
    from fhir_server.terminology.loaders.store import store

    system, version = release.resource["url"], release.resource.get("version", "")
    name = f"{system}|{version}" if version else system
    for held in await records(server.database, system, version):
        if held.ready and held.source == release.fingerprint and not restart:
            typer.echo(f"{name} is loaded already: {held.count:,} concepts. Nothing was done.")
            return
    display = _Display()
    base_url = server.context().base_url
    try:
        with display:
            count = await store(server.repository, release, base_url=base_url, report=display.show, restart=restart)
    except BadRelease as wrong:
        raise refuse(str(wrong)) from None
    typer.echo(f"{name}: {count:,} concepts are loaded.")


class _Display:
    """A progress bar on a terminal, a line for each tenth elsewhere; on standard error."""

    def __init__(self) -> None:
        self._console = Console(stderr=True, highlight=False, soft_wrap=True)
        text = TextColumn("{task.description}", markup=False)
        columns = (text, BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
        self._bar = Progress(*columns, console=self._console, disable=not self._console.is_terminal)
        self._task = self._bar.add_task("Loading", total=1)
        self._told: tuple[str, int] = ("", -1)

    def __enter__(self) -> _Display:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def show(self, what: str, done: int, total: int) -> None:
        """Say how far something is."""
        self._bar.update(self._task, description=what, completed=done, total=max(total, 1))
        told = what, 10 * done // max(total, 1)
        if not self._console.is_terminal and told != self._told:
            self._told = told
            self._console.print(f"{what}: {min(10 * told[1], 100)} %", markup=False)


# ---- list, remove ----------------------------------------------------------------------------------------


async def _list(server: Server) -> None:
    from fhir_server.terminology.loaders.records import records

    loads = await records(server.database)
    if not loads:
        typer.echo("No large code system is loaded.")
        return
    table = Table("System", "Version", "Concepts", "Loaded", box=None, pad_edge=False)
    table.columns[2].justify = "right"
    table.columns[1].overflow = "fold"
    for one in loads:
        count = f"{one.count:,}" if one.ready else "unfinished"
        table.add_row(*map(escape, (one.url, one.version, count, f"{one.started:%Y-%m-%d %H:%M} UTC")))
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = _WIDE  # a line for each, whatever reads them
    console.print(table)


async def _remove(server: Server, system: str, version: str) -> None:
    from fhir_server.terminology.loaders.records import records, remove

    system, _, within = system.partition("|")
    version = version or within
    loads = await records(server.database, system, version or None)
    versions = sorted({one.version for one in loads})
    if not loads:
        raise refuse(f"{system} {version} is not loaded; `fhir-server terminology list` says what is.")
    if len(versions) > 1:
        raise refuse(f"several versions of {system} are loaded; say one with --version: {', '.join(versions)}.")
    for one in loads:
        if one.ready:
            await _delete(server, one.key)  # first, as on the resource it is decided what is there
        await remove(server.database, one)
    typer.echo(f"{system} {versions[0]} was removed.")


async def _delete(server: Server, key: str) -> None:
    ctx = server.context()
    with suppress(NotFound, Gone):  # an earlier attempt came so far
        await ctx.dispatch(ctx, FhirRequest("DELETE", key))
