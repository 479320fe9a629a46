"""Accounts: staff are invited, patients register themselves, all sign in, and change their own profile and no more."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit
from uuid import uuid4

import httpx
import pytest

from smart_auth.codes import challenge_of
from smart_auth.grant import Grant, new_id
from tests.smart_auth.visitor import PASSWORD, VERIFIER, Reader, Visitor
from tests.workflows.clinic import SECONDS, Actor, Clinic, Refused

pytestmark = pytest.mark.row("A-1")

Json = dict[str, Any]
APP = "http://127.0.0.1/app"
SCOPES = "openid fhirUser user/*.cruds"


class Browser(Visitor):
    """Somebody's browser at the clinic's pages."""

    def __init__(self, clinic: Clinic) -> None:
        super().__init__(httpx.AsyncClient(base_url=clinic.issuer, timeout=SECONDS))
        self._clinic = clinic

    async def follow(self, response: httpx.Response) -> httpx.Response:
        while response.is_redirect and not response.headers["location"].startswith(f"{APP}?"):
            response = await self.http.get(response.headers["location"])
        return response

    async def open_letter(self, address: str) -> httpx.Response:
        """The page that the link in the latest e-mail leads to."""
        found = re.search(r"http://\S+", await self._clinic.letter(address))
        assert found
        return await self.get(found[0])

    async def token(self, login: str, scopes: str = SCOPES) -> Json:
        """Sign in at the app's wish (authorization code with PKCE), allow what it asks, and be it that it gets."""
        wish = {
            "response_type": "code",
            "client_id": "app",
            "redirect_uri": APP,
            "scope": scopes,
            "state": "s",
            "aud": self._clinic.base,
            "code_challenge": challenge_of(VERIFIER),
            "code_challenge_method": "S256",
        }
        page = await self.follow(await self.sign_in(login, url=f"/auth/authorize?{urlencode(wish)}"))
        assert page.status_code == 200, page.text
        back = await self.follow(await self.submit(page, press=("decision", "allow")))
        code = dict(parse_qsl(urlsplit(back.headers["location"]).query))["code"]
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": APP, "client_id": "app"}
        answer = await self.http.post("/auth/token", data={**form, "code_verifier": VERIFIER})
        assert answer.status_code == 200, answer.text
        found: Json = answer.json()
        return found

    async def userinfo(self, token: str) -> Json:
        answer = await self.http.get("/auth/userinfo", headers={"Authorization": f"Bearer {token}"})
        assert answer.status_code == 200, answer.text
        found: Json = answer.json()
        return found


@asynccontextmanager
async def signed_in(clinic: Clinic, login: str, person: str, scopes: str = SCOPES) -> AsyncIterator[Actor]:
    """Somebody who is not of the clinic's cast, with the token that their app got."""
    token = (await Browser(clinic).token(login, scopes))["access_token"]
    headers = {"Authorization": f"Bearer {token}"}
    async with httpx.AsyncClient(base_url=f"{clinic.base}/", headers=headers, timeout=SECONDS) as http:
        yield Actor(person, token, http, clinic.issuer)


def invitation(email: str, *roles: str) -> Json:
    parameters = [{"name": "email", "valueString": email}, *({"name": "role", "valueCode": one} for one in roles)]
    return {"resourceType": "Parameters", "parameter": parameters}


async def colleague(ada: Actor) -> Json:
    return await ada.post("Practitioner", {"resourceType": "Practitioner", "name": [{"family": "Aziz"}]})


def newcomer() -> tuple[str, str]:
    """A user name and an address of one's own."""
    login = f"u{uuid4().hex[:10]}"
    return login, f"{login}@clinic.example"


async def joined(clinic: Clinic, *roles: str) -> tuple[str, str]:
    """Somebody new who was invited and has accepted: their login, and the Practitioner that they are."""
    login, email = newcomer()
    async with clinic.acting("ada") as ada:
        person = f"Practitioner/{(await colleague(ada))['id']}"
        await ada.post(f"{person}/$invite", invitation(email, *roles), expect=200)
    browser = Browser(clinic)
    done = await browser.submit(await browser.open_letter(email), {"login": login, "fresh": PASSWORD})
    assert done.status_code == 200, done.text
    return login, person


# ---- staff -----------------------------------------------------------------------------------------------


async def test_staff_are_invited_sign_in_and_are_who_they_are(clinic: Clinic) -> None:
    login, person = await joined(clinic, "nurse")
    async with signed_in(clinic, login, person) as nurse:
        who = await Browser(clinic).userinfo(nurse.token)
        assert who["fhirUser"] == f"{clinic.base}/{person}"
        assert (await nurse.get(person))["name"] == [{"family": "Aziz"}]
        await nurse.post("Patient", {"resourceType": "Patient", "name": [{"family": "Newcomer"}]})
        await nurse.post("MedicationRequest", {"resourceType": "MedicationRequest"}, expect=403)


