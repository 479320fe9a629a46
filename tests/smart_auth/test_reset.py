"""Links by e-mail: new passwords, registration, invitations; through a real SMTP server on loopback."""

from __future__ import annotations

import asyncio
import email
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from email.message import Message
from typing import Any

import httpx
import pytest
from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword

from fhir_server.access.principal import SYSTEM
from fhir_server.config import Settings
from fhir_server.mail import Mail
from smart_auth import records
from smart_auth.grant import Grant, new_id
from smart_auth.store import now
from tests.smart_auth.visitor import BASE, OTHER_PASSWORD, PASSWORD, Reader, World, world

NEW = "three yellow bicycles"
REGISTRATION = {
    "given": "Mia Sofia",
    "family": "Berg",
    "birthdate": "1990-05-17",
    "gender": "female",
    "email": "mia@mail.example",
    "login": "mia",
}


@dataclass
class Box:
    """Everything that was delivered."""

    messages: list[Message] = field(default_factory=list)
    port: int = 0

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        self.messages.append(email.message_from_bytes(envelope.content))
        return "250 OK"

    def link(self) -> str:
        """The one in the latest message, below our root."""
        text = str(self.messages[-1].get_payload(decode=True), "utf-8")  # type: ignore[arg-type]
        found = re.search(r"http://127\.0\.0\.1:8080(/auth/\S+)", text)
        assert found, text
        return found[1]


@asynccontextmanager
async def delivering(**options: Any) -> AsyncIterator[Box]:
    """An SMTP server on loopback, and what it gets."""
    found = Box()
    server = await asyncio.get_running_loop().create_server(lambda: SMTP(found, **options), "127.0.0.1", 0)
    found.port = server.sockets[0].getsockname()[1]
    try:
        yield found
    finally:
        server.close()


@pytest.fixture
async def box() -> AsyncIterator[Box]:
    async with delivering() as found:
        yield found


@pytest.fixture
async def made(settings: Settings, box: Box) -> AsyncIterator[World]:
    changes = {
        "smtp_url": f"smtp://127.0.0.1:{box.port}",
        "mail_from": "no-reply@clinic.example",
        "self_registration": True,
    }
    async with world(settings, **changes) as found:
        yield found
        await found.auth.mail.finish()


async def ask(made: World, address: str) -> httpx.Response:
    """Ask for a new password, and wait until what is sent has been sent."""
    visitor = made.visitor()
    response = await visitor.submit(await visitor.get("/auth/reset"), {"email": address})
    await made.auth.mail.finish()
    return response


# ---- a new password ----------------------------------------------------------------------------------


async def test_a_link_brings_a_new_password(made: World, box: Box) -> None:
    assert (await ask(made, " ANA@mail.example ")).status_code == 200
    message = box.messages[0]
    assert (message["To"], message["From"]) == ("ana@mail.example", "no-reply@clinic.example")
    visitor = made.visitor()
    form = await visitor.get(box.link())
    done = await visitor.submit(form, {"fresh": NEW})
    assert done.status_code == 200
    assert (await made.visitor().sign_in("ana", PASSWORD)).status_code == 403
    assert (await made.visitor().sign_in("ana", NEW)).status_code == 303
    await made.auth.mail.finish()
    assert box.messages[1]["Subject"] == "Your password was changed"


async def test_the_answer_is_the_same_for_addresses_that_nobody_has(made: World, box: Box) -> None:
    known, unknown, former = [await ask(made, f"{name}@mail.example") for name in ("ana", "nobody", "xxxx")]
    texts = [one.text.replace(name, "") for one, name in ((known, "ana@"), (unknown, "nobody@"), (former, "xxxx@"))]
    shown = [re.sub(r'value="[^"]*"', "", text) for text in texts]
    assert shown[0] == shown[1] == shown[2]
    assert known.status_code == unknown.status_code == 200
    assert len(box.messages) == 1


async def test_a_link_is_good_once_and_looking_at_it_does_not_count(made: World, box: Box) -> None:
    await ask(made, "ana@mail.example")
    visitor, link = made.visitor(), box.link()
    for _ in range(3):
        form = await visitor.get(link)
        assert form.status_code == 200
    assert (await visitor.submit(form, {"fresh": NEW})).status_code == 200
    assert (await visitor.submit(form, {"fresh": OTHER_PASSWORD})).status_code == 410
    assert (await visitor.get(link)).status_code == 410


