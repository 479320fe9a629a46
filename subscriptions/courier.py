"""What is to be done for one subscription, one step at a time: shake hands, notify, give a sign of life, end."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

import structlog
from pymongo.errors import PyMongoError

from fhir_server import json
from fhir_server.auditing import agent_of
from fhir_server.outcomes import Unavailable, Unprocessable
from fhir_server.storage.repository import Repository
from subscriptions import disclosure, retry, wire
from subscriptions import subscription as definition
from subscriptions.channel import DeliveryFailed, Kind, Outlets, Post, Postponed, all_channels
from subscriptions.claims import Claims
from subscriptions.disclosure import Trail
from subscriptions.event import Event, Events
from subscriptions.failure import where
from subscriptions.hooks import Hooks
from subscriptions.notification import Notifications
from subscriptions.rights import Rights
from subscriptions.status import Status, change_status
from subscriptions.subscription import Subscription

log = structlog.get_logger(__name__)

Json = dict[str, Any]

HOOK_EVENTS = 100  # read at once
HOOK_SECONDS = 300.0  # that a function may take, and the longest time before it is called again
LOOK = 2_000_000  # microseconds after which it is looked whether the engine has seen what we wrote
MOST_PARSED = 10_000  # subscriptions that are kept as they were read
ENDED = "The subscription has reached its end."
NOT_ALLOWED = "The subscriber's authorization has ended."
NOT_UNDERSTOOD = "The subscription cannot be understood."
NOT_MADE = "The server could not make the notification."


@dataclass(slots=True)
class Courier:
    """Does the next step for a document of sub_active that this process holds."""

    claims: Claims
    repository: Repository
    rights: Rights
    events: Events
    notifications: Notifications
    hooks: Hooks
    outlets: Outlets
    trail: Trail | None = None
    disturbed: set[str] = field(default_factory=set)  # where something happened before they came to rest
    parsed: dict[str, tuple[int, Subscription]] = field(default_factory=dict)

    async def step(self, row: Json) -> Json | None:
        """The document after the step; None when it rests (its lease is given up, or lost).

        Raises PyMongoError and Unavailable when the database does not answer: nothing was decided then.
        """
        if row["_id"] in self.hooks.ids:
            return await self._hook(row)
        try:
            return await self._step(row, self._subscription(row))
        except DeliveryFailed as failed:
            return await self._failed(row, failed)
        except Postponed as later:
            return await self._rest(row, due=self.claims.moment(row) + int(later.seconds * 1_000_000))
        except (PyMongoError, Unavailable):
            raise
        except Exception as error:
            log.error("a notification could not be made", subscription=row["_id"], **where(error))
            return await self._failed(row, DeliveryFailed(NOT_MADE))

    async def _step(self, row: Json, subscription: Subscription) -> Json | None:
        now, status = self.claims.moment(row), row["status"]
        channel = all_channels().get(subscription.channel)
        pushes = channel is not None and channel.send is not None
        if subscription.end and subscription.end <= now:
            return await self._set(row, "off", ENDED)
        if self._waits(row):
            return await self._rest(row, due=row["due"])
        if status == "requested" or (status == "error" and not row.get("shaken")):
            return await self._handshake(row, subscription, sends=pushes and not subscription.is_plain)
        if pushes and row["count"] > row.get("sent", 0):
            return await self._notify(row, subscription)
        if status == "error" and not row.get("attempts"):
            return await self._set(row, "active")
        if not pushes or not subscription.heartbeat or subscription.is_plain:
            return await self._rest(row, later=subscription.end)
        beat = row.get("beat", 0) + subscription.heartbeat * 1_000_000
        if beat > now:
            return await self._rest(row, later=min(beat, subscription.end or beat))
        return await self._heartbeat(row, subscription)

    # ---- steps -----------------------------------------------------------------------------------------

    async def _handshake(self, row: Json, subscription: Subscription, *, sends: bool) -> Json | None:
        """Have the endpoint agree, then say that the subscription is active; numbers begin once the engine sees it."""
        if row.get("shaken") != row["version"]:
            if sends:
                if await self.rights.again(row.get("owner", {})) is None:
                    return await self._set(row, "off", NOT_ALLOWED)
                bundle = self.notifications.handshake(subscription, row.get("count", 0))
                await self._send(subscription, "handshake", bundle)
            told = await self._arrived(row, {"shaken": row["version"]})
            if told is None or told["version"] != row["version"]:
                return told  # meanwhile it is to go elsewhere, perhaps: that endpoint has not agreed
            row = told
        return await self._set(row, "active")

    async def _notify(self, row: Json, subscription: Subscription) -> Json | None:
        """Tell of the next events; what the subscriber may not see any more is left out."""
        events = await self._next(row, subscription.max_count)
        if not events:
            return await self._passed_over(row)
        principal = await self.rights.again(row.get("owner", {}))
        if principal is None:
            return await self._set(row, "off", NOT_ALLOWED)
        last = events[-1].number
        made = await self.notifications.event_notification(subscription, row["count"], events, principal)
        if made is None:
            return await self.claims.note(row, {"sent": last})
        await self._send(subscription, "event-notification", made.bundle)
        # Before it counts as sent: should the trail not take it, it is sent and recorded again.
        await disclosure.record(self.trail, made.disclosed, agent_of(principal), principal.purpose)
        return await self._arrived(row, {"sent": last})

    async def _next(self, row: Json, limit: int) -> list[Event]:
        """The events that come next, of those that our lease, which a majority has, saw numbered."""
        found = await self.events.after(row["_id"], row.get("sent", 0), limit=limit)
        return [event for event in found if event.number <= row["count"]]

    async def _passed_over(self, row: Json) -> Json | None:
        """The events are no longer kept."""
        log.warning("events of a subscription were not delivered in time", subscription=row["_id"])
        return await self.claims.note(row, {"sent": row["count"]})

    async def _heartbeat(self, row: Json, subscription: Subscription) -> Json | None:
        """Say that all is well, and that there was nothing to say."""
        if await self.rights.again(row.get("owner", {})) is None:
            return await self._set(row, "off", NOT_ALLOWED)
        bundle = self.notifications.heartbeat(subscription, row["count"])
        await self._send(subscription, "heartbeat", bundle)
        return await self._arrived(row, {})

    async def _hook(self, row: Json) -> Json | None:
        """Have the function follow its next events, each until it returns."""
        if self._waits(row):
            return await self._rest(row, due=row["due"])
        if row["count"] <= row.get("sent", 0):
            return await self._rest(row)
        events = await self._next(row, HOOK_EVENTS)
        if not events:
            return await self._passed_over(row)
        held: Json | None = row
        for event in events:
            if held is None:
                return None
            try:
                async with asyncio.timeout(HOOK_SECONDS):
                    await self.hooks.run(event)
            except Exception as error:
                log.error("a hook failed and is called again", hook=row["_id"], number=event.number, **where(error))
                return await self._failed(held, None)
            held = await self.claims.note(held, {"sent": event.number}, ("attempts", "failing"))
        return held

    # ---- how it went -----------------------------------------------------------------------------------

    async def _send(self, subscription: Subscription, kind: Kind, bundle: Json) -> None:
        message = wire.message(subscription, bundle)
        if message is None:
            return
        channel = all_channels()[subscription.channel]
        assert channel.send is not None
        post = Post(subscription, kind, bundle, message, tuple(wire.numbers(bundle)))
        try:
            async with asyncio.timeout(post.seconds + 1):
                await channel.send(post, self.outlets)
        except TimeoutError:
            raise DeliveryFailed(f"It did not arrive within {post.seconds:g} seconds.") from None

    async def _arrived(self, row: Json, changes: Json) -> Json | None:
        forget = ("attempts", "failing", "tried", "due")
        return await self.claims.note(row, {"beat": self.claims.moment(row), **changes}, forget)

    async def _failed(self, row: Json, failed: DeliveryFailed | None) -> Json | None:
        """Note the failure, tell of it when it lasts, and try again later, or, after days of it, never."""
        now, fresh = self.claims.moment(row), _is_new(row)
        attempts = 1 if fresh else row.get("attempts", 0) + 1
        failing = now if fresh else row.get("failing", now)
        wait = retry.delay(attempts) if failed is not None else min(retry.delay(attempts), HOOK_SECONDS)
        due = now + int(wait * 1_000_000)
        changes: Json = {"attempts": attempts, "failing": failing, "due": due}
        shaking = row["status"] == "requested"
        if failed is not None:
            changes |= {"tried": row["version"]} | ({"shaken": 0} if shaking else {})
        noted = await self.claims.note(row, changes)
        if noted is None:
            return None
        if noted["version"] != row["version"]:
            return noted  # what failed is not what is wanted by now
        if failed is None:
            return await self._rest(noted, due=due)
        log.warning("a notification did not arrive", subscription=row["_id"], attempts=attempts, reason=failed.reason)
        if failed.gone or retry.is_over(failing, now):
            return await self._set(noted, "off", failed.reason, due=due)
        if row["status"] != "error" and (shaking or attempts >= retry.LASTING):
            return await self._set(noted, "error", failed.reason, due=due)
        return await self._rest(noted, due=due)

    async def _set(self, row: Json, status: Status, error: str = "", *, due: int = 0) -> Json | None:
        """Write the status; the engine sees it in the stream, and numbers or stops numbering from there on."""
        await change_status(self.repository, row["_id"], row["version"], status, error)
        return await self._rest(row, due=due, later=0 if due else self.claims.moment(row) + LOOK)

    async def _rest(self, row: Json, *, due: int = 0, later: int = 0) -> Json | None:
        """Let go; what happened meanwhile is looked at next."""
        if not await self.claims.rest(row, due=due, later=later):
            await self.claims.give_back(row["_id"])
            self.disturbed.add(row["_id"])
        return None

    def _waits(self, row: Json) -> bool:
        """Whether it failed, and is not to be tried yet."""
        return bool(row.get("attempts")) and not _is_new(row) and row.get("due", 0) > self.claims.moment(row)

    def _subscription(self, row: Json) -> Subscription:
        """What the document was made from, parsed once for each version."""
        known = self.parsed.get(row["_id"])
        if known is not None and known[0] == row["version"]:
            return known[1]
        resource = row["resource"]
        try:
            found = definition.parse(json.decode(resource) if isinstance(resource, str | bytes) else resource)
        except (Unprocessable, ValueError):
            raise DeliveryFailed(NOT_UNDERSTOOD) from None
        if len(self.parsed) >= MOST_PARSED:
            self.parsed.clear()
        self.parsed[row["_id"]] = (row["version"], found)
        return found


def _is_new(row: Json) -> bool:
    """Whether it was asked for anew since it last failed: then nothing of before counts."""
    return bool(row["status"] == "requested" and row.get("tried") != row["version"])
