"""Access and refresh tokens: 256 random bits that the database knows only by their SHA-256.

A token is good while its own time lasts and its grant is not revoked: one write ends a whole family, whatever else
goes on at that moment. https://www.rfc-editor.org/rfc/rfc6749 · https://www.rfc-editor.org/rfc/rfc9700#section-4.14
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from fhir_server.storage.database import Database
from smart_auth.errors import OAuthError
from smart_auth.grant import Grant
from smart_auth.scopes import grantable, is_within, words
from smart_auth.store import Changes, collection, digest, new_token, now

Document = dict[str, Any]

MAX_SECONDS = 3600  # of an access token
MAX_LENGTH = 512  # characters of what may be a token at all
_IN_FORCE: Document = {"revoked": None}


@dataclass(frozen=True, slots=True)
class Issued:
    """New tokens, as the token response tells them."""

    access: str
    expires_in: int  # seconds
    grant: Grant  # with the scopes of this access token
    refresh: str | None = None


@dataclass(frozen=True, slots=True)
class Live:
    """A token that is good now."""

    grant: Grant  # with the scopes of this token
    expires: datetime
    digest: bytes  # SHA-256 of the token
    issued: datetime
    kind: str = "access"  # or "refresh"


@dataclass(frozen=True, slots=True)
class Standing:
    """What a token was given for, as long as that is not revoked, whether or not the token has expired."""

    grant: Grant
    scopes: str  # of the token, which may be fewer
    known: datetime  # so long a revocation is remembered


class Tokens:
    """Every token of this server; `changes` is told whenever one ends before its time."""

    def __init__(self, database: Database, changes: Changes) -> None:
        self._database = database
        self._changes = changes
        self._grants = database.system["auth_grants"]
        self._rows = database.system["auth_tokens"]

    async def prepare(self) -> None:
        """Create the collections and their indexes."""
        await collection(self._database, "auth_grants", ["user", "client"], ["client"], ["session"])
        await collection(self._database, "auth_tokens", ["grant"])

    # ---- giving ----------------------------------------------------------------------------------

    async def remember(self, grant: Grant, until: datetime) -> None:
        """Keep the grant at least until then; one that is known stays as it is, revoked or not.

        What cannot be honoured is not kept: a patient/ scope without a patient.
        """
        document = replace(grant, scopes=_honest(grant)).to_document()
        key = document.pop("_id")
        change = {"$setOnInsert": document, "$max": {"expires": until}}
        await self._grants.update_one({"_id": key}, change, upsert=True)

    async def grant(self, id_: str) -> Grant | None:
        """The grant with this id; None when there is none, or it is revoked."""
        found = await self._grants.find_one({"_id": id_, **_IN_FORCE})
        return Grant.from_document(found) if found is not None else None

    async def issue(self, grant: Grant, *, seconds: int, refresh_seconds: int = 0, scopes: str | None = None) -> Issued:
        """A new access token, and with `refresh_seconds` a refresh token that lasts so long, of the grant.

        The access token lasts `seconds`, an hour at most, and has the grant's scopes or, of them, `scopes`.
        """
        moment = now()
        seconds = min(seconds, MAX_SECONDS)
        granted = replace(grant, scopes=_honest(grant))
        narrow = replace(granted, scopes=_honest(replace(grant, scopes=scopes))) if scopes is not None else granted
        access, refresh = new_token(), new_token() if refresh_seconds else None
        await self.remember(grant, moment + timedelta(seconds=max(seconds, refresh_seconds)))
        rows = [_row("access", access, narrow, moment, seconds)]
        if refresh is not None:
            rows.append(_row("refresh", refresh, granted, moment, refresh_seconds))
        await self._rows.insert_many(rows)
        return Issued(access, seconds, narrow, refresh)

    async def rotate(
        self, refresh_token: str, client: str, scopes: str | None = None, *, seconds: int, refresh_seconds: int
    ) -> Issued:
        """New tokens for a refresh token, which is used up; `scopes` may only be fewer than granted.

        The new refresh token can do what the old one could (RFC 6749, section 6). Raises OAuthError: invalid_grant,
        or invalid_scope (which does not use it up). Of parallel calls one wins; a refresh token that was used before
        ends its whole family.
        """
        row = await self._rows.find_one({"_id": digest(refresh_token), "kind": "refresh", "client": client})
        if row is None or row["expires"] <= now():
            raise OAuthError("invalid_grant", "The refresh token is unknown or expired, or another client's.")
        grant = await self.grant(row["grant"])
        if grant is None:
            raise OAuthError("invalid_grant", "What the refresh token stands for was revoked.")
        if row["used"] is None:
            if scopes is not None and not _is_fewer(scopes, row["scopes"]):
                raise OAuthError("invalid_scope", "A refresh can only ask for scopes that were granted.")
            unused = {"_id": row["_id"], "used": None}
            if await self._rows.find_one_and_update(unused, {"$set": {"used": now()}}) is not None:
                granted = replace(grant, scopes=row["scopes"])
                return await self.issue(granted, seconds=seconds, refresh_seconds=refresh_seconds, scopes=scopes)
        await self.revoke(row["grant"])
        raise OAuthError("invalid_grant", "The refresh token was used before; all that came of it is revoked.")

    # ---- looking ---------------------------------------------------------------------------------

    async def find(self, access_token: str) -> Live | None:
        """The access token's grant; None when it is unknown, expired or revoked."""
        return await self._find(access_token, {"kind": "access"})

    async def client_of(self, refresh_token: str) -> str:
        """Whose refresh token this is, used or not; "" when it is unknown."""
        if len(refresh_token) > MAX_LENGTH:
            return ""
        row = await self._rows.find_one({"_id": digest(refresh_token), "kind": "refresh"}, {"client": 1})
        return str(row["client"]) if row is not None else ""

    async def find_refresh(self, refresh_token: str) -> Live | None:
        """The same of a refresh token that has not been used."""
        return await self._find(refresh_token, {"kind": "refresh", "used": None})

    async def _find(self, token: str, condition: Document) -> Live | None:
        if len(token) > MAX_LENGTH:
            return None
        row = await self._rows.find_one({"_id": digest(token), **condition})
        if row is None or _until(row) <= now():
            return None
        grant = await self.grant(row["grant"])
        if grant is None:
            return None
        return Live(replace(grant, scopes=row["scopes"]), _until(row), row["_id"], row["issued"], row["kind"])

    # ---- what outlives a token -------------------------------------------------------------------

    async def standing(self, token: bytes) -> Standing | None:
        """What an access token, known by its digest, stood for when it was good; None when that was revoked.

        Without `hold` it is forgotten soon after the token has expired, and then it is as if it were revoked.
        """
        row = await self._rows.find_one({"_id": token, "kind": "access"})
        found = await self._grants.find_one({"_id": row["grant"], **_IN_FORCE}) if row is not None else None
        if row is None or found is None:
            return None
        return Standing(Grant.from_document(found), row["scopes"], min(row["expires"], found["expires"]))

    async def hold(self, token: bytes, grant: str, until: datetime) -> None:
        """Know until then whether the token or its grant were revoked; the token itself lasts no longer for it."""
        longer = {"until": {"$ifNull": ["$until", "$expires"]}, "expires": {"$max": ["$expires", until]}}
        await self._rows.update_one({"_id": token}, [{"$set": longer}])
        await self._grants.update_one({"_id": grant}, {"$max": {"expires": until}})

    async def grants_of(self, user: str) -> list[Grant]:
        """What the user has allowed and is still in force, latest first."""
        wanted = {"user": user, "expires": {"$gt": now()}, **_IN_FORCE}
        return [Grant.from_document(one) async for one in self._grants.find(wanted).sort("issued", -1)]

    async def last_issued(self, grants: Sequence[str]) -> dict[str, datetime]:
        """When each of these grants last gave a token: how lately its app was here, to the hour."""
        stages: list[Document] = [
            {"$match": {"grant": {"$in": list(grants)}}},
            {"$group": {"_id": "$grant", "last": {"$max": "$issued"}}},
        ]
        async with await self._rows.aggregate(stages) as rows:
            return {row["_id"]: row["last"] async for row in rows}

    # ---- ending ----------------------------------------------------------------------------------

    async def revoke_token(self, token: str, client: str) -> bool:
        """End a token of this client; a refresh token takes its family with it. False when there is none such."""
        row = await self._rows.find_one({"_id": digest(token), "client": client})
        if row is None:
            return False
        if row["kind"] == "refresh":
            return await self.revoke(row["grant"])
        await self._rows.delete_one({"_id": row["_id"]})
        await self._changes.announce()
        return True

    async def revoke(self, grant: str) -> bool:
        """End the grant with this id and all its tokens; False when it had ended before."""
        return await self._end({"_id": grant}) == 1

    async def revoke_user(self, user: str) -> int:
        """End every grant of the user; answers how many."""
        return await self._end({"user": user}) if user else 0

    async def revoke_client(self, client: str, user: str | None = None) -> int:
        """End every grant of the client, or only those that one user gave it."""
        return await self._end({"client": client, **({"user": user} if user is not None else {})})

    async def end_session(self, session: str) -> int:
        """The user has signed out: end what was granted in this session, but for offline_access."""
        offline = {"scopes": {"$not": {"$regex": r"(^| )offline_access( |$)"}}}
        return await self._end({"session": session, **offline}) if session else 0

    async def _end(self, which: Document) -> int:
        """Announced in any case: who is told that something has ended already may rely on it, too."""
        found = await self._grants.update_many({**which, **_IN_FORCE}, {"$set": {"revoked": now()}})
        await self._changes.announce()
        return found.modified_count


def _until(row: Document) -> datetime:
    """When the token expires; its `expires` says when the database forgets it."""
    until: datetime = row["until"] if "until" in row else row["expires"]
    return until


def _is_fewer(asked: str, granted: str) -> bool:
    return bool(words(asked)) and all(is_within(one, words(granted)) for one in words(asked))


def _honest(grant: Grant) -> str:
    return grantable(words(grant.scopes), grant.context, user=bool(grant.user))


def _row(kind: str, token: str, grant: Grant, moment: datetime, seconds: int) -> Document:
    return {
        "_id": digest(token),
        "kind": kind,
        "grant": grant.id,
        "client": grant.client,
        "scopes": grant.scopes,
        "issued": moment,
        "used": None,
        "expires": moment + timedelta(seconds=seconds),
    }
