"""A GET of an address that somebody else chose (a client's jwks_uri), which cannot be turned against our own network.

https://build.fhir.org/ig/HL7/smart-app-launch/client-confidential-asymmetric.html
"""

from __future__ import annotations

import asyncio
import re
import ssl
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING
from urllib.parse import SplitResult

from fhir_server.outbound import PORTS, Address, Outbound, Refused, Resolver, resolve_name

if TYPE_CHECKING:
    import httpx

SETTING = "FHIR_ALLOW_LOCAL_ENDPOINTS"
MAX_BYTES = 64 * 1024
_MAX_AGE = re.compile(r"(?:^|[\s,])max-age\s*=\s*\"?(\d{1,10})", re.IGNORECASE)
_UNCACHED = re.compile(r"(?:^|[\s,])no-(?:store|cache)\b", re.IGNORECASE)

FetchRefused = Refused  # the address may not be fetched, or what it gave cannot be used


@dataclass(frozen=True, slots=True)
class Fetched:
    """What came, and for how many seconds its sender says it stays good (None when it does not say)."""

    body: bytes
    max_age: int | None


class Fetcher:
    """Fetches by https from public addresses; `allow_local` adds http, loopback and private networks.

    A name is resolved once, every address it has must be allowed, and the connection goes to the very address that
    was looked at. There are no redirects and no proxies; `seconds` limits the whole of it.
    """

    def __init__(
        self,
        *,
        allow_local: bool = False,
        resolve: Resolver | None = None,
        seconds: float = 5.0,
        limit: int = MAX_BYTES,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._way = Outbound(SETTING, allow_local, resolve or resolve_name)
        self._seconds = seconds
        self._limit = limit
        self._given_tls = tls

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        return self._given_tls or ssl.create_default_context()

    def check(self, url: str) -> SplitResult:
        """The parts of a URL that may be tried. Raises FetchRefused."""
        return self._way.check(url)

    async def get(self, url: str) -> Fetched:
        """The content of a URL, answered with status 200. Raises FetchRefused."""
        parts = self.check(url)
        try:
            async with asyncio.timeout(self._seconds):
                port = parts.port or PORTS[parts.scheme]
                addresses = await self._way.addresses(parts.hostname or "", port, parts.scheme)
                return await self._first(parts, addresses)
        except TimeoutError:
            raise FetchRefused(f"The address did not answer within {self._seconds:g} seconds.") from None

    async def _first(self, parts: SplitResult, addresses: list[Address]) -> Fetched:
        import httpx  # here and below, not at the top: few servers fetch anything, and every start would wait for it

        for address in addresses:
            try:
                return await self._get(parts, address)
            except (httpx.ConnectError, ConnectionError):
                continue
            except (httpx.HTTPError, httpx.InvalidURL, ssl.SSLError, OSError, ValueError):
                raise FetchRefused("The address did not give an answer that can be read.") from None
        raise FetchRefused("No connection to the address was possible.")

    async def _get(self, parts: SplitResult, address: Address) -> Fetched:
        """One exchange with the address; Host and the certificate's name stay those of the URL."""
        import httpx

        host = f"[{address}]" if address.version == 6 else str(address)
        port = f":{parts.port}" if parts.port is not None else ""
        query = f"?{parts.query}" if parts.query else ""
        headers = {"Host": parts.netloc, "Accept": "application/json", "Accept-Encoding": "identity"}
        async with (
            httpx.AsyncClient(verify=self._tls, trust_env=False, timeout=self._seconds) as client,
            client.stream(
                "GET",
                f"{parts.scheme}://{host}{port}{parts.path or '/'}{query}",
                headers=headers,
                extensions={"sni_hostname": parts.hostname},
            ) as response,
        ):
            if response.status_code != 200:
                raise FetchRefused(f"The address answered with status {response.status_code}; only 200 counts.")
            body = await self._read(response)
            return Fetched(body, max_age(response.headers.get("cache-control", "")))

    async def _read(self, response: httpx.Response) -> bytes:
        if response.headers.get("content-encoding", "identity") != "identity":
            raise FetchRefused("The address answered with a packed body, which was not asked for.")
        body = bytearray()
        async for chunk in response.aiter_raw():
            body += chunk
            if len(body) > self._limit:
                raise FetchRefused(f"The address answered with more than {self._limit} bytes.")
        return bytes(body)


def max_age(cache_control: str) -> int | None:
    """Seconds for which an answer may be kept, by its Cache-Control; None when the header does not say."""
    if _UNCACHED.search(cache_control):
        return 0
    found = _MAX_AGE.search(cache_control)
    return int(found[1]) if found else None
