"""`fhir-server load`: Bundles and NDJSON into the database, in parallel, beside a running server or without one."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Annotated, Literal

import structlog
import typer

from fhir_server.cli.database import await_database
from fhir_server.cli.loading.interruption import Interruption
from fhir_server.cli.loading.pool import Pool, phases
from fhir_server.cli.loading.report import Display, Tally, summarize
from fhir_server.cli.loading.sources import Source, find_sources
from fhir_server.cli.loading.store import marker_of
from fhir_server.cli.options import DataDir, refuse, settings_with
from fhir_server.config import Settings
from fhir_server.storage.embedded import database_uri

_INTERRUPTED = 130


def load(
    paths: Annotated[list[Path], typer.Argument(help="Files or directories: .json, .ndjson, .jsonl, plain or .gz.")],
    if_none_exist: Annotated[
        Literal["identifier"] | None,
        typer.Option(help="Do not add a resource when there is one with its identifier already."),
    ] = None,
    workers: Annotated[int, typer.Option(min=1, help="Processes that load.")] = 2,
    restart: Annotated[bool, typer.Option("--restart", help="Forget how far an interrupted load came.")] = False,
    data_dir: DataDir = None,
) -> None:
    """Load Bundles and NDJSON; an interrupted load goes on where it stopped. Exit code 1 when anything was refused."""
    settings = settings_with(data_dir=data_dir)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger("error"))  # the report is enough
    try:
        sources = find_sources(paths)
    except FileNotFoundError as missing:
        raise refuse(f"there is no file or directory {missing}.") from None
    if not sources:
        raise refuse("there is nothing to load: no .json, .ndjson or .jsonl file, plain or .gz.")
    try:
        tally, seconds = _run(settings, sources, workers, restart, if_none_exist is not None)
    except KeyboardInterrupt:  # before anything was loaded, or the second one: nothing is half
        raise typer.Exit(_INTERRUPTED) from None
    summarize(tally, seconds)
    if tally.interrupted:
        raise typer.Exit(_INTERRUPTED)
    raise typer.Exit(int(bool(tally.refused or tally.failures)))


def _run(
    settings: Settings, sources: list[Source], workers: int, restart: bool, if_none_exist: bool
) -> tuple[Tally, float]:
    """What came of the load, and the seconds that it took."""
    # From here on Ctrl-C is heeded where we look: raised anywhere, the driver may swallow it.
    with Interruption() as interruption, database_uri(settings) as uri:
        await_database(uri, interrupted=lambda: interruption.noted)
        settings = settings.model_copy(update={"mongodb_uri": uri})
        if restart:
            asyncio.run(_forget(settings, sources, if_none_exist))
        began = time.monotonic()
        tally = _load(settings, sources, workers, if_none_exist, interruption)
        if tally.complete:
            # Not to be interrupted: a file without its marker would be loaded once more.
            asyncio.run(_forget(settings, sources, if_none_exist))
    return tally, time.monotonic() - began


def _load(
    settings: Settings, sources: list[Source], workers: int, if_none_exist: bool, interruption: Interruption
) -> Tally:
    tally = Tally()
    with (
        Display(len(sources), sum(source.size for source in sources)) as display,
        Pool(settings, min(workers, len(sources)), if_none_exist) as pool,
    ):
        for phase in phases(sources):
            if tally.complete:
                pool.load(phase, tally, display.show, interruption)
    return tally


async def _forget(settings: Settings, sources: list[Source], if_none_exist: bool) -> None:
    """Remove the markers: what is complete and asked for again is loaded again."""
    from fhir_server.main import running  # not at the top: every other command would wait for it

    async with running(settings) as server:
        for source in sources:
            await server.clear_markers(marker_of(source, if_none_exist))