@pytest.mark.parametrize("name", ["dora", "nick", "olga", "ann"])
async def test_only_administrators_invite(clinic: Clinic, name: str) -> None:
    _, email = newcomer()
    async with clinic.acting(name) as somebody, clinic.acting("ada") as ada:
        person = f"Practitioner/{(await colleague(ada))['id']}"
        await somebody.post(f"{person}/$invite", invitation(email, "doctor"), expect=403)
    async with clinic.acting("ada", "user/Practitioner.cruds") as app:  # of an app for a few things only
        await app.post(f"{person}/$invite", invitation(email, "doctor"), expect=403)
    assert not (clinic.mailbox / email).exists()


@pytest.mark.parametrize(
    ("roles", "address", "status"),
    [
        ((), None, 400),
        (("nobody",), None, 400),
        (("system",), None, 400),
        (("patient",), None, 400),
        (("administrator",), None, 403),
        (("nurse", "super-administrator"), None, 403),
        (("nurse",), "no address", 400),
    ],
)
async def test_an_invitation_is_checked(
    clinic: Clinic, roles: tuple[str, ...], address: str | None, status: int
) -> None:
    _, email = newcomer()
    async with clinic.acting("ada") as ada:
        person = f"Practitioner/{(await colleague(ada))['id']}"
        await ada.post(f"{person}/$invite", invitation(address or email, *roles), expect=status)
        await ada.post(f"Practitioner/{uuid4()}/$invite", invitation(email, "nurse"), expect=404)
        await ada.post(f"{clinic.patient()}/$invite", invitation(email, "nurse"), expect=404)
    assert not (clinic.mailbox / email).exists()


async def test_somebody_has_an_account_already(clinic: Clinic) -> None:
    """Neither the same Practitioner again, nor the same address for another, nor the same user name."""
    login, person = await joined(clinic, "nurse")
    _, email = newcomer()
    async with clinic.acting("ada") as ada:
        await ada.post(f"{person}/$invite", invitation(email, "doctor"), expect=409)
        other = f"Practitioner/{(await colleague(ada))['id']}"
        await ada.post(f"{other}/$invite", invitation(f"{login}@clinic.example", "nurse"), expect=409)
        await ada.post(f"{other}/$invite", invitation(email, "nurse"), expect=200)
    browser = Browser(clinic)
    page = await browser.open_letter(email)
    assert (await browser.submit(page, {"login": login, "fresh": PASSWORD})).status_code == 422
    assert (await browser.submit(page, {"login": newcomer()[0], "fresh": PASSWORD})).status_code == 200
    assert (await browser.submit(page, {"login": newcomer()[0], "fresh": PASSWORD})).status_code == 410  # used


async def test_a_new_invitation_voids_the_one_before(clinic: Clinic) -> None:
    _, email = newcomer()
    browser = Browser(clinic)
    async with clinic.acting("ada") as ada:
        person = f"Practitioner/{(await colleague(ada))['id']}"
        await ada.post(f"{person}/$invite", invitation(email, "nurse"), expect=200)
        first = await browser.open_letter(email)
        await ada.post(f"{person}/$invite", invitation(email, "nurse"), expect=200)
    assert (await browser.submit(first, {"login": newcomer()[0], "fresh": PASSWORD})).status_code == 410
    assert (await browser.open_letter(email)).status_code == 200


# ---- patients --------------------------------------------------------------------------------------------


async def registered(clinic: Clinic, login: str, email: str) -> httpx.Response:
    """What the page answers that makes the account of a new patient."""
    browser = Browser(clinic)
    entries = {"given": "Mia", "family": "Berg", "birthdate": "1990-05-17", "gender": "female"}
    form = await browser.get("/auth/register-account")
    sent = await browser.submit(form, {**entries, "email": email, "login": login})
    assert sent.status_code == 200, sent.text
    return await browser.submit(await browser.open_letter(email), {"fresh": PASSWORD})


async def test_patients_register_themselves(clinic: Clinic) -> None:
    login, email = newcomer()
    assert (await registered(clinic, login, email)).status_code == 200
    scopes = "openid fhirUser launch/patient patient/*.cruds"
    async with signed_in(clinic, login, "", scopes) as mia, clinic.acting("nick") as nick:
        who = (await Browser(clinic).userinfo(mia.token))["fhirUser"].removeprefix(f"{clinic.base}/")
        assert (await mia.get(who))["birthDate"] == "1990-05-17"
        assert [f"Patient/{one['id']}" for one in await mia.found("Patient")] == [who]
        assert (await nick.get(who))["name"][0]["family"] == "Berg"
        changed = await mia.patch(who, PHONE)
        assert changed["telecom"] == PHONE["value"]


