"""Notification Bundles as the backport guide has them in R4: what happened, as far as the receiver may know it now.

https://hl7.org/fhir/uv/subscriptions-backport/STU1.1/notifications.html
https://hl7.org/fhir/uv/subscriptions-backport/STU1.1/StructureDefinition-backport-subscription-status-r4.html
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from fhir_server.access import Principal
from fhir_server.storage.repository import Repository
from fhir_server.storage.stored import Stored, instant
from subscriptions.disclosure import Disclosed, Notification
from subscriptions.event import Event
from subscriptions.extensions import BACKPORT
from subscriptions.shape import Shapes
from subscriptions.subscription import Content, Subscription
from subscriptions.topic import Topic
from subscriptions.versions import Versions

Json = dict[str, Any]
Kind = Literal["handshake", "heartbeat", "event-notification", "query-status", "query-event"]

BUNDLE_PROFILE = BACKPORT + "backport-subscription-notification-r4"
STATUS_PROFILE = BACKPORT + "backport-subscription-status-r4"
_CREATED, _UPDATED, _DELETED = "201", "200", "204"


class Topics(Protocol):
    """The accepted topics."""

    def get(self, url: str) -> Topic | None: ...


@dataclass(frozen=True, slots=True)
class _Told:
    """An event that the receiver may know of: the version it is about, and what comes along."""

    event: Event
    focus: Stored
    included: tuple[Stored, ...] = ()


class Notifications:
    """Makes the Bundles of one server; `base_url` is absolute, without a slash behind."""

    def __init__(self, repository: Repository, base_url: str, topics: Topics) -> None:
        self._base_url = base_url
        self._topics = topics
        self._versions = Versions(repository)
        self._shapes = Shapes(repository, base_url)

    async def event_notification(
        self,
        subscription: Subscription,
        count: int,
        events: Sequence[Event],
        principal: Principal,
        *,
        kind: Kind = "event-notification",
        content: Content | None = None,
    ) -> Notification | None:
        """The notification of these events, in their order; None when the principal may know of none of them.

        `count` is the number of the last event there has been. Events that the principal may not know of are left
        out. `content` is the level, the subscription's own unless given.
        """
        level = content or subscription.level
        told = await self.told(subscription, events, principal, level)
        if not told:
            return None
        foci, included = [one.focus for one in told], [each for one in told for each in one.included]
        named = (tuple(foci), tuple(included)) if level != "empty" else ()
        disclosed = Disclosed(subscription.id, tuple(one.event.number for one in told), *named)
        return Notification(self._bundle(subscription, count, told, kind, level), disclosed)

    async def events(
        self, subscription: Subscription, count: int, events: Sequence[Event], principal: Principal, content: Content
    ) -> Json:
        """The answer of `$events`: as a notification, also when there is nothing to tell."""
        told = await self.told(subscription, events, principal, content)
        return self._bundle(subscription, count, told, "query-event", content)

    def handshake(self, subscription: Subscription, count: int) -> Json:
        """The Bundle that asks an endpoint whether it is there."""
        return self._bundle(subscription, count, [], "handshake", subscription.level)

    def heartbeat(self, subscription: Subscription, count: int) -> Json:
        """The Bundle that tells a receiver that nothing happened; it counts as no event."""
        return self._bundle(subscription, count, [], "heartbeat", subscription.level)

    def query_status(self, found: Iterable[tuple[Subscription, int]], url: str) -> Json:
        """The answer of `$status`: a searchset of what each subscription's state and count of events is."""
        entries = [self._status_entry(one, count, [], "query-status", one.level) for one, count in found]
        for entry in entries:
            del entry["request"], entry["response"]
            entry["search"] = {"mode": "match"}
        bundle = {
            "resourceType": "Bundle",
            "id": str(uuid.uuid4()),
            "type": "searchset",
            "timestamp": _now(),
            "total": len(entries),
            "link": [{"relation": "self", "url": url}],
        }
        return {**bundle, "entry": entries} if entries else bundle

    # ---- what may be told ----------------------------------------------------------------------------

    async def told(
        self, subscription: Subscription, events: Sequence[Event], principal: Principal, level: Content
    ) -> list[_Told]:
        """The events that the principal may know of at this moment, with what the level needs."""
        topic = self._topics.get(subscription.topic) if subscription.topic else None
        found = await asyncio.gather(*(self._tell(topic, event, principal, level) for event in events))
        return [one for one in found if one is not None]

    async def _tell(self, topic: Topic | None, event: Event, principal: Principal, level: Content) -> _Told | None:
        focus = await self._versions.read(event, principal)
        if focus is None:
            return None
        if level == "empty":
            return _Told(event, focus)
        return _Told(event, focus, tuple(await self._shapes.included(topic, focus, principal)))

    # ---- the Bundle ----------------------------------------------------------------------------------

    def _bundle(
        self, subscription: Subscription, count: int, told: Sequence[_Told], kind: Kind, level: Content
    ) -> Json:
        entries = [self._status_entry(subscription, count, told, kind, level)]
        if level != "empty":
            full = level == "full-resource"
            foci = {one.focus.key for one in told}
            included = {each.key: each for one in told for each in one.included if each.key not in foci}
            entries += [self._focus_entry(one, full) for one in told]
            entries += [self._included_entry(one, full) for one in included.values()]
        return {
            "resourceType": "Bundle",
            "id": str(uuid.uuid4()),
            "meta": {"profile": [BUNDLE_PROFILE]},
            "type": "history",
            "timestamp": _now(),
            "entry": entries,
        }

    def _status_entry(
        self, subscription: Subscription, count: int, told: Sequence[_Told], kind: Kind, level: Content
    ) -> Json:
        id_, url = str(uuid.uuid4()), f"{self._base_url}/Subscription/{subscription.id}"
        parameters: list[Json] = [{"name": "subscription", "valueReference": {"reference": url}}]
        if subscription.topic and level != "empty":  # with empty payloads it is not to be told
            parameters.append({"name": "topic", "valueCanonical": subscription.topic})
        parameters += [
            {"name": "status", "valueCode": subscription.status},
            {"name": "type", "valueCode": kind},
            {"name": "events-since-subscription-start", "valueString": str(count)},
        ]
        parameters += [self._event(one, level) for one in told]
        if subscription.error:
            parameters.append({"name": "error", "valueCodeableConcept": {"text": subscription.error}})
        status = {
            "resourceType": "Parameters",
            "id": id_,
            "meta": {"profile": [STATUS_PROFILE]},
            "parameter": parameters,
        }
        return {
            "fullUrl": f"urn:uuid:{id_}",
            "resource": status,
            "request": {"method": "GET", "url": f"{url}/$status"},
            "response": {"status": "200"},
        }

    def _event(self, told: _Told, level: Content) -> Json:
        part: list[Json] = [
            {"name": "event-number", "valueString": str(told.event.number)},
            {"name": "timestamp", "valueInstant": instant(told.event.at)},
        ]
        if level != "empty":
            part.append({"name": "focus", "valueReference": {"reference": self._url(told.focus)}})
            part += [
                {"name": "additional-context", "valueReference": {"reference": self._url(one)}} for one in told.included
            ]
        return {"name": "notification-event", "part": part}

    def _focus_entry(self, told: _Told, full: bool) -> Json:
        """The version of the event, with the request that made it; a deletion has no content."""
        stored, event = told.focus, told.event
        method = "DELETE" if stored.deleted else stored.method or "PUT"
        status = {"create": _CREATED, "update": _UPDATED, "delete": _DELETED}[event.interaction]
        request = {"method": method, "url": stored.type if method == "POST" else stored.key}
        return self._entry(stored, request, status, full)

    def _included_entry(self, stored: Stored, full: bool) -> Json:
        return self._entry(stored, {"method": "GET", "url": stored.key}, _UPDATED, full)

    def _entry(self, stored: Stored, request: Json, status: str, full: bool) -> Json:
        response = {"status": status, "etag": f'W/"{stored.version}"', "lastModified": instant(stored.updated)}
        # What is sensitive is named and never sent, whatever the subscription asks for.
        content = {"resource": stored.resource()} if full and not stored.deleted and not stored.sealed else {}
        return {"fullUrl": self._url(stored), **content, "request": request, "response": response}

    def _url(self, stored: Stored) -> str:
        return f"{self._base_url}/{stored.key}"


def _now() -> str:
    return instant(time.time_ns() // 1000)