async def test_a_link_ends_after_half_an_hour_and_with_a_newer_one(made: World, box: Box) -> None:
    await ask(made, "ana@mail.example")
    first = box.link()
    rows = made.auth.database.system["auth_link"]
    row = await rows.find_one({"purpose": "reset"})
    assert row is not None
    assert timedelta(minutes=29) < row["expires"] - now() <= timedelta(minutes=30)
    assert first.partition("token=")[2] not in str(row)
    await ask(made, "ana@mail.example")
    assert (await made.visitor().get(first)).status_code == 410
    await rows.update_many({}, {"$set": {"expires": now() - timedelta(seconds=1)}})
    assert (await made.visitor().get(box.link())).status_code == 410


async def test_a_weak_password_does_not_use_the_link_up(made: World, box: Box) -> None:
    await ask(made, "ana@mail.example")
    visitor = made.visitor()
    form = await visitor.get(box.link())
    response = await visitor.submit(form, {"fresh": "password1234"})
    assert response.status_code == 422
    assert Reader(response.text).inputs["fresh"]["aria-describedby"] == "fresh-hint fresh-error"
    assert (await visitor.submit(response, {"fresh": NEW})).status_code == 200


async def test_whoever_had_got_in_is_out(made: World, box: Box) -> None:
    thief = made.visitor()
    await thief.sign_in("ana")
    url = made.authorize_url("launch/patient patient/Patient.r offline_access", client="trusted")
    tokens = await made.tokens(await thief.follow(await thief.get(url)), client="trusted")
    await ask(made, "ana@mail.example")
    visitor = made.visitor()
    await visitor.submit(await visitor.get(box.link()), {"fresh": NEW})
    assert (await thief.get("/auth/apps")).status_code == 303
    assert await made.auth.tokens.find(tokens["access_token"]) is None


async def test_links_lead_to_the_configured_host_whatever_a_request_says(made: World, box: Box) -> None:
    visitor = made.visitor()
    form = await visitor.get("/auth/reset")
    pairs = [(name, value) for name, value in Reader(form.text).forms[0].fields if name != "email"]
    await visitor.post("/auth/reset", [*pairs, ("email", "ana@mail.example")], Host="evil.example")
    await made.auth.mail.finish()
    assert box.link().startswith("/auth/reset/new?token=")


@pytest.mark.parametrize("address", ["", "ana", "ana@mail.example\nBcc: x@evil.example", "<ana@mail.example>"])
async def test_what_is_no_address_is_refused(made: World, box: Box, address: str) -> None:
    assert (await ask(made, address)).status_code == 422
    assert not box.messages


async def test_a_box_is_not_flooded(made: World, box: Box) -> None:
    statuses = [(await ask(made, "ana@mail.example")).status_code for _ in range(5)]
    assert statuses == [200] * 5
    assert len(box.messages) == 3


async def test_one_address_cannot_try_many_boxes(made: World) -> None:
    statuses = [(await ask(made, f"somebody{n}@mail.example")).status_code for n in range(31)]
    assert statuses.count(429) == 1


async def test_a_second_factor_is_still_asked_for(made: World, box: Box) -> None:
    await made.auth.users.set_second_factor("ana", made.auth.keys.seal(b"JBSWY3DPEHPK3PXP"), 0, ())
    await ask(made, "ana@mail.example")
    visitor = made.visitor()
    await visitor.submit(await visitor.get(box.link()), {"fresh": NEW})
    assert "/auth/second-factor" in (await made.visitor().sign_in("ana", NEW)).headers["location"]


# ---- changing it when signed in ----------------------------------------------------------------------


async def test_the_password_is_changed_with_the_old_one(made: World, box: Box) -> None:
    ana, other = made.visitor(), made.visitor()
    await ana.sign_in("ana")
    await other.sign_in("ana")
    account = await ana.get("/auth/account")
    number = next(n for n, form in enumerate(Reader(account.text).forms) if form.action.endswith("/password"))
    for current, fresh, status in (("wrong", NEW, 403), (PASSWORD, "short", 422), (PASSWORD, NEW, 303)):
        response = await ana.submit(account, {"current": current, "fresh": fresh}, number=number)
        assert response.status_code == status
    assert (await ana.get("/auth/apps")).status_code == 200
    assert (await other.get("/auth/apps")).status_code == 303
    await made.auth.mail.finish()
    assert box.messages[-1]["Subject"] == "Your password was changed"


