"""Setting up a second factor: the picture for an authenticator app, the first code, and the recovery codes."""

from __future__ import annotations

from starlette.responses import Response

from fhir_server.outcomes import TooManyRequests
from fhir_server.rest.router import Router
from smart_auth import second_factor
from smart_auth.login import SECOND_FACTOR, onward
from smart_auth.page import Pages
from smart_auth.service import SmartAuth
from smart_auth.sessions import Session
from smart_auth.users import User
from smart_auth.visit import Visit


def routes(auth: SmartAuth) -> Router:
    """/auth/second-factor/set-up."""
    pages = Pages(auth)

    @pages.get("/auth/second-factor/set-up")
    async def begin(visit: Visit) -> Response:
        found = await _who(visit)
        if found is None:
            return visit.go("/auth/login", **visit.ways)
        session, user = found
        if user.has_second_factor:
            return visit.go("/auth/account")
        if not session.secret:
            secret = second_factor.new_secret()
            await auth.sessions.note_secret(session, auth.keys.seal(secret.encode()))
        else:
            secret = auth.keys.open(session.secret).decode()
        return _page(visit, session, user, secret)

    @pages.post("/auth/second-factor/set-up")
    async def confirm(visit: Visit) -> Response:
        found = await _who(visit)
        if found is None or not found[0].secret or found[1].has_second_factor:
            return visit.go("/auth/second-factor/set-up", **visit.ways)
        return await _confirm(visit, *found)

    return pages.router


async def _who(visit: Visit) -> tuple[Session, User] | None:
    """Who is signed in, or would be but for the second factor that their role must have."""
    session = visit.session
    if session is None or session.due not in ("", "enrolment"):
        return None
    user = await visit.auth.users.get(session.user)
    return (session, user) if user is not None else None


def _page(visit: Visit, session: Session, user: User, secret: str, status: int = 200, **errors: str) -> Response:
    address = second_factor.address(secret, user.id, visit.auth.settings.service_name)
    spaced = " ".join(secret[place : place + 4] for place in range(0, len(secret), 4))
    return visit.show(
        "set_up.html",
        status,
        picture=second_factor.picture(address),
        secret=spaced,
        is_required=bool(session.due),
        errors=errors,
        asks_password=not session.due and bool(user.password_hash),
        **visit.ways,
    )


async def _confirm(visit: Visit, session: Session, user: User) -> Response:
    auth = visit.auth
    secret = auth.keys.open(session.secret).decode()
    try:
        await auth.limits.count(SECOND_FACTOR, user.id)
    except TooManyRequests as error:
        return _page(visit, session, user, secret, 429, code=str(error))
    # Who merely finds an unlocked screen must not lock the owner out.
    if not session.due and user.password_hash and not await auth.users.check_password(user, visit.form.raw("password")):
        return _page(visit, session, user, secret, 403, password="The password is wrong.")
    step = second_factor.step_of(secret, visit.form.one("code"))
    if step is None:
        wrong = "This code does not fit. Check that the clock of your device is right, and try the next code."
        return _page(visit, session, user, secret, 403, code=wrong)
    await auth.limits.forget(SECOND_FACTOR, user.id)
    codes = second_factor.new_recovery_codes()
    digests = [second_factor.recovery_digest(user.id, code) for code in codes]
    await auth.users.set_second_factor(user.id, auth.keys.seal(secret.encode()), step, digests)
    await auth.sessions.end_all(user.id, but=session.id)
    fresh = await auth.sessions.complete(session)
    response = visit.show("recovery.html", codes=codes, onward=onward(visit).headers["location"])
    visit.cookie.set(response, fresh)
    return response
