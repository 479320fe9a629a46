"""What the endpoints that apps call have in common: bounded forms, answers never kept, CORS for registered pages.

RFC 6749, sections 3.2 and 5 · https://hl7.org/fhir/smart-app-launch/app-launch.html#considerations-for-cross-origin-resource-sharing-cors-support
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl

import structlog
from pymongo.errors import PyMongoError
from starlette.requests import Request
from starlette.responses import Response

from fhir_server import json
from fhir_server.config import Settings
from fhir_server.outcomes import FhirError, UnsupportedMedia
from fhir_server.rest.base_url import BaseUrls
from fhir_server.rest.body import FORM, Disconnected, bare_type, read_body
from fhir_server.rest.head import joined
from fhir_server.rest.router import Router
from smart_auth.clients import Clients
from smart_auth.errors import OAuthError

Json = dict[str, Any]
Form = Mapping[str, str]
Work = Callable[[], Awaitable[Response]]

MAX_BYTES = 64 * 1024
MAX_FIELDS = 100
NO_STORE = {"Cache-Control": "no-store", "Pragma": "no-cache"}
PUBLIC = {"Access-Control-Allow-Origin": "*", "Cache-Control": "no-cache"}
_METHODS = "GET, POST, DELETE, OPTIONS"
log = structlog.get_logger(__name__)


class Endpoint:
    """Serves what apps call directly: every failure is OAuth's JSON, for pages of registered origins to read."""

    def __init__(self, settings: Settings, clients: Clients) -> None:
        self._settings = settings
        self._clients = clients
        self._base_urls = BaseUrls(settings)

    def base_url(self, request: Request) -> str:
        """The FHIR base URL as this caller sees it. Raises FhirError."""
        return self._base_urls.of(request.scope, joined(request.scope["headers"]))

    async def serve(self, request: Request, work: Work) -> Response:
        """The answer of `work`; its OAuthError or FhirError as JSON; with the CORS headers of this origin."""
        try:
            response = await work()
        except OAuthError as error:
            response = refusal(error, request)
        except FhirError as error:
            name = "temporarily_unavailable" if error.status in (429, 503) else "invalid_request"
            response = answer(_named(name, str(error)), error.status, error.headers)
        except Disconnected:
            return Response(status_code=499)  # which nobody hears
        except PyMongoError as error:
            log.warning("the database failed", exception=type(error).__qualname__)
            response = answer(_named("temporarily_unavailable", ""), 503, {"Retry-After": "2"})
        return await self._cors(request, response)

    def publish(self, router: Router, path: str, make: Callable[[str], Awaitable[Json]], keep: int = 0) -> None:
        """Serve at `path` the JSON that `make` gives for a FHIR base URL: to everybody, and to every page there is.

        `keep`: seconds for which who has it need not ask again.
        """
        headers = PUBLIC | ({"Cache-Control": f"public, max-age={keep}"} if keep else {})

        @router.on(path, "GET", "HEAD")
        async def document(request: Request) -> Response:
            try:
                content = await make(self.base_url(request))
            except FhirError as error:
                return answer(_named("invalid_request", str(error)), error.status, error.headers)
            return Response(json.encode(content), 200, headers, "application/json")

        @router.options(path)
        async def preflight(request: Request) -> Response:
            allowed = {"Access-Control-Allow-Methods": "GET, OPTIONS", "Access-Control-Allow-Headers": "*"}
            return Response(status_code=204, headers={**PUBLIC, **allowed})

    async def preflight(self, request: Request) -> Response:
        """The answer to a browser that asks whether a page may call."""
        return await self._cors(request, Response(status_code=204, headers={"Allow": _METHODS}))

    async def body(self, request: Request) -> bytes:
        """The request's body, at most 64 KB. Raises FhirError: TooLarge (413), Timeout (408)."""
        return await read_body(
            request.receive, joined(request.scope["headers"]), MAX_BYTES, self._settings.body_seconds
        )

    async def form(self, request: Request) -> Form:
        """The parameters of a form; an empty one counts as absent (RFC 6749, 3.2).

        Raises OAuthError for a repeated one, FhirError for another media type or too much.
        """
        if bare_type(request.headers.get("content-type", "")) != FORM:
            raise UnsupportedMedia(f"The body must be {FORM}.")
        return parse_form(await self.body(request))

    async def _cors(self, request: Request, response: Response) -> Response:
        response.headers["Vary"] = "Origin"
        origin = request.headers.get("origin")
        if origin is None or origin not in await self._clients.origins():
            return response
        response.headers["Access-Control-Allow-Origin"] = origin
        if request.method == "OPTIONS":
            response.headers["Access-Control-Allow-Methods"] = _METHODS
            response.headers["Access-Control-Allow-Headers"] = "Authorization, Content-Type"
            response.headers["Access-Control-Max-Age"] = "600"
        return response


def parse_form(body: bytes) -> Form:
    """The parameters of a form's text. Raises OAuthError."""
    try:
        pairs = parse_qsl(body.decode(), keep_blank_values=True, errors="strict", max_num_fields=MAX_FIELDS)
    except ValueError:
        raise OAuthError("invalid_request", "The form cannot be read.") from None
    form = dict(pairs)
    if len(form) != len(pairs):
        raise OAuthError("invalid_request", "A parameter is repeated.")
    if any("\0" in text for pair in pairs for text in pair):
        raise OAuthError("invalid_request", "A parameter contains a NUL character.")
    return {name: value for name, value in form.items() if value}


def bearer(request: Request) -> str | None:
    """The access token of the Authorization header; None when there is no such header, or it is no token's."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None


def required(form: Form, *names: str) -> list[str]:
    """The values of these parameters. Raises OAuthError for one that is missing."""
    for name in names:
        if name not in form:
            raise OAuthError("invalid_request", f"The parameter {name} is missing.")
    return [form[name] for name in names]


def answer(content: Json, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """JSON that nobody may keep."""
    return Response(json.encode(content), status, {**NO_STORE, **(headers or {})}, "application/json")


def refusal(error: OAuthError, request: Request) -> Response:
    """The JSON of a refusal; what is wrong with a token, or with the credentials of a header, names its scheme."""
    headers = {}
    if error.error in ("invalid_token", "insufficient_scope"):
        headers["WWW-Authenticate"] = f'Bearer error="{error.error}"'
    elif error.status == 401 and "authorization" in request.headers:
        headers["WWW-Authenticate"] = 'Basic realm="clients"'
    return answer(_named(error.error, error.description), error.status, headers)


def _named(error: str, description: str) -> Json:
    return {"error": error, "error_description": description} if description else {"error": error}
