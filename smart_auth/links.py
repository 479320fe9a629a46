"""Links that are sent by e-mail: each good once, for one purpose and a short time, and known here by its digest."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from fhir_server.storage.database import Database
from smart_auth.store import collection, digest, new_token, now

Document = dict[str, Any]

MINUTES = 30


class Links:
    """The links that wait to be followed, in the collection auth_link."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._rows = database.system["auth_link"]

    async def prepare(self) -> None:
        """Make the collection and its indexes."""
        await collection(self._database, "auth_link", ["purpose", "about"])

    async def make(self, purpose: str, about: str, data: Document | None = None, *, minutes: int = MINUTES) -> str:
        """A token about somebody (a user, an address) that carries `data`; earlier ones like it end."""
        await self.end(purpose, about)
        token = new_token()
        expires = now() + timedelta(minutes=minutes)
        row = {"_id": digest(token), "purpose": purpose, "about": about, "data": data or {}, "expires": expires}
        await self._rows.insert_one(row)
        return token

    async def peek(self, purpose: str, token: str) -> Document | None:
        """What the token is about ("about", "data"); it stays good, as programs look at links before people do."""
        return await self._rows.find_one(_good(purpose, token))

    async def take(self, purpose: str, token: str) -> Document | None:
        """The same, once."""
        return await self._rows.find_one_and_delete(_good(purpose, token))

    async def end(self, purpose: str, about: str) -> None:
        """Those about this are good no longer."""
        await self._rows.delete_many({"purpose": purpose, "about": about})


def _good(purpose: str, token: str) -> Document:
    return {"_id": digest(token), "purpose": purpose, "expires": {"$gt": now()}}
