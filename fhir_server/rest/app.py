"""Everything below the base URL, as a raw ASGI application: one request in, one answer out.

Starlette serves the pages around it and never sees a FHIR request; docs/decisions/0006 has the figures.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Container, Mapping, MutableMapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from time import perf_counter
from typing import Any, Protocol

from fhir_server import auditing
from fhir_server.access import Principal
from fhir_server.access.principal import ANYONE, NOBODY
from fhir_server.audit.entry import Agent, Entry
from fhir_server.config import Settings
from fhir_server.context import Context, FhirRequest, FhirResponse
from fhir_server.interactions.permit import CHALLENGE
from fhir_server.outcomes import FhirError, Forbidden, MethodNotAllowed, NotAcceptable, SignInRequired
from fhir_server.registry import registry
from fhir_server.rest import metrics
from fhir_server.rest.base_url import BaseUrls
from fhir_server.rest.body import (
    FORM,
    XML,
    Disconnected,
    bare_type,
    check_form,
    decode_binary,
    decode_body,
    is_binary,
    media_type,
    read_body,
)
from fhir_server.rest.failures import response_to
from fhir_server.rest.head import joined, read_head, request_id
from fhir_server.rest.logs import RequestLog
from fhir_server.rest.negotiation import FHIR_JSON, FHIR_XML, Format, negotiate
from fhir_server.rest.query import parse_pairs
from fhir_server.rest.render import Headers, compress, render_body, render_headers

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
MakeContext = Callable[[str, str, Principal], Context]  # base URL, request id, who asks
Dispatch = Callable[[Context, FhirRequest], Awaitable[FhirResponse]]


class Authenticator(Protocol):
    """Who a request is from (smart_auth/authenticator.py)."""

    def cached(self, authorization: bytes) -> Principal | None:
        """The caller of an Authorization header that is known already."""

    async def authenticate(self, authorization: bytes | None, headers: Mapping[bytes, bytes]) -> Principal:
        """The caller; NOBODY without a header. Raises SignInRequired (401) for a token that does not hold."""


class Trail(Protocol):
    """Where entries become durable (fhir_server/audit/trail.py)."""

    def note(self, entries: Sequence[Entry]) -> Awaitable[None] | None:
        """None once they are, or what is to be awaited until they are; either raises Unavailable (503)."""


METHODS = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"
WITH_BODY = frozenset({"POST", "PUT", "PATCH"})
CLIENT_GONE = 499
LARGE_XML = 256 * 1024  # bytes; more takes over 30 ms to read, and others must not wait for it
COMPRESS_FROM = 4096  # bytes


@dataclass(slots=True)
class Exchange:
    """What is known of one request while it is answered."""

    method: str
    headers: dict[bytes, bytes]
    request_id: str
    base_url: str = ""
    format: Format | None = None  # None until it is settled
    pretty: bool = False
    request: FhirRequest = field(default_factory=lambda: FhirRequest("", ""))
    agent: Agent | None = None
    notes: list[Entry] = field(default_factory=list)  # for the audit trail
    recorded: bool = False


@lru_cache(1024)
def agent(principal: Principal, address: str, software: bytes) -> Agent:
    """Who asks, for the audit trail: one for all requests of a caller."""
    return auditing.agent_of(principal, address=address, software=software.decode("latin-1"))


class FhirApp:
    """The ASGI application of the FHIR API.

    `make_context(base_url, request_id, principal)` gives each request its Context and `dispatch` answers it. Without
    an `authenticator` everybody is ANYONE. What is noted for the `trail` is durable before the answer goes out. Pages
    of `allowed_origins` may call it from a browser.
    """

    def __init__(
        self,
        make_context: MakeContext,
        dispatch: Dispatch,
        settings: Settings,
        *,
        prefix: str = "/fhir",
        authenticator: Authenticator | None = None,
        trail: Trail | None = None,
        allowed_origins: Container[bytes] = frozenset(),
        log: RequestLog | None = None,
    ) -> None:
        self._make_context = make_context
        self._dispatch = dispatch
        self._settings = settings
        self._base_urls = BaseUrls(settings, prefix)
        self._skip = len(prefix)
        self._authenticator = authenticator
        self._trail = trail
        self._origins = allowed_origins
        self._crosses = authenticator is not None or bool(allowed_origins)
        self._log = log or RequestLog(level=settings.log_level)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        started = perf_counter()
        metrics.begin()
        headers = joined(scope["headers"])
        x = Exchange(scope["method"], headers, request_id(headers))
        status, size = CLIENT_GONE, 0
        try:
            answer, sent, body = await self._answer(x, scope, receive)
            await send({"type": "http.response.start", "status": answer, "headers": sent})
            await send({"type": "http.response.body", "body": body})
            status, size = answer, len(body)
        except (Disconnected, OSError):
            pass  # nobody is left to answer
        finally:
            self._record(x, status, size, perf_counter() - started)

    async def _answer(self, x: Exchange, scope: Scope, receive: Receive) -> tuple[int, Headers, bytes]:
        """Status, headers and body, whatever happens; raises only Disconnected."""
        try:
            response = await self._run(x, scope, receive)
            if x.notes and (waiting := self._recorded(x)) is not None:
                await waiting
            return self._render(x, response)
        except Disconnected:
            raise
        except Exception as error:
            return await self._failed(x, scope, error)

    async def _failed(self, x: Exchange, scope: Scope, error: Exception) -> tuple[int, Headers, bytes]:
        if x.format is None:
            # What failed before the format was settled is told in it all the same.
            with suppress(FhirError):
                self._negotiate(x)
        response = response_to(error, x.request_id)
        try:
            if self._trail is not None and not x.recorded:
                if not x.notes:
                    agent = x.agent or self._agent(x, scope, NOBODY)
                    x.notes.append(auditing.refused(agent, x.request, response.status, x.request_id))
                if (waiting := self._recorded(x)) is not None:
                    await waiting
        except FhirError as lost:
            response = response_to(lost, x.request_id)
        return self._render(x, response)

    def _recorded(self, x: Exchange) -> Awaitable[None] | None:
        """Give what was noted to the trail; raises Unavailable (503), and then nothing else is answered."""
        x.recorded = True
        return self._trail.note(x.notes) if self._trail is not None else None

    def _agent(self, x: Exchange, scope: Scope, principal: Principal) -> Agent:
        return agent(principal, self._base_urls.caller(scope, x.headers), x.headers.get(b"user-agent", b""))

    async def _run(self, x: Exchange, scope: Scope, receive: Receive) -> FhirResponse:
        path = scope["raw_path"][self._skip :]
        x.base_url = self._base_urls.of(scope, x.headers)
        method = "GET" if x.method == "HEAD" else x.method
        request = x.request = read_head(method, path, scope["query_string"], x.headers)
        if method == "OPTIONS":
            return self._options(x)
        if method != "GET" and method != "DELETE" and method not in WITH_BODY:
            raise MethodNotAllowed("FHIR has no such method.", headers={"Allow": METHODS})
        # Before the content is read: a stranger's 16 MB are nobody's business.
        principal = self._known(x) or await self._authenticated(x)
        if self._trail is not None:
            x.agent = self._agent(x, scope, principal)
        if method in WITH_BODY:
            self._check_origin(x)
            await self._read_content(x, receive)
        elif method == "DELETE":
            self._check_origin(x)
        self._negotiate(x)
        ctx = self._make_context(x.base_url, x.request_id, principal)
        if self._trail is not None:
            ctx.agent = x.agent
            x.notes = ctx.notes
        if b"respond-async" in x.headers.get(b"prefer", b""):
            ctx.state["respond_async"] = True
        return await self._dispatch(ctx, request)

    def _known(self, x: Exchange) -> Principal | None:
        """Who asks, if that is known without asking the database.

        The CapabilityStatement is told to everybody, whatever token comes with the request.
        """
        if self._authenticator is None:
            return ANYONE
        if x.request.path == "metadata" and x.request.method == "GET":
            return NOBODY
        header = x.headers.get(b"authorization")
        if header is None:
            raise SignInRequired("This needs an access token.", headers=CHALLENGE)
        return self._authenticator.cached(header)

    async def _authenticated(self, x: Exchange) -> Principal:
        assert self._authenticator is not None
        return await self._authenticator.authenticate(x.headers[b"authorization"], x.headers)

    def _negotiate(self, x: Exchange) -> None:
        request = x.request
        wanted = None
        for name, value in request.query:
            if name == "_format":
                wanted = value
            elif name == "_pretty":
                x.pretty = value == "true"
        accept = x.headers.get(b"accept", b"").decode("latin-1")
        try:
            x.format = negotiate(accept, wanted, self._default(x))
        except NotAcceptable:
            # A Binary comes as what it is, so Accept: application/pdf is for its reader to judge.
            if not is_binary(request.path):
                raise

    def _default(self, x: Exchange) -> Format:
        """The format for a caller who takes any: XML for one who sends XML, JSON for all others."""
        header = x.headers.get(b"content-type", b"")
        if b"xml" not in header or x.method not in WITH_BODY:
            return FHIR_JSON
        media = bare_type(header.decode("latin-1"))
        is_content = is_binary(x.request.path) and "fhir" not in media
        return FHIR_XML if media in XML and not is_content else FHIR_JSON

    async def _read_content(self, x: Exchange, receive: Receive) -> None:
        request, settings = x.request, self._settings
        header = x.headers.get(b"content-type", b"").decode("latin-1")
        data = await read_body(receive, x.headers, settings.max_body_bytes, settings.body_seconds)
        bare = bare_type(header)
        if request.path.endswith("_search"):
            check_form(media_type(header))
            request.query += parse_pairs(data)
            request.content_type = FORM
        elif request.method != "PATCH" and is_binary(request.path):
            request.content_type = bare or None
            request.body = decode_binary(data, bare)
        else:
            request.content_type = media_type(header) or None
            if bare in XML and len(data) > LARGE_XML:
                request.body = await asyncio.to_thread(decode_body, data, bare, request.method)
            else:
                request.body = decode_body(data, bare, request.method) if data else None

    def _check_origin(self, x: Exchange) -> None:
        """Without sign-in, a browser may change things only from our own pages and from the origins that are allowed.

        A token is nothing that a browser sends on its own, so with sign-in there is nothing to forge.
        """
        origin = x.headers.get(b"origin")
        if origin is None or self._authenticator is not None or origin in self._origins:
            return
        host = origin.partition(b"://")[2]
        if host != x.headers.get(b"host") and host.decode("latin-1") != x.base_url.split("/")[2]:
            raise Forbidden("Pages of this origin may not change anything here.")

    def _options(self, x: Exchange) -> FhirResponse:
        response = FhirResponse(204, headers={"Allow": METHODS})
        if x.headers.get(b"origin") in self._origins and b"access-control-request-method" in x.headers:
            response.headers |= {
                "Access-Control-Allow-Methods": METHODS,
                "Access-Control-Allow-Headers": x.headers.get(b"access-control-request-headers", b"").decode("latin-1"),
                "Access-Control-Max-Age": "600",
            }
        return response

    def _render(self, x: Exchange, response: FhirResponse) -> tuple[int, Headers, bytes]:
        headers = render_headers(response, x.base_url, x.request_id)
        if self._crosses:
            headers += self._cors(x)
        if response.status in (204, 304):
            return response.status, headers, b""
        body, about = render_body(response, x.format or FHIR_JSON, x.pretty, x.base_url)
        body, about = self._compressed(x, body, about)
        headers += about
        headers.append((b"content-length", b"%d" % len(body)))
        return response.status, headers, b"" if x.method == "HEAD" else body

    def _compressed(self, x: Exchange, body: bytes, about: Headers) -> tuple[bytes, Headers]:
        """Gzip for browsers, whose line nobody knows; a program asks for it by habit, and sits beside the server."""
        if len(body) < COMPRESS_FROM or b"sec-fetch-mode" not in x.headers:
            return body, about
        if b"gzip" not in x.headers.get(b"accept-encoding", b""):
            return body, about
        return compress(body), [*about, (b"content-encoding", b"gzip"), (b"vary", b"accept-encoding, sec-fetch-mode")]

    def _cors(self, x: Exchange) -> Headers:
        origin = x.headers.get(b"origin")
        if origin is None or origin not in self._origins:
            return [(b"vary", b"origin")]
        exposed = b"ETag, Last-Modified, Location, Content-Location, X-Request-Id"
        return [
            (b"vary", b"origin"),
            (b"access-control-allow-origin", origin),
            (b"access-control-expose-headers", exposed),
        ]

    def _record(self, x: Exchange, status: int, size: int, seconds: float) -> None:
        request = x.request
        interaction, type_ = request.interaction, request.type or ""
        # A name that nobody registered is the caller's own text, and stays out of logs and metrics.
        if request.operation in registry.operations:
            interaction = f"${request.operation}"
        metrics.end(interaction, type_, status, seconds)
        method = x.method if x.method in _KNOWN else "other"
        self._log.write(
            request_id=x.request_id,
            method=method,
            interaction=interaction,
            type_=type_,
            status=status,
            seconds=seconds,
            size=size,
        )


_KNOWN = frozenset(METHODS.split(", "))