@pytest.mark.parametrize("ends", [True, False])
async def test_a_changed_password_ends_what_apps_were_given_unless_one_says_no(
    made: World, box: Box, ends: bool
) -> None:
    grant = Grant(new_id(), "app", "ana", "Patient/ana", "user/*.rs offline_access")
    issued = await made.auth.tokens.issue(grant, seconds=60, refresh_seconds=3600)
    ana = made.visitor()
    await ana.sign_in("ana")
    account = await ana.get("/auth/account")
    number = next(n for n, form in enumerate(Reader(account.text).forms) if form.action.endswith("/password"))
    change = {"current": PASSWORD, "fresh": NEW}
    response = await ana.submit(account, change, number=number, without=() if ends else ("apps",))
    assert response.status_code == 303
    assert (await made.auth.tokens.find(issued.access) is None) is ends
    assert (await made.auth.tokens.find_refresh(issued.refresh or "") is None) is ends


# ---- registration ------------------------------------------------------------------------------------


async def register(made: World, **changes: str) -> httpx.Response:
    visitor = made.visitor()
    response = await visitor.submit(await visitor.get("/auth/register-account"), {**REGISTRATION, **changes})
    await made.auth.mail.finish()
    return response


async def test_a_patient_registers_and_is_made_once_the_address_is_verified(made: World, box: Box) -> None:
    before = await made.auth.repository.counts(SYSTEM)
    assert (await register(made)).status_code == 200
    assert await made.auth.users.get("mia") is None
    assert await made.auth.repository.counts(SYSTEM) == before
    visitor = made.visitor()
    page = await visitor.get(box.link())
    weak = await visitor.submit(page, {"fresh": "password1234"})
    assert weak.status_code == 422
    assert "fresh-error" in Reader(weak.text).inputs["fresh"]["aria-describedby"]
    assert "Welcome" in (await visitor.submit(page, {"fresh": NEW})).text
    user = await made.auth.users.get("mia")
    assert user is not None
    assert (user.roles, user.verified) == (("patient",), True)
    stored = await made.auth.repository.read(SYSTEM, "Patient", user.fhir_user.partition("/")[2])
    assert stored is not None
    patient = stored.resource()
    assert patient["name"] == [{"use": "official", "family": "Berg", "given": ["Mia", "Sofia"]}]
    assert (patient["birthDate"], patient["gender"]) == ("1990-05-17", "female")
    assert (await made.visitor().sign_in("mia", NEW)).status_code == 303
    assert (await visitor.get(box.link())).status_code == 410
    await made.auth.users.remove("mia")


async def test_an_address_that_has_an_account_gets_the_same_answer_and_another_mail(made: World, box: Box) -> None:
    response = await register(made, email="ana@mail.example")
    other = await register(made, email="new@mail.example", login="new")
    assert response.status_code == other.status_code == 200
    assert "There is an account with it already" in str(box.messages[0])
    assert "/auth/verify" not in str(box.messages[0])


async def test_a_name_that_is_taken_is_told_only_to_who_has_the_address(made: World, box: Box) -> None:
    before = await made.auth.repository.counts(SYSTEM)
    assert (await register(made, login="ana")).status_code == 200
    visitor = made.visitor()
    assert (await visitor.submit(await visitor.get(box.link()), {"fresh": NEW})).status_code == 409
    assert await made.auth.repository.counts(SYSTEM) == before


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("given", ""),
        ("family", ""),
        ("birthdate", "17.5.1990"),
        ("birthdate", "2990-01-01"),
        ("birthdate", "1990-02-30"),
        ("email", "mia"),
        ("login", "m"),
        ("login", "ana@mail.example"),
    ],
)
async def test_entries_are_checked(made: World, box: Box, name: str, value: str) -> None:
    response = await register(made, **{name: value})
    assert response.status_code == 422
    assert f"{name}-error" in Reader(response.text).inputs[name]["aria-describedby"]
    assert not box.messages


async def test_who_registers_first_has_no_say_in_the_password(made: World, box: Box) -> None:
    """Whoever registered with another's address, before or after its owner, knows no password of the account."""
    page = await made.visitor().get("/auth/register-account")
    assert "fresh" not in Reader(page.text).inputs
    links = []
    for login in ("squatter", "mia"):
        await register(made, login=login)
        links.append(box.link())
    assert (await made.visitor().get(links[0])).status_code == 410
    owner = made.visitor()
    page = await owner.get(links[1])
    assert "mia" in Reader(page.text).text
    await owner.submit(page, {"fresh": NEW})
    assert (await made.visitor().sign_in("mia", NEW)).status_code == 303
    await made.auth.users.remove("mia")


