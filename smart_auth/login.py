"""Signing in: the password, then the second factor where there is one; and signing out.

Unknown names and wrong passwords get the same answer in the same time.
"""

from __future__ import annotations

from starlette.responses import Response

from fhir_server.outcomes import TooManyRequests
from fhir_server.rest.router import Router
from smart_auth import authorize, second_factor
from smart_auth.limits import Limit
from smart_auth.notes import note
from smart_auth.page import Pages
from smart_auth.pending import Pending
from smart_auth.providers import providers_of
from smart_auth.service import SmartAuth
from smart_auth.users import User
from smart_auth.visit import Visit, local_path

WINDOW = 15 * 60
EVERYWHERE = 10  # times as many attempts at an account from all addresses as from one
SECOND_FACTOR = Limit("second-factor", 5, WINDOW)


def routes(auth: SmartAuth) -> Router:
    """/auth/login, /auth/second-factor, /auth/logout."""
    pages = Pages(auth)

    @pages.get("/auth/login")
    async def form(visit: Visit) -> Response:
        pending = await _pending(visit)
        if pending is not None and not authorize.must_sign_in(visit, pending):
            return visit.go("/auth/continue", request=pending.id)
        if pending is None and visit.user is not None:
            return visit.go(local_path(visit.query("next")))
        login = pending.request.login_hint if pending is not None else ""
        return _form(visit, pending, login=login[:64])

    @pages.post("/auth/login")
    async def sign_in(visit: Visit) -> Response:
        return await _sign_in(visit, await _pending(visit))

    @pages.get("/auth/second-factor")
    async def second_form(visit: Visit) -> Response:
        if visit.session is None or visit.session.due != "second-factor":
            return onward(visit)
        await _pending(visit)
        return visit.show("second_factor.html", 200, **visit.ways)

    @pages.post("/auth/second-factor")
    async def second(visit: Visit) -> Response:
        await _pending(visit)
        return await _second(visit)

    @pages.get("/auth/logout")
    async def leave_form(visit: Visit) -> Response:
        return visit.show("logout.html") if visit.session is not None else visit.go("/auth/login")

    @pages.post("/auth/logout")
    async def leave(visit: Visit) -> Response:
        if visit.session is not None:
            await note(visit, "logout")
            await auth.sessions.end(visit.session)
        visit.user = visit.session = None
        if visit.ways["request"]:
            response = visit.go("/auth/login", request=visit.ways["request"])
        else:
            link = ("/auth/login", "Sign in again")
            response = visit.message("You are signed out", "You can close this window.", link=link)
        visit.cookie.clear(response)
        return response

    return pages.router


async def _pending(visit: Visit) -> Pending | None:
    """The app's request that the sign-in is for, if it is for one."""
    return await authorize.waiting(visit) if visit.form.one("request") or visit.query("request") else None


def onward(visit: Visit, session_due: str = "") -> Response:
    """To the next step of signing in, to the app's request, or to the page that was asked for."""
    ways = visit.ways
    if session_due:
        page = "/auth/second-factor" if session_due == "second-factor" else "/auth/second-factor/set-up"
        return visit.go(page, **ways)
    if ways["request"]:
        return visit.go("/auth/continue", request=ways["request"])
    return visit.go(local_path(ways["next"]))


def _form(visit: Visit, pending: Pending | None, status: int = 200, **values: object) -> Response:
    settings = visit.auth.settings
    shown: dict[str, object] = {
        "login": "",
        "client": pending.request.client if pending is not None else None,
        "providers": providers_of(settings),
        "registration": settings.self_registration,
        **visit.ways,
        **values,
    }
    return visit.show("login.html", status, **shown)


async def _sign_in(visit: Visit, pending: Pending | None) -> Response:
    auth, login, password = visit.auth, visit.form.one("login")[:254], visit.form.raw("password")
    missing = {name: text for name, text in _MISSING.items() if not visit.form.one(name)}
    if missing:
        return _form(visit, pending, 422, login=login, errors=missing)
    # One caller cannot keep the owner out; many together can, but only after many more attempts.
    here = Limit("login-account-address", auth.settings.login_attempts, WINDOW)
    account = Limit("login-account", auth.settings.login_attempts * EVERYWHERE, WINDOW)
    address = Limit("login-address", auth.settings.login_attempts_per_address, WINDOW)
    known = await auth.users.by_login(login)
    key = known.id if known is not None else login
    try:
        await auth.limits.count(address, visit.address)
        await auth.limits.count(here, f"{visit.address} {key}")
        await auth.limits.count(account, key)
    except TooManyRequests as error:
        response = _form(visit, pending, 429, login=login, failed=str(error))
        response.headers.update(error.headers)
        return response
    user = await auth.users.check_password(known, password)
    if user is None:
        await note(visit, "login", 403, user=known)
        return _form(visit, pending, 403, login=login, failed=_WRONG)
    await auth.limits.forget(here, f"{visit.address} {key}")
    await auth.limits.give_back(account, key)
    await auth.limits.give_back(address, visit.address)
    return await enter(visit, user)


_MISSING = {"login": "Enter your user name or e-mail address.", "password": "Enter your password."}
_WRONG = "The user name or the password is wrong."


async def enter(visit: Visit, user: User, *, proven: bool = False) -> Response:
    """A new session for someone who has shown who they are, but for a second factor unless it is `proven`."""
    due = "" if proven else due_of(visit.auth, user)
    await note(visit, "login", user=user)
    secret = await visit.auth.sessions.start(user.id, due=due, before=visit.secret)
    response = onward(visit, due)
    visit.cookie.set(response, secret)
    return response


def due_of(auth: SmartAuth, user: User) -> str:
    """What is still to be shown after the password."""
    if user.has_second_factor:
        return "second-factor"
    return "enrolment" if second_factor.is_required(user.roles, auth.settings.second_factor_roles) else ""


async def _second(visit: Visit) -> Response:
    auth, session = visit.auth, visit.session
    user = await auth.users.get(session.user) if session is not None else None
    if session is None or user is None or session.due != "second-factor":
        return visit.go("/auth/login", **visit.ways)
    try:
        await auth.limits.count(SECOND_FACTOR, user.id)
    except TooManyRequests as error:
        response = visit.show("second_factor.html", 429, errors={"code": str(error)}, **visit.ways)
        response.headers.update(error.headers)
        return response
    if not await second_factor.check(auth.users, auth.keys, user, visit.form.one("code")):
        await note(visit, "second-factor", 403, user=user)
        wrong = {"code": "This code is wrong, or was used before. Wait for the next one and try again."}
        return visit.show("second_factor.html", 403, errors=wrong, **visit.ways)
    await auth.limits.forget(SECOND_FACTOR, user.id)
    await note(visit, "second-factor", user=user)
    secret = await auth.sessions.complete(session)
    response = onward(visit)
    visit.cookie.set(response, secret)
    return response
