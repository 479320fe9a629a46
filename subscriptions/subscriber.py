"""Who wrote a Subscription last over the API: kept beside it, in the same commit, and never shown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from fhir_server.access import Principal
from fhir_server.search.keys import SUBSCRIBER_EXTENSION
from fhir_server.storage.database import Database

Json = dict[str, Any]


def marker(subscription: str, principal: Principal, remembered: Json) -> tuple[str, Json]:
    """The marker of this subscriber, for UnitOfWork.markers; `remembered` is what Rights.remember made of them."""
    return _id(subscription), {"owner": remembered, "user": principal.user, "client": principal.client}


async def owners(database: Database, subscriptions: Iterable[str]) -> dict[str, Json]:
    """The markers by the subscriptions' ids: `owner` is for Rights.again. Absent where the server itself wrote it."""
    ids = {_id(one): one for one in subscriptions}
    found = database.markers.find({"_id": {"$in": list(ids)}})
    return {ids[row["_id"]]: row async for row in found}


async def owner(database: Database, subscription: str) -> Json | None:
    """What Rights.remember made of the subscriber; None when nobody wrote it over the API."""
    found = (await owners(database, [subscription])).get(subscription)
    return None if found is None else dict(found["owner"])


def signed(resource: Json, principal: Principal) -> Json:
    """The Subscription with the user who wrote it in our extension, by which it is theirs; a service has none."""
    others = [one for one in resource.get("extension", ()) if one.get("url") != SUBSCRIBER_EXTENSION]
    if principal.user:
        others.append({"url": SUBSCRIBER_EXTENSION, "valueReference": {"reference": principal.user}})
    kept = {name: value for name, value in resource.items() if name != "extension"}
    return {**kept, **({"extension": others} if others else {})}


def user_of(resource: Mapping[str, Any]) -> str:
    """The user who signed the Subscription, "Practitioner/1"; "" for a service's."""
    signatures = (one for one in resource.get("extension", ()) if one.get("url") == SUBSCRIBER_EXTENSION)
    return next((str(one.get("valueReference", {}).get("reference", "")) for one in signatures), "")


def is_own(principal: Principal, marker: Mapping[str, Any] | None) -> bool:
    """Whether the caller is who wrote it: the same user by whichever app, or the same backend service."""
    if principal.is_open:
        return True
    if marker is None or principal.is_anonymous:
        return False
    if principal.user or marker["user"]:
        return bool(principal.user == marker["user"])
    return bool(principal.client == marker["client"])


def whose(owner: Mapping[str, Any]) -> str:
    """Who a subscriber is by what Rights.remember made of them: the user, else the backend service; "" for nobody."""
    user, client = owner.get("user", ""), owner.get("client", "")
    return f"user {user}" if user else f"client {client}" if client else ""


def _id(subscription: str) -> str:
    return f"subscriber/{subscription}"
