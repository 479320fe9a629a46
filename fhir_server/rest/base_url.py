"""The absolute base URL of the API as this caller sees it: configured, forwarded by a trusted proxy, or the Host.

https://hl7.org/fhir/R4/http.html#root
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from ipaddress import ip_address, ip_network
from typing import Any

from fhir_server.config import Settings
from fhir_server.outcomes import FhirError, Invalid

_host = re.compile(r"(?:[A-Za-z0-9._-]{1,255}|\[[0-9A-Fa-f:.]{2,45}\])(?::\d{1,5})?")
_prefix = re.compile(r"(?:/[A-Za-z0-9._~-]+)*")
_loopback = re.compile(r"(?:(?:[A-Za-z0-9-]+\.)*localhost|127(?:\.\d{1,3}){3}|\[::1\])(?::\d{1,5})?", re.IGNORECASE)


class BaseUrls:
    """Finds the base URL of each request; `prefix` is where the API lives below the server's root."""

    def __init__(self, settings: Settings, prefix: str = "/fhir") -> None:
        self.prefix = prefix
        self.configured = settings.base_url.rstrip("/") if settings.base_url else None
        names = (name.strip() for name in settings.trusted_proxies.split(","))
        self._proxies = tuple(ip_network(name, strict=False) for name in names if name)
        # Without sign-in, only pages of this machine may talk to it: another site's name that resolves
        # to 127.0.0.1 (DNS rebinding) must not turn a browser into a reader of the data.
        self._loopback_only = settings.open and bool(_loopback.fullmatch(_as_host(settings.host)))
        self._of_host = lru_cache(256)(self._from_host)
        self._is_proxy = lru_cache(256)(self._is_trusted)

    def of(self, scope: Mapping[str, Any], headers: Mapping[bytes, bytes]) -> str:
        """Absolute, without a trailing slash. Raises Invalid (400), or 421 for a foreign name of a loopback server."""
        client = scope.get("client")
        if self._proxies and client and self._is_proxy(client[0]):
            return self.configured or self._forwarded(scope, headers)
        url = self._of_host(scope["scheme"], headers.get(b"host", b"") or _server(scope))
        return self.configured or url

    def caller(self, scope: Mapping[str, Any], headers: Mapping[bytes, bytes]) -> str:
        """The network address of the caller; behind a trusted proxy, the one that it names. "" when nobody knows."""
        client = scope.get("client")
        if not client:
            return ""
        if self._proxies and self._is_proxy(client[0]):
            return _last(headers, b"x-forwarded-for")[:64] or str(client[0])
        return str(client[0])

    def _from_host(self, scheme: str, header: bytes) -> str:
        host = header.decode("latin-1")
        if not _host.fullmatch(host):
            raise Invalid("The Host header is not a host name with an optional port.")
        if self._loopback_only and not _loopback.fullmatch(host) and not self._is_configured(host):
            reason = "This server runs without sign-in and answers only under localhost, or its configured base URL."
            raise FhirError(reason, status=421, code="forbidden")
        return f"{scheme}://{host}{self.prefix}"

    def _is_configured(self, host: str) -> bool:
        return self.configured is not None and self.configured.split("/")[2].lower() == host.lower()

    def _forwarded(self, scope: Mapping[str, Any], headers: Mapping[bytes, bytes]) -> str:
        """From X-Forwarded-*: the last value of each, which is the one the trusted proxy itself wrote."""
        scheme = _last(headers, b"x-forwarded-proto") or str(scope["scheme"])
        host = _last(headers, b"x-forwarded-host") or headers.get(b"host", b"").decode("latin-1")
        port = _last(headers, b"x-forwarded-port")
        prefix = _last(headers, b"x-forwarded-prefix").rstrip("/")
        if port.isdigit() and not re.search(r":\d+$", host) and port != {"http": "80", "https": "443"}.get(scheme):
            host = f"{host}:{port}"
        if scheme not in ("http", "https") or not _host.fullmatch(host) or not _prefix.fullmatch(prefix):
            raise Invalid("The X-Forwarded headers do not make a URL.")
        return f"{scheme}://{host}{prefix}{self.prefix}"

    def _is_trusted(self, client: str) -> bool:
        try:
            address = ip_address(client)
        except ValueError:
            return False
        return any(address in network for network in self._proxies)


def _last(headers: Mapping[bytes, bytes], name: bytes) -> str:
    return headers.get(name, b"").decode("latin-1").rpartition(",")[2].strip()


def _as_host(address: str) -> str:
    return f"[{address}]" if ":" in address else address


def _server(scope: Mapping[str, Any]) -> bytes:
    """The address we listen on, for the HTTP/1.0 caller that sends no Host."""
    server = scope.get("server")
    return f"{_as_host(server[0])}:{server[1]}".encode() if server else b"localhost"
