"""What somebody with ill intent tried, each attack as a test; a hole that is still open is an expected failure.

Everything goes the way of a request: a grant becomes a principal (bearings, Consents), and dispatch answers it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, MutableMapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import pytest

from fhir_server.access.principal import NOBODY, SYSTEM, Principal
from fhir_server.audit.entry import Agent
from fhir_server.config import Settings
from fhir_server.context import FhirRequest, FhirResponse
from fhir_server.dispatch import dispatch
from fhir_server.main import Server, running
from fhir_server.outcomes import Conflict, FhirError, SignInRequired, ValueWrong
from fhir_server.rest.app import FhirApp
from fhir_server.storage.reader import Reader as StorageReader
from smart_auth import records, redirects
from smart_auth.errors import OAuthError
from smart_auth.grant import Grant, new_id
from smart_auth.grants import refresh_token
from smart_auth.service import SmartAuth
from smart_auth.users import User
from tests.smart_auth.visitor import BASE, Reader, World, said, world

Json = dict[str, Any]

SECRET = {"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "V"}
SCOPE = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "patient-privacy"}]}
SHARING = "http://fhir-server.example/ig/CodeSystem/share-level"
NOTIFICATION = {"system": "http://terminology.hl7.org/CodeSystem/communication-category", "code": "notification"}
REASON = {"resourceType": "Parameters", "parameter": [{"name": "reason", "valueString": "unconscious"}]}
VICTIM, OTHER = {"reference": "Patient/victim"}, {"reference": "Patient/other"}
PEOPLE = (
    ("doctor", "Practitioner/doctor"),
    ("nurse", "Practitioner/nurse"),
    ("specialist", "Practitioner/specialist"),
    ("receptionist", "Practitioner/receptionist"),
    ("patient", "Patient/other"),
    ("proxy", "RelatedPerson/proxy"),
)


def consent(patient: Json, provision: Json, **more: Any) -> Json:
    return {
        "resourceType": "Consent",
        "status": "active",
        "scope": SCOPE,
        "category": [{"coding": [{"code": "x"}]}],
        "patient": patient,
        "policy": [{"uri": "urn:policy"}],
        "provision": provision,
        **more,
    }


def share(level: str, who: str) -> Json:
    role = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ParticipationType", "code": "IRCP"}]}
    action = [{"coding": [{"system": SHARING, "code": level}]}]
    return consent(
        VICTIM, {"type": "permit", "actor": [{"role": role, "reference": {"reference": who}}], "action": action}
    )


def order(who: str) -> Json:
    who_does = [{"reference": who}]
    return {
        "resourceType": "ServiceRequest",
        "status": "active",
        "intent": "order",
        "subject": VICTIM,
        "performer": who_does,
    }


def team(who: str) -> Json:
    member = [{"member": {"reference": who}}]
    return {"resourceType": "CareTeam", "status": "active", "subject": VICTIM, "participant": member}


def observation(subject: Json, *performers: Json) -> Json:
    by = {"performer": list(performers)} if performers else {}
    return {"resourceType": "Observation", "status": "final", "code": {"text": "x"}, "subject": subject, **by}


def resources() -> list[Json]:
    """A patient with something to hide, another one with a proxy, and a team that talks."""
    return [
        {"resourceType": "Patient", "id": "victim"},
        {"resourceType": "Patient", "id": "other"},
        {"resourceType": "RelatedPerson", "id": "proxy", "active": True, "patient": OTHER},
        {**observation(VICTIM), "id": "plain"},
        {
            "resourceType": "DocumentReference",
            "id": "secret",
            "meta": {"security": [SECRET]},
            "status": "current",
            "subject": VICTIM,
            "content": [{"attachment": {"title": "x"}}],
        },
        {**team("Practitioner/somebody"), "id": "team"},
        {
            "resourceType": "Communication",
            "id": "talk",
            "meta": {"security": [SECRET]},
            "status": "completed",
            "subject": VICTIM,
            "sender": {"reference": "Practitioner/somebody"},
            "recipient": [{"reference": "CareTeam/team"}],
        },
        {
            "resourceType": "Communication",
            "id": "notice",
            "status": "completed",
            "category": [{"coding": [NOTIFICATION]}],
            "subject": OTHER,
            "sender": {"reference": "Practitioner/doctor"},
            "recipient": [OTHER],
            "payload": [{"contentString": "one tablet"}],
        },
    ]


@dataclass
class House:
    """A server in this process, and who can sign in there."""

    server: Server
    auth: SmartAuth

    async def who(self, login: str, scopes: str = "user/*.cruds", **context: str) -> Principal:
        user = await self.auth.users.get(login)
        assert user is not None
        found = await self.auth.authenticator.principal(
            Grant(new_id(), "", user.id, user.fhir_user, scopes, dict(context))
        )
        assert found is not None
        return found

    async def ask(self, who: Principal | str, method: str, path: str, body: Json | None = None) -> tuple[int, Json]:
        """Status, and the resource."""
        asking = await self.who(who) if isinstance(who, str) else who
        path, _, criteria = path.partition("?")
        query = [(name, value) for name, _, value in (one.partition("=") for one in criteria.split("&")) if name]
        try:
            context = self.server.context(BASE, principal=asking)
            response = await dispatch(context, FhirRequest(method, path, query, body=body))
        except FhirError as error:
            return error.status, {}
        if response.write is not None:
            return response.status, response.write.resource or {}
        return response.status, response.resource or {}

    async def sees(self, who: str, path: str) -> bool:
        return (await self.ask(who, "GET", path))[0] == 200


@pytest.fixture
async def house(settings: Settings) -> AsyncIterator[House]:
    settings = settings.model_copy(update={"base_url": BASE, "open": False})
    async with running(settings) as server:
        auth = SmartAuth(settings, server.database, server.repository)
        await auth.prepare()
        server.repository.settle = auth.changes.settle
        await server.database.system["auth_user"].delete_many({})
        await _clear(server)
        for role, reference in PEOPLE:
            await auth.users.add(User(role, role, fhir_user=reference, roles=(role,)))
        made = House(server, auth)
        for resource in resources():
            path = f"{resource['resourceType']}/{resource['id']}"
            await dispatch(server.context(BASE), FhirRequest("PUT", path, body=resource))
        yield made


async def _clear(server: Server) -> None:
    """End the rights that an earlier test of this module left."""
    for type_ in ("Consent", "CareTeam", "ServiceRequest"):
        context = server.context(BASE)
        found = await server.repository.find(SYSTEM, {"ty": type_}, limit=1000)
        for stored in found:
            await dispatch(context, FhirRequest("DELETE", stored.key))


# ---- rights by way of what one may write ----------------------------------------------------------------


@pytest.mark.parametrize("made", [order("Practitioner/specialist"), team("Practitioner/specialist")])
async def test_a_broken_glass_is_no_way_to_stay(house: House, made: Json) -> None:
    status, answer = await house.ask("specialist", "POST", "Patient/victim/$break-glass", REASON)
    assert status == 200
    await house.ask("specialist", "POST", made["resourceType"], made)
    key = answer["parameter"][0]["valueReference"]["reference"]
    await house.ask(SYSTEM, "DELETE", key)  # as when its half hour is over
    assert not await house.sees("specialist", "DocumentReference/secret")


async def test_a_limited_share_does_not_grow(house: House) -> None:
    await house.ask(SYSTEM, "POST", "Consent", share("limited", "Practitioner/specialist"))
    assert await house.sees("specialist", "Observation/plain")
    status, _ = await house.ask("specialist", "POST", "Observation", observation(VICTIM))
    assert status == 403  # it is for reading
    await house.ask("specialist", "POST", "ServiceRequest", order("Practitioner/specialist"))
    assert not await house.sees("specialist", "DocumentReference/secret")


@pytest.mark.parametrize(
    "made", [order("Practitioner/doctor"), team("Practitioner/doctor"), share("full", "Practitioner/doctor")]
)
async def test_nobody_puts_a_patient_in_their_own_care(house: House, made: Json) -> None:
    await house.ask("doctor", "POST", made["resourceType"], made)
    assert not await house.sees("doctor", "DocumentReference/secret")


async def test_nobody_joins_a_team_to_listen(house: House) -> None:
    assert not await house.sees("nurse", "Communication/talk")
    await house.ask("nurse", "PUT", "CareTeam/team", {**team("Practitioner/nurse"), "id": "team"})
    assert not await house.sees("nurse", "Communication/talk")


async def test_nobody_repoints_a_proxy(house: House) -> None:
    moved = {"resourceType": "RelatedPerson", "id": "proxy", "active": True, "patient": VICTIM}
    await house.ask("receptionist", "PUT", "RelatedPerson/proxy", moved)
    assert not await house.sees("proxy", "Observation/plain")


async def test_nobody_denies_in_a_patients_name(house: House) -> None:
    await house.ask("doctor", "POST", "Consent", consent(VICTIM, {"type": "deny"}))
    assert await house.sees("nurse", "Observation/plain")


# ---- the break-glass review -----------------------------------------------------------------------------


@pytest.mark.parametrize(("part", "change"), [("task", {"status": "cancelled"}), ("communication", {"category": []})])
async def test_nobody_reviews_their_own_emergency(house: House, part: str, change: Json) -> None:
    _, answer = await house.ask("nurse", "POST", "Patient/victim/$break-glass", REASON)
    key = next(one["valueReference"]["reference"] for one in answer["parameter"] if one["name"] == part)
    type_, _, id_ = key.partition("/")
    stored = await house.server.repository.read(SYSTEM, type_, id_)
    assert stored is not None
    changed = {name: value for name, value in {**stored.resource(), **change}.items() if value}
    status, _ = await house.ask("nurse", "PUT", key, changed)
    assert status in (403, 404)


async def test_an_app_that_only_reads_breaks_no_glass(house: House) -> None:
    reader = await house.who("nurse", "user/Patient.r")
    status, _ = await house.ask(reader, "POST", "Patient/victim/$break-glass", REASON)
    assert status == 403


# ---- writing where one has no business ------------------------------------------------------------------


async def test_an_app_for_one_patient_writes_nothing_about_another(house: House) -> None:
    app = await house.who("doctor", "patient/*.cruds", patient="other")
    status, _ = await house.ask(app, "POST", "Observation", observation(VICTIM, OTHER))
    assert status == 403


async def test_an_app_for_one_patient_moves_nothing_to_another(house: House) -> None:
    app = await house.who("doctor", "patient/*.cruds", patient="other")
    await house.ask(SYSTEM, "PUT", "Observation/mine", {**observation(OTHER, OTHER), "id": "mine"})
    status, _ = await house.ask(app, "PUT", "Observation/mine", {**observation(VICTIM, OTHER), "id": "mine"})
    assert status == 403


async def test_a_proxy_writes_nothing_into_a_strangers_record(house: House) -> None:
    sender = {"reference": "RelatedPerson/proxy"}
    message = {"resourceType": "Communication", "status": "completed", "subject": VICTIM, "sender": sender}
    status, _ = await house.ask("proxy", "POST", "Communication", {**message, "recipient": [VICTIM]})
    assert status == 403


async def test_a_notification_stays_what_was_said(house: House) -> None:
    notice = next(one for one in resources() if one["id"] == "notice")
    forged = {**notice, "payload": [{"contentString": "ten tablets"}]}
    status, _ = await house.ask("patient", "PUT", "Communication/notice", forged)
    assert status == 403


async def test_a_file_is_not_overwritten_by_who_only_reads_what_it_is_of(house: House) -> None:
    coverage = {"resourceType": "Coverage", "id": "paid", "status": "active", "beneficiary": OTHER, "payor": [OTHER]}
    await house.ask(SYSTEM, "PUT", "Coverage/paid", coverage)
    card = {
        "resourceType": "Binary",
        "id": "card",
        "contentType": "text/plain",
        "securityContext": {"reference": "Coverage/paid"},
        "data": "b25l",
    }
    await house.ask(SYSTEM, "PUT", "Binary/card", card)
    assert await house.sees("doctor", "Binary/card")
    status, _ = await house.ask("doctor", "PUT", "Binary/card", {**card, "data": "dHdv"})
    assert status == 403


async def test_a_batch_is_no_way_around(house: House) -> None:
    entry = {"resource": order("Practitioner/doctor"), "request": {"method": "POST", "url": "ServiceRequest"}}
    await house.ask("doctor", "POST", "", {"resourceType": "Bundle", "type": "transaction", "entry": [entry]})
    assert not await house.sees("doctor", "DocumentReference/secret")
    draft = {**order("Practitioner/doctor"), "id": "draft", "status": "draft"}
    status, _ = await house.ask("doctor", "PUT", "ServiceRequest/draft", draft)
    assert status == 201
    patch = {"resourceType": "Parameters", "parameter": [{"name": "operation", "part": _replace("status", "active")}]}
    status, _ = await house.ask("doctor", "PATCH", "ServiceRequest/draft", patch)
    assert status == 403


def _replace(name: str, code: str) -> list[Json]:
    return [
        {"name": "type", "valueCode": "replace"},
        {"name": "path", "valueString": f"ServiceRequest.{name}"},
        {"name": "value", "valueCode": code},
    ]


# ---- one against all ------------------------------------------------------------------------------------


async def test_one_patients_consents_stop_nobody(house: House) -> None:
    for number in range(3):
        parts = [
            {"type": "deny", "code": [{"coding": [_code(number, part, one) for one in range(400)]}]}
            for part in range(90)
        ]
        status, _ = await house.ask(
            "patient", "POST", "Consent", consent(OTHER, {"type": "permit", "provision": parts})
        )
        if status != 201:
            return  # refused: good
    status, _ = await house.ask("doctor", "GET", "Observation?_count=1")
    assert status == 200


def _code(number: int, part: int, one: int) -> Json:
    return {"system": f"urn:some-long-system-{number}-{part}", "code": f"code-{part}-{one}-{'x' * 40}"}


async def test_a_document_that_cannot_be_read_keeps_nobody_waiting() -> None:
    async def query(keys: list[str]) -> list[Json]:
        return [{"_id": key} for key in keys]  # without its version

    reader = StorageReader(query)
    with suppress(LookupError):
        async with asyncio.timeout(60):
            await reader.read("Patient/1")


class _Strangers:
    """Nobody is known."""

    def cached(self, authorization: bytes) -> Principal | None:
        return None

    async def authenticate(self, authorization: bytes | None, headers: Mapping[bytes, bytes]) -> Principal:
        return NOBODY


async def test_a_strangers_content_is_not_read(settings: Settings) -> None:
    read: list[str] = []
    sent: list[Json] = []

    def context(*_: Any) -> Any:
        return None

    async def answer(*_: Any) -> FhirResponse:
        raise SignInRequired("This needs an access token.")

    async def receive() -> Json:
        read.append("content")
        return {"type": "http.request", "body": b"{}", "more_body": False}

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(dict(message))

    app = FhirApp(context, answer, settings.model_copy(update={"open": False}), authenticator=_Strangers())
    headers = [(b"host", b"127.0.0.1:8080"), (b"content-type", b"application/fhir+json"), (b"content-length", b"2")]
    head = {"type": "http", "method": "POST", "scheme": "http", "raw_path": b"/fhir/Patient", "query_string": b""}
    await app({**head, "headers": headers, "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 8080)}, receive, send)
    assert sent[0]["status"] == 401
    assert not read


# ---- sign-in --------------------------------------------------------------------------------------------


@pytest.fixture
async def made(settings: Settings) -> AsyncIterator[World]:
    async with world(settings, self_registration=True) as found:
        yield found


async def _at_the_picker(made: World) -> str:
    """The request of a doctor who has agreed, and looks for a patient."""
    doctor = made.visitor()
    asked = await doctor.follow(await doctor.sign_in("diaz", url=made.authorize_url("launch/patient patient/*.rs")))
    picker = await doctor.follow(await doctor.submit(asked, press=("decision", "allow")))
    number = next(n for n, form in enumerate(Reader(picker.text).forms) if form.method == "post")
    await doctor.submit(picker, number=number, press=("patient", "leo"))
    return dict(Reader(picker.text).forms[number].fields)["request"]


async def test_nobody_takes_over_anothers_request(made: World) -> None:
    request = await _at_the_picker(made)
    thief = made.visitor()
    await thief.sign_in("ana")
    page = await thief.get("/auth/logout")
    csrf = dict(Reader(page.text).forms[0].fields)["csrf"]
    fields = [("csrf", csrf), ("request", request), ("decision", "allow"), ("agree", "0r"), ("agree", "0s")]
    fields += [("agree", f"{place}{letter}") for place in range(1, 3) for letter in "rs"]
    answer = await thief.follow(await thief.post("/auth/consent", fields))
    if answer.is_redirect and "code" in said(answer):
        assert (await made.tokens(answer)).get("patient") != "leo"


async def test_nobody_ends_anothers_request(made: World) -> None:
    request = await _at_the_picker(made)
    thief = made.visitor()
    await thief.sign_in("ana")
    answer = await thief.get(f"/auth/continue?request={request}")
    assert "state" not in answer.headers.get("location", "")
    assert await made.auth.requests.find(request) is not None


async def test_online_access_ends_with_the_session_that_runs_out(made: World) -> None:
    secret = await made.auth.sessions.start("ana")
    session = await made.auth.sessions.find(secret)
    assert session is not None
    grant = Grant(new_id(), "app", "ana", "Patient/ana", "user/*.rs online_access", {}, session=session.id)
    issued = await made.auth.tokens.issue(grant, seconds=60, refresh_seconds=3600)
    await made.auth.sessions._rows.delete_one({"_id": session.id})  # as MongoDB does when it has expired
    client = await made.auth.clients.get("app")
    assert client is not None
    with pytest.raises(OAuthError):
        await refresh_token.issue(made.auth, client, {"refresh_token": issued.refresh or ""})


async def test_nobody_is_called_by_anothers_address(made: World) -> None:
    with pytest.raises((Conflict, ValueWrong)):
        await made.auth.users.add(User("diaz@clinic.example", "Squatter", "me@mail.example"))
    found = await made.auth.users.by_login("diaz@clinic.example")
    assert found is not None
    assert found.id == "diaz"


async def test_who_registers_sees_their_own_record(made: World) -> None:
    reference = await records.create(made.auth, BASE, {"resourceType": "Patient"}, Agent.of("nobody"))
    await made.auth.users.add(User("eve", "Eve", "eve@mail.example", fhir_user=reference, roles=("patient",)))
    user = await made.auth.users.get("eve")
    assert user is not None
    found = await records.patient(made.auth, user, "app", BASE, reference.partition("/")[2])
    assert found is not None


@pytest.mark.parametrize("uri", ["ms-msdt:/id", "search-ms:query=x", "ms-officecmd:x", "myapp:callback"])
def test_a_scheme_of_the_machine_is_no_app(uri: str) -> None:
    assert redirects.problem(uri) is not None


def test_an_apps_own_scheme_is_one() -> None:
    assert redirects.problem("com.example.app:/callback") is None


async def test_a_visit_of_oneself_is_read_by_id(made: World) -> None:
    """Ranges of a resource and the name of a version share a letter: reading by id once waited for ever."""
    user = await made.auth.users.get("ana")
    assert user is not None
    asking = await records.principal(made.auth, user, "app")
    async with asyncio.timeout(60):
        assert await made.auth.repository.read(asking, "Encounter", "e1") is not None
