"""The parts of subscriptions, made once per process and wired together."""

from __future__ import annotations

from collections.abc import Callable, Container
from contextlib import suppress

from fhir_server.config import Settings
from fhir_server.context import Context
from fhir_server.outcomes import Unavailable
from fhir_server.storage.database import Database
from fhir_server.storage.repository import Repository
from subscriptions import store
from subscriptions.bindings import Bindings
from subscriptions.connection import Authenticator, Served
from subscriptions.delivery import Deliverers
from subscriptions.disclosure import Trail
from subscriptions.engine import Engine
from subscriptions.event import Events
from subscriptions.hooks import Hooks
from subscriptions.notification import Notifications
from subscriptions.reader import Reader
from subscriptions.rights import Rights
from subscriptions.schedule import Schedule
from subscriptions.signals import Signals
from subscriptions.topics import Topics


class Subscriptions:
    """Topics, the engine (which works in one process at a time), deliveries and what sockets read.

    `make_context` gives the server's own context, for hooks and for what the server changes itself. What notifications
    disclose is recorded in the `trail`.
    """

    def __init__(
        self,
        settings: Settings,
        database: Database,
        repository: Repository,
        rights: Rights,
        base_url: str,
        make_context: Callable[[], Context],
        *,
        trail: Trail | None = None,
    ) -> None:
        self.settings = settings
        self.database = database
        self.repository = repository
        self.rights = rights
        self.topics = Topics(repository, base_url)
        self.events = Events(database)
        self.signals = Signals(database)
        self.bindings = Bindings(database)
        self.notifications = Notifications(repository, base_url, self.topics)
        self.hooks = Hooks(repository, make_context)
        self.engine = Engine(database, repository, self.topics, rights, self.signals, self.hooks, base_url)
        self.deliverers = Deliverers(
            database,
            repository,
            rights,
            self.events,
            self.notifications,
            settings,
            self.signals,
            self.hooks,
            trail=trail,
        )
        self.schedule = Schedule(database, make_context, mine=settings.job_seconds)
        self.reader = Reader(database, self.events, self.notifications, rights, self.signals, trail=trail)

    def served(self, authenticator: Authenticator | None, origins: Container[bytes]) -> Served:
        """What the websocket of subscriptions works with; without an authenticator everybody is ANYONE."""
        return Served(
            self.settings,
            self.database,
            self.repository,
            self.reader,
            self.bindings,
            self.notifications,
            self.rights,
            authenticator,
            origins,
        )

    async def prepare(self) -> None:
        """Have the collections."""
        await store.prepare(self.database, event_days=self.settings.event_days)
        await self.bindings.prepare()

    async def start(self) -> None:
        """Know the topics and work until `stop`."""
        with suppress(Unavailable):  # while search keys are rebuilt; whoever asks later, and the engine, wait for it
            await self.topics.load()
        await self.signals.start()
        await self.engine.start()
        await self.deliverers.start()
        await self.reader.start()
        await self.schedule.start()

    async def stop(self) -> None:
        """Hand over what is under way; nothing is lost by it."""
        await self.schedule.stop()
        await self.reader.stop()
        await self.deliverers.stop()
        await self.engine.stop()
        await self.signals.stop()
