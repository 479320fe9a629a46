"""The sockets of this process, each with the rights that its token gives at this moment."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from fhir_server.access import Principal
from fhir_server.access.principal import ANYONE
from fhir_server.access.roles import policy
from fhir_server.audit.entry import Agent
from fhir_server.outcomes import FhirError, SignInRequired
from realtime.limits import Bucket, Limit

_OUTSIDERS = frozenset({"patient", "proxy", "observer", "system"})  # roles that are not of the house
_RESPONDERS = frozenset({"doctor", "nurse", "specialist", "paramedic", "administrator", "super-administrator"})
_PEOPLE = ("Practitioner/", "PractitionerRole/")


class Authenticator(Protocol):
    """Who a token is of (smart_auth/authenticator.py)."""

    def cached(self, authorization: bytes) -> Principal | None:
        """The caller of an Authorization header that is known, and known to be good now."""

    async def authenticate(self, authorization: bytes | None, headers: Mapping[bytes, bytes]) -> Principal:
        """The caller. Raises SignInRequired (401) for a token that does not hold."""


@dataclass(slots=True, eq=False)
class Socket:
    """A connection to one namespace. `rooms` says under which principal the right to each room was checked."""

    sid: str
    namespace: str
    authorization: bytes  # b"" without sign-in
    principal: Principal  # as it was known last: for what does not change with rights
    agent: Agent
    base_url: str
    rooms: dict[str, Principal | None] = field(default_factory=dict)
    buckets: dict[str, Bucket] = field(default_factory=dict)
    turn: asyncio.Lock | None = None
    waiting: int = 0
    shown: bool = False  # whether others were told that the user is online

    @property
    def user(self) -> str:
        """Who it is, as others are told: the FHIR reference of the token's user, never what a payload says."""
        return self.principal.user or self.principal.client or f"socket:{self.sid}"

    def may_send(self, event: str, limit: Limit) -> bool:
        """Whether another event of the name is within its limit."""
        bucket = self.buckets.get(event)
        if bucket is None:
            bucket = self.buckets[event] = Bucket(limit)
        return bucket.take(limit)


class Sockets:
    """All sockets of this process; without an authenticator everybody is ANYONE."""

    def __init__(self, authenticator: Authenticator | None) -> None:
        self._authenticator = authenticator
        self._all: dict[str, Socket] = {}
        self._of: Counter[tuple[str, str]] = Counter()  # by user and namespace

    def __iter__(self) -> Iterator[Socket]:
        return iter(list(self._all.values()))

    def get(self, sid: str) -> Socket | None:
        return self._all.get(sid)

    def add(self, socket: Socket) -> None:
        self._all[socket.sid] = socket
        self._of[socket.user, socket.namespace] += 1

    def remove(self, sid: str) -> Socket | None:
        socket = self._all.pop(sid, None)
        if socket is not None:
            self._of[socket.user, socket.namespace] -= 1
            if not self._of[socket.user, socket.namespace]:
                del self._of[socket.user, socket.namespace]
        return socket

    def count(self, socket: Socket) -> int:
        """How many there are of its user in its namespace."""
        return self._of[socket.user, socket.namespace]

    def is_known(self, socket: Socket) -> bool:
        """Whether the rights of the socket can be told without looking anything up."""
        return self._authenticator is None or self._authenticator.cached(socket.authorization) is not None

    async def sign_in(self, token: object) -> tuple[bytes, Principal]:
        """The header and the principal of a token as it came with `auth`. Raises SignInRequired (401)."""
        if self._authenticator is None:
            return b"", ANYONE
        if not isinstance(token, str) or not token.isascii() or not token:
            raise SignInRequired("This needs an access token.")
        header = b"Bearer " + token.encode()
        known = self._authenticator.cached(header)
        return header, known or await self._authenticator.authenticate(header, {})

    async def principal(self, socket: Socket) -> Principal | None:
        """Who it is, with the rights of now; None when the token has ended. Raises Unavailable (503)."""
        if self._authenticator is None:
            return ANYONE
        found = self._authenticator.cached(socket.authorization)
        if found is None:
            try:
                found = await self._authenticator.authenticate(socket.authorization, {})
            except FhirError as error:
                if error.status == SignInRequired.status:
                    return None
                raise
        socket.principal = found
        return found


def is_staff(principal: Principal) -> bool:
    """Whether it is somebody who works here, with an app that may act for them."""
    if principal.is_open:
        return True
    of_the_house = set(policy().roles) - _OUTSIDERS
    return _acts(principal) and not of_the_house.isdisjoint(principal.roles)


def is_responder(principal: Principal) -> bool:
    """Whether it is somebody whom an emergency concerns."""
    return principal.is_open or (_acts(principal) and not _RESPONDERS.isdisjoint(principal.roles))


def _acts(principal: Principal) -> bool:
    return principal.user.startswith(_PEOPLE) and any(scope.level == "user" for scope in principal.scopes)
