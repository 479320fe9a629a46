"""Where we may connect to when somebody else chose the address: never against our own machine and network.

https://cheatsheetseries.owasp.org/cheatsheets/Server_Side_Request_Forgery_Prevention_Cheat_Sheet.html
"""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from urllib.parse import SplitResult, urlsplit

Address = IPv4Address | IPv6Address
Resolver = Callable[[str, int], Awaitable[list[str]]]  # host and port → addresses, as text

PORTS = {"https": 443, "http": 80}
MAX_ADDRESSES = 4  # tried one after the other
_HOST = re.compile(r"[A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\]")
_ENDS_IN_A_NUMBER = re.compile(r"(?:.*\.)?(?:\d+|0[xX][0-9A-Fa-f]*)\.?")  # read as IPv4, however it is spelt
# Where clouds tell their machines about themselves, under addresses that look public or private.
_METADATA = frozenset({ip_address("168.63.129.16"), ip_address("fd00:ec2::254")})
_NAT64 = ip_network("64:ff9b::/96")
_PRIVATE = [ip_network(text) for text in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7")]
# Of special use, which not every Python's is_global knows: https://www.iana.org/assignments/iana-ipv4-special-registry
_SPECIAL = [ip_network(text) for text in ("192.0.0.0/24", "64:ff9b:1::/48", "2001::/23", "3fff::/20", "5f00::/16")]


class Refused(Exception):
    """The address may not be used, or what it gave cannot be; the message says why, for its owner."""


async def resolve_name(host: str, port: int) -> list[str]:
    """Every address of a name, by the system's resolver. Raises OSError."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[4][0]) for address in found))


@dataclass(frozen=True, slots=True)
class Outbound:
    """What may be reached: public addresses by https; `allow_local` adds http, loopback and private networks.

    `setting` is named to those who are refused for want of it. Whoever connects does so to one of `addresses`, and
    resolves nothing again.
    """

    setting: str
    allow_local: bool = False
    resolve: Resolver = resolve_name

    def check(self, url: str) -> SplitResult:
        """The parts of a URL that may be tried, by its text alone. Raises Refused."""
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            raise Refused("The address is not a URL.") from None
        host = parts.netloc.removesuffix(f":{parts.netloc.rpartition(':')[2]}") if port is not None else parts.netloc
        if parts.scheme not in PORTS or not _HOST.fullmatch(host) or parts.fragment or port == 0 or not _plain(url):
            raise Refused("The address is not an https URL without user, fragment or blanks.")
        if parts.scheme == "http" and not self.allow_local:
            raise Refused(f"The address must be https; {self.setting}=true allows http on this machine and network.")
        name = parts.hostname or ""
        if _is_local_name(name) and not self.allow_local:
            raise Refused(f"The address is on this machine; {self.setting}=true allows that.")
        literal = _literal(name)
        if literal is not None:  # a name's addresses are looked at when it is used
            self.check_address(literal, parts.scheme)
            if str(literal) != name and literal.version == 4:
                raise Refused("The address is written in a way that others read differently.")
        return parts

    async def addresses(self, host: str, port: int, scheme: str) -> list[Address]:
        """Where the host is, looked up now; every address that it has must be allowed. Raises Refused."""
        try:
            found = [ip_address(text.partition("%")[0]) for text in await self.resolve(host, port)]
        except (OSError, ValueError):
            found = []
        if not found:
            raise Refused("The name of the address cannot be resolved.")
        for address in found:
            self.check_address(address, scheme)
        return found[:MAX_ADDRESSES]

    def check_address(self, address: Address, scheme: str) -> None:
        """Raise Refused unless the address may be reached by http or https."""
        address = _inner(address)
        if _is_public(address):
            if scheme != "https":
                raise Refused("The address must be https outside of this machine and its network.")
        elif not _is_neighbour(address):
            raise Refused("The address leads to a place that is never connected to.")
        elif not self.allow_local:
            raise Refused(f"The address is on this machine or a private network; {self.setting}=true allows that.")


def _literal(host: str) -> Address | None:
    """The address that a host of a URL spells out, in whatever way; None for a name. Raises Refused."""
    try:
        return ip_address(host)
    except ValueError:
        if not _ENDS_IN_A_NUMBER.fullmatch(host):
            return None
    try:
        return IPv4Address(socket.inet_aton(host.rstrip(".")))
    except OSError:
        raise Refused("The address ends in a number and is none.") from None


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
