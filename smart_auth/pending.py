"""Authorization requests on their way through sign-in, consent and the choice of a patient."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from pymongo import ReturnDocument

from fhir_server.storage.database import Database
from smart_auth.authorize_request import AuthorizeRequest
from smart_auth.clients import Clients
from smart_auth.store import collection, digest, new_token, now

Document = dict[str, Any]

MINUTES = 30


@dataclass(frozen=True, slots=True)
class Pending:
    """A request of an app and how far it has come; `id` is in the URLs of the pages."""

    id: str
    request: AuthorizeRequest
    started: datetime
    session: str = ""  # in which consent was given: what follows happens there
    granted: tuple[str, ...] | None = None  # what the user has agreed to; None before they were asked
    context: dict[str, Any] = field(default_factory=dict)
    launched: bool = False  # the context of an EHR launch was taken
    no_encounter: bool = False  # the user goes on without one

    @property
    def wants_patient(self) -> bool:
        """Whether a patient is still to be chosen."""
        scopes = self.granted or ()
        asks = any(one == "launch/patient" or one.startswith("patient/") for one in scopes)
        return asks and "patient" not in self.context

    @property
    def wants_encounter(self) -> bool:
        """Whether a visit is still to be chosen."""
        asks = "launch/encounter" in (self.granted or ()) and "patient" in self.context
        return asks and "encounter" not in self.context and not self.no_encounter


class Requests:
    """The requests that wait for their user, in the collection auth_request."""

    def __init__(self, database: Database, clients: Clients) -> None:
        self._database = database
        self._rows = database.system["auth_request"]
        self._clients = clients

    async def prepare(self) -> None:
        """Make the collection, which forgets."""
        await collection(self._database, "auth_request")

    async def add(self, request: AuthorizeRequest) -> str:
        """Keep the request; answers its id."""
        id_, moment = new_token(), now()
        kept = {name: getattr(request, name) for name in _FIELDS}
        kept["scopes"], kept["prompt"] = list(request.scopes), list(request.prompt)
        row = {
            "_id": digest(id_),
            "client": request.client.id,
            "request": kept,
            "started": moment,
            "expires": moment + timedelta(minutes=MINUTES),
        }
        await self._rows.insert_one(row)
        return id_

    async def find(self, id_: str) -> Pending | None:
        """The request, if it still waits and its client is still there."""
        row = await self._rows.find_one({"_id": digest(id_), "expires": {"$gt": now()}})
        return await self._pending(id_, row)

    async def claim(self, id_: str, browser: str) -> Pending | None:
        """The same for the browser with this secret: the first one that comes with the id, and no other after it."""
        wanted = {"_id": digest(id_), "expires": {"$gt": now()}, "browser": {"$in": [None, digest(browser)]}}
        row = await self._rows.find_one_and_update(
            wanted, {"$set": {"browser": digest(browser)}}, return_document=ReturnDocument.AFTER
        )
        return await self._pending(id_, row)

    async def change(self, pending: Pending, **changes: Any) -> None:
        """Note how far it has come."""
        kept = {name: list(value) if isinstance(value, tuple) else value for name, value in changes.items()}
        await self._rows.update_one({"_id": digest(pending.id)}, {"$set": kept})

    async def take(self, pending: Pending) -> bool:
        """Whether it still waited; it does no longer, so that one request is answered once."""
        return (await self._rows.delete_one({"_id": digest(pending.id)})).deleted_count == 1

    async def _pending(self, id_: str, row: Document | None) -> Pending | None:
        client = await self._clients.get(row["client"]) if row is not None else None
        if row is None or client is None or not client.active:
            return None
        kept = dict(row["request"])
        kept["scopes"], kept["prompt"] = tuple(kept["scopes"]), tuple(kept["prompt"])
        granted = row.get("granted")
        return Pending(
            id_,
            AuthorizeRequest(client=client, **kept),
            row["started"],
            row.get("session", ""),
            tuple(granted) if granted is not None else None,
            row.get("context", {}),
            row.get("launched", False),
            row.get("no_encounter", False),
        )


_FIELDS = (
    *("redirect_uri", "state", "code_challenge", "scopes", "launch"),
    *("nonce", "prompt", "max_age", "login_hint"),
)
