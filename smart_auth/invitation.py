"""Invitations: an administrator names a role and an address, and whoever reads there chooses a password."""

from __future__ import annotations

import re
from collections.abc import Iterable

from starlette.responses import Response

from fhir_server.access import roles
from fhir_server.access.principal import ADMINISTRATORS
from fhir_server.outcomes import Conflict, Forbidden, ValueWrong
from fhir_server.rest.router import Router
from smart_auth import passwords
from smart_auth.mail import root_for_mail
from smart_auth.page import Pages
from smart_auth.service import SmartAuth
from smart_auth.sign_up import problems_of
from smart_auth.users import User, check_email, check_login
from smart_auth.visit import Visit

PURPOSE = "invitation"
MINUTES = 7 * 24 * 60
_REFERENCE = re.compile(r"(?:Practitioner|Patient|RelatedPerson|Person)/[A-Za-z0-9.-]{1,64}|")
_FIELDS = ("name", "email", "fhir_user")


def routes(auth: SmartAuth) -> Router:
    """/auth/invitations for administrators, /auth/invitation for those invited."""
    pages = Pages(auth)

    @pages.get("/auth/invitations")
    @pages.signed_in
    async def form(visit: Visit) -> Response:
        _check_may(visit)
        return _form(visit, dict.fromkeys(_FIELDS, ""))

    @pages.post("/auth/invitations")
    @pages.signed_in
    async def send(visit: Visit) -> Response:
        _check_may(visit)
        return await _send(visit)

    @pages.get("/auth/invitation")
    async def accept_form(visit: Visit) -> Response:
        token = visit.query("token")
        found = await auth.links.peek(PURPOSE, token)
        if found is None:
            return _too_late(visit)
        return visit.show("invitation.html", token=token, name=found["data"]["name"], login="")

    @pages.post("/auth/invitation")
    async def accept(visit: Visit) -> Response:
        return await _accept(visit)

    return pages.router


async def invite(auth: SmartAuth, *, name: str, email: str, fhir_user: str, roles: tuple[str, ...]) -> str:
    """Send an invitation, good for a week; answers its link. Raises ValueWrong."""
    email = email.strip().lower()
    check_email(email)
    if await auth.users.by_email(email) is not None:
        raise ValueWrong("Somebody with this e-mail address has an account already.")
    if not _REFERENCE.fullmatch(fhir_user):
        raise ValueWrong("The record is written as Practitioner/1.")
    data = {"name": name, "fhir_user": fhir_user, "roles": list(roles)}
    token = await auth.links.make(PURPOSE, email, data, minutes=MINUTES)
    link = f"{root_for_mail(auth.settings)}/auth/invitation?token={token}"
    auth.mail.post(email, "Your invitation", _MAIL.format(service=auth.settings.service_name, link=link))
    return link


_MAIL = """You are invited to {service}.

Choose your user name and password here, within a week:

{link}
"""


def offered() -> list[str]:
    """The roles that a person can have."""
    return [name for name in roles.policy().roles if name != "system"]


def may_give(inviter: Iterable[str], given: Iterable[str]) -> bool:
    """Whether somebody with the inviter's roles may give these: only a super administrator makes administrators."""
    return "super-administrator" in inviter or ADMINISTRATORS.isdisjoint(given)


def _check_may(visit: Visit) -> None:
    if not visit.may_invite:
        raise Forbidden("Only administrators invite others.")


def _form(visit: Visit, values: dict[str, str], status: int = 200, note: str = "", **errors: str) -> Response:
    return visit.show(
        "invitations.html",
        status,
        values=values,
        errors=errors,
        note=note,
        roles=offered(),
        chosen=visit.form.all("role"),
    )


async def _send(visit: Visit) -> Response:
    values = {name: visit.form.one(name)[:254] for name in _FIELDS}
    chosen = tuple(one for one in offered() if one in visit.form.all("role"))
    if not chosen:
        return _form(visit, values, 422, role="Choose at least one role.")
    if not may_give(visit.user.roles if visit.user is not None else (), chosen):
        return _form(visit, values, 403, role="Only a super administrator makes administrators.")
    try:
        await invite(
            visit.auth, name=values["name"], email=values["email"], fhir_user=values["fhir_user"], roles=chosen
        )
    except ValueWrong as error:
        place = "fhir_user" if "record" in str(error) else "email"
        return _form(visit, values, 422, **{place: str(error)})
    visit.form = type(visit.form)(())
    return _form(visit, dict.fromkeys(_FIELDS, ""), note=f"The invitation to {values['email']} is on its way.")


async def _accept(visit: Visit) -> Response:
    auth, token = visit.auth, visit.form.one("token")
    found = await auth.links.peek(PURPOSE, token)
    if found is None:
        return _too_late(visit)
    kept, email, login = found["data"], found["about"], visit.form.one("login").lower()
    errors = problems_of(
        login=lambda: check_login(login, email),
        fresh=lambda: passwords.check_rules(visit.form.raw("fresh"), login, email),
    )
    if not errors and await auth.users.get(login) is not None:
        errors["login"] = "This user name is taken; choose another."
    if errors:
        return visit.show(
            "invitation.html", 422, token=token, name=kept["name"], login=visit.form.one("login")[:64], errors=errors
        )
    if await auth.links.take(PURPOSE, token) is None:
        return _too_late(visit)
    user = User(login, kept["name"], email, "", kept["fhir_user"], tuple(kept["roles"]), verified=True)
    try:
        await auth.users.add(user, visit.form.raw("fresh"))
    except Conflict as error:
        return visit.message("That did not work", str(error), 409)
    return visit.message("Welcome", "Your account is ready.", link=("/auth/login", "Sign in"))


def _too_late(visit: Visit) -> Response:
    text = "This invitation was used before, or is too old. Ask for a new one."
    return visit.message("This invitation is not good any more", text, 410)
