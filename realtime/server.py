"""The Socket.IO server: who may connect, what they may send, and until when they stay.

https://socket.io/docs/v4/socket-io-protocol/
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Callable
from functools import partial
from time import monotonic
from typing import Any

import structlog
from pymongo.errors import PyMongoError

from fhir_server.audit.entry import Agent
from fhir_server.auditing import agent_of
from fhir_server.config import Settings
from fhir_server.outcomes import FhirError, SignInRequired, TooLarge, TooManyRequests
from fhir_server.rest.failures import response_to
from realtime import wire
from realtime.door import Door
from realtime.event import NAMESPACES, Call, Event, events
from realtime.hub import Hub
from realtime.limits import ACKNOWLEDGEMENTS, PACKETS, Bucket, Limit
from realtime.manager import Relay
from realtime.protocol import AsyncServer, Packet, Refused
from realtime.rooms import STAFF
from realtime.socket import Socket, is_staff

log = structlog.get_logger(__name__)

Json = dict[str, Any]

PING, PONG = 15, 10  # seconds: who does not answer is noticed within the sum
MAX_BYTES = 128 * 1024  # of one packet from a client
MAX_WAITING = 64  # events of a socket that wait for their turn
MAX_ATTACHMENTS = 8  # of one packet, none of which any event takes
MAX_SOCKETS = 50  # of one person in a namespace, in one process
MAX_BACKLOG = 2000  # packets that wait to be taken by a client
WATCH = 0.4  # seconds between two looks at everybody's token
STRANGER = 10.0  # seconds that a connection may stay without a namespace
WATCHERS = 8  # tokens that are looked up at the same time
_RESERVED = frozenset({"connect", "disconnect", "connect_error"})  # never sent by a client as an event


class PacketServer(AsyncServer):  # type: ignore[misc]
    """python-socketio's server; what breaks the protocol ends the connection instead of filling the log."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._buckets: dict[tuple[str, Limit], Bucket] = {}  # by connection

    async def _handle_eio_message(self, eio_sid: str, data: Any) -> None:
        socket = self.eio.sockets.get(eio_sid)
        if socket is None or socket.closed:
            return  # what was sent before it was hung up
        try:
            self._admit(eio_sid, data)
            await super()._handle_eio_message(eio_sid, data)
            pending = self._binary_packet.get(eio_sid)
            if pending is not None and pending.attachment_count > MAX_ATTACHMENTS:
                raise ValueError("too many attachments")
        except Exception as error:
            log.info("a packet was refused", exception=type(error).__name__)
            await self.hang_up(eio_sid)

    def _admit(self, eio_sid: str, data: Any) -> None:
        limit = ACKNOWLEDGEMENTS if data[:1] in ("3", "6") else PACKETS
        bucket = self._buckets.get((eio_sid, limit)) or self._buckets.setdefault((eio_sid, limit), Bucket(limit))
        if not bucket.take(limit):
            raise ValueError("too many packets")

    async def _handle_event(self, eio_sid: str, namespace: str | None, id: int | None, data: Any) -> None:
        if not isinstance(data, list) or not data or not isinstance(data[0], str) or data[0] in _RESERVED:
            raise ValueError("no event")
        await super()._handle_event(eio_sid, namespace, id, data)

    async def _handle_eio_disconnect(self, eio_sid: str, reason: str) -> None:
        await super()._handle_eio_disconnect(eio_sid, reason)
        self._binary_packet.pop(eio_sid, None)
        for limit in (PACKETS, ACKNOWLEDGEMENTS):
            self._buckets.pop((eio_sid, limit), None)
        socket = self.eio.sockets.get(eio_sid)
        if socket is not None:
            socket.queue.put_nowait(None)  # a poll that still waits for packets is answered now

    async def hang_up(self, eio_sid: str) -> None:
        """End the connection at once, whatever still waits to be sent; clients connect again by themselves."""
        socket = self.eio.sockets.get(eio_sid)
        if socket is not None and not socket.closed:
            await socket.close(wait=False, abort=True, reason=self.reason.SERVER_DISCONNECT)
            socket.queue.put_nowait(None)  # which ends the writer, and with it the transport

    def backlog(self, eio_sid: str) -> int:
        """How many packets wait to be taken by the client."""
        socket = self.eio.sockets.get(eio_sid)
        return socket.queue.qsize() if socket is not None else 0


