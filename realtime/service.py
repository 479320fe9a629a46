"""The parts of real-time, made once per process and wired together."""

from __future__ import annotations

from collections.abc import Container

import realtime.events
from fhir_server.config import Settings
from fhir_server.registry import discover
from fhir_server.rest.base_url import BaseUrls
from fhir_server.storage.database import Database
from fhir_server.storage.repository import Repository
from realtime.announce import Announcements
from realtime.door import App, Door
from realtime.hub import Dispatch, Hub, MakeContext
from realtime.live import Live
from realtime.manager import relay
from realtime.presence import Online, Presence
from realtime.protocol import ASGIApp
from realtime.rooms import Rooms
from realtime.server import Server, packet_server
from realtime.socket import Authenticator, Sockets
from realtime.streams import Streams
from subscriptions.service import Subscriptions


class Realtime:
    """Socket.IO in one server process: `asgi` is mounted at /socket.io; `start` after Subscriptions, `stop` before.

    Without an authenticator everybody is ANYONE. Pages of `origins` may connect, beside the server's own.
    """

    def __init__(
        self,
        settings: Settings,
        database: Database,
        repository: Repository,
        subscriptions: Subscriptions,
        authenticator: Authenticator | None,
        origins: Container[bytes],
        make_context: MakeContext,
        dispatch: Dispatch,
    ) -> None:
        discover(realtime.events)
        announcements = Announcements()
        sockets = Sockets(authenticator)
        manager = relay(database, settings.redis_url)
        presence = Presence(database, announcements.joined, announcements.left)
        rooms = Rooms(repository, sockets, manager, presence)
        streams = Streams(database, repository, subscriptions.reader, sockets, rooms)
        self.hub = announcements.hub = Hub(
            settings,
            repository,
            sockets,
            manager,
            presence,
            Online(presence),
            rooms,
            streams,
            make_context,
            dispatch,
        )
        live = Live(self.hub)
        manager.deliver = live.deliver
        subscriptions.engine.listeners.add(live.types, live.changed)
        packets = packet_server(settings, manager)
        application = ASGIApp(packets, socketio_path=None)
        door = Door(application, BaseUrls(settings), origins)
        self._server = Server(packets, self.hub, door)
        self.asgi: App = door

    async def start(self) -> None:
        """Be there for sockets until `stop`."""
        await self.hub.relay.open()
        await self.hub.presence.start()
        await self._server.start()

    async def stop(self) -> None:
        """End all connections; clients go to another process, or come back later."""
        await self._server.stop()
        await self.hub.presence.stop()
        await self.hub.relay.close()
