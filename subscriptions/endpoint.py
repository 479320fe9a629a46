"""Requests to endpoints that subscribers chose, which cannot be turned against our own machine and network.

https://cheatsheetseries.owasp.org/cheatsheets/Server_Side_Request_Forgery_Prevention_Cheat_Sheet.html
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, urljoin

from fhir_server.outbound import PORTS, Outbound, Refused, Resolver, resolve_name

if TYPE_CHECKING:
    import httpcore

SETTING = "FHIR_ALLOW_PRIVATE_ENDPOINTS"
MAX_ANSWER = 64 * 1024  # bytes of an answer's body that are read, and forgotten
MAX_REDIRECTS = 3
AT_ONCE = 64  # connections of each scheme
IDLE_SECONDS = 10.0  # for which a connection is kept
CONNECT_SECONDS = 5.0  # for each address of a name
Header = tuple[str, str]


def check_url(text: str, *, allow_private: bool = False) -> SplitResult:
    """The parts of an endpoint that may be tried, by its text and literal addresses alone. Raises Refused."""
    parts = Outbound(SETTING, allow_private).check(text)
    port = parts.port or PORTS[parts.scheme]
    if port < 1024 and port not in PORTS.values():
        raise Refused("The port of the address belongs to another protocol than HTTP.")
    return parts


class Guarded:
    """HTTP whose every connection goes to an address that was looked up and checked for it, and to no other.

    `network` makes the connections. Nothing of the environment (proxies, .netrc) has a say.
    """

    def __init__(
        self,
        *,
        allow_private: bool = False,
        resolve: Resolver = resolve_name,
        network: httpcore.AsyncNetworkBackend | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._allow_private = allow_private
        self._way = Outbound(SETTING, allow_private, resolve)
        self._network = network
        self._tls = tls
        self._pools: dict[str, httpcore.AsyncConnectionPool] = {}  # by scheme

    async def close(self) -> None:
        """Close what is kept open."""
        for pool in self._pools.values():
            await pool.aclose()

    async def send(
        self, method: str, url: str, *, headers: Sequence[Header] = (), content_type: str, body: bytes, seconds: float
    ) -> int:
        """The status of the answer, within so many seconds in total; its body is read and forgotten.

        307 and 308 are followed a few times, where each address must be as good as the first; `headers`, which may
        be credentials, go to the first origin only. Raises Refused, whose message repeats nothing of the request.
        """
        try:
            async with asyncio.timeout(seconds):
                for _ in range(MAX_REDIRECTS + 1):
                    parts = check_url(url, allow_private=self._allow_private)
                    sent = [("Host", parts.netloc), ("User-Agent", "fhir-server"), ("Accept-Encoding", "identity")]
                    sent += [("Content-Type", content_type)] if content_type else []
                    status, location = await self._exchange(method, parts, [*sent, *headers], body)
                    if status not in (307, 308) or not location:
                        return status
                    url, before = urljoin(url, location), parts
                    target = check_url(url, allow_private=self._allow_private)
                    if before.scheme == "https" and target.scheme != "https":
                        raise Refused("The endpoint redirects from https to http.")
                    headers = headers if _origin(target) == _origin(before) else ()
        except TimeoutError:
            raise Refused(f"The endpoint did not answer within {seconds:g} seconds.") from None
        raise Refused("The endpoint redirects too often.")

    async def _exchange(
        self, method: str, parts: SplitResult, headers: Sequence[Header], body: bytes
    ) -> tuple[int, str]:
        """Status and Location of one answer."""
        import httpcore  # not at the top: most servers never send anything, and every start would wait for it

        target = f"{parts.path or '/'}{f'?{parts.query}' if parts.query else ''}"
        host = (parts.hostname or "").encode()
        url = httpcore.URL(scheme=parts.scheme.encode(), host=host, port=parts.port, target=target.encode())
        name = (parts.hostname or "").rstrip(".")  # TLS knows names without the dot of the root
        extensions: dict[str, Any] = {"sni_hostname": name, "timeout": {"connect": CONNECT_SECONDS}}
        try:
            pool = self._pool(parts.scheme)
            async with pool.stream(method, url, headers=list(headers), content=body, extensions=extensions) as answer:
                await _forget(answer)
                found = {name.lower(): value for name, value in answer.headers}
                return answer.status, found.get(b"location", b"").decode("ascii", "replace")
        except (httpcore.ConnectError, httpcore.ConnectTimeout):
            raise Refused("No connection to the endpoint was possible.") from None
        except (
            httpcore.NetworkError,
            httpcore.ProtocolError,
            httpcore.TimeoutException,
            ssl.SSLError,
            OSError,
            ValueError,
        ):
            raise Refused("The endpoint did not give an answer that can be read.") from None

    def _pool(self, scheme: str) -> httpcore.AsyncConnectionPool:
        """The connections of a scheme, made when the first is needed."""
        if scheme not in self._pools:
            import httpcore

            from subscriptions.pinned import Pinned

            self._pools[scheme] = httpcore.AsyncConnectionPool(
                ssl_context=self._tls or ssl.create_default_context(),
                max_connections=AT_ONCE,
                keepalive_expiry=IDLE_SECONDS,
                network_backend=Pinned(self._way, scheme, self._network),
            )
        return self._pools[scheme]


async def _forget(answer: httpcore.Response) -> None:
    """Read the body, so that the connection can be used again; one without an end is not waited for."""
    size = 0
    async for chunk in answer.aiter_stream():
        size += len(chunk)
        if size > MAX_ANSWER:
            return


def _origin(parts: SplitResult) -> tuple[str, str, int]:
    return parts.scheme, (parts.hostname or "").rstrip("."), parts.port or PORTS[parts.scheme]