async def test_who_registers_sees_the_record_that_is_made(made: World, box: Box) -> None:
    await register(made)
    visitor = made.visitor()
    await visitor.submit(await visitor.get(box.link()), {"fresh": NEW})
    user = await made.auth.users.get("mia")
    assert user is not None
    asking = await records.principal(made.auth, user, "app")
    assert asking.own == {user.fhir_user}
    assert await records.patient(made.auth, user, "app", BASE, user.fhir_user.partition("/")[2]) is not None
    await made.auth.users.remove("mia")


async def test_registration_is_off_unless_it_is_on(settings: Settings) -> None:
    async with world(settings) as made:
        assert (await made.visitor().get("/auth/register-account")).status_code == 404
        assert "register-account" not in (await made.visitor().get("/auth/login")).text


# ---- invitations -------------------------------------------------------------------------------------

INVITED = {"name": "Noor Aziz", "email": "noor@clinic.example", "fhir_user": "Practitioner/noor", "role": ["nurse"]}


async def test_staff_are_invited(made: World, box: Box) -> None:
    root = made.visitor()
    form = await root.follow(await root.sign_in("root", url="/auth/invitations"))
    assert "on its way" in (await root.submit(form, dict(INVITED))).text
    await made.auth.mail.finish()
    noor = made.visitor()
    page = await noor.get(box.link())
    assert "Noor Aziz" in page.text
    assert (await noor.submit(page, {"login": "ana", "fresh": NEW})).status_code == 422
    assert (await noor.submit(page, {"login": "noor", "fresh": NEW})).status_code == 200
    user = await made.auth.users.get("noor")
    assert user is not None
    assert (user.roles, user.fhir_user, user.verified) == (("nurse",), "Practitioner/noor", True)
    assert (await noor.submit(page, {"login": "noor2", "fresh": NEW})).status_code == 410


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"role": []}, 422),
        ({"role": ["nobody"]}, 422),
        ({"role": ["system"]}, 422),
        ({"role": ["nurse", "super-administrator"]}, 403),
        ({"role": ["administrator"]}, 403),
        ({"email": "ana@mail.example"}, 422),
        ({"email": "x"}, 422),
        ({"fhir_user": "Observation/1"}, 422),
    ],
)
async def test_invitations_are_checked(made: World, box: Box, changes: dict[str, Any], status: int) -> None:
    root = made.visitor()
    form = await root.follow(await root.sign_in("root", url="/auth/invitations"))
    assert (await root.submit(form, {**INVITED, **changes})).status_code == status
    await made.auth.mail.finish()
    assert not box.messages


@pytest.mark.parametrize("login", ["ana", "diaz"])
async def test_only_administrators_invite(made: World, login: str) -> None:
    visitor = made.visitor()
    await visitor.sign_in(login)
    assert (await visitor.get("/auth/invitations")).status_code == 403
    logout = await visitor.get("/auth/logout")
    csrf = dict(Reader(logout.text).forms[0].fields)["csrf"]
    assert (await visitor.post("/auth/invitations", [("csrf", csrf), ("role", "nurse")])).status_code == 403


# ---- the way out -------------------------------------------------------------------------------------


async def test_the_server_can_ask_for_a_name_and_password() -> None:
    given: list[object] = []

    def check(server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
        given.append(data)
        return AuthResult(success=data == LoginPassword(b"us er", b"p@ss/word"))

    async with delivering(authenticator=check, auth_required=True, auth_require_tls=False) as found:
        url = f"smtp://us%20er:p%40ss%2Fword@127.0.0.1:{found.port}"
        mail = Mail(Settings(smtp_url=url, mail_from="no-reply@clinic.example"))
        await mail.send(mail.message("ana@mail.example", "Hello", "Grüße\n"))
    assert found.messages[0].get_content_charset() == "utf-8"


async def test_a_server_that_does_not_answer_breaks_nothing() -> None:
    mail = Mail(Settings(smtp_url="smtp://127.0.0.1:1", mail_from="no-reply@clinic.example"))
    mail.post("ana@mail.example", "Hello", "text")
    await mail.finish()
    assert not Mail(Settings()).is_configured
    Mail(Settings()).post("ana@mail.example", "Hello", "text")


def test_a_subject_cannot_bring_headers_along() -> None:
    mail = Mail(Settings(smtp_url="smtp://127.0.0.1:1", mail_from="no-reply@clinic.example"))
    with pytest.raises(ValueError, match=r"newline|linefeed|CR|LF"):
        mail.message("ana@mail.example\r\nBcc: x@evil.example", "Hello", "text")
