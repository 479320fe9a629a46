"""A GET of an address that somebody else chose (a client's jwks_uri), which cannot be turned against our own network.

https://build.fhir.org/ig/HL7/smart-app-launch/client-confidential-asymmetric.html ·
https://cheatsheetseries.owasp.org/cheatsheets/Server_Side_Request_Forgery_Prevention_Cheat_Sheet.html
"""

from __future__ import annotations

import asyncio
import re
import socket
import ssl
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from urllib.parse import SplitResult, urlsplit

import httpx

Address = IPv4Address | IPv6Address
Resolver = Callable[[str, int], Awaitable[list[str]]]  # host and port → addresses, as text

SETTING = "FHIR_ALLOW_LOCAL_ENDPOINTS"
MAX_BYTES = 64 * 1024
MAX_ADDRESSES = 4  # tried one after the other
_HOST = re.compile(r"[A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\]")
_MAX_AGE = re.compile(r"(?:^|[\s,])max-age\s*=\s*\"?(\d{1,10})", re.IGNORECASE)
_UNCACHED = re.compile(r"(?:^|[\s,])no-(?:store|cache)\b", re.IGNORECASE)
# Where clouds tell their machines about themselves, under addresses that look public or private.
_METADATA = frozenset({ip_address("168.63.129.16"), ip_address("fd00:ec2::254")})
_NAT64 = ip_network("64:ff9b::/96")
_PRIVATE = [ip_network(text) for text in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7")]
# Of special use, which not every Python's is_global knows: https://www.iana.org/assignments/iana-ipv4-special-registry
_SPECIAL = [ip_network(text) for text in ("192.0.0.0/24", "64:ff9b:1::/48", "2001::/23", "3fff::/20", "5f00::/16")]


class FetchRefused(Exception):
    """The address may not be fetched, or what it gave cannot be used; the message says why, for its owner."""


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
        self._allow_local = allow_local
        self._resolve = resolve or resolve_name
        self._seconds = seconds
        self._limit = limit
        self._given_tls = tls

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        return self._given_tls or ssl.create_default_context()

    def check(self, url: str) -> SplitResult:
        """The parts of a URL that may be tried. Raises FetchRefused."""
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            raise FetchRefused("The address is not a URL.") from None
        host = parts.netloc.removesuffix(f":{parts.netloc.rpartition(':')[2]}") if port is not None else parts.netloc
        if parts.scheme not in ("https", "http") or not _HOST.fullmatch(host) or parts.fragment or not _plain(url):
            raise FetchRefused("The address is not an https URL without user, fragment or blanks.")
        if parts.scheme == "http" and not self._allow_local:
            raise FetchRefused(f"The address must be https; {SETTING}=true allows http on this machine and network.")
        if parts.hostname and _is_local_name(parts.hostname) and not self._allow_local:
            raise FetchRefused(f"The address is on this machine; {SETTING}=true allows that.")
        with suppress(ValueError):  # a name: its addresses are looked at when it is fetched
            self._check_address(ip_address(parts.hostname or ""), parts.scheme)
        return parts

    async def get(self, url: str) -> Fetched:
        """The content of a URL, answered with status 200. Raises FetchRefused."""
        parts = self.check(url)
        try:
            async with asyncio.timeout(self._seconds):
                addresses = await self._addresses(parts)
                return await self._first(parts, addresses)
        except TimeoutError:
            raise FetchRefused(f"The address did not answer within {self._seconds:g} seconds.") from None

    async def _addresses(self, parts: SplitResult) -> list[Address]:
        port = parts.port or _PORTS[parts.scheme]
        try:
            found = [ip_address(text.partition("%")[0]) for text in await self._resolve(parts.hostname or "", port)]
        except (OSError, ValueError):
            found = []
        if not found:
            raise FetchRefused("The name of the address cannot be resolved.")
        for address in found:
            self._check_address(address, parts.scheme)
        return found[:MAX_ADDRESSES]

    def _check_address(self, address: Address, scheme: str) -> None:
        address = _inner(address)
        if _is_public(address):
            if scheme != "https":
                raise FetchRefused("The address must be https outside of this machine and its network.")
        elif not _is_neighbour(address):
            raise FetchRefused("The address leads to a place that is never fetched from.")
        elif not self._allow_local:
            raise FetchRefused(f"The address is on this machine or a private network; {SETTING}=true allows that.")

    async def _first(self, parts: SplitResult, addresses: list[Address]) -> Fetched:
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


_PORTS = {"https": 443, "http": 80}


async def resolve_name(host: str, port: int) -> list[str]:
    """Every address of a name, by the system's resolver. Raises OSError."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[4][0]) for address in found))


def max_age(cache_control: str) -> int | None:
    """Seconds for which an answer may be kept, by its Cache-Control; None when the header does not say."""
    if _UNCACHED.search(cache_control):
        return 0
    found = _MAX_AGE.search(cache_control)
    return int(found[1]) if found else None


def _plain(url: str) -> bool:
    return url.isascii() and url.isprintable() and " " not in url and "\\" not in url


def _is_local_name(host: str) -> bool:
    host = host.lower().rstrip(".")
    return host == "localhost" or host.endswith(".localhost")


def _inner(address: Address) -> Address:
    """The IPv4 address that an IPv6 address stands for, however it is wrapped; otherwise the address itself."""
    if isinstance(address, IPv6Address):
        if address in _NAT64:
            return IPv4Address(int(address) & 0xFFFFFFFF)
        return address.ipv4_mapped or address.sixtofour or address
    return address


def _is_public(address: Address) -> bool:
    special = address.is_multicast or address.is_reserved or address.is_link_local or address in _METADATA
    if isinstance(address, IPv6Address) and address.is_site_local:
        return False
    return address.is_global and not special and not _is_in(address, _SPECIAL)


def _is_neighbour(address: Address) -> bool:
    """Loopback and private networks: what a trial or a hospital's own network may allow."""
    return address.is_loopback or (_is_in(address, _PRIVATE) and address not in _METADATA)


def _is_in(address: Address, networks: list[IPv4Network | IPv6Network]) -> bool:
    return any(address in network for network in networks if network.version == address.version)
