"""How endpoint.py connects; it imports this, and httpcore with it, when there is something to be sent."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

import httpcore

from fhir_server.outbound import Outbound


class Pinned(httpcore.AsyncNetworkBackend):
    """Connects to the checked addresses of a name, one after the other; the pool above keeps Host and TLS's name."""

    def __init__(self, way: Outbound, scheme: str, network: httpcore.AsyncNetworkBackend | None) -> None:
        self._way = way
        self._scheme = scheme
        self._network = network or httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        for address in await self._way.addresses(host, port, self._scheme):
            try:
                return await self._network.connect_tcp(str(address), port, timeout=timeout)
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                continue
        raise httpcore.ConnectError("none of the addresses")

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
