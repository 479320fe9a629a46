"""A server's parts with two topics, for tests of Subscriptions and notifications: nothing is delivered."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import subscriptions.operations
from fhir_server.access import Principal
from fhir_server.access.principal import ANYONE
from fhir_server.change import Interaction
from fhir_server.config import Settings
from fhir_server.context import Context, FhirRequest, FhirResponse
from fhir_server.main import Server, running
from fhir_server.registry import discover
from fhir_server.storage.database import Database
from subscriptions import rules, store  # noqa: F401 - the rule is there by its presence
from subscriptions.event import Event, Events
from subscriptions.notification import Notifications
from subscriptions.topic import CanFilterBy, Shape, Topic, Trigger

Json = dict[str, Any]
BACKPORT = "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/"
VISITS = Topic(
    "http://fhir-server.example/topic/visits",
    "Visits",
    (Trigger("Encounter"),),
    (CanFilterBy("patient", "Encounter"), CanFilterBy("status", "Encounter")),
    (Shape("Encounter", ("Encounter:patient",), ("Observation:encounter",)),),
)
RESULTS = Topic("http://fhir-server.example/topic/results", "Results", (Trigger("Observation"),))


class Known:
    """Topics that a test gives."""

    def __init__(self, *topics: Topic) -> None:
        self._topics = {topic.url: topic for topic in topics}

    async def refresh(self) -> None: ...

    def get(self, url: str) -> Topic | None:
        return self._topics.get(url)


class ByName:
    """Rights whose memory of a principal is its name."""

    def remember(self, principal: Principal) -> Json:
        return {"name": principal.name}

    async def again(self, kept: Json) -> Principal | None:
        return ANYONE


@dataclass
class Issued:
    """Binding tokens that are only listed."""

    tokens: list[tuple[list[str], Json, int]] = field(default_factory=list)
    after: int | None = None  # of the last

    async def issue(
        self, subscription_ids: list[str], owner: Json, seconds: int, *, after: int | None = None
    ) -> tuple[str, datetime]:
        self.after = after
        self.tokens.append((subscription_ids, owner, seconds))
        return f"token-{len(self.tokens)}", datetime.now(UTC) + timedelta(seconds=seconds)


@dataclass
class Parts:
    """What service.Subscriptions has, as far as rules and operations use it."""

    database: Database
    notifications: Notifications
    events: Events
    topics: Known
    rights: ByName = field(default_factory=ByName)
    bindings: Issued = field(default_factory=Issued)


class Desk:
    """Asks the server as somebody."""

    def __init__(self, server: Server) -> None:
        self.server = server
        topics = Known(VISITS, RESULTS)
        notifications = Notifications(server.repository, server.base_url, topics)
        self.parts = Parts(server.database, notifications, Events(server.database), topics)

    def context(self, principal: Principal) -> Context:
        context = self.server.context(principal=principal)
        context.state["subscriptions"] = self.parts
        return context

    async def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        query: list[tuple[str, str]] | None = None,
        principal: Principal = ANYONE,
    ) -> FhirResponse:
        context = self.context(principal)
        return await context.dispatch(context, FhirRequest(method, path, query=query or [], body=body))

    async def put(self, resource: Json, principal: Principal = ANYONE) -> Json:
        """The resource as it was stored."""
        path = f"{resource['resourceType']}/{resource['id']}"
        response = await self.ask("PUT", path, resource, principal=principal)
        assert response.write is not None
        stored = await self.server.repository.read(ANYONE, *path.split("/"))
        assert stored is not None
        return stored.resource()

    async def event(self, subscription: str, number: int, reference: str, interaction: Interaction) -> Event:
        """An event about the version that the resource has now, as the engine would have numbered it."""
        type_, id_ = reference.split("/")
        stored = await self.server.repository.read(ANYONE, type_, id_)
        assert stored is not None
        event = Event(subscription, number, type_, id_, stored.version, interaction, stored.updated)
        await self.server.database.system["sub_events"].insert_one(event.document())
        return event

    async def count(self, subscription: str, count: int) -> None:
        active = self.server.database.system["sub_active"]
        await active.replace_one({"_id": subscription}, {"count": count}, upsert=True)


@asynccontextmanager
async def desk(settings: Settings) -> AsyncIterator[Desk]:
    """A desk over a database of its own."""
    discover(subscriptions.operations)
    async with running(settings) as server:
        await store.prepare(server.database, event_days=30)
        yield Desk(server)
