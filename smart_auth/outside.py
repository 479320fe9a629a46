"""Signing in through an outside provider, whose verified subject was linked to a local account before.

An e-mail address never links anybody: whoever controls it there need not be who has it here.
"""

from __future__ import annotations

import structlog
from starlette.responses import Response

from fhir_server.outcomes import Conflict, NotFound
from fhir_server.rest.router import Router
from smart_auth import login
from smart_auth.limits import Limit
from smart_auth.page import Pages
from smart_auth.providers import Provider, ProviderClient, ProviderFailed, client_of, providers_of
from smart_auth.service import SmartAuth
from smart_auth.store import digest, new_token
from smart_auth.visit import Visit, origin_of

log = structlog.get_logger(__name__)

MINUTES = 15
_STARTS = Limit("outside", 600, 15 * 60)  # a hospital may be one address


def routes(auth: SmartAuth) -> Router:
    """/auth/outside/{name}, its callback, and /auth/outside/{name}/link."""
    pages = Pages(auth)

    @pages.get("/auth/outside/{name}")
    async def start(visit: Visit) -> Response:
        return await _start(visit, _provider(visit))

    @pages.post("/auth/outside/{name}/link")
    @pages.signed_in
    async def link(visit: Visit) -> Response:
        assert visit.user is not None
        return await _start(visit, _provider(visit), link=visit.user.id)

    @pages.get("/auth/outside/{name}/callback")
    async def back(visit: Visit) -> Response:
        try:
            return await _back(visit, _provider(visit))
        except ProviderFailed as error:
            log.warning("sign-in at a provider failed", provider=_provider(visit).name, reason=str(error))
            return _failed(visit, str(error))

    return pages.router


def _provider(visit: Visit) -> Provider:
    name = visit.request.path_params["name"]
    for one in providers_of(visit.auth.settings):
        if one.name == name:
            return one
    raise NotFound("There is no such provider of sign-in.")


def _redirect_uri(visit: Visit, provider: Provider) -> str:
    return f"{visit.root}/auth/outside/{provider.name}/callback"


async def _start(visit: Visit, provider: Provider, link: str = "") -> Response:
    """Off to the provider; what was begun is tied to this browser."""
    await visit.auth.limits.count(_STARTS, visit.address)
    nonce, verifier = new_token(), new_token()
    begun = {
        "provider": provider.name,
        "browser": digest(visit.secret),
        "nonce": nonce,
        "verifier": verifier,
        "request": visit.query("request"),
        "next": visit.query("next"),
        "link": link,
    }
    state = await visit.auth.links.make("outside", new_token(), begun, minutes=MINUTES)
    try:
        address = await client_of(provider).address(
            _redirect_uri(visit, provider), state=state, nonce=nonce, verifier=verifier
        )
    except ProviderFailed as error:
        log.warning("a provider of sign-in cannot be used", provider=provider.name, reason=str(error))
        return _failed(visit, str(error))
    return visit.away(address)


async def _back(visit: Visit, provider: Provider) -> Response:
    client = client_of(provider)
    found = await visit.auth.links.take("outside", visit.query("state"))
    begun = found["data"] if found is not None else {}
    if begun.get("provider") != provider.name or bytes(begun.get("browser", b"")) != digest(visit.secret):
        raise ProviderFailed("This sign-in was not begun in this browser, or too long ago.")
    if visit.query("iss") not in ("", client.issuer):
        raise ProviderFailed("The answer comes from another provider.")
    if not visit.query("code"):
        raise ProviderFailed("You did not sign in there, or the provider refused.")
    subject = await client.subject(
        visit.query("code"), _redirect_uri(visit, provider), nonce=begun["nonce"], verifier=begun["verifier"]
    )
    if begun["link"]:
        return await _link(visit, provider, client, subject, begun["link"])
    user = await visit.auth.users.by_identity(client.issuer, subject)
    if user is None or not user.active:
        text = (
            f"Nobody here is linked to this account at {provider.label} yet. Sign in with your user name and "
            "password once, and link it under Account."
        )
        return visit.message("Not linked yet", text, 403, link=(_again(begun), "Sign in with a password"))
    visit.ways = {"request": begun["request"], "next": begun["next"]}
    return await login.enter(visit, user, proven=provider.second_factor)


async def _link(visit: Visit, provider: Provider, client: ProviderClient, subject: str, user: str) -> Response:
    if visit.user is None or visit.user.id != user:
        raise ProviderFailed("You have signed out meanwhile.")
    try:
        await visit.auth.users.link(user, client.issuer, subject)
    except Conflict as error:
        return visit.message("Not linked", str(error), 409, link=("/auth/account", "Back to your account"))
    return visit.go("/auth/account", done="linked")


def _again(begun: dict[str, str]) -> str:
    return f"/auth/login?request={begun['request']}" if begun["request"] else "/auth/login"


def _failed(visit: Visit, reason: str) -> Response:
    return visit.message("Sign-in did not work", reason, 502, link=("/auth/login", "Back to sign-in"))


async def origins(auth: SmartAuth) -> tuple[str, ...]:
    """Where linking leads: the account page's form must be allowed to."""
    return tuple([origin_of(await client_of(one).start()) for one in providers_of(auth.settings)])
