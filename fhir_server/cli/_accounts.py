"""What the commands about users, clients, tokens and keys share: the authorization server on its database."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, TypeVar

import structlog
from pymongo.errors import PyMongoError

from fhir_server.cli.database import await_database
from fhir_server.cli.options import refuse
from fhir_server.config import Settings
from fhir_server.outcomes import FhirError
from fhir_server.storage.embedded import database_uri

if TYPE_CHECKING:
    from fhir_server.main import Server
    from smart_auth.grant import Grant
    from smart_auth.service import SmartAuth

T = TypeVar("T")


def with_accounts(settings: Settings, task: Callable[[SmartAuth, Server], Awaitable[T]]) -> T:
    """Run the task beside a running server or on its own; what it refuses ends the command in words."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger("error"))
    with database_uri(settings) as uri:
        await_database(uri)
        chosen = settings.model_copy(update={"mongodb_uri": uri, "open": False})

        async def run() -> T:
            async with _accounts(chosen) as (auth, server):
                return await task(auth, server)

        try:
            return asyncio.run(run())
        except (FhirError, ValueError, LookupError, RuntimeError) as wrong:
            raise refuse(str(wrong)) from None
        except PyMongoError as wrong:
            raise refuse(f"the database failed ({type(wrong).__name__}); try again.") from None


@asynccontextmanager
async def _accounts(settings: Settings) -> AsyncIterator[tuple[SmartAuth, Server]]:
    from fhir_server.main import running  # not at the top: every other command would wait for it
    from smart_auth.service import SmartAuth

    async with running(settings) as server:
        auth = SmartAuth(settings, server.database, server.repository)
        await auth.prepare()
        yield auth, server


async def record(server: Server, settings: Settings, command: str, what: str, grant: Grant | None = None) -> None:
    """Put what a command did into the audit trail; return once it is durable."""
    from fhir_server.audit.entry import Agent, Entry, now
    from fhir_server.audit.trail import Trail

    if not settings.audit:
        return
    agent, patient = Agent.of(f"fhir-server {command}"), ""
    if grant is not None:
        agent = Agent.of(agent.name, user=grant.fhir_user, client=grant.client, grant=grant.id)
        patient = grant.context.get("patient", "")
    entry = Entry(now(), command, "E", 200, agent, query=what, patients=(f"Patient/{patient}",) if patient else ())
    clock = server.repository.flusher.clock
    processes = server.repository.parameters.processes
    trail = Trail(
        server.database,
        settings.data_dir,
        alive=processes.alive,
        now=clock.now,
        key_file=settings.audit_key_file,
        wait=True,  # the spool in the data directory is the running server's
    )
    await trail.start()
    try:
        await trail.record([entry])
    finally:
        await trail.stop()
