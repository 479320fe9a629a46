"""Pages for people as routes: each visit is recognized, its form checked, and its answer given safe headers.

https://cheatsheetseries.owasp.org/cheatsheets/HTTP_Headers_Cheat_Sheet.html
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from urllib.parse import parse_qsl

import structlog
from pymongo.errors import PyMongoError
from starlette.requests import Request
from starlette.responses import Response

from fhir_server.outcomes import FhirError, Invalid, Unavailable
from fhir_server.rest.base_url import BaseUrls
from fhir_server.rest.body import FORM, bare_type, read_body
from fhir_server.rest.head import joined
from fhir_server.rest.router import Router
from smart_auth import csrf
from smart_auth.errors import NoRedirect
from smart_auth.service import SmartAuth
from smart_auth.sessions import Cookie
from smart_auth.store import new_token
from smart_auth.visit import Form, Visit

HERE = Path(__file__).parent
COOKIE = "fhir-session"
BROWSER = "fhir-browser"
MAX_FORM_BYTES = 64 * 1024
MAX_FIELDS = 400
log = structlog.get_logger(__name__)

Handler = Callable[[Visit], Awaitable[Response]]


class Pages:
    """A router whose handlers take a Visit; POST checks the form's CSRF token before the handler runs."""

    def __init__(self, auth: SmartAuth) -> None:
        self.auth = auth
        self.router = Router()
        self._base_urls = BaseUrls(auth.settings)

    def get(self, path: str) -> Callable[[Handler], Handler]:
        """Serve GET (and HEAD) at the path."""
        return self._serve(path, "GET", "HEAD", checked=False)

    def post(self, path: str, *, checked: bool = True) -> Callable[[Handler], Handler]:
        """Serve POST at the path; not `checked`: other sites' forms may come here, too."""
        return self._serve(path, "POST", checked=checked)

    def signed_in(self, handler: Handler) -> Handler:
        """Only for those who are fully signed in; others sign in first and come back."""

        async def guarded(visit: Visit) -> Response:
            if visit.user is None:
                path = visit.request.url.path
                query = visit.request.url.query
                here = path + (f"?{query}" if query else "") if visit.request.method == "GET" else "/auth/apps"
                return visit.go("/auth/login", next=here)
            return await handler(visit)

        return guarded

    def _serve(self, path: str, *methods: str, checked: bool) -> Callable[[Handler], Handler]:
        def register(handler: Handler) -> Handler:
            @self.router.on(path, *methods)
            async def endpoint(request: Request) -> Response:
                return await self._answer(request, handler, checked=checked)

            return handler

        return register

    async def _answer(self, request: Request, handler: Handler, *, checked: bool) -> Response:
        try:
            base_url, wrong = self._base_urls.of(request.scope, joined(request.scope["headers"])), None
        except FhirError as error:
            base_url, wrong = self.auth.settings.base_url or "", error
        cookies = [Cookie(name, is_secure=base_url.startswith("https:")) for name in (COOKIE, BROWSER)]
        given, browser = (one.read(request) for one in cookies)
        visit = Visit(self.auth, request, base_url, given or new_token(), cookies[0], browser or new_token())
        try:
            if wrong is not None:
                raise wrong
            await self._recognize(visit)
            if request.method == "POST":
                visit.form = await self._form(request)
                if checked:
                    csrf.check(given, visit.form.one(csrf.FIELD))
            visit.ways = {name: visit.form.one(name) or visit.query(name) for name in ("request", "next")}
            response = await handler(visit)
        except NoRedirect as error:
            response = visit.message("This app cannot be opened", str(error), 400)
        except FhirError as error:
            response = self._failed(visit, error)
        except PyMongoError as error:
            log.warning("the database failed", exception=type(error).__qualname__)
            response = self._failed(visit, Unavailable("The server is busy. Try again in a moment."))
        # To another site's form the browser does not show its cookies: it keeps those that it may have.
        if request.method != "POST" or checked:
            for cookie, known, secret in zip(cookies, (given, browser), (visit.secret, visit.browser), strict=True):
                if not known and f"{cookie.name}=" not in _cookies_set(response):
                    cookie.set(response, secret)
        for name, value in HEADERS.items():
            response.headers.setdefault(name, value)
        if visit.cookie.is_secure:
            response.headers.setdefault("Strict-Transport-Security", "max-age=31536000")
        return response

    async def _recognize(self, visit: Visit) -> None:
        visit.session = await self.auth.sessions.find(visit.cookie.read(visit.request))
        if visit.session is None:
            return
        user = await self.auth.users.get(visit.session.user)
        if user is None or not user.active:
            visit.session = None
        elif visit.session.is_complete:
            visit.user = user

    async def _form(self, request: Request) -> Form:
        headers = joined(request.scope["headers"])
        if bare_type(request.headers.get("content-type", "")) != FORM:
            raise Invalid("This is not a form.", status=415)
        body = await read_body(request.receive, headers, MAX_FORM_BYTES, self.auth.settings.body_seconds)
        try:
            pairs = parse_qsl(body.decode(), keep_blank_values=True, errors="strict", max_num_fields=MAX_FIELDS)
        except ValueError:
            raise Invalid("The form cannot be read.") from None
        if any("\0" in text for pair in pairs for text in pair):
            raise Invalid("The form contains a NUL character.")
        return Form(pairs)

    def _failed(self, visit: Visit, error: FhirError) -> Response:
        title = _TITLES.get(error.status, "That did not work")
        response = visit.message(title, str(error), error.status)
        response.headers.update(error.headers)
        return response


HEADERS: Mapping[str, str] = {
    "Cache-Control": "no-store",
    "Pragma": "no-cache",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
_TITLES = {
    403: "That is not allowed",
    404: "Nothing here",
    429: "Too many attempts",
    503: "One moment, please",
}


def _cookies_set(response: Response) -> str:
    return " ".join(response.headers.getlist("set-cookie"))
