"""From the Authorization header to the principal: a dictionary's lookup for a token that was seen before.

https://www.rfc-editor.org/rfc/rfc6750
"""

from __future__ import annotations

import asyncio
import re
import time
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import inf
from typing import Any

from fhir_server.access.consents import Caller
from fhir_server.access.principal import NOBODY, Principal
from fhir_server.access.scopes import Scope, resource_scopes
from fhir_server.outcomes import FhirError, SignInRequired
from fhir_server.storage.repository import Repository
from smart_auth.bearings import STAFF, bearings, sees_panel
from smart_auth.changes import Changes, seconds
from smart_auth.clients import Client, Clients
from smart_auth.directives import Directives
from smart_auth.external import External, Outside
from smart_auth.grant import Grant
from smart_auth.tokens import Live, Tokens
from smart_auth.users import User, Users

MOST = 4096  # principals kept; those not asked for the longest go first
KEPT = 60.0  # seconds after which a principal is made anew, whatever else
CHALLENGE = 'Bearer realm="fhir"'
_SCHEME = re.compile(rb"bearer(?: |$)", re.IGNORECASE)
_BEARER = re.compile(rb"bearer +([A-Za-z0-9._~+/-]{1,4096}={0,2})", re.IGNORECASE)
OPERATOR = "operator"  # in place of a client: tokens that a command of this server made
_ID = re.compile(r"[A-Za-z0-9.-]{1,64}")
_TRIES = 3  # how often rights are read that change meanwhile
_SECOND = 1_000_000  # microseconds


@dataclass(frozen=True, slots=True)
class Made:
    """A principal, and for how long it may be kept."""

    principal: Principal
    until: float = inf  # microseconds since 1970, when something it was made from ends by itself
    follows_care: bool = False  # it also depends on CareTeams and orders


@dataclass(frozen=True, slots=True)
class _Kept:
    principal: Principal
    until: float  # on the clock of `seconds`
    generation: int  # the count it was made under: `total` when it follows care, `rights` when not
    follows_care: bool


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
        self._directives = Directives(repository, base_url)
        self._kept: OrderedDict[bytes, _Kept] = OrderedDict()

    def cached(self, authorization: bytes) -> Principal | None:
        """The principal of a header that was seen before and is known to be good now; None: ask `authenticate`."""
        kept = self._kept.get(authorization)
        if kept is None:
            return None
        changes, now = self._changes, seconds()
        if now >= changes.until or now >= kept.until:
            return None
        if kept.generation != (changes.total if kept.follows_care else changes.rights):
            return None
        changes.used = True
        self._kept.move_to_end(authorization)
        return kept.principal

    async def authenticate(self, authorization: bytes | None, headers: Mapping[bytes, bytes]) -> Principal:
        """Who calls; NOBODY without a header. Raises SignInRequired (401) and Unavailable (503).

        Rights may change each time while they are read. Who was tried `_TRIES` times is taken as last read: all of it
        was read after the request came, so it knows what had been answered by then. It is not kept for another.
        """
        if authorization is None:
            return NOBODY
        token = bearer(authorization)
        await self._changes.current()
        if (found := self.cached(authorization)) is not None:
            return found
        for _ in range(_TRIES):
            self._kept.pop(authorization, None)
            made = await self._of_token(token)
            self._keep(authorization, made)
            await self._changes.current()
            if (found := self.cached(authorization)) is not None:
                return found
        return made.principal

    async def principal(self, grant: Grant) -> Principal | None:
        """The principal of a grant of ours at this moment, not to be kept; None when its user or client is gone."""
        await self._changes.current()
        made = await self._of_grant(grant)
        return made.principal if made is not None else None

    async def make(self, of: Grant | Outside) -> Made | None:
        """The principal of a grant of ours, or of an outside token; None when its user or client is gone.

        Whoever keeps it does so under the counts of `Changes` from before the call.
        """
        return await (self._of_outside(of) if isinstance(of, Outside) else self._of_grant(of))

    async def standing(self, user: str, client: str, scope: str) -> Principal | None:
        """Whom a user (login, or "Practitioner/7") or a client would be with these scopes; None when there is none."""
        found = await self._users.by_login(user) or await self._users.by_fhir_user(user) if user else None
        if user and found is None:
            return None
        grant = Grant("", client, found.id if found else "", found.fhir_user if found else "", scope)
        return await self.principal(grant)

    def _keep(self, authorization: bytes, kept: _Kept) -> None:
        self._kept[authorization] = kept
        if len(self._kept) > MOST:
            self._kept.popitem(last=False)

    # ---- making one ----------------------------------------------------------------------------------

    async def _of_token(self, token: str) -> _Kept:
        """What the token stands for now. Raises SignInRequired (401)."""
        # First the counts and the times: what changes while the rest is read makes it too old, never too new.
        rights, total = self._changes.rights, self._changes.total
        began, today = seconds(), time.time()
        outside = None
        live = await self._tokens.find(token)
        if live is None and self._external is not None and (outside := await self._external.find(token)) is not None:
            live = outside.live
        if live is None:
            raise refused("The access token is unknown, expired or revoked.")
        made = await self.make(outside or live.grant)
        if made is None:
            raise refused("The user or the client of the access token is not active.")
        # The wall clock is asked once: whoever sets it later neither shortens nor stretches a life.
        left = min(live.expires.timestamp(), made.until / _SECOND) - today
        principal = replace(made.principal, basis=basis(live, outside))
        return _Kept(principal, began + min(left, KEPT), total if made.follows_care else rights, made.follows_care)

    async def _of_grant(self, grant: Grant) -> Made | None:
        """None when the client or the user is gone or inactive. Without a client it is the operator's own token."""
        client, user = await asyncio.gather(self._client(grant.client), self._user(grant.user))
        if grant.client and (client is None or not client.active):
            return None
        device = client.fhir_user if client is not None else ""
        if not grant.user:
            return await self._service(grant, grant.client or OPERATOR, device)
        if user is None or not user.active:
            return None
        return await self._person(grant, user.id, user.fhir_user, user.roles, device)

    async def _client(self, id_: str) -> Client | None:
        return await self._clients.get(id_) if id_ else None

    async def _user(self, id_: str) -> User | None:
        return await self._users.get(id_) if id_ else None

    async def _of_outside(self, outside: Outside) -> Made | None:
        """The user's account here decides; who has none has the role that follows from what they are."""
        grant = outside.live.grant
        if not outside.subject:
            return await self._service(grant, f"{outside.issuer} {grant.client}")
        account = await self._users.by_identity(outside.issuer, outside.subject)
        if account is None:
            kind = grant.fhir_user.partition("/")[0]
            staff = (self._external_role,) if self._external_role else ()
            roles = {"Patient": ("patient",), "RelatedPerson": ("proxy",), "": ()}.get(kind, staff)
            return await self._person(grant, grant.user, grant.fhir_user, roles)
        if not account.active or (grant.fhir_user and account.fhir_user and grant.fhir_user != account.fhir_user):
            return None
        return await self._person(grant, account.id, account.fhir_user or grant.fhir_user, account.roles)

    async def _person(self, grant: Grant, name: str, fhir_user: str, roles: tuple[str, ...], device: str = "") -> Made:
        """A user with what their roles let them see of the hospital; system/ scopes are nothing for people."""
        follows_care = fhir_user.partition("/")[0] in STAFF
        with_panel = follows_care and any(map(sees_panel, roles))
        consents, now = self._changes.consents, time.time_ns() // 1000
        found = await bearings(self._repository, fhir_user, now=now, base_url=self._base_url, with_panel=with_panel)
        # Someone who is no resource is somebody all the same: without a user it would be a backend service.
        user = fhir_user or f"urn:login:{name}"
        caller = Caller(frozenset({user, device} - {""}) | found.organizations, grant.client)
        said = await self._directives.say(caller, user, consents, now)
        principal = Principal(
            name,
            scopes=() if found.gone else _scopes(grant, "user", "patient"),
            client=grant.client or OPERATOR,
            user=user,
            roles=() if found.gone else roles,
            patient=_patient(grant),
            own=found.own,
            panel={**dict(said.panel), **found.panel},  # care of one's own goes further than a share
            organizations=found.organizations,
            consents=said.rules,
            purpose="BTG" if said.emergency else "",
            emergency=said.emergency,
            grant=grant.id,
        )
        return Made(principal, min(found.until, said.until), follows_care)

    async def _service(self, grant: Grant, name: str, device: str = "") -> Made:
        """A backend service: its system/ scopes, and patient/ ones for the patient of the token."""
        consents, now = self._changes.consents, time.time_ns() // 1000
        said = await self._directives.say(Caller(frozenset({device} - {""}), grant.client, ""), "", consents, now)
        principal = Principal(
            name,
            scopes=_scopes(grant, "system", "patient"),
            client=grant.client or OPERATOR,
            roles=("system",),
            patient=_patient(grant),
            consents=said.rules,
            grant=grant.id,
        )
        return Made(principal, said.until)


