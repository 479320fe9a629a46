"""From the Authorization header to the principal: a dictionary's lookup for a token that was seen before.

https://www.rfc-editor.org/rfc/rfc6750
"""

from __future__ import annotations

import asyncio
import re
import time
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import inf

from fhir_server.access.principal import NOBODY, Principal
from fhir_server.access.scopes import Scope, resource_scopes
from fhir_server.outcomes import SignInRequired, Unavailable
from fhir_server.storage.repository import Repository
from smart_auth.bearings import bearings
from smart_auth.changes import Changes, seconds
from smart_auth.clients import Clients
from smart_auth.external import External, Outside
from smart_auth.grant import Grant
from smart_auth.tokens import Tokens
from smart_auth.users import User, Users

MOST = 4096  # principals kept; those not asked for the longest go first
KEPT = 60.0  # seconds after which a principal is made anew, whatever else
CHALLENGE = 'Bearer realm="fhir"'
_SCHEME = re.compile(rb"bearer(?: |$)", re.IGNORECASE)
_BEARER = re.compile(rb"bearer +([A-Za-z0-9._~+/-]{1,4096}={0,2})", re.IGNORECASE)
_TRIES = 5  # how often rights may change, or a lease run out, while they are read
_SECOND = 1_000_000  # microseconds


@dataclass(frozen=True, slots=True)
class _Made:
    """A principal, and how long what it was made from stays so."""

    principal: Principal
    until: float  # microseconds since 1970
    generation: int  # the count it was made under
    has_panel: bool  # then that count takes in who is in whose care


@dataclass(frozen=True, slots=True)
class _Kept:
    principal: Principal
    until: float  # on the clock of `seconds`
    generation: int
    has_panel: bool


class Authenticator:
    """The principals of one process by their Authorization header.

    One is kept no longer than its token and everything else it was made from: `Changes` ends it when tokens, users,
    clients, Consents and the like change, its own `until` when time alone does.
    """

    def __init__(
        self,
        changes: Changes,
        tokens: Tokens,
        users: Users,
        clients: Clients,
        repository: Repository,
        base_url: str,
        *,
        external: External | None = None,
        external_role: str = "",
    ) -> None:
        self._changes = changes
        self._tokens = tokens
        self._users = users
        self._clients = clients
        self._repository = repository
        self._base_url = base_url
        self._external = external
        self._external_role = external_role
        self._kept: OrderedDict[bytes, _Kept] = OrderedDict()

    def cached(self, authorization: bytes) -> Principal | None:
        """The principal of a header that was seen before and is known to be good now; None: ask `authenticate`."""
        kept = self._kept.get(authorization)
        if kept is None:
            return None
        changes, now = self._changes, seconds()
        if now >= changes.until or now >= kept.until:
            return None
        if kept.generation != (changes.total if kept.has_panel else changes.rights):
            return None
        changes.used = True
        self._kept.move_to_end(authorization)
        return kept.principal

    async def authenticate(self, authorization: bytes | None, headers: Mapping[bytes, bytes]) -> Principal:
        """Who calls; NOBODY without a header. Raises SignInRequired (401) and Unavailable (503)."""
        if authorization is None:
            return NOBODY
        token = bearer(authorization)
        for _ in range(_TRIES):
            await self._changes.current()
            # Also what was just made comes through here: rights may have changed while it was.
            if (found := self.cached(authorization)) is not None:
                return found
            self._kept.pop(authorization, None)
            self._keep(authorization, await self._of_token(token))
        raise Unavailable("Rights change faster than they can be read.", headers={"Retry-After": "1"})

    async def principal(self, grant: Grant) -> Principal | None:
        """The principal of a grant of ours at this moment, not to be kept; None when its user or client is gone."""
        made = await self._of_grant(grant)
        return made.principal if made is not None else None

    def _keep(self, authorization: bytes, kept: _Kept) -> None:
        self._kept[authorization] = kept
        if len(self._kept) > MOST:
            self._kept.popitem(last=False)

    # ---- making one ----------------------------------------------------------------------------------

    async def _of_token(self, token: str) -> _Kept:
        """What the token stands for now. Raises SignInRequired (401)."""
        began, today = seconds(), time.time()
        outside = None
        live = await self._tokens.find(token)
        if live is None and self._external is not None and (outside := await self._external.find(token)) is not None:
            live = outside.live
        if live is None:
            raise refused("The access token is unknown, expired or revoked.")
        made = await (self._of_grant(live.grant) if outside is None else self._of_outside(outside))
        if made is None:
            raise refused("The user or the client of the access token is not active.")
        # The wall clock is asked once: whoever sets it later neither shortens nor stretches a life.
        left = min(live.expires.timestamp(), made.until / _SECOND) - today
        return _Kept(made.principal, began + min(left, KEPT), made.generation, made.has_panel)

    async def _of_grant(self, grant: Grant) -> _Made | None:
        """None when the client or the user is gone or inactive. Without a client it is the operator's own token."""
        user = client = None
        if grant.client:
            client, user = await asyncio.gather(self._clients.get(grant.client), self._user(grant.user))
            if client is None or not client.active:
                return None
        else:
            user = await self._user(grant.user)
        if not grant.user:
            return await self._service(grant)
        if user is None or not user.active:
            return None
        return await self._person(grant, user.fhir_user, user.roles)

    async def _user(self, id_: str) -> User | None:
        return await self._users.get(id_) if id_ else None

    async def _of_outside(self, outside: Outside) -> _Made | None:
        """The user's account here decides; who has none has the role that follows from what they are."""
        grant = outside.live.grant
        if not outside.subject:
            return await self._service(grant)
        account = await self._users.by_identity(outside.issuer, outside.subject)
        if account is None:
            kind = grant.fhir_user.partition("/")[0]
            staff = (self._external_role,) if self._external_role else ()
            roles = {"Patient": ("patient",), "RelatedPerson": ("proxy",), "": ()}.get(kind, staff)
            return await self._person(grant, grant.fhir_user, roles)
        if not account.active or (grant.fhir_user and account.fhir_user and grant.fhir_user != account.fhir_user):
            return None
        return await self._person(grant, account.fhir_user or grant.fhir_user, account.roles)

    async def _service(self, grant: Grant) -> _Made:
        """A backend service: its system/ scopes, and patient/ ones for the patient of the token."""
        generation = self._changes.rights
        principal = Principal(
            name=grant.client or OPERATOR,
            scopes=_scopes(grant, "system", "patient"),
            client=grant.client or OPERATOR,
            roles=("system",),
            patient=_patient(grant),
            grant=grant.id,
        )
        return _Made(principal, inf, generation, has_panel=False)

    async def _person(self, grant: Grant, fhir_user: str, roles: Iterable[str]) -> _Made:
        """A user with what their roles let them see of the hospital; system/ scopes are nothing for people."""
        changes, roles = self._changes, tuple(roles)
        has_panel = any(map(sees_panel, roles))
        generation = changes.total if has_panel else changes.rights
        now = time.time_ns() // 1000
        found = await bearings(self._repository, fhir_user, now=now, base_url=self._base_url, with_panel=has_panel)
        principal = Principal(
            name=grant.user,
            scopes=() if found.gone else _scopes(grant, "user", "patient"),
            client=grant.client or OPERATOR,
            # Someone who is no resource is somebody all the same: no user at all would be a backend service.
            user=fhir_user or f"urn:login:{grant.user}",
            roles=() if found.gone else roles,
            patient=_patient(grant),
            own=found.own,
            panel=found.panel,
            organizations=found.organizations,
            grant=grant.id,
        )
        return _Made(principal, found.until, generation, has_panel)
