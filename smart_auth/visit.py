"""One request to a page: the browser, who is signed in there, what was sent, and the answers it can get."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode, urlsplit

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from smart_auth import csrf
from smart_auth.assets import ASSETS
from smart_auth.limits import address_of
from smart_auth.service import SmartAuth, issuer
from smart_auth.sessions import Cookie, Session
from smart_auth.users import User

if TYPE_CHECKING:
    from jinja2 import Environment


@cache
def _templates() -> Environment:
    """The pages' templates; a process that shows none is spared the library."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    made = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["day"] = lambda moment: f"{moment:%-d %B %Y}"
    return made


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
    cookie: Cookie  # of the session
    browser: str  # the secret of the browser itself, which stays whoever signs in
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
        page = _templates().get_template(template)
        html = page.render(
            visit=self,
            root=self.root,
            service=self.auth.settings.service_name,
            csrf=csrf.token_for(self.secret),
            style=ASSETS.version,
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
