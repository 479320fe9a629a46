"""Subscriptions on a socket: the numbered events of those that have the channel socketio, or websocket."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from fhir_server.change import Change
from fhir_server.outcomes import Invalid
from realtime.event import Call, event, live
from realtime.hub import Hub

Json = dict[str, Any]


@event("subscription:join")
async def join(call: Call) -> Json:
    """{subscription, after?}: follow an own Subscription from behind event number `after`, or from now.

    Answers {subscription, status, count, after}; then comes what was missed, in order, then what is new, each as
    subscription:event with the notification Bundle, to be acknowledged.
    """
    after = call.get("after")
    if after is not None and (not isinstance(after, int) or isinstance(after, bool)):
        raise Invalid("after is the number of the last event that was seen.")
    return await call.hub.streams.join(call.socket, call.principal, call.id("subscription"), after)


@event("subscription:leave")
async def leave(call: Call) -> Json:
    """{subscription}: follow it no longer."""
    id_ = call.id("subscription")
    await call.hub.streams.leave(call.socket, id_)
    return {"subscription": id_}


def rooms(change: Change, subscription: Json) -> Iterable[str]:
    """Those who follow it."""
    return [f"subscription/{change.id}"]


@live("subscription:status", "Subscription", rooms)
async def changed(hub: Hub, subscription: Json) -> Json:
    """{subscription, status, error?}."""
    told = {"subscription": subscription["id"], "status": subscription["status"]}
    return {**told, "error": subscription["error"]} if "error" in subscription else told
