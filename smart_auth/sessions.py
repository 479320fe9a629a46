"""Browser sessions: a random id in a cookie, known here only by its digest, with an idle and an absolute lifetime.

https://cheatsheetseries.owasp.org/cheatsheets/Session_Management_Cheat_Sheet.html
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from fhir_server.config import Settings
from fhir_server.storage.database import Database
from smart_auth.store import collection, digest, new_token, now
from smart_auth.tokens import Tokens

Document = dict[str, Any]

_STEPS = timedelta(seconds=60)  # how exactly the last use is noted


@dataclass(frozen=True, slots=True)
class Session:
    """A browser in which `user` has proved who they are, but for what is still `due`."""

    id: str  # names it to grants: not the secret of the cookie
    user: str
    signed_in: datetime
    expires: datetime  # by idleness or by age, whichever comes first
    due: str = ""  # "" fully signed in, "second-factor" to be shown, "enrolment" to be set up
    secret: bytes = b""  # of a second factor that is being set up, sealed
    data: Document = field(default_factory=dict)

    @property
    def is_complete(self) -> bool:
        return not self.due


class Sessions:
    """The sessions, in the collection auth_session; ending one ends what was granted in it with online_access."""

    def __init__(self, settings: Settings, database: Database, tokens: Tokens) -> None:
        self._database = database
        self._rows = database.system["auth_session"]
        self._tokens = tokens
        self._idle = timedelta(minutes=settings.session_idle_minutes)
        self._age = timedelta(hours=settings.session_hours)

    async def prepare(self) -> None:
        """Make the collection and its indexes."""
        await collection(self._database, "auth_session", ["user"], ["key"])

    async def start(self, user: str, *, due: str = "", before: str = "") -> str:
        """A new session; answers the secret for the cookie. What the cookie held `before` counts no longer."""
        if before:
            await self._rows.delete_one({"key": digest(before)})
        secret, moment = new_token(), now()
        row = {
            "_id": new_token()[:22],
            "key": digest(secret),
            "user": user,
            "signed_in": moment,
            "ends": moment + self._age,
            "seen": moment,
            "expires": min(moment + self._idle, moment + self._age),
            "due": due,
        }
        await self._rows.insert_one(row)
        return secret

    async def complete(self, session: Session) -> str:
        """Everything that was due has been shown: the same session under a new secret, which is answered."""
        secret = new_token()
        await self._rows.update_one(
            {"_id": session.id},
            {"$set": {"key": digest(secret), "due": "", "signed_in": now()}, "$unset": {"secret": 1}},
        )
        return secret

    async def note_secret(self, session: Session, sealed: bytes) -> None:
        """Keep the sealed secret of a second factor that is being set up."""
        await self._rows.update_one({"_id": session.id}, {"$set": {"secret": sealed}})

    async def find(self, secret: str) -> Session | None:
        """The session of a cookie, if it is still good; using it postpones its idle end."""
        if not secret:
            return None
        moment = now()
        row = await self._rows.find_one({"key": digest(secret), "expires": {"$gt": moment}})
        if row is None:
            return None
        if moment - row["seen"] > _STEPS:
            expires = min(moment + self._idle, row["ends"])
            await self._rows.update_one({"_id": row["_id"]}, {"$set": {"seen": moment, "expires": expires}})
        return Session(
            row["_id"], row["user"], row["signed_in"], row["expires"], row["due"], bytes(row.get("secret", b""))
        )

    async def lasting(self, id_: str) -> int:
        """For how many seconds the session with this id may go on at most; 0 when it is over or was left idle."""
        row = await self._rows.find_one({"_id": id_, "due": "", "expires": {"$gt": now()}}) if id_ else None
        return max(0, int((row["ends"] - now()).total_seconds())) if row is not None else 0

    async def end(self, session: Session) -> None:
        """Sign out here: the session goes, and with it what apps were given for as long as it lasts."""
        await self._rows.delete_one({"_id": session.id})
        await self._tokens.end_session(session.id)

    async def end_all(self, user: str, but: str = "") -> int:
        """Sign the user out everywhere (but in the session with the id `but`); answers in how many sessions."""
        ended = [row["_id"] async for row in self._rows.find({"user": user, "_id": {"$ne": but}}, {"_id": 1})]
        for id_ in ended:
            await self._rows.delete_one({"_id": id_})
            await self._tokens.end_session(id_)
        return len(ended)


class Cookie:
    """A cookie that only this server reads, and that other sites cannot send along with a form of theirs."""

    def __init__(self, name: str, *, is_secure: bool) -> None:
        self.name = f"__Host-{name}" if is_secure else name
        self.is_secure = is_secure

    def read(self, request: Request) -> str:
        """What the browser sent; "" when nothing fit to be a secret of ours."""
        value = request.cookies.get(self.name, "")
        return value if 20 <= len(value) <= 64 and value.isascii() else ""

    def set(self, response: Response, value: str, seconds: int | None = None) -> None:
        """Give it to the browser until it closes, or for some seconds."""
        response.set_cookie(
            self.name, value, max_age=seconds, path="/", secure=self.is_secure, httponly=True, samesite="lax"
        )

    def clear(self, response: Response) -> None:
        """Take it from the browser."""
        response.delete_cookie(self.name, path="/", secure=self.is_secure, httponly=True, samesite="lax")
