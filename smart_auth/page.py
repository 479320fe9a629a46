"""Pages for people: who visits, what they sent, and the answer with the headers that keep it safe.

https://cheatsheetseries.owasp.org/cheatsheets/HTTP_Headers_Cheat_Sheet.html
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

import structlog
from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from pymongo.errors import PyMongoError

from fhir_server.outcomes import FhirError, Invalid, Unavailable
from fhir_server.rest.base_url import BaseUrls
from fhir_server.rest.body import FORM, bare_type, read_body
from fhir_server.rest.head import joined
from smart_auth import csrf
from smart_auth.errors import NoRedirect
from smart_auth.limits import address_of
from smart_auth.service import SmartAuth, issuer
from smart_auth.sessions import Cookie, Session
from smart_auth.store import new_token
from smart_auth.users import User

HERE = Path(__file__).parent
COOKIE = "fhir-session"
MAX_FORM_BYTES = 64 * 1024
MAX_FIELDS = 400
log = structlog.get_logger(__name__)

templates = Environment(
    loader=FileSystemLoader(HERE / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


templates.filters["day"] = lambda moment: f"{moment:%-d %B %Y}"


class Form:
    """What a form sent: the first value of a field, or all of them."""

    def __init__(self, pairs: Iterable[tuple[str, str]]) -> None:
        self._pairs = list(pairs)
        self._values: dict[str, list[str]] = {}
        for name, value in self._pairs:
            self._values.setdefault(name, []).append(value)

    def one(self, name: str) -> str:
        """The value without blanks around it; "" when there is none."""
        return self.raw(name).strip()

    def raw(self, name: str) -> str:
        """The value as it was typed: a password's blanks count."""
        return self._values.get(name, [""])[0]

    def all(self, name: str) -> list[str]:
        return self._values.get(name, [])

    def pairs(self) -> list[tuple[str, str]]:
        return self._pairs


@dataclass(slots=True)
class Visit:
    """One request to a page: the browser, who is signed in there, and the answers it can get."""

    auth: SmartAuth
    request: Request
    base_url: str  # of the FHIR API
    secret: str  # of the session's cookie; a fresh one, not yet anybody's session, for a new browser
    session: Session | None = None
    user: User | None = None  # whoever is fully signed in
    form: Form = field(default_factory=lambda: Form(()))
    targets: Sequence[str] = ()  # origins that a form's answer may lead to, beside our own
    # Where a sign-in leads: the `request` of an app, the `next` page
    ways: dict[str, str] = field(default_factory=lambda: {"request": "", "next": ""})

    @property
    def root(self) -> str:
        """The server's root, the issuer: absolute, without a slash behind."""
        return issuer(self.base_url)

    @property
    def address(self) -> str:
        """Where the caller is, for limits."""
        return address_of(self.request, self.auth.settings)

    @property
    def may_invite(self) -> bool:
        """Whether the visitor may invite others: an administrator."""
        return self.user is not None and not {"administrator", "super-administrator"}.isdisjoint(self.user.roles)

    def query(self, name: str) -> str:
        """A parameter of the URL; "" when it is not there."""
        return self.request.query_params.get(name, "").strip()

    def show(self, template: str, status: int = 200, **values: Any) -> Response:
        """A page made from a template."""
        values.setdefault("errors", {})
        html = templates.get_template(template).render(
            visit=self,
            root=self.root,
            service=self.auth.settings.service_name,
            csrf=csrf.token_for(self.secret),
            style=STATIC.version,
            **values,
        )
        return HTMLResponse(html, status, headers={"Content-Security-Policy": self._policy()})

    def message(self, title: str, text: str, status: int = 200, **values: Any) -> Response:
        """A page that only tells something."""
        return self.show("message.html", status, title=title, text=text, **values)

    def go(self, path: str, **query: str) -> Response:
        """On to another page of ours; empty parameters are left out."""
        given = urlencode({name: value for name, value in query.items() if value})
        mark = "&" if "?" in path else "?"
        return RedirectResponse(f"{self.root}{path}{mark + given if given else ''}", 303)

    def away(self, url: str) -> Response:
        """On to an app or another site, at an address that has been checked."""
        return RedirectResponse(url, 303)

    def _policy(self) -> str:
        """Only what is ours is loaded, forms come back to us, and nobody frames the page."""
        actions = " ".join(["'self'", *self.targets])
        return (
            "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; base-uri 'none'; "
            f"form-action {actions}; frame-ancestors 'none'"
        )


