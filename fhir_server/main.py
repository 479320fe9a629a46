"""Composition root: settings, discovery, lifespan; nothing else."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, Protocol, TypeVar

import structlog
from starlette.staticfiles import StaticFiles

import extensions
import fhir_server.interactions
import fhir_server.operations
import ig
import smart_auth.operations
import subscriptions
import web_views
from fhir_server.access import Principal
from fhir_server.access.principal import SYSTEM
from fhir_server.access.roles import install
from fhir_server.audit.trail import Trail
from fhir_server.config import Settings
from fhir_server.config import settings as environment
from fhir_server.context import Context
from fhir_server.dispatch import dispatch
from fhir_server.encryption.master import master
from fhir_server.encryption.sensitive import declare
from fhir_server.outcomes import Unavailable
from fhir_server.packages.startup import install_configured
from fhir_server.registry import discover
from fhir_server.rest.app import FhirApp
from fhir_server.rest.site import site
from fhir_server.search.extract import extract, warm
from fhir_server.storage.clock import Clock
from fhir_server.storage.database import Database
from fhir_server.storage.reindex import Reindexer
from fhir_server.storage.repository import Repository
from fhir_server.validation import Answers, Level, Validator
from realtime.service import Realtime
from smart_auth.origins import Origins
from smart_auth.routes import routes
from smart_auth.service import SmartAuth
from subscriptions.rights import Everybody
from subscriptions.service import Subscriptions
from subscriptions.sockets import Sockets
from web_views.serving import Views

log = structlog.get_logger(__name__)

Json = dict[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class Server:
    """The parts of one server process, wired together: for HTTP and for commands alike."""

    def __init__(self, settings: Settings, database: Database, clock: Clock, secret: bytes) -> None:
        self.settings = settings
        self.database = database
        self._secret = secret
        self.repository = Repository(
            database, clock, query_seconds=settings.query_seconds, max_pending=settings.max_pending_writes
        )
        self.base_url = settings.base_url or f"http://{settings.host}:{settings.port}/fhir"
        self.repository.history.base_url = self.base_url
        self.validator = Validator(
            Answers(self.repository, self.base_url),
            Level.of(settings.validation),
            settings.enforced_profiles,
            strict=settings.strict_validation,
        )
        self.trail: Trail | None = None  # while it serves
        self.reindexer = Reindexer(database, self.repository.parameters, partial(extract, base_url=self.base_url))

    def context(self, base_url: str = "", request_id: str = "", principal: Principal = SYSTEM) -> Context:
        """What one request carries; without a base URL, the configured or the local one."""
        return Context(
            principal,
            self.repository,
            self.validator,
            self.settings,
            base_url or self.base_url,
            dispatch,
            self._secret,
            request_id,
        )

    async def counts(self) -> dict[str, int]:
        """Current resources by type."""
        return await self.repository.counts(SYSTEM)

    async def check(self) -> None:
        """Raise when the database does not answer within two seconds, and Unavailable when searches cannot."""
        await self.database.wait(2)
        if trouble := self.repository.parameters.trouble:
            raise Unavailable(trouble)

    async def marker(self, id_: str) -> Json | None:
        """What a command noted under this id, together with what it wrote."""
        return await self.database.markers.find_one({"_id": id_})

    async def clear_markers(self, prefix: str) -> None:
        """Forget every marker whose id begins so."""
        await self.database.markers.delete_many({"_id": {"$gte": prefix, "$lt": prefix + "\uffff"}})

    async def reindex(self, progress: Callable[[int, int], None]) -> int:
        """Compute the search keys of every resource anew; answers how many changed.

        Servers that run do it themselves, and this waits for them: they know the base URL.
        """
        parameters = self.repository.parameters
        await parameters.request()
        self.reindexer.share = 1.0  # nobody else is served by this process
        watching = asyncio.create_task(self._watch(progress))
        try:
            while (await parameters.status())["due"]:
                if await parameters.processes.workers() or not await self.reindexer.work():
                    await asyncio.sleep(0.5)
        finally:
            watching.cancel()
        status = await parameters.status()
        progress(status["done"], status["total"])
        return int(status["changed"])

    async def _watch(self, progress: Callable[[int, int], None]) -> None:
        while True:
            await asyncio.sleep(1)
            status = await self.repository.parameters.status()
            progress(status.get("done", 0), status.get("total", 0))


@asynccontextmanager
async def running(settings: Settings, *, works: bool = False) -> AsyncIterator[Server]:
    """A server on its database, with collections and indexes there, until the block ends.

    With `works` it also does what is to be reindexed, in the background. Raises RuntimeError when no database is
    configured or none answers.
    """
    if not settings.mongodb_uri:
        raise RuntimeError("No database: set MONGODB_URI, or let `fhir-server serve` start a private one.")
    discover(fhir_server.interactions, fhir_server.operations, smart_auth.operations, subscriptions, extensions)
    if settings.roles is not None:
        install(settings.roles)
    database = Database(settings.mongodb_uri, settings.database)
    try:
        await database.wait()
        await database.prepare()
        declare(settings.sensitive_labels)
        database.keyring.find_master = partial(master, settings)
        if works:
            await database.keyring.check()
        if dead := await database.abandon_dead_transactions():
            log.info("ended transactions of dead processes", count=dead)
        clock = Clock()
        await clock.synchronize(database.client.admin)
        server = Server(settings, database, clock, await database.secret())
        server.repository.parameters.processes.works = works
        await server.repository.start()
        if works and settings.audit:
            processes = server.repository.parameters.processes
            server.trail = Trail(
                database,
                settings.data_dir,
                alive=processes.alive,
                key_file=settings.audit_key_file,
                now=clock.now,
                wait=settings.audit_wait,
            )
            await server.trail.start()
            server.repository.flusher.audit = server.trail.writes
        _spare_the_collector()
        tasks = [asyncio.create_task(_keep_time(database, clock))]
        if works:
            tasks.append(asyncio.create_task(server.reindexer.run()))
        try:
            yield server
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await server.repository.stop()
            if server.trail is not None:
                await server.trail.stop()
    finally:
        await database.close()


def _spare_the_collector() -> None:
    """What is there by now stays: no collection looks at it again."""
    gc.collect()
    gc.freeze()


async def _keep_time(database: Database, clock: Clock) -> None:
    """Follow the database's clock, once a minute."""
    while True:
        await asyncio.sleep(60)
        try:
            await clock.synchronize(database.client.admin)
        except Exception as error:
            log.warning("clock not synchronized", exception=type(error).__name__)


