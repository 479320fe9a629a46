"""`fhir-server load`: Bundles and NDJSON into the database, in parallel, beside a running server."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Annotated

import structlog
import typer

from fhir_server.cli.loading.pool import Pool, phases
from fhir_server.cli.loading.report import Display, Tally, summarize
from fhir_server.cli.loading.sources import Source, find_sources
from fhir_server.cli.loading.store import marker_of
from fhir_server.cli.options import DataDir, refuse, settings_with
from fhir_server.config import Settings
from fhir_server.storage.embedded import database_uri


def load(
    paths: Annotated[list[Path], typer.Argument(help="Bundles or NDJSON, plain or .gz; folders are searched.")],
    if_none_exist: Annotated[
        str | None,
        typer.Option(help="`identifier`: create a resource only if none has its identifier."),
    ] = None,
    workers: Annotated[int, typer.Option(min=1, help="Processes that load.")] = 2,
    data_dir: DataDir = None,
) -> None:
    """Load files of resources; an interrupted load goes on where it stopped when it is started again."""
    if if_none_exist not in (None, "identifier"):
        raise refuse("--if-none-exist takes `identifier`.")
    try:
        sources = find_sources(paths)
    except (OSError, ValueError) as error:
        raise refuse(str(error)) from None
    settings = settings_with(data_dir=data_dir)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger("error"))
    started = time.monotonic()
    with database_uri(settings) as uri:
        chosen = settings.model_copy(update={"mongodb_uri": uri})
        tally = _load(chosen, sources, workers, if_none_exist is not None)
        if tally.complete:
            asyncio.run(_forget(chosen, sources, if_none_exist is not None))
    summarize(tally, time.monotonic() - started)
    if tally.refused or not tally.complete:
        raise typer.Exit(1)


def _load(settings: Settings, sources: list[Source], workers: int, if_none_exist: bool) -> Tally:
    tally = Tally()
    size = sum(source.size for source in sources)
    try:
        with Display(len(sources), size) as display, Pool(settings, workers, if_none_exist) as pool:
            for phase in phases(sources):
                pool.load(phase, tally, display.show)
    except KeyboardInterrupt:
        tally.interrupted = True
    return tally


async def _forget(settings: Settings, sources: list[Source], if_none_exist: bool) -> None:
    """A complete load leaves no markers, so that the same command loads everything again."""
    from fhir_server.main import running  # not at the top: every other command would wait for it

    async with running(settings) as server:
        for source in sources:
            await server.clear_markers(marker_of(source, if_none_exist))
