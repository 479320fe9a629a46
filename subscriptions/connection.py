"""One websocket: what its client says, what it is bound to, and what it is told. The words are in sockets.py."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Container, Mapping, MutableMapping
from contextlib import aclosing, suppress
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import structlog

from fhir_server.access import Principal
from fhir_server.access.principal import ANYONE
from fhir_server.audit.entry import NOBODY, Agent
from fhir_server.auditing import agent_of
from fhir_server.config import Settings
from fhir_server.outcomes import (
    BusinessRule,
    Conflict,
    FhirError,
    Forbidden,
    Invalid,
    NotFound,
    SignInRequired,
    TooManyRequests,
)
from fhir_server.storage.database import Database
from fhir_server.storage.repository import Repository
from subscriptions import subscriber, wire
from subscriptions.bindings import Bindings
from subscriptions.notification import Notifications
from subscriptions.reader import Ended, PrincipalNow, Reader, State
from subscriptions.rights import Rights

log = structlog.get_logger(__name__)

Json = dict[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

MAX_MESSAGE = 8192  # characters from a client
BURST, PER_SECOND = 120, 20  # messages from a client
MAX_BINDINGS = 100  # of one socket
MAX_SOCKETS = 50  # of one caller, in one process
IDLE = 60.0  # seconds that a socket may stay without a binding
SLOW = 30.0  # seconds that a client may take to receive one message

# Close codes, https://www.iana.org/assignments/websocket/websocket.xhtml: those from 4000 are the application's own.
NORMAL, UNSUPPORTED, POLICY, TOO_BIG, BROKEN, RESTART, LATER = 1000, 1003, 1008, 1009, 1011, 1012, 1013
UNAUTHORIZED, NARROWED, TOO_SLOW, TOO_MANY = 4401, 4403, 4408, 4429


class Authenticator(Protocol):
    """Who an access token stands for (smart_auth/authenticator.py)."""

    async def authenticate(self, authorization: bytes | None, headers: Mapping[bytes, bytes]) -> Principal:
        """The caller. Raises SignInRequired (401) and Unavailable (503)."""


@dataclass(frozen=True, slots=True)
class Served:
    """What sockets work with. Without an authenticator everybody is ANYONE."""

    settings: Settings
    database: Database
    repository: Repository
    reader: Reader
    bindings: Bindings
    notifications: Notifications
    rights: Rights
    authenticator: Authenticator | None = None
    origins: Container[bytes] = frozenset()  # whose pages may connect, beside our own


@dataclass(slots=True, eq=False)
class Bound:
    """A subscription that a socket is told of, in one of the two forms."""

    id: str
    form: Literal["ping", "bundle"]
    principal_now: PrincipalNow
    task: asyncio.Task[None] | None = None

    async def principal(self) -> Principal | None:
        return await self.principal_now()


@dataclass(slots=True, eq=False)
class Socket:
    """One connection."""

    served: Served
    callers: Counter[tuple[str, str]]  # all sockets of the process, by name and client
    receive: Receive
    send: Send
    address: str = ""  # network address and User-Agent of the client, for the audit trail
    software: str = ""
    caller: tuple[str, str] | None = None  # whose it is, once that is known
    authorization: bytes | None = None
    bound: dict[str, Bound] = field(default_factory=dict)
    _sending: asyncio.Lock = field(default_factory=asyncio.Lock)
    _over: asyncio.Event = field(default_factory=asyncio.Event)
    _last_words: tuple[int, str] | None = None  # code and reason of the close; None when the client has gone
    _allowance: float = BURST
    _counted: float = 0.0

    # ---- life ----------------------------------------------------------------------------------------

    async def serve(self, authorization: bytes | None) -> None:
        """Until it is over."""
        reading = asyncio.create_task(self._read(authorization))
        over = asyncio.create_task(self._over.wait())
        tasks: set[asyncio.Task[Any]] = {reading, over}
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            tasks |= {one.task for one in self.bound.values() if one.task is not None}
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        if self._last_words is not None:
            code, reason = self._last_words
            with suppress(OSError, RuntimeError, TimeoutError):
                async with asyncio.timeout(SLOW):
                    await self.send({"type": "websocket.close", "code": code, "reason": reason})

    def close(self, code: int, reason: str) -> None:
        """End it; the first reason counts."""
        if not self._over.is_set():
            self._last_words = (code, reason)
            self._over.set()

    def leave(self) -> None:
        """Be counted no longer."""
        if self.caller is not None:
            self.callers[self.caller] -= 1
            if not self.callers[self.caller]:
                del self.callers[self.caller]

    async def say(self, text: str) -> None:
        """Send a text; whoever does not take it in time is disconnected."""
        try:
            async with asyncio.timeout(SLOW), self._sending:
                await self.send({"type": "websocket.send", "text": text})
        except TimeoutError:
            self.close(TOO_SLOW, "The client is too slow.")
            raise
        except OSError:
            self._over.set()
            raise

    # ---- what the client says ------------------------------------------------------------------------

    async def _read(self, authorization: bytes | None) -> None:
        if authorization is not None and not await self._heard(self._authenticate(authorization)):
            self.close(UNAUTHORIZED, "The access token does not hold.")
        clock = asyncio.get_running_loop().time
        began = clock()
        while not self._over.is_set():
            if self.caller is None and clock() - began > IDLE:
                self.close(NORMAL, "Nobody has signed in.")  # however much was said meanwhile
                break
            try:
                async with asyncio.timeout(IDLE):
                    message = await self.receive()
            except TimeoutError:
                if not self.bound:
                    self.close(NORMAL, "Nothing is bound.")
                continue
            if message["type"] == "websocket.disconnect":
                self._over.set()
                return
            text = message.get("text")
            if text is None:
                self.close(UNSUPPORTED, "Messages are text.")
            elif len(text) > MAX_MESSAGE:
                self.close(TOO_BIG, "The message is too long.")
            elif not self._is_allowed():
                self.close(TOO_MANY, "Too many messages.")
            else:
                await self._heard(self._obey(text))

    def _is_allowed(self) -> bool:
        now = asyncio.get_running_loop().time()
        self._allowance = min(BURST, self._allowance + (now - self._counted) * PER_SECOND) - 1
        self._counted = now
        return self._allowance >= 0

    async def _heard(self, doing: Awaitable[None]) -> bool:
        """Do it, and say why not."""
        try:
            await doing
        except FhirError as error:
            with suppress(OSError, TimeoutError):
                await self.say(f"error {error.status} {error}")
            return False
        except (OSError, TimeoutError):
            return False
        except Exception as error:
            log.error("a websocket's message failed", exception=type(error).__name__)
            self.close(BROKEN, "The server failed.")
            return False
        return True

    async def _obey(self, text: str) -> None:
        command, _, value = text.strip().partition(" ")
        value = value.strip()
        obey = _COMMANDS.get(command.removesuffix(":"))
        if obey is None or not value or " " in value:
            names = ", ".join(_COMMANDS)
            raise Invalid(f"A message is one of {names}, followed by what it is about.")
        await obey(self, value)

    async def auth(self, token: str) -> None:
        """`auth <access token>`."""
        await self._authenticate(b"Bearer " + token.encode("utf-8", "replace"))
        await self.say("authenticated")

    async def _authenticate(self, authorization: bytes) -> None:
        authenticator = self.served.authenticator
        if authenticator is not None:
            self._admit(await authenticator.authenticate(authorization, {}))
            self.authorization = authorization

    def _admit(self, principal: Principal) -> None:
        """Count the socket as this caller's. Raises Forbidden, and TooManyRequests (429)."""
        caller = (principal.name, principal.client)
        if self.caller is not None:
            if caller != self.caller:
                raise Forbidden("This socket is somebody else's already.")
            return
        if self.callers[caller] >= MAX_SOCKETS and not principal.is_open:
            self.close(TOO_MANY, "Too many sockets.")
            raise TooManyRequests("Nobody may have more websockets at a time.")
        self.callers[caller] += 1
        self.caller = caller

    async def bind(self, id_: str) -> None:
        """`bind <id>`: R4's form, for who may read the Subscription, or wrote it."""
        served = self.served
        principal = await self._standing()
        if principal is None:
            raise SignInRequired("Sign in first: auth, and an access token.")
        self._admit(principal)
        stored = await served.repository.read(principal, "Subscription", id_)
        if stored is None or stored.deleted:
            marker = (await subscriber.owners(served.database, [id_])).get(id_)
            if marker is None or not subscriber.is_own(principal, marker):
                raise NotFound("There is no such Subscription.")
        await self._begin(id_, "ping", self._standing, None)

    async def bind_with_token(self, token: str) -> None:
        """`bind-with-token <token>`: the backport guide's form."""
        served = self.served
        binding = await served.bindings.redeem(token)
        principal = await served.rights.again(binding.owner) if binding is not None else None
        if binding is None or principal is None:
            raise SignInRequired("The token is unknown, expired, or used.")
        self._admit(principal)
        owner = binding.owner

        async def standing() -> Principal | None:
            """Whoever got the token, as long as the one who signed in on this socket stands, too."""
            if self.authorization is not None and await self._standing() is None:
                return None
            return await served.rights.again(owner)

        for id_ in binding.subscriptions:
            await self._begin(id_, "bundle", standing, binding.after)

    async def unbind(self, id_: str) -> None:
        """`unbind <id>`."""
        found = self.bound.pop(id_, None)
        if found is None:
            raise NotFound("The socket is not bound to such a Subscription.")
        if found.task is not None:
            found.task.cancel()
        await self.say(f"unbound {id_}")

    async def _standing(self) -> Principal | None:
        """Who has signed in on this socket, while that holds; None when nobody has, or it does not hold any more."""
        authenticator = self.served.authenticator
        if authenticator is None:
            return ANYONE
        if self.authorization is None:
            return None
        try:
            return await authenticator.authenticate(self.authorization, {})
        except SignInRequired:
            return None

    # ---- what the client is told ---------------------------------------------------------------------

    async def _begin(
        self, id_: str, form: Literal["ping", "bundle"], principal_now: PrincipalNow, after: int | None
    ) -> None:
        """Be told of the subscription; if that is so already, go on with these rights, and nothing is told twice."""
        known = self.bound.get(id_)
        if known is None:
            if len(self.bound) >= MAX_BINDINGS:
                raise TooManyRequests(f"A socket has up to {MAX_BINDINGS} subscriptions.")
            bound = self.bound[id_] = Bound(id_, form, principal_now)
            bound.task = asyncio.create_task(self._tell(bound, after))
            return
        if known.form != form:
            raise Conflict("The socket is bound to this Subscription in the other form.")
        known.principal_now = principal_now
        state = await self.served.reader.state(id_)
        if state is not None:
            await self._greet(known, state)

    async def _greet(self, bound: Bound, state: State) -> None:
        if bound.form == "ping":
            await self.say(f"bound {bound.id}")
        else:
            await self._say(state, self.served.notifications.handshake(state.subscription, state.count))

    async def _tell(self, bound: Bound, after: int | None) -> None:
        reader = self.served.reader
        try:
            state = await reader.known(bound.id)
            if state.subscription.channel != "websocket":
                raise BusinessRule("The channel of the Subscription is not a websocket.")
            since = await bound.principal()
            await self._greet(bound, state)
            start = state.count if after is None else after
            tells = bound.form == "bundle"
            agent = self._agent(since) if tells else None  # a ping tells of no resource
            events = reader.follow(bound.id, start, bound.principal, beats=tells, since=since, agent=agent)
            async with aclosing(events):
                async for _, bundle in events:
                    if bound.form == "ping":
                        await self.say(f"ping {bound.id}")
                    else:
                        await self._say(state, bundle)
        except Ended as ended:
            await self._heard(self._end(bound, ended))
        except FhirError as error:
            self.bound.pop(bound.id, None)
            with suppress(OSError, TimeoutError):
                await self.say(f"error {error.status} {error}")
        except (OSError, TimeoutError):
            self._over.set()
        except Exception as error:
            log.error("a websocket failed", exception=type(error).__name__)
            self.close(BROKEN, "The server failed.")

    def _agent(self, principal: Principal | None) -> Agent:
        if principal is None:
            return NOBODY
        return agent_of(principal, address=self.address, software=self.software)

    async def _end(self, bound: Bound, ended: Ended) -> None:
        """The authorization ends the socket; a subscription that is over ends what is bound to it."""
        if ended.why == "authorization":
            self.close(UNAUTHORIZED, "The authorization has ended.")
        elif ended.why == "rights":
            self.close(NARROWED, "The rights have changed: bind again.")
        else:
            self.bound.pop(bound.id, None)
            state = await self.served.reader.state(bound.id)
            if bound.form == "bundle" and state is not None:  # its status says it
                await self._say(state, self.served.notifications.heartbeat(state.subscription, state.count))
            else:
                await self.say(f"error 410 The Subscription {bound.id} is over.")

    async def _say(self, state: State, bundle: Json) -> None:
        """A Bundle, in the format that the Subscription asks for."""
        body, _ = wire.encode(bundle, state.subscription.payload)
        await self.say(body.decode())


_COMMANDS: dict[str, Callable[[Socket, str], Awaitable[None]]] = {
    "auth": Socket.auth,
    "bind": Socket.bind,
    "bind-with-token": Socket.bind_with_token,
    "unbind": Socket.unbind,
}
