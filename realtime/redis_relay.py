"""Events of all processes over Redis. Imported only where it is configured: its library takes 0.1 s and 20 MB."""

from __future__ import annotations

from importlib import reload

from socketio import async_redis_manager

from realtime.manager import Relay

if async_redis_manager.aioredis is None:
    reload(async_redis_manager)  # protocol.py had hidden the library from it


class RedisRelay(Relay, async_redis_manager.AsyncRedisManager):  # type: ignore[misc]
    """A client manager over Redis."""

    async def close(self) -> None:
        await super().close()
        if self.redis is not None:
            await self.redis.aclose()
