"""Patients who register themselves: the account, and their Patient resource, are made once the address is verified.

The password is chosen then, too: whoever registers with somebody else's address must not know it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date
from typing import Any

from starlette.responses import Response

from fhir_server.outcomes import Conflict, NotFound, TooManyRequests, ValueWrong
from fhir_server.rest.router import Router
from smart_auth import passwords, records
from smart_auth.limits import Limit
from smart_auth.links import MINUTES
from smart_auth.mail import root_for_mail
from smart_auth.notes import agent_of
from smart_auth.page import Pages
from smart_auth.service import SmartAuth
from smart_auth.users import User, check_email, check_login
from smart_auth.visit import Form, Visit

Json = dict[str, Any]

PURPOSE = "register"
PER_ADDRESS = Limit("register-address", 10, 3600)
PER_EMAIL = Limit("register-email", 3, 3600)
GENDERS = ("", "female", "male", "other", "unknown")
_FIELDS = ("given", "family", "birthdate", "gender", "email", "login")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")


def routes(auth: SmartAuth) -> Router:
    """/auth/register-account and /auth/verify."""
    pages = Pages(auth)

    @pages.get("/auth/register-account")
    async def form(visit: Visit) -> Response:
        _check_on(auth)
        return _form(visit, dict.fromkeys(_FIELDS, ""))

    @pages.post("/auth/register-account")
    async def register(visit: Visit) -> Response:
        _check_on(auth)
        return await _register(visit)

    @pages.get("/auth/verify")
    async def verify_form(visit: Visit) -> Response:
        token = visit.query("token")
        found = await auth.links.peek(PURPOSE, token)
        if found is None:
            return _too_late(visit)
        return _ask_password(visit, found)

    @pages.post("/auth/verify")
    async def verify(visit: Visit) -> Response:
        _check_on(auth)
        return await _verify(visit)

    return pages.router


def _check_on(auth: SmartAuth) -> None:
    if not auth.settings.self_registration:
        raise NotFound("Nobody can register themselves here; ask the people who run this server.")


def _form(visit: Visit, values: dict[str, str], status: int = 200, **errors: str) -> Response:
    return visit.show("register.html", status, values=values, errors=errors, genders=GENDERS)


def _problems(form: Form) -> dict[str, str]:
    """What is wrong with the entries, by field."""
    found: dict[str, str] = {}
    for name, text in (("given", "Enter your given name."), ("family", "Enter your family name.")):
        if not form.one(name) or len(form.one(name)) > 100:
            found[name] = text
    try:
        is_past = (
            bool(_DATE.fullmatch(form.one("birthdate")))
            and date(1900, 1, 1) <= date.fromisoformat(form.one("birthdate")) <= date.today()
        )
    except ValueError:
        is_past = False
    if not is_past:
        found["birthdate"] = "Enter your birth date as year-month-day, such as 1984-02-29."
    if form.one("gender") not in GENDERS:
        found["gender"] = "Choose one of these."
    login, email = form.one("login").lower(), form.one("email").lower()
    return found | problems_of(login=lambda: check_login(login, email), email=lambda: check_email(email))


def problems_of(**checks: Callable[[], None]) -> dict[str, str]:
    """What is wrong with the fields that these check."""
    found: dict[str, str] = {}
    for name, check in checks.items():
        try:
            check()
        except ValueWrong as error:
            found[name] = str(error)
    return found


async def _register(visit: Visit) -> Response:
    """A link to the address; nothing else is made yet, and the answer tells nothing about who is known."""
    auth, form = visit.auth, visit.form
    values = {name: form.one(name)[:254] for name in _FIELDS}
    if problems := _problems(form):
        return _form(visit, values, 422, **problems)
    await auth.limits.count(PER_ADDRESS, visit.address)
    email = values["email"].lower()
    kept = {**values, "email": email, "login": values["login"].lower()}
    known = await auth.users.by_email(email)
    try:
        await auth.limits.count(PER_EMAIL, email)
    except TooManyRequests:
        pass
    else:
        token = await auth.links.make(PURPOSE if known is None else "nothing", email, kept)
        link = f"{root_for_mail(auth.settings)}/auth/verify?token={token}"
        text = (_MAIL if known is None else _KNOWN).format(
            service=auth.settings.service_name, link=link, minutes=MINUTES
        )
        auth.mail.post(email, "Your registration", text)
    text = f"A link is on its way to {email}. Open it within {MINUTES} minutes to finish your registration."
    return visit.message("Look into your e-mail", text)


_MAIL = """Somebody, probably you, has registered at {service} with this address.

Finish the registration here, within {minutes} minutes:

{link}

If it was not you, there is nothing to do: without this link nothing is made.
"""
_KNOWN = """Somebody, probably you, has tried to register at {service} with this address.

There is an account with it already: sign in, or ask for a new password on the sign-in page.
"""


def _ask_password(visit: Visit, found: Json, status: int = 200, **errors: str) -> Response:
    token = visit.form.one("token") or visit.query("token")
    return visit.show(
        "verify.html", status, token=token, email=found["about"], login=found["data"]["login"], errors=errors
    )


async def _verify(visit: Visit) -> Response:
    """The address is theirs: the Patient and the account are made, with the password that they choose now."""
    auth, token, password = visit.auth, visit.form.one("token"), visit.form.raw("fresh")
    found = await auth.links.peek(PURPOSE, token)
    if found is None:
        return _too_late(visit)
    kept = found["data"]
    if wrong := problems_of(fresh=lambda: passwords.check_rules(password, kept["login"], kept["email"])):
        return _ask_password(visit, found, 422, **wrong)
    if await auth.links.take(PURPOSE, token) is None:
        return _too_late(visit)
    return await _open(visit, kept, password)


async def _open(visit: Visit, kept: Json, password: str) -> Response:
    auth = visit.auth
    if await auth.users.get(kept["login"]) is not None:
        text = "This user name was taken meanwhile. Register again with another one."
        return visit.message("The user name is taken", text, 409, link=("/auth/register-account", "Register again"))
    reference = await records.create(auth, visit.base_url, patient_of(kept), agent_of(visit, None))
    user = User(
        kept["login"],
        f"{kept['given']} {kept['family']}",
        kept["email"],
        fhir_user=reference,
        roles=("patient",),
        verified=True,
    )
    try:
        await auth.users.add(user, password)
    except Conflict:
        await records.remove(auth, visit.base_url, reference, agent_of(visit, None))
        text = "This user name or address was taken meanwhile. Register again with another one."
        return visit.message("The user name is taken", text, 409, link=("/auth/register-account", "Register again"))
    return visit.message("Welcome", "Your account is ready.", link=("/auth/login", "Sign in"))


def patient_of(values: dict[str, str]) -> Json:
    """The Patient that someone says to be."""
    resource: Json = {
        "resourceType": "Patient",
        "active": True,
        "name": [{"use": "official", "family": values["family"], "given": values["given"].split()}],
        "telecom": [{"system": "email", "value": values["email"]}],
        "birthDate": values["birthdate"],
    }
    if values["gender"]:
        resource["gender"] = values["gender"]
    return resource


def _too_late(visit: Visit) -> Response:
    text = "This link was used before, or is too old."
    return visit.message("This link is not good any more", text, 410, link=("/auth/login", "Sign in"))
