"""How an event reaches the sockets of all processes: Socket.IO's own client managers, over MongoDB or Redis.

What is published is a signal that is gone once it was told, or names a resource that each process reads for itself.
Which sockets hear it is decided in each process, for each socket (`deliver`); python-socketio alone would send it to
everybody in the room.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any

import structlog

from fhir_server.storage.database import Database
from realtime import wire
from realtime.protocol import AsyncManager, AsyncPubSubManager
from subscriptions.signals import Signals

log = structlog.get_logger(__name__)

Json = dict[str, Any]
Deliver = Callable[[Json], Awaitable[None]]  # {event, data: [payload], namespace, room, skip_sid}

KIND = "socketio"  # of signals, and name of the channel in Redis
COLLECTION = "sio_signals"
BACKLOG = 10_000  # signals that may wait in a process; more are dropped, oldest first


class Relay(AsyncPubSubManager):  # type: ignore[misc]
    """A client manager whose events pass `deliver` in every process, the publishing one included."""

    deliver: Deliver

    async def _handle_emit(self, message: Json) -> None:
        await self.deliver(message)

    def members(self, namespace: str, room: str) -> list[str]:
        """The sockets of this process that are in the room."""
        return [sid for sid, _ in self.get_participants(namespace, room)]

    async def send(self, event: str, data: Any, namespace: str, sids: Sequence[str]) -> None:
        """Send to these sockets of this process."""
        if sids:
            await AsyncManager.emit(self, event, data, namespace=namespace, room=list(sids))

    async def open(self) -> None:
        """Hear what is published from now on, until `close`."""

    async def close(self) -> None:
        """Listen no longer."""
        thread = getattr(self, "thread", None)
        if thread is not None:
            thread.cancel()
            await asyncio.gather(thread, return_exceptions=True)


class SignalRelay(Relay):
    """Over signals of its own, in MongoDB: however much clients relay, it pushes out none of the subscriptions'."""

    name = "signals"

    def __init__(self, signals: Signals) -> None:
        super().__init__()
        self._signals = signals
        self._heard: asyncio.Queue[Json] = asyncio.Queue(BACKLOG)
        signals.listen(KIND, self._hear)

    async def open(self) -> None:
        await self._signals.start()

    async def close(self) -> None:
        await super().close()
        await self._signals.stop()

    def _hear(self, data: Json) -> None:
        if data.get("from") == self.host_id:
            return
        if self._heard.full():
            self._heard.get_nowait()
            log.warning("signals dropped")
        self._heard.put_nowait(data)

    async def _publish(self, data: Json) -> None:
        # As text: what clients relay may be named and shaped in ways that BSON has no room for.
        await self._signals.publish(KIND, {"from": self.host_id, "m": wire.dumps(data)})

    async def _listen(self) -> AsyncIterator[str]:
        while True:
            yield (await self._heard.get())["m"]


def relay(database: Database, redis_url: str | None) -> Relay:
    """The client manager that the settings ask for; databases with other prefixes do not hear one another."""
    if redis_url is None:
        return SignalRelay(Signals(database, COLLECTION))
    from realtime.redis_relay import RedisRelay

    return RedisRelay(redis_url, channel=f"{database.prefix}.{KIND}")
