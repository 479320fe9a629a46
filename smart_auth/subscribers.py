"""The callers who left a Subscription: what is kept of them, and who they are today.

A subscription lasts as long as the authorization it was made with, which is longer than the access token:
- It ends with the revocation of the grant, or of the very access token it was written with (RFC 7009 lets an app take
  back one token; what was done with it goes along). That the token expires does not matter.
- Without offline_access, what was granted in a browser session ends with the session: signed out, or left idle, which
  is noticed within a minute.
- It ends when the user or the client is gone or inactive. Scopes that the client is no longer registered for are lost.
- Of a token of an outside authorization server nothing can be asked without the token, which is not kept: it ends when
  the token does, and where tokens are introspected, after half a minute. Write the Subscription again before.
Whatever cannot be found counts as ended: grants and tokens that a subscription uses are held long past their expiry,
so what was revoked is never taken for what has merely expired.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from math import inf
from typing import Any

import structlog
from pymongo.errors import PyMongoError

from fhir_server.access import Principal
from fhir_server.outcomes import Unavailable
from smart_auth.authenticator import KEPT, Authenticator
from smart_auth.changes import Changes, seconds
from smart_auth.clients import Clients
from smart_auth.external import Outside
from smart_auth.grant import Grant
from smart_auth.scopes import narrowed, words
from smart_auth.sessions import Sessions
from smart_auth.store import now
from smart_auth.tokens import Live, Tokens

log = structlog.get_logger(__name__)

Json = dict[str, Any]

MOST = 8192  # subscribers known at a time; those not asked for the longest go first
HELD_FIRST = timedelta(days=30)  # from when a Subscription is written
HELD = timedelta(days=400)  # from when it is used
_RENEWED = timedelta(days=370)  # what is held for less is held for longer again
_TRIES = 3  # how often rights are read that change meanwhile; more than once
_SECOND = 1_000_000  # microseconds


@dataclass(frozen=True, slots=True)
class _Known:
    principal: Principal | None
    until: float  # on the clock of `seconds`
    generation: int
    follows_care: bool


class Subscribers:
    """Turns callers into what is kept with their Subscriptions, and back: the rights of subscriptions/rights.py."""

    def __init__(
        self,
        changes: Changes,
        tokens: Tokens,
        clients: Clients,
        sessions: Sessions,
        authenticator: Authenticator,
        *,
        issuer: str = "",
    ) -> None:
        self._changes = changes
        self._tokens = tokens
        self._clients = clients
        self._sessions = sessions
        self._authenticator = authenticator
        self._issuer = issuer  # of the outside server that is believed
        self._known: OrderedDict[str, _Known] = OrderedDict()
        self._making: dict[str, asyncio.Task[_Known]] = {}
        self._holding: set[asyncio.Task[None]] = set()

    def remember(self, principal: Principal) -> Json:
        """What is kept of a caller; nothing of one who came without a token, such as the server itself.

        It does not suffice to call: no token is in it. `user` (the login name) and `client` tell whose it is.
        """
        if "token" not in principal.basis:
            return {}
        if principal.grant:
            # Now, while it is known: the first look at the Subscription may come when the token has expired.
            job = asyncio.get_running_loop().create_task(self._hold(principal.basis, HELD_FIRST))
            self._holding.add(job)
            job.add_done_callback(self._holding.discard)
        user = principal.name if principal.user else ""
        return {**principal.basis, "client": principal.client, "user": user}

    async def again(self, kept: Json) -> Principal | None:
        """The caller with the rights of today; None when the authorization has ended, for good.

        A lookup in a dictionary, but in the moment after rights have changed. Raises Unavailable (503) when the
        database does not tell.
        """
        if "token" not in kept:
            return None
        key = f"{kept['token']} {kept.get('until', '')}"
        await self._changes.current()
        if (found := self._current(key)) is not None:
            return found.principal
        for _ in range(_TRIES):
            made = await self._make(key, kept)
            await self._changes.current()
            if (found := self._current(key)) is not None:
                return found.principal
        # Rights changed each time while they were read. All but the first was read after we were asked, and so knows
        # what had been answered by then (as in smart_auth/authenticator.py).
        return made.principal

    async def finish(self) -> None:
        """Return once what was remembered is held."""
        await asyncio.gather(*self._holding, return_exceptions=True)

    def _current(self, key: str) -> _Known | None:
        known, changes, moment = self._known.get(key), self._changes, seconds()
        if known is None or moment >= changes.until or moment >= known.until:
            return None
        if known.generation != (changes.total if known.follows_care else changes.rights):
            return None
        changes.used = True
        self._known.move_to_end(key)
        return known

    async def _make(self, key: str, kept: Json) -> _Known:
        """Make it once for all who ask at the same moment."""
        job = self._making.get(key)
        if job is None:
            job = self._making[key] = asyncio.create_task(self._of(kept))
            job.add_done_callback(lambda done: self._made(key, done))
        known = await asyncio.shield(job)
        self._known[key] = known
        if len(self._known) > MOST:
            self._known.popitem(last=False)
        return known

    def _made(self, key: str, job: asyncio.Task[_Known]) -> None:
        del self._making[key]
        if not job.cancelled():
            job.exception()  # also when nobody waits any more

    async def _of(self, kept: Json) -> _Known:
        # First the counts and the times: what changes while the rest is read makes it too old, never too new.
        rights, total = self._changes.rights, self._changes.total
        began, today = seconds(), time.time()
        try:
            source: Grant | Outside | None
            source, ends = self._outside(kept) if "issuer" in kept else await self._grant(kept)
            made = await self._authenticator.make(source) if source is not None else None
        except PyMongoError as error:
            log.warning("a subscriber's rights are not known", exception=type(error).__name__)
            raise Unavailable("The database cannot tell who may do what.", headers={"Retry-After": "1"}) from None
        if made is None:
            return _Known(None, began + KEPT, rights, follows_care=False)
        left = min(ends, made.until / _SECOND) - today
        principal = replace(made.principal, basis={name: kept[name] for name in kept if name not in ("client", "user")})
        return _Known(principal, began + min(left, KEPT), total if made.follows_care else rights, made.follows_care)

    async def _grant(self, kept: Json) -> tuple[Grant | None, float]:
        """The grant as the token had it, and when that ends by itself (seconds since 1970); None when it has ended."""
        token = bytes.fromhex(kept["token"])
        standing = await self._tokens.standing(token)
        if standing is None:
            return None, inf
        grant, ends = standing.grant, inf
        if grant.session and not grant.has("offline_access"):
            lasting = await self._sessions.lasting(grant.session)
            if not lasting:
                return None, inf
            ends = time.time() + lasting
        if standing.known < now() + _RENEWED:
            await self._tokens.hold(token, grant.id, now() + HELD)
        client = await self._clients.get(grant.client) if grant.client else None
        scopes = narrowed(words(standing.scopes), client.scopes if client is not None else "")
        return replace(grant, scopes=" ".join(scopes)), ends

    async def _hold(self, basis: Mapping[str, Any], how_long: timedelta) -> None:
        try:
            await self._tokens.hold(bytes.fromhex(basis["token"]), basis["grant"], now() + how_long)
        except PyMongoError as error:
            log.warning("a subscriber's grant is not held yet", exception=type(error).__name__)

    def _outside(self, kept: Json) -> tuple[Outside | None, float]:
        """What the outside server said of the token, as long as it lasts."""
        ends = kept["until"] / _SECOND
        if ends <= time.time() or kept["issuer"] != self._issuer:
            return None, inf
        grant = Grant("", kept["client"], kept["login"], kept["fhir_user"], kept["scopes"], dict(kept["context"]))
        live = Live(grant, datetime.fromtimestamp(ends, UTC), bytes.fromhex(kept["token"]), now())
        return Outside(live, kept["issuer"], kept["subject"]), ends
