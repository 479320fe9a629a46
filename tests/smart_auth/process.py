"""What a server process has of the authorization server at runtime; run as a program, a process to stop and to kill."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from fhir_server.outcomes import FhirError
from fhir_server.search.registry import LAYOUT
from fhir_server.storage.clock import Clock
from fhir_server.storage.database import Database
from fhir_server.storage.processes import Processes
from fhir_server.storage.repository import Repository
from fhir_server.storage.unit_of_work import UnitOfWork, Write
from smart_auth import changes as leases
from smart_auth.authenticator import Authenticator
from smart_auth.changes import Changes
from smart_auth.clients import Client, Clients
from smart_auth.external import External
from smart_auth.grant import Grant, new_id
from smart_auth.tokens import Tokens
from smart_auth.users import User, Users

Json = dict[str, Any]
BASE = "http://127.0.0.1/fhir"


@dataclass
class Process:
    """One of several on a database."""

    database: Database
    repository: Repository
    processes: Processes
    changes: Changes
    tokens: Tokens
    users: Users
    clients: Clients
    authenticator: Authenticator

    async def put(self, *resources: Json) -> None:
        """Store these resources, together."""
        unit = UnitOfWork()
        for one in resources:
            write = Write("PUT", one["resourceType"], one["id"], one)
            write.find_by(BASE)
            write.prepare()
            unit.add(write)
        await self.repository.commit(unit)

    async def delete(self, type_: str, id_: str) -> None:
        unit = UnitOfWork()
        write = Write("DELETE", type_, id_, None)
        write.prepare()
        unit.add(write)
        await self.repository.commit(unit)

    async def add(self, login: str = "", fhir_user: str = "", roles: Iterable[str] = (), client: str = "app") -> None:
        """An account, and an app, that are not there yet."""
        if await self.clients.get(client) is None:
            await self.clients.add(Client(client, client, redirect_uris=("http://127.0.0.1/app",)))
        if login and await self.users.get(login) is None:
            await self.users.add(User(login, fhir_user=fhir_user, roles=tuple(roles)))

    async def header(self, scopes: str = "user/*.rs", *, seconds: int = 3600, **given: Any) -> bytes:
        """The Authorization header with a new token."""
        grant = Grant(new_id(), **{"client": "app", **given, "scopes": scopes})
        issued = await self.tokens.issue(grant, seconds=seconds)
        return f"Bearer {issued.access}".encode()

    async def status(self, header: bytes | None) -> int:
        """What a request with this header is answered."""
        try:
            if header is None or self.authenticator.cached(header) is None:
                await self.authenticator.authenticate(header, {})
        except FhirError as error:
            return error.status
        return 200


@asynccontextmanager
async def process(uri: str, prefix: str, *, external: External | None = None, role: str = "") -> AsyncIterator[Process]:
    """A process that the others count as alive."""
    database = Database(uri, prefix)
    try:
        await database.prepare()
        repository = Repository(database, Clock(), query_seconds=60, max_pending=1000)
        processes = Processes(database, LAYOUT)
        await processes.join()
        changes = Changes(database)
        tokens = Tokens(database, changes)
        users = Users(database, changes)
        clients = Clients(database, changes, tokens)
        for part in (tokens, users, clients):
            await part.prepare()
        repository.settle = changes.settle
        await changes.start()
        authenticator = Authenticator(
            changes, tokens, users, clients, repository, BASE, external=external, external_role=role
        )
        yield Process(database, repository, processes, changes, tokens, users, clients, authenticator)
        await changes.stop()
        await processes.leave()
    finally:
        await database.close()


async def _serve(uri: str, prefix: str, lease: float) -> None:
    """Answer each header that comes in with its status; the lease alone says when to look again."""
    leases.LEASE, leases.POLL = lease, 1000.0
    async with process(uri, prefix) as here:
        print("ready", flush=True)
        while line := await asyncio.to_thread(sys.stdin.buffer.readline):
            print(await here.status(line.strip()), flush=True)


if __name__ == "__main__":
    asyncio.run(_serve(sys.argv[1], sys.argv[2], float(sys.argv[3])))
