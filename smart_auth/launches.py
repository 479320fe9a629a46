"""Launch contexts of an EHR: opaque, single-use, and soon forgotten.

https://hl7.org/fhir/smart-app-launch/app-launch.html#launch-app-ehr-launch
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from fhir_server.storage.database import Database
from smart_auth.clients import Clients
from smart_auth.store import collection, digest, new_token, now

Document = dict[str, Any]

SECONDS = 300


class Launches:
    """Contexts that wait for the app that was opened with them."""

    def __init__(self, database: Database, clients: Clients) -> None:
        self.clients = clients
        self._database = database
        self._rows = database.system["auth_launches"]

    async def prepare(self) -> None:
        """Create the collection and its indexes."""
        await collection(self._database, "auth_launches")

    async def mint(self, context: Document, client: str = "", fhir_user: str = "", seconds: int = SECONDS) -> str:
        """The `launch` of a context (as in Grant); `client` and `fhir_user` ("Practitioner/1") say who may take it.

        Left empty, any client or any user may.
        """
        launch = new_token()
        row = {
            "_id": digest(launch),
            "context": context,
            "client": client,
            "fhir_user": fhir_user,
            "expires": now() + timedelta(seconds=seconds),
        }
        await self._rows.insert_one(row)
        return launch

    async def peek(self, launch: str, client: str) -> bool:
        """Whether this client may take the launch now; it stays."""
        return await self._rows.find_one(_of(launch, client)) is not None

    async def take(self, launch: str, client: str, fhir_user: str) -> Document | None:
        """The context, once; None when it is unknown, expired, taken before, or for another client or user.

        One that is for somebody else stays for them.
        """
        wanted = {**_of(launch, client), "fhir_user": {"$in": ["", fhir_user]}}
        found = await self._rows.find_one_and_delete(wanted)
        return dict(found["context"]) if found is not None else None


def _of(launch: str, client: str) -> Document:
    return {"_id": digest(launch), "client": {"$in": ["", client]}, "expires": {"$gt": now()}}