def _scopes(grant: Grant, *levels: str) -> tuple[Scope, ...]:
    """The grant's scopes for resources of these levels; patient/ only where there is a patient to keep to."""
    found = [scope for scope in resource_scopes(grant.scopes) if scope.level in levels]
    return tuple(scope for scope in found if scope.level != "patient" or _patient(grant))


def _patient(grant: Grant) -> str:
    id_ = grant.context.get("patient")
    return f"Patient/{id_}" if isinstance(id_, str) and _ID.fullmatch(id_) else ""


def basis(live: Live, outside: Outside | None) -> dict[str, Any]:
    """What the principal of a token can be made of again (smart_auth/subscribers.py); the token is not in it.

    What an outside server said is all that is known of its token, and known no longer than the token lasts.
    """
    if outside is None:
        return {"token": live.digest.hex(), "grant": live.grant.id}
    grant = live.grant
    return {
        "token": live.digest.hex(),
        "issuer": outside.issuer,
        "subject": outside.subject,
        "login": grant.user,
        "fhir_user": grant.fhir_user,
        "scopes": grant.scopes,
        "context": dict(grant.context),
        "until": int(live.expires.timestamp() * _SECOND),
    }


def bearer(authorization: bytes) -> str:
    """The token of the header. Raises SignInRequired (401), which blames a token only when there was one."""
    if not _SCHEME.match(authorization):
        raise SignInRequired("This is no bearer token.", headers={"WWW-Authenticate": CHALLENGE})
    found = _BEARER.fullmatch(authorization)
    if found is None:
        raise refused("The access token is malformed.")
    return found[1].decode()


def refused(why: str) -> FhirError:
    """The failure of a token that was presented."""
    challenge = f'{CHALLENGE}, error="invalid_token", error_description="{why}"'
    return SignInRequired(why, headers={"WWW-Authenticate": challenge})
