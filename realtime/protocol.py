"""python-socketio as a server needs it: without what it would import for clients and brokers, 0.2 s and 17 MB.

Whoever wants its client in the same process imports socketio before this.
"""

from __future__ import annotations

from fhir_server.without import without

_CLIENTS = ("aiohttp", "requests", "websocket")
_BROKERS = ("aio_pika", "kafka", "kombu", "redis", "valkey")  # Redis, where it is configured: redis_relay.py

with without(*_CLIENTS, *_BROKERS):
    from socketio import ASGIApp, AsyncManager, AsyncServer
    from socketio.async_pubsub_manager import AsyncPubSubManager
    from socketio.exceptions import ConnectionRefusedError as Refused
    from socketio.packet import Packet

__all__ = ["ASGIApp", "AsyncManager", "AsyncPubSubManager", "AsyncServer", "Packet", "Refused"]