def packet_server(settings: Settings, relay: Relay) -> PacketServer:
    """The server before anybody has told it what events mean.

    Long polling needs every request of a client to reach the same process, so with several there is only WebSocket.
    """
    quiet = logging.getLogger("realtime.packets")
    quiet.setLevel(logging.CRITICAL)  # its messages quote what clients send
    return PacketServer(
        client_manager=relay,
        async_mode="asgi",
        json=wire,
        logger=quiet,
        engineio_logger=quiet,
        namespaces=list(NAMESPACES),
        transports=["websocket"] if settings.workers > 1 else ["polling", "websocket"],
        ping_interval=PING,
        ping_timeout=PONG,
        max_http_buffer_size=MAX_BYTES,
        cors_allowed_origins=[],  # the door looks after that
        http_compression=False,
    )


class Server:
    """Connections, and the events that come over them."""

    def __init__(self, packets: PacketServer, hub: Hub, door: Door) -> None:
        self._packets = packets
        self._hub = hub
        self._door = door
        self._job: asyncio.Task[None] | None = None
        self._strangers: dict[str, float] = {}  # connections without a namespace, and since when
        hub.streams.send, hub.streams.hang_up, hub.streams.disconnect = self.send, self.hang_up, self.disconnect
        for namespace in NAMESPACES:
            packets.on("connect", partial(self._connect, namespace), namespace=namespace)
            packets.on("disconnect", self._disconnected, namespace=namespace)
            packets.on("*", partial(self._received, namespace), namespace=namespace)

    async def start(self) -> None:
        """Watch over the tokens of connected sockets until `stop`."""
        self._job = asyncio.create_task(self._watch())

    async def stop(self) -> None:
        """End all connections; clients go to another process, or come back later."""
        if self._job is not None:
            self._job.cancel()
            await asyncio.gather(self._job, return_exceptions=True)
        for eio_sid in list(self._packets.eio.sockets):
            await self._packets.hang_up(eio_sid)
        await self._packets.shutdown()

    async def send(self, socket: Socket, event: str, data: Json, acknowledged: Callable[..., None] | None) -> None:
        """Send an event to one socket of this process."""
        await self._packets.emit(
            event, data, to=socket.sid, namespace=socket.namespace, callback=acknowledged, ignore_queue=True
        )

    async def hang_up(self, socket: Socket) -> None:
        """End the connection below the socket; its client comes back by itself."""
        eio_sid = self._hub.relay.eio_sid_from_sid(socket.sid, socket.namespace)
        if eio_sid is not None:
            await self._packets.hang_up(eio_sid)

    async def disconnect(self, socket: Socket) -> None:
        """Tell the client that it has to sign in again before it comes back."""
        await self._packets.disconnect(socket.sid, namespace=socket.namespace, ignore_queue=True)

    # ---- coming and going ----------------------------------------------------------------------------

    async def _connect(self, namespace: str, sid: str, environ: Json, auth: Any = None) -> None:
        scope = environ["asgi.scope"]
        if not self._door.is_welcome(scope):
            raise Refused("Pages of this origin may not connect.", {"code": "forbidden"})
        token = auth.get("token") if isinstance(auth, dict) else None
        try:
            header, principal = await self._hub.sockets.sign_in(token)
            socket = Socket(
                sid, namespace, header, principal, self._agent(scope, environ, principal), self._door.base_url(scope)
            )
            if principal.user and self._hub.sockets.count(socket) >= MAX_SOCKETS:
                raise TooManyRequests("Nobody may have more connections at a time.")
            self._hub.sockets.add(socket)
            await self._arrive(socket)
        except Exception as error:
            if (gone := self._hub.sockets.remove(sid)) is not None:
                await self._depart(gone)
            raise _refusal(error) from None

    def _agent(self, scope: Json, environ: Json, principal: Any) -> Agent:
        return agent_of(principal, address=self._door.caller(scope), software=environ.get("HTTP_USER_AGENT", ""))

    async def _arrive(self, socket: Socket) -> None:
        """The rooms that one is in without asking."""
        principal = socket.principal
        if principal.user:
            await self._hub.rooms.enter(socket, f"user/{principal.user}", principal)
        if socket.namespace != NAMESPACES[0]:
            return
        if is_staff(principal):
            if principal.user:
                socket.shown = True
                await self._hub.online.come(principal.user)
            await self._hub.rooms.enter(socket, STAFF, principal)

    async def _disconnected(self, sid: str, reason: str = "") -> None:
        socket = self._hub.sockets.remove(sid)
        if socket is not None:
            await self._depart(socket)

    async def _depart(self, socket: Socket) -> None:
        self._hub.streams.close(socket)
        try:
            await self._hub.rooms.close(socket)
            if socket.shown:
                await self._hub.online.go(socket.principal.user)
        except Exception as error:
            log.warning("a socket's presence was not taken back", exception=type(error).__name__)

    # ---- what they send ------------------------------------------------------------------------------

    async def _received(self, namespace: str, name: str, sid: str, *arguments: Any) -> Json:
        socket = self._hub.sockets.get(sid)
        one = events.get((namespace, name))
        if socket is None or one is None:
            return _failure(TooManyRequests("There is no such event.", code="not-supported", status=404))
        if socket.waiting >= MAX_WAITING:
            return _failure(TooManyRequests("Too many events at once."))
        socket.turn = socket.turn or asyncio.Lock()
        socket.waiting += 1
        try:
            async with socket.turn:  # in the order they came
                return await self._handle(socket, one, arguments[0] if arguments else None)
        except Exception as error:
            return _failure(error)
        finally:
            socket.waiting -= 1

    async def _handle(self, socket: Socket, one: Event, data: Any) -> Json:
        if not socket.may_send(one.name, one.limit):
            raise TooManyRequests(f"{one.name} comes too often.")
        if Packet.data_is_binary(data) or len(wire.dumps(data)) > one.limit.size:
            raise TooLarge(f"{one.name} takes JSON of at most {one.limit.size} bytes.")
        principal = await self._hub.sockets.principal(socket)
        if principal is None:
            await self.disconnect(socket)
            raise SignInRequired("The access token has ended.")
        answer = await one.handler(Call(self._hub, socket, principal, data))
        return {"ok": True, **(answer or {})}

    # ---- until when ----------------------------------------------------------------------------------

    async def _watch(self) -> None:
        """Nobody stays whose token has ended; what is known costs a lookup in a dictionary."""
        while True:
            await asyncio.sleep(WATCH)
            try:
                await self._look()
            except Exception as error:
                log.warning("sockets not watched", exception=type(error).__name__)

    async def _look(self) -> None:
        outdated: dict[bytes, list[Socket]] = {}
        for socket in self._hub.sockets:
            if not self._hub.sockets.is_known(socket):
                outdated.setdefault(socket.authorization, []).append(socket)
        waiting = iter(outdated.values())

        async def work() -> None:
            for sockets in waiting:
                for socket in sockets:
                    await self._judge(socket)

        await asyncio.gather(*(work() for _ in range(min(WATCHERS, len(outdated)))))
        await self._part_with_strangers()

    async def _judge(self, socket: Socket) -> None:
        try:
            if await self._hub.sockets.principal(socket) is None:
                await self.disconnect(socket)
                return
            for room in list(socket.rooms):
                await self._hub.rooms.may_hear(socket, room)
        except (FhirError, PyMongoError):
            pass  # nobody can tell at the moment; nothing is sent meanwhile

    async def _part_with_strangers(self) -> None:
        known = {self._hub.relay.eio_sid_from_sid(socket.sid, socket.namespace) for socket in self._hub.sockets}
        for eio_sid in list(self._packets.eio.sockets):
            if self._packets.backlog(eio_sid) > MAX_BACKLOG:
                log.info("a socket is too slow")
                await self._packets.hang_up(eio_sid)
            elif eio_sid in known:
                self._strangers.pop(eio_sid, None)
            elif monotonic() - self._strangers.setdefault(eio_sid, monotonic()) > STRANGER:
                await self._packets.hang_up(eio_sid)
        for gone in self._strangers.keys() - self._packets.eio.sockets.keys():
            del self._strangers[gone]


def _refusal(error: Exception) -> Refused:
    """What a client's connect_error says: a reason, and nothing else."""
    status = error.status if isinstance(error, FhirError) else response_to(error, secrets.token_hex(8)).status
    if status == SignInRequired.status:
        return Refused("The access token is missing, unknown, expired or revoked.", {"code": "login"})
    if status < 500:
        return Refused("The connection is refused.", {"code": "forbidden"})
    return Refused("The server cannot tell at the moment; try again.", {"code": "transient"})


def _failure(error: Exception) -> Json:
    """The acknowledgement of an event that failed."""
    response = response_to(error, secrets.token_hex(8))
    return {"ok": False, "status": response.status, "outcome": response.resource}
