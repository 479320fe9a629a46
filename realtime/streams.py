"""Subscriptions on a socket: what was missed, in order, then what comes; each event once, at the client's own pace.

At most OUTSTANDING notifications are on their way to a socket for one subscription. A client that acknowledges none of
them for PATIENCE is disconnected; when it comes back it names its last event and goes on from there.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import structlog

from fhir_server.access import Principal
from fhir_server.outcomes import BusinessRule, Invalid, NotFound, TooManyRequests
from fhir_server.storage.database import Database
from fhir_server.storage.repository import Repository
from realtime.rooms import Rooms, exists
from realtime.socket import Socket, Sockets
from subscriptions.reader import Ended, Reader, State
from subscriptions.subscriber import is_own, owners

log = structlog.get_logger(__name__)

Json = dict[str, Any]
Acknowledged = Callable[..., None]
Send = Callable[[Socket, str, Json, Acknowledged | None], Awaitable[None]]
HangUp = Callable[[Socket], Awaitable[None]]

OUTSTANDING = 64  # notifications without acknowledgement
PATIENCE = 30.0  # seconds without any acknowledgement
MOST = 32  # subscriptions of one socket
_GRACE = 10.0  # seconds that the engine may take to know a new Subscription
CHANNELS = frozenset({"socketio", "websocket"})


class Streams:
    """What the sockets of this process follow. `send` and `hang_up` are the server's."""

    def __init__(
        self, database: Database, repository: Repository, reader: Reader, sockets: Sockets, rooms: Rooms
    ) -> None:
        self._database = database
        self._repository = repository
        self._reader = reader
        self._sockets = sockets
        self._rooms = rooms
        self._tasks: dict[tuple[str, str], asyncio.Task[None]] = {}  # by socket and subscription
        self.send: Send
        self.hang_up: HangUp
        self.disconnect: HangUp

    async def join(self, socket: Socket, principal: Principal, id_: str, after: int | None) -> Json:
        """Follow a subscription from behind the event `after`, or from now; answers where that is.

        A socket that follows it already begins anew. Raises NotFound (404) for a subscription of somebody else,
        BusinessRule (422) for one of another channel, Invalid (400) for an event that has not happened.
        """
        state = await self._state(principal, id_)
        if state.subscription.channel not in CHANNELS:
            raise BusinessRule("The channel of this Subscription is none that a socket can follow.")
        if after is not None and not 0 <= after <= state.count:
            raise Invalid("after must be the number of an event that has happened.")
        await self.leave(socket, id_)
        if sum(sid == socket.sid for sid, _ in self._tasks) >= MOST:
            raise TooManyRequests(f"A socket may follow {MOST} subscriptions.")
        await self._rooms.enter(socket, f"subscription/{id_}", principal)
        count = int(state.count)  # the database has integers of its own
        begin = count if after is None else after
        task = asyncio.create_task(self._run(socket, id_, begin))
        self._tasks[socket.sid, id_] = task
        task.add_done_callback(lambda _: self._forget(socket.sid, id_, task))
        return {"subscription": id_, "status": state.subscription.status, "count": count, "after": begin}

    async def leave(self, socket: Socket, id_: str) -> bool:
        """Follow it no longer; whether the socket did."""
        task = self._tasks.pop((socket.sid, id_), None)
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        return await self._rooms.leave(socket, f"subscription/{id_}")

    def close(self, socket: Socket) -> None:
        """The socket is gone."""
        for key in [key for key in self._tasks if key[0] == socket.sid]:
            self._tasks.pop(key).cancel()

    def _forget(self, sid: str, id_: str, task: asyncio.Task[None]) -> None:
        if self._tasks.get((sid, id_)) is task:
            del self._tasks[sid, id_]

    async def _state(self, principal: Principal, id_: str) -> State:
        marker = (await owners(self._database, [id_])).get(id_)
        if not is_own(principal, marker) or not await exists(self._repository, "Subscription", id_):
            raise NotFound("There is no such Subscription of the caller's.")
        loop = asyncio.get_running_loop()
        patience = loop.time() + _GRACE
        while (state := await self._reader.state(id_)) is None:
            if loop.time() > patience:
                raise BusinessRule("The Subscription is not active; ask again when its status is.")
            await asyncio.sleep(0.05)
        return state

    async def _run(self, socket: Socket, id_: str, after: int) -> None:
        async def now() -> Principal | None:
            return await self._sockets.principal(socket)

        window = asyncio.Semaphore(OUTSTANDING)
        following = self._reader.follow(id_, after, now, beats=True, agent=socket.agent)
        try:
            await self._pass_on(socket, following, window)
        except Ended as ended:
            await self._ended(socket, id_, ended)
        except TimeoutError:
            log.info("a socket is too slow")
            await self.hang_up(socket)
        except Exception as error:
            log.error("a subscription on a socket failed", exception=type(error).__name__)
            await self.hang_up(socket)
        finally:
            await following.aclose()

    async def _pass_on(
        self, socket: Socket, following: AsyncIterator[tuple[int, Json]], window: asyncio.Semaphore
    ) -> None:
        def acknowledged(*_: Any) -> None:
            window.release()

        while True:
            # First the room for it, then the notification: it is made with the rights of the moment it goes out.
            async with asyncio.timeout(PATIENCE):
                await window.acquire()
            _, bundle = await anext(following)
            await self.send(socket, "subscription:event", bundle, acknowledged)

    async def _ended(self, socket: Socket, id_: str, ended: Ended) -> None:
        if ended.why == "authorization":
            await self.disconnect(socket)
            return
        await self._rooms.leave(socket, f"subscription/{id_}")
        await self.send(socket, "subscription:status", {"subscription": id_, "ended": ended.why}, None)
