"""The server to measure: a base URL on this machine, and the bytes of a request to it."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit

Resolver = Callable[[str], Iterable[str]]
RESERVED = {"host", "content-length", "transfer-encoding", "connection"}


class Refused(Exception):
    """The base URL is not one this program may put load on; the message says why."""


def system_resolver(host: str) -> list[str]:
    """Every address of a host name, as the system's resolver knows them; OSError when there are none."""
    return [str(found[4][0]) for found in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)]


@dataclass(frozen=True, slots=True)
class Target:
    """One server: the loopback address found at the start (never asked for again), and its base path."""

    address: str
    port: int
    host: str  # value of the Host header
    path: str  # base path without a trailing slash: "/fhir"
    headers: bytes = b""  # extra header lines, each ended with CR LF

    def request(self, method: str, path: str, body: bytes | None = None) -> bytes:
        """The bytes of one request; `path` is relative to the base ("Patient/1", "" for the base) or starts with /."""
        url = path if path.startswith("/") else f"{self.path}/{path}" if path else self.path or "/"
        start = f"{method} {url} HTTP/1.1\r\nHost: {self.host}\r\nAccept: application/fhir+json\r\n".encode()
        if body is None:
            return b"%b%b\r\n" % (start, self.headers)
        kind = b"Content-Type: application/fhir+json\r\nContent-Length: %d\r\n\r\n" % len(body)
        return b"%b%b%b%b" % (start, self.headers, kind, body)


def target(base: str, headers: Iterable[str] = (), resolve: Resolver = system_resolver) -> Target:
    """The target of a base URL such as http://127.0.0.1:8080/fhir; `headers` are "Name: value" lines.

    Raises Refused unless the URL is plain http and every address of its host is a loopback address.
    """
    parts = urlsplit(base)
    if parts.scheme != "http" or not parts.hostname:
        raise Refused("The base URL must be an http:// URL of this machine, such as http://127.0.0.1:8080/fhir.")
    try:
        addresses = sorted({ipaddress.ip_address(found) for found in resolve(parts.hostname)}, key=lambda a: a.version)
    except (OSError, ValueError) as error:
        raise Refused(f"The host of the base URL cannot be resolved: {error}") from None
    if not addresses or not all(address.is_loopback for address in addresses):
        raise Refused("This program puts load on this machine only: the host must be a loopback address.")
    lines = b"".join(_header(line) for line in headers)
    port = parts.port or 80
    return Target(str(addresses[0]), port, parts.netloc.rpartition("@")[2], parts.path.rstrip("/"), lines)


def _header(line: str) -> bytes:
    name, colon, value = line.partition(":")
    if not colon or not name.strip() or "\r" in line or "\n" in line or name.strip().lower() in RESERVED:
        raise Refused("A --header is one line, Name: value, and not one that frames the message.")
    return f"{name.strip()}: {value.strip()}\r\n".encode("latin-1")
