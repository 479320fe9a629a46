"""`fhir-server reindex`: search keys computed anew, beside a running server."""

from __future__ import annotations

import asyncio

import structlog
import typer

from fhir_server.cli.options import DataDir, settings_with
from fhir_server.config import Settings
from fhir_server.storage.embedded import database_uri


def reindex(data_dir: DataDir = None) -> None:
    """Compute the search keys of every resource anew; an interrupted run goes on where it stopped."""
    settings = settings_with(data_dir=data_dir)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger("error"))
    with database_uri(settings) as uri:
        changed = asyncio.run(_reindex(settings.model_copy(update={"mongodb_uri": uri})))
    typer.echo(f"Reindexed: {changed:,} resources had keys out of date.")


async def _reindex(settings: Settings) -> int:
    from fhir_server.main import running

    def progress(done: int, total: int) -> None:
        typer.echo(f"{done:,} of {total:,}")

    async with running(settings) as server:
        return await server.reindex(progress)
