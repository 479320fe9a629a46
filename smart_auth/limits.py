"""How often something may be tried: counted in the database, so that all processes count together.

A count belongs to a kind of attempt and a key (an account, an address) and ends with its window. Attempts are counted
before they are looked at: trying many at once gains nothing.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Any

from pymongo import ReturnDocument
from pymongo.errors import DuplicateKeyError
from starlette.requests import Request

from fhir_server.config import Settings
from fhir_server.outcomes import TooManyRequests
from fhir_server.storage.database import Database
from smart_auth.store import collection

Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Limit:
    """At most `count` attempts in `seconds`, from the first of them on."""

    kind: str
    count: int
    seconds: int


class Limits:
    """The counts, in the collection auth_limit, which forgets them when their time is over."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._rows = database.system["auth_limit"]

    async def prepare(self) -> None:
        """Make the collection, which forgets."""
        await collection(self._database, "auth_limit")

    async def count(self, limit: Limit, key: str) -> None:
        """Count an attempt. Raises TooManyRequests (429, Retry-After) when it is one too many."""
        window: Document = {"$dateAdd": {"startDate": "$$NOW", "unit": "second", "amount": limit.seconds}}
        is_over = {"$lte": [{"$ifNull": ["$expires", "$$NOW"]}, "$$NOW"]}
        change = {
            "n": {"$cond": [is_over, 1, {"$add": ["$n", 1]}]},
            "expires": {"$cond": [is_over, window, "$expires"]},
            "now": "$$NOW",
        }
        row = await self._change(_id(limit, key), change)
        if row["n"] > limit.count:
            left = max(1, int((row["expires"] - row["now"]).total_seconds()) + 1)
            raise TooManyRequests(
                f"Too many attempts; try again in {_spoken(left)}.", headers={"Retry-After": str(left)}
            )

    async def _change(self, id_: str, change: Document) -> Document:
        while True:
            try:
                row = await self._rows.find_one_and_update(
                    {"_id": id_}, [{"$set": change}], upsert=True, return_document=ReturnDocument.AFTER
                )
            except DuplicateKeyError:
                continue  # another process began the same count at this moment
            assert row is not None
            return row

    async def forget(self, limit: Limit, key: str) -> None:
        """Begin anew: the attempt succeeded."""
        await self._rows.delete_one({"_id": _id(limit, key)})

    async def give_back(self, limit: Limit, key: str) -> None:
        """Take back one counted attempt, which succeeded; others' attempts stay counted."""
        await self._rows.update_one({"_id": _id(limit, key), "n": {"$gt": 0}}, {"$inc": {"n": -1}})


def _id(limit: Limit, key: str) -> str:
    return f"{limit.kind}:{hashlib.sha256(key.strip().lower().encode()).hexdigest()}"


def _spoken(seconds: int) -> str:
    if seconds < 90:
        return f"{seconds} seconds"
    return f"{(seconds + 59) // 60} minutes"


def address_of(request: Request, settings: Settings) -> str:
    """Where the caller is: the last address that a trusted proxy did not write about itself; of IPv6 the /64."""
    address = request.client.host if request.client else ""
    trusted = [ip_network(name.strip(), strict=False) for name in settings.trusted_proxies.split(",") if name.strip()]
    forwarded = [part.strip() for part in request.headers.get("x-forwarded-for", "").split(",") if part.strip()]
    while forwarded and _is_within(address, trusted):
        address = forwarded.pop()
    try:
        found = ip_address(address)
    except ValueError:
        return address[:64]
    return str(ip_network((found, 64), strict=False)) if isinstance(found, IPv6Address) else str(found)


def _is_within(address: str, networks: list[Any]) -> bool:
    try:
        return any(ip_address(address) in network for network in networks)
    except ValueError:
        return False
