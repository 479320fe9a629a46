"""The life of a Subscription, by whichever door it is written: what its subscriber may change, and what the server.

https://hl7.org/fhir/R4/subscription-definitions.html#Subscription.status ·
https://hl7.org/fhir/uv/subscriptions-backport/STU1.1/errors.html
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeVar

from fhir_server.access import Principal
from fhir_server.access.principal import SYSTEM
from fhir_server.access.visibility import condition
from fhir_server.context import Context
from fhir_server.outcomes import BusinessRule, FhirError, Forbidden, SignInRequired, Unprocessable
from fhir_server.registry import rule
from fhir_server.storage.unit_of_work import UnitOfWork, Write
from subscriptions import filters, quota
from subscriptions.channel import all_channels
from subscriptions.serving import Service, service
from subscriptions.subscriber import is_own, marker, owners, signed
from subscriptions.subscription import Subscription, parse
from subscriptions.topic import Topic

Json = dict[str, Any]
T = TypeVar("T")

# What a subscriber asks for and what is stored, by what the status is ("" where there is nothing yet). What is not
# listed is refused: only the server finds a subscription active or in error, and nothing but `requested` revives one.
STATUS: dict[str, dict[str, str]] = {
    "": {"requested": "requested", "active": "requested", "off": "off"},
    "requested": {"requested": "requested", "active": "requested", "off": "off"},
    "active": {"requested": "requested", "active": "active", "off": "off"},
    "error": {"requested": "requested", "error": "error", "off": "off"},
    "off": {"requested": "requested", "off": "off"},
}
_AFRESH = {"active": "requested", "error": ""}  # and where it is another subscription than it was
_SERVERS = ("status", "error", "meta")


@rule("Subscription")
async def life(ctx: Context, change: Write, unit: UnitOfWork) -> None:
    """Store what the subscriber may have, and remember who that is, or refuse it.

    Raises Unprocessable and BusinessRule (422) with what is wrong, Forbidden (403) for what the topic is about.
    """
    if change.resource is None:
        return
    before = None if change.base is None or change.base.deleted else change.base.resource()
    if ctx.principal is SYSTEM:
        change.resource = _by_server(change.resource, before)
        return
    if ctx.principal.is_anonymous:
        raise SignInRequired("Sign in to subscribe.")
    served = service(ctx)
    known = (await owners(served.database, [change.id])).get(change.id) if before is not None else None
    if before is not None and known is not None and not is_own(ctx.principal, known):
        change.resource = _by_another(change.resource, before)
        return
    wanted = parse(change.resource)
    remembered = served.rights.remember(ctx.principal)
    is_same = _is_same(change.resource, before) and _is_same_app(ctx.principal, known)
    status = _status(before["status"] if before is not None else "", wanted.status, is_same=is_same)
    if status != "off":
        await served.topics.refresh()
        _check(ctx, served, wanted)
        await quota.check(ctx, served.database, change, unit)
    error = before.get("error") if before is not None and status == before["status"] else None
    change.resource = signed(_stored(change.resource, status, error), ctx.principal)
    unit.markers.append(marker(change.id, ctx.principal, remembered))


def _by_server(resource: Json, before: Json | None) -> Json:
    """What the server itself finds of a subscription; what it is given to load has no subscriber, so it is off."""
    if before is not None and _without(resource, _SERVERS) == _without(before, _SERVERS):
        return resource
    return _stored(resource, "off", resource.get("error"))


def _by_another(resource: Json, before: Json) -> Json:
    """Others may switch it off; it stays its subscriber's. Raises Forbidden (403) for anything else.

    Their rights would be spent at the endpoint that the subscriber chose, or the subscriber's at theirs.
    """
    if resource.get("status") != "off" or _without(resource, _SERVERS) != _without(before, _SERVERS):
        raise Forbidden("Somebody else's Subscription can be switched off, and is not changed otherwise.")
    return _stored(before, "off", None)


def _status(before: str, asked: str, *, is_same: bool) -> str:
    stored = STATUS[before].get(asked, "")
    if before and stored in _AFRESH and not is_same:
        stored = _AFRESH[stored]
    if not stored:
        refused = f"A subscriber cannot set the status '{asked}' here; 'requested' has the server activate it."
        raise BusinessRule(refused, expression=["Subscription.status"])
    return stored


def _is_same(resource: Json, before: Json | None) -> bool:
    """Whether notifications go to the same place about the same things."""
    names = ("criteria", "_criteria", "channel")
    return before is not None and all(resource.get(name) == before.get(name) for name in names)


def _is_same_app(principal: Principal, marker: Json | None) -> bool:
    """Whether the caller is the subscriber by the same app: a token that was refreshed goes on with what there is."""
    return marker is not None and (marker["user"], marker["client"]) == (principal.user, principal.client)


def _stored(resource: Json, status: str, error: str | None) -> Json:
    kept = _without(resource, ("error", "_error"))
    return {**kept, "status": status, **({"error": error} if error else {})}


def _without(resource: Json, names: tuple[str, ...]) -> Json:
    return {name: value for name, value in resource.items() if name not in names}


# ---- whether there can be notifications --------------------------------------------------------------


def _check(ctx: Context, served: Service, wanted: Subscription) -> None:
    """Raise what keeps the server from serving this subscription to this caller."""
    if wanted.end and wanted.end <= time.time_ns() // 1000:
        raise Unprocessable("The subscription's end has passed.", code="value", expression=["Subscription.end"])
    topic = _topic(ctx, served, wanted)
    _placed("criteria", lambda: filters.conditions(topic, wanted.filters, ctx.base_url))
    _check_rights(ctx.principal, topic)
    channel = all_channels().get(wanted.channel)
    if channel is None:
        text = "The server has no channel of this name."
        raise Unprocessable(text, code="not-supported", expression=["Subscription.channel.type"])
    _placed("channel", lambda: channel.check(wanted, ctx.settings))


def _topic(ctx: Context, served: Service, wanted: Subscription) -> Topic:
    if not wanted.topic:
        return _placed("criteria", lambda: filters.compile_criteria(wanted.criteria, ctx.base_url))
    topic = served.topics.get(wanted.topic)
    if topic is None:
        text = "The server does not accept this topic; its CapabilityStatement lists those that it does."
        raise Unprocessable(text, code="not-supported", expression=["Subscription.criteria"])
    return topic


def _check_rights(principal: Principal, topic: Topic) -> None:
    """Raise Forbidden unless the caller may read some resources of every type that the topic is about."""
    for type_ in sorted(topic.types):
        if condition(principal, type_, "r") is None:
            raise Forbidden(f"The caller may not read {type_}, so cannot subscribe to it.")


def _placed(element: str, check: Callable[[], T]) -> T:
    """What the check answers; what it refuses is placed at this element where it does not say itself."""
    try:
        return check()
    except FhirError as error:
        where = (f"Subscription.{element}",)
        issues = [replace(one, expression=one.expression or where) for one in error.issues]
        raise Unprocessable(issues=issues) from None