Handler = Callable[[Visit], Awaitable[Response]]


class Pages:
    """A router whose handlers take a Visit; POST checks the form's CSRF token before the handler runs."""

    def __init__(self, auth: SmartAuth) -> None:
        self.auth = auth
        self.router = APIRouter(include_in_schema=False)
        self.cookie = cookie_of(auth)
        self._base_urls = BaseUrls(auth.settings)

    def get(self, path: str) -> Callable[[Handler], Handler]:
        """Serve GET (and HEAD) at the path."""
        return self._serve(path, ["GET", "HEAD"], checked=False)

    def post(self, path: str, *, checked: bool = True) -> Callable[[Handler], Handler]:
        """Serve POST at the path; not `checked`: other sites' forms may come here, too."""
        return self._serve(path, ["POST"], checked=checked)

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

    def _serve(self, path: str, methods: list[str], *, checked: bool) -> Callable[[Handler], Handler]:
        def register(handler: Handler) -> Handler:
            async def endpoint(request: Request) -> Response:
                return await self._answer(request, handler, checked=checked)

            self.router.add_api_route(path, endpoint, methods=methods, name=f"{methods[0]} {path}")
            return handler

        return register

    async def _answer(self, request: Request, handler: Handler, *, checked: bool) -> Response:
        given = self.cookie.read(request)
        visit = Visit(self.auth, request, "", given or new_token())
        try:
            visit.base_url = self._base_urls.of(request.scope, joined(request.scope["headers"]))
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
        if not given and self.cookie.name not in _cookies_set(response):
            self.cookie.set(response, visit.secret)
        for name, value in HEADERS.items():
            response.headers.setdefault(name, value)
        return response

    async def _recognize(self, visit: Visit) -> None:
        visit.session = await self.auth.sessions.find(self.cookie.read(visit.request))
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


def cookie_of(auth: SmartAuth) -> Cookie:
    """The session's cookie: only over https where the server is reached by https."""
    return Cookie(COOKIE, is_secure=(auth.settings.base_url or "").startswith("https:"))


def _cookies_set(response: Response) -> str:
    return " ".join(response.headers.getlist("set-cookie"))


def local_path(text: str, otherwise: str = "/auth/apps") -> str:
    """A path of this server to go on to; anything that could lead elsewhere is replaced."""
    is_plain = text.isascii() and text.isprintable() and "\\" not in text
    if not text.startswith("/") or text.startswith("//") or not is_plain:
        return otherwise
    parts = urlsplit(text)
    return text if not parts.scheme and not parts.netloc else otherwise


def origin_of(url: str) -> str:
    """What a Content-Security-Policy calls the place of a URL: its origin, or the scheme of an app's own."""
    parts = urlsplit(url)
    if parts.scheme in ("http", "https"):
        return f"{parts.scheme}://{quote(parts.netloc, safe='[]:.-')}"
    return f"{quote(parts.scheme, safe='+.-')}:"


class _Static:
    """The style sheet and the script, held in memory under a version that changes with them."""

    def __init__(self, folder: Path) -> None:
        self.files = {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.suffix in _TYPES}
        self.version = hashlib.sha256(b"".join(self.files.values())).hexdigest()[:12]

    def answer(self, name: str) -> Response:
        """The file; 404 when there is none of this name."""
        if name not in self.files:
            return Response(status_code=404)
        headers = {"Cache-Control": "public, max-age=86400", "X-Content-Type-Options": "nosniff"}
        return Response(self.files[name], media_type=_TYPES[Path(name).suffix], headers=headers)


_TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
STATIC = _Static(HERE / "static")