async def test_a_login_is_registered_once(clinic: Clinic) -> None:
    """Of two who want the same user name the second is told when they follow their link, and gets no record."""
    login, email = newcomer()
    assert (await registered(clinic, login, email)).status_code == 200
    late = newcomer()[1]
    assert (await registered(clinic, login, late)).status_code == 409
    async with clinic.acting("nick") as nick:
        assert await nick.found(f"Patient?email={late}") == []


async def test_a_wrong_password_tells_nothing(clinic: Clinic) -> None:
    login, _ = await joined(clinic, "nurse")
    answers = [await Browser(clinic).sign_in(name, "not the password") for name in (login, newcomer()[0])]
    assert [one.status_code for one in answers] == [403, 403]
    texts = [Reader(one.text).text for one in answers]
    assert texts[0].split() == texts[1].split()


async def test_without_openid_nobody_says_who_it_is(clinic: Clinic) -> None:
    grant = Grant(new_id(), "app", "nick", "Practitioner/nick", "user/*.cruds")
    token = clinic.do(lambda auth: auth.tokens.issue(grant, seconds=60)).access
    with pytest.raises(AssertionError, match="insufficient_scope"):
        await Browser(clinic).userinfo(token)


# ---- the profile -----------------------------------------------------------------------------------------

PHONE = {"op": "add", "path": "/telecom", "value": [{"system": "phone", "value": "+1 555 0144"}]}


async def test_staff_change_their_own_profile(clinic: Clinic) -> None:
    login, person = await joined(clinic, "nurse")
    async with signed_in(clinic, login, person) as nurse:
        seen = await nurse.get(person)
        changed = await nurse.patch(person, PHONE)
        assert changed["telecom"] == PHONE["value"]
        headers = {"If-Match": f'W/"{seen["meta"]["versionId"]}"'}
        await nurse.ask("PUT", person, {**seen, "gender": "female"}, expect=412, headers=headers)
        stored = await nurse.put({**changed, "gender": "female"})
        assert (stored["gender"], stored["telecom"]) == ("female", PHONE["value"])


async def test_nobody_changes_another_ones_profile(clinic: Clinic) -> None:
    async with clinic.acting("nick") as nick, clinic.acting("dora") as dora, clinic.acting("ann") as ann:
        await nick.patch("Practitioner/dora", PHONE, expect=403)
        await dora.put({**(await dora.get("Practitioner/nick")), "active": False}, expect=403)
        await ann.patch("Practitioner/dora", PHONE, expect=403)
        await ann.patch("Patient/ben", PHONE, expect=404)
        await nick.ask("DELETE", "Practitioner/nick", expect=403)


async def test_nobody_gives_themselves_a_role(clinic: Clinic) -> None:
    """Roles are the account's, and PractitionerRoles the house's: neither POST, PUT, PATCH nor a transaction."""
    login, person = await joined(clinic, "nurse")
    role = {"resourceType": "PractitionerRole", "practitioner": {"reference": person}, "code": [{"text": "Doctor"}]}
    async with signed_in(clinic, login, person) as nurse, clinic.acting("ada") as ada:
        own = await ada.post("PractitionerRole", {**role, "code": [{"text": "Nurse"}]})
        await nurse.post("PractitionerRole", role, expect=403)
        await nurse.put({**role, "id": own["id"]}, expect=403)
        grow = {"op": "replace", "path": "/code/0/text", "value": "Doctor"}
        await nurse.patch(f"PractitionerRole/{own['id']}", grow, expect=403)
        entry = {"resource": role, "request": {"method": "POST", "url": "PractitionerRole"}}
        with pytest.raises(Refused, match="403"):
            await nurse.post("", {"resourceType": "Bundle", "type": "transaction", "entry": [entry]}, expect=200)
        await nurse.post(f"{person}/$invite", invitation(newcomer()[1], "doctor"), expect=403)
        assert (await ada.get(f"PractitionerRole/{own['id']}"))["code"] == [{"text": "Nurse"}]
        # Nor a degree, which their profile would then show.
        degree = {"op": "add", "path": "/qualification", "value": [{"code": {"text": "MD"}}]}
        await nurse.patch(person, degree, expect=403)
        # What they may do is not what their Practitioner says.
        await nurse.patch(person, {"op": "add", "path": "/name/0/prefix", "value": ["Dr"]})
        order = {"resourceType": "MedicationRequest", "status": "active", "intent": "order"}
        about = {"subject": {"reference": clinic.patient()}, "medicationCodeableConcept": {"text": "Salbutamol"}}
        await nurse.post("MedicationRequest", {**order, **about, "requester": {"reference": person}}, expect=403)
