"""One's own account: the password, the second factor, outside providers, and where else one is signed in."""

from __future__ import annotations

from starlette.responses import Response

from fhir_server.outcomes import TooManyRequests, ValueWrong
from fhir_server.rest.router import Router
from smart_auth import outside, second_factor
from smart_auth.limits import Limit
from smart_auth.login import SECOND_FACTOR, WINDOW
from smart_auth.notes import note
from smart_auth.page import Pages
from smart_auth.providers import client_of, providers_of
from smart_auth.service import SmartAuth
from smart_auth.users import User, identity
from smart_auth.visit import Visit

_DONE = {
    "password": "Your password is changed, and you are signed out everywhere else.",
    "off": "The second factor is turned off.",
    "sessions": "You are signed out everywhere else.",
    "linked": "You can sign in that way from now on.",
    "unlinked": "You cannot sign in that way any more.",
}
_AGAIN = Limit("password-again", 10, WINDOW)


def routes(auth: SmartAuth) -> Router:
    """/auth/account and what is done there."""
    pages = Pages(auth)

    @pages.get("/auth/account")
    @pages.signed_in
    async def account(visit: Visit) -> Response:
        return await _page(visit, note=_DONE.get(visit.query("done"), ""))

    @pages.post("/auth/account/password")
    @pages.signed_in
    async def password(visit: Visit) -> Response:
        return await _change_password(visit)

    @pages.post("/auth/account/second-factor")
    @pages.signed_in
    async def factor(visit: Visit) -> Response:
        return await _change_second_factor(visit)

    @pages.post("/auth/account/sessions")
    @pages.signed_in
    async def sessions(visit: Visit) -> Response:
        assert visit.session is not None
        await auth.sessions.end_all(visit.session.user, but=visit.session.id)
        return visit.go("/auth/account", done="sessions")

    @pages.post("/auth/account/unlink")
    @pages.signed_in
    async def unlink(visit: Visit) -> Response:
        assert visit.user is not None
        await auth.users.unlink(visit.user.id, visit.form.one("identity"))
        return visit.go("/auth/account", done="unlinked")

    return pages.router


async def _page(visit: Visit, status: int = 200, note: str = "", **errors: str) -> Response:
    user, settings = visit.user, visit.auth.settings
    assert user is not None
    visit.targets = await outside.origins(visit.auth)
    linked = {one.name: _linked(user, client_of(one).issuer) for one in providers_of(settings)}
    return visit.show(
        "account.html",
        status,
        user=user,
        note=note,
        errors=errors,
        providers=providers_of(settings),
        linked=linked,
        only_way=not user.password_hash and len(user.identities) == 1,
        is_required=second_factor.is_required(user.roles, settings.second_factor_roles),
    )


def _linked(user: User, issuer: str) -> str:
    return next((one for one in user.identities if one.startswith(identity(issuer, ""))), "")


async def _change_password(visit: Visit) -> Response:
    auth, user, session = visit.auth, visit.user, visit.session
    assert user is not None
    assert session is not None
    try:
        await auth.limits.count(_AGAIN, user.id)
    except TooManyRequests as error:
        return await _page(visit, 429, current=str(error))
    if not await auth.users.check_password(user, visit.form.raw("current")):
        return await _page(visit, 403, current="This is not your password.")
    try:
        await auth.users.set_password(user.id, visit.form.raw("fresh"))
    except ValueWrong as error:
        return await _page(visit, 422, fresh=str(error))
    await auth.limits.forget(_AGAIN, user.id)
    await note(visit, "password")
    await auth.sessions.end_all(user.id, but=session.id)
    if visit.form.one("apps"):
        await auth.tokens.revoke_user(user.id)
    if user.email:
        auth.mail.post(user.email, "Your password was changed", _CHANGED.format(service=auth.settings.service_name))
    return visit.go("/auth/account", done="password")


_CHANGED = """The password of your account at {service} was changed.

If it was not you, tell the people who run it at once.
"""


async def _change_second_factor(visit: Visit) -> Response:
    """New recovery codes, or no second factor any more: for a code that shows who asks."""
    auth, user = visit.auth, visit.user
    assert user is not None
    turns_off = visit.form.one("change") == "off"
    if turns_off and second_factor.is_required(user.roles, auth.settings.second_factor_roles):
        return await _page(visit, 403, code="Your role must have a second factor.")
    try:
        await auth.limits.count(SECOND_FACTOR, user.id)
    except TooManyRequests as error:
        return await _page(visit, 429, code=str(error))
    if not await second_factor.check(auth.users, auth.keys, user, visit.form.one("code")):
        return await _page(visit, 403, code="This code is wrong, or was used before.")
    await auth.limits.forget(SECOND_FACTOR, user.id)
    if turns_off:
        await auth.users.set_second_factor(user.id, b"", 0, ())
        await note(visit, "second-factor-off")
        return visit.go("/auth/account", done="off")
    codes = second_factor.new_recovery_codes()
    await auth.users.set_recovery(user.id, [second_factor.recovery_digest(user.id, code) for code in codes])
    return visit.show("recovery.html", codes=codes, onward=f"{visit.root}/auth/account")
