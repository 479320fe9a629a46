"""A new password for those who have forgotten theirs, by a link to their e-mail address.

The answer is the same whether the address is known or not.
https://cheatsheetseries.owasp.org/cheatsheets/Forgot_Password_Cheat_Sheet.html
"""

from __future__ import annotations

from starlette.responses import Response

from fhir_server.outcomes import TooManyRequests, ValueWrong
from fhir_server.rest.router import Router
from smart_auth import passwords
from smart_auth.limits import Limit
from smart_auth.links import MINUTES
from smart_auth.mail import root_for_mail
from smart_auth.notes import note
from smart_auth.page import Pages
from smart_auth.service import SmartAuth
from smart_auth.users import check_email
from smart_auth.visit import Visit

PURPOSE = "reset"
PER_EMAIL = Limit("reset-email", 3, 3600)
PER_ADDRESS = Limit("reset-address", 30, 3600)


def routes(auth: SmartAuth) -> Router:
    """/auth/reset and /auth/reset/new."""
    pages = Pages(auth)

    @pages.get("/auth/reset")
    async def form(visit: Visit) -> Response:
        return visit.show("forgotten.html", email="")

    @pages.post("/auth/reset")
    async def ask(visit: Visit) -> Response:
        email = visit.form.one("email").lower()
        try:
            check_email(email)
        except ValueWrong as error:
            return visit.show("forgotten.html", 422, email=email[:254], errors={"email": str(error)})
        await auth.limits.count(PER_ADDRESS, visit.address)
        await _send(auth, email)
        return visit.message("Look into your e-mail", _SENT.format(email=email, minutes=MINUTES))

    @pages.get("/auth/reset/new")
    async def new_form(visit: Visit) -> Response:
        token = visit.query("token")
        if await auth.links.peek(PURPOSE, token) is None:
            return _too_late(visit)
        return visit.show("new_password.html", token=token)

    @pages.post("/auth/reset/new")
    async def change(visit: Visit) -> Response:
        return await _change(visit)

    return pages.router


async def _send(auth: SmartAuth, email: str) -> None:
    """An e-mail to whoever has this address here; too many of them are left out in silence."""
    user = await auth.users.by_email(email)
    try:
        await auth.limits.count(PER_EMAIL, email)
    except TooManyRequests:
        return
    # A link is made for nobody, too: the answer takes as long.
    token = await auth.links.make(PURPOSE if user is not None else "nothing", email)
    if user is not None and user.active:
        link = f"{root_for_mail(auth.settings)}/auth/reset/new?token={token}"
        text = _MAIL.format(service=auth.settings.service_name, login=user.id, link=link, minutes=MINUTES)
        auth.mail.post(user.email, "A new password", text)


_SENT = (
    "If {email} belongs to an account here, a link to choose a new password is on its way. "
    "It is good for {minutes} minutes, and once."
)
_MAIL = """Somebody, probably you, asked for a new password for your account "{login}" at {service}.

Choose it here, within {minutes} minutes:

{link}

If it was not you, there is nothing to do: your password stays as it is.
"""


async def _change(visit: Visit) -> Response:
    """The new password, for the link; whoever had got in with the old one is out."""
    auth, token = visit.auth, visit.form.one("token")
    found = await auth.links.peek(PURPOSE, token)
    user = await auth.users.by_email(found["about"]) if found is not None else None
    if user is None or not user.active:
        return _too_late(visit)
    try:
        passwords.check_rules(visit.form.raw("fresh"), user.id, user.email)
    except ValueWrong as error:
        return visit.show("new_password.html", 422, token=token, errors={"fresh": str(error)})
    if await auth.links.take(PURPOSE, token) is None:
        return _too_late(visit)
    await auth.users.set_password(user.id, visit.form.raw("fresh"))
    await auth.users.set_verified(user.id)
    await auth.sessions.end_all(user.id)
    await auth.tokens.revoke_user(user.id)
    await note(visit, "password", user=user)
    auth.mail.post(user.email, "Your password was changed", _CHANGED.format(service=auth.settings.service_name))
    text = "Your password is changed. Apps that you had allowed have to ask again."
    return visit.message("Done", text, link=("/auth/login", "Sign in"))


_CHANGED = """The password of your account at {service} was changed by a link that was sent to this address.

If it was not you, tell the people who run it at once.
"""


def _too_late(visit: Visit) -> Response:
    text = "This link was used before, or is too old. Ask for a new one."
    return visit.message("This link is not good any more", text, 410, link=("/auth/reset", "Ask for a new link"))