class Application:
    """The ASGI application: /fhir goes the short way, sockets theirs, everything else through Starlette."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._fhir: FhirApp | None = None
        self._sockets: Sockets | None = None
        self._realtime: Realtime | None = None
        self._site: Any = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        elif self._fhir is not None and _is_fhir(scope["path"]):
            await self._fhir(scope, receive, send)
        elif self._realtime is not None and scope["path"].startswith("/socket.io/"):
            await self._realtime.asgi(scope, receive, send)
        elif self._sockets is not None and scope["type"] == "websocket":
            await self._sockets(scope, receive, send)
        else:
            await self._site(scope, receive, send)

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        await receive()
        async with AsyncExitStack() as stack:
            try:
                await self._start(stack)
                warm()
            except Exception as error:
                log.error("start failed", exception=type(error).__name__, reason=str(error))
                await send({"type": "lifespan.startup.failed", "message": str(error)})
                return
            await send({"type": "lifespan.startup.complete"})
            await receive()
        await send({"type": "lifespan.shutdown.complete"})

    async def _start(self, stack: AsyncExitStack) -> None:
        """Start the parts, each of which stops before those it stands on."""
        settings = self._settings
        server = await stack.enter_async_context(running(settings, works=True))
        guides = [Path(str(ig.package_folder()))] if settings.guide else []
        await install_configured(server.context(), server.database, settings.packages, guides)
        auth, origins = None, None
        if not settings.open:
            auth = SmartAuth(settings, server.database, server.repository)
            auth.trail, auth.validator = server.trail, server.validator
            await auth.prepare()
            await started(auth, stack)
            origins = await started(Origins(server.database), stack)
            server.repository.settle = auth.changes.settle
        state: Json = {}
        if auth is not None:
            state |= {"auth": auth, "principal_of": auth.authenticator.standing}
        if server.trail is not None:
            state["trail"] = server.trail

        def context(base_url: str = "", request_id: str = "", principal: Principal = SYSTEM) -> Context:
            made = server.context(base_url, request_id, principal)
            made.state |= state
            return made

        await self._follow(server, auth, origins, context, state, stack)
        self._fhir = FhirApp(
            context,
            dispatch,
            settings,
            authenticator=auth.authenticator if auth is not None else None,
            allowed_origins=origins if origins is not None else frozenset(),
            trail=server.trail,
        )
        self._site = site(settings, counts=server.counts, check=server.check)
        self._site.mount("/views", StaticFiles(directory=web_views.STATIC))
        self._site.mount("/app", Views(web_views.APP))
        if auth is not None:
            self._site.routes.extend(routes(auth).routes)

    async def _follow(
        self,
        server: Server,
        auth: SmartAuth | None,
        origins: Origins | None,
        context: Callable[..., Context],
        state: Json,
        stack: AsyncExitStack,
    ) -> None:
        """What follows the changes, and those who listen to it."""
        rights = auth.subscribers if auth is not None else Everybody()
        database, repository = server.database, server.repository
        following = Subscriptions(
            self._settings, database, repository, rights, server.base_url, context, trail=server.trail
        )
        state["subscriptions"] = following
        await following.prepare()
        await started(following, stack)
        authenticator = auth.authenticator if auth is not None else None
        allowed = origins if origins is not None else frozenset[bytes]()
        served = following.served(authenticator, allowed)
        self._sockets = Sockets(served)
        stack.push_async_callback(self._sockets.stop)
        self._realtime = Realtime(
            self._settings, database, repository, following, authenticator, allowed, context, dispatch
        )
        await started(self._realtime, stack)
        state["online"] = self._realtime.hub.online.users


class Part(Protocol):
    """What works from `start` to `stop`."""

    async def start(self) -> None: ...
    async def stop(self) -> None: ...


P = TypeVar("P", bound=Part)


async def started(part: P, stack: AsyncExitStack) -> P:
    """The part, started, and to be stopped with the stack."""
    await part.start()
    stack.push_async_callback(part.stop)
    return part


def _is_fhir(path: str) -> bool:
    """Whether the FHIR API answers; what is well known below its base is a page like others."""
    return (path == "/fhir" or path.startswith("/fhir/")) and not path.startswith("/fhir/.well-known/")


def create_app(settings: Settings | None = None) -> Application:
    """The ASGI application, for uvicorn; settings come from the environment unless given."""
    return Application(settings or environment())
