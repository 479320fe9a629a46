"""The clinic's back office: registers apps and people, and opens launches, from a process beside the server's."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, TypeVar

from fhir_server.config import Settings
from fhir_server.context import FhirRequest
from fhir_server.json import decode, encode
from smart_auth.clients import Client
from smart_auth.service import SmartAuth
from smart_auth.users import User
from tests.clients import world

T = TypeVar("T")


class Office:
    """Runs what it is given in a thread with an event loop of its own, where the browser's does not disturb it."""

    def __init__(self, loop: asyncio.AbstractEventLoop, auth: SmartAuth) -> None:
        self._loop = loop
        self._auth = auth

    def do(self, work: Callable[[SmartAuth], Coroutine[Any, Any, T]]) -> T:
        """What `work` answers: `office.do(lambda auth: auth.users.get("dora"))`."""
        return asyncio.run_coroutine_threadsafe(work(self._auth), self._loop).result(60)

    def register(self, **fields: Any) -> Client:
        """Register an app or service."""
        return self.do(lambda auth: auth.clients.add(Client(**fields)))

    def launch(self, context: dict[str, Any], client: str) -> str:
        """What an EHR hands to an app that the doctor opens with this context."""
        return self.do(lambda auth: auth.launches.mint(context, client, world.DORA))


@contextmanager
def open_office(settings: Settings) -> Iterator[Office]:
    """An office on the database of `settings`, with the clinic's data and people in it, until the block ends."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    def run(work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, loop).result(120)

    opened = _opened(settings)
    try:
        yield Office(loop, run(_enter(opened)))
    finally:
        run(_leave(opened))
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def _enter(opened: Any) -> SmartAuth:
    auth: SmartAuth = await opened.__aenter__()
    return auth


async def _leave(opened: Any) -> None:
    await opened.__aexit__(None, None, None)


@asynccontextmanager
async def _opened(settings: Settings) -> AsyncIterator[SmartAuth]:
    from fhir_server.main import running

    async with running(settings) as server:
        context = server.context()
        bundle = decode(encode(world.transaction()))
        await context.dispatch(context, FhirRequest("POST", "", body=bundle))
        auth = SmartAuth(settings, server.database, server.repository)
        await auth.prepare()
        dora = User("dora", "Dora Dale", "dora@clinic.example", fhir_user=world.DORA, roles=("doctor",), verified=True)
        ann = User("ann", "Ann Archer", "ann@home.example", fhir_user=world.ANN, roles=("patient",), verified=True)
        for user in (dora, ann):
            await auth.users.add(user, world.PASSWORDS[user.id])
        yield auth
