"""The tokens of $get-ws-binding-token: 256 random bits that the database knows only by their SHA-256.

https://hl7.org/fhir/uv/subscriptions-backport/STU1.1/channels.html#websockets leaves to the server what a token is. It
has clients get a new one whenever they bind again, so each is good once: whoever reads it later has nothing. It has to
be used before it expires. The binding made with it lasts on, until the rights of whoever asked for the token end: those
are looked at for every event, which an expiry could only do late.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from pymongo.errors import CollectionInvalid, OperationFailure

from fhir_server.storage.database import Collection, Database

Json = dict[str, Any]

SECONDS = 300
MAX_LENGTH = 128  # characters of what may be a token at all
_NAMESPACE_EXISTS = 48


@dataclass(frozen=True, slots=True)
class Binding:
    """What a token binds to: these subscriptions, with the rights of whoever asked for it."""

    subscriptions: tuple[str, ...]  # ids
    owner: Json  # Rights.remember
    after: int | None = None  # the event number to go on from; None: from now


class Bindings:
    """The tokens that wait to be used, in the collection sub_bindings."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._rows: Collection = database.system["sub_bindings"]

    async def prepare(self) -> None:
        """Have the collection; what has expired goes from it."""
        with suppress(CollectionInvalid):
            try:
                await self._database.system.create_collection("sub_bindings")
            except OperationFailure as error:
                if error.code != _NAMESPACE_EXISTS:
                    raise
        await self._rows.create_index([("expires", 1)], name="expires", expireAfterSeconds=0)

    async def issue(
        self, subscription_ids: Sequence[str], owner: Json, seconds: int = SECONDS, *, after: int | None = None
    ) -> tuple[str, datetime]:
        """A token for these subscriptions, and until when it can be used."""
        token = secrets.token_urlsafe(32)
        moment = datetime.now(UTC)
        expires = moment.replace(microsecond=moment.microsecond // 1000 * 1000) + timedelta(seconds=seconds)
        row = {
            "_id": _digest(token),
            "subscriptions": list(subscription_ids),
            "owner": owner,
            "after": after,
            "expires": expires,
        }
        await self._rows.insert_one(row)
        return token, expires

    async def redeem(self, token: str) -> Binding | None:
        """What the token binds to, once; None when it is unknown, expired or used up."""
        if len(token) > MAX_LENGTH:
            return None
        row = await self._rows.find_one_and_delete({"_id": _digest(token), "expires": {"$gt": datetime.now(UTC)}})
        return Binding(tuple(row["subscriptions"]), row["owner"], row["after"]) if row is not None else None


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
