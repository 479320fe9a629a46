"""From a header to a principal: what is refused and how, what a principal is made of, and when it is made anew."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from math import inf
from types import SimpleNamespace
from typing import Any

import pytest
from structlog.testing import capture_logs

from fhir_server.access.consents import BREAK_GLASS
from fhir_server.access.principal import NOBODY, Principal
from fhir_server.access.provisions import SHARING
from fhir_server.access.visibility import condition
from fhir_server.outcomes import FhirError
from smart_auth import authenticator as module
from smart_auth.grant import Grant
from tests.smart_auth.process import Process, process

Json = dict[str, Any]


@pytest.fixture
async def here(mongo_uri: str, database: str) -> AsyncIterator[Process]:
    async with process(mongo_uri, database) as made:
        await made.database.system["processes"].delete_many({"_id": {"$ne": made.database.incarnation}})
        await made.add("doctor", "Practitioner/1", ["doctor"])
        yield made
        for rows in (made.database.resource, made.database.version, made.database.system["auth_user"]):
            await rows.delete_many({})
        await made.database.system["auth_client"].delete_many({})


async def principal(here: Process, scopes: str = "user/*.rs", **given: Any) -> Principal:
    return await here.authenticator.authenticate(await here.header(scopes, **given), {})


async def refusal(here: Process, header: bytes) -> FhirError:
    with pytest.raises(FhirError) as caught:
        await here.authenticator.authenticate(header, {})
    return caught.value


def consent(id_: str, patient: str, provision: Json, **more: Any) -> Json:
    scope = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "patient-privacy"}]}
    return {
        "resourceType": "Consent",
        "id": id_,
        "status": "active",
        "scope": scope,
        "category": [{"text": "x"}],
        "patient": {"reference": patient},
        "provision": provision,
        **more,
    }


def permit(who: str, **more: Any) -> Json:
    role = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ParticipationType", "code": "IRCP"}]}
    return {"type": "permit", "actor": [{"role": role, "reference": {"reference": who}}], **more}


def concepts(system: str, code: str) -> list[Json]:
    return [{"coding": [{"system": system, "code": code}]}]


def is_open(principal: Principal, type_: str = "Patient", action: str = "r") -> bool:
    return condition(principal, type_, action) is not None


# ---- the header -----------------------------------------------------------------------------------------


async def test_without_a_header_it_is_nobody(here: Process) -> None:
    assert await here.authenticator.authenticate(None, {}) is NOBODY


@pytest.mark.parametrize(
    "header", [b"", b"Basic ZG9jdG9yOnNlY3JldA==", b"Bearerx", b"Negotiate abc", b"token", b"\x00"]
)
async def test_where_no_token_was_presented_none_is_blamed(here: Process, header: bytes) -> None:
    error = await refusal(here, header)
    assert (error.status, error.headers["WWW-Authenticate"]) == (401, 'Bearer realm="fhir"')


@pytest.mark.parametrize(
    "header",
    [
        b"Bearer",
        b"Bearer ",
        b"bearer   ",
        b"Bearer unknown",
        b"BEARER unknown",
        b"Bearer one two",
        b"Bearer one, Bearer two",
        b"Bearer one,two",
        b"Bearer one\x00",
        b"Bearer \x7fone",
        b"Bearer one\n",
        b"Bearer one\r\nX: y",
        b"Bearer \xc3\xa9",
        b'Bearer "one"',
        b"Bearer a=b",
        b"Bearer =",
        b"Bearer one====",
        b"Bearer " + b"x" * 8192,
        b"Bearer " + b"x" * 4096,
        b"Bearer a.b.c",
    ],
)
async def test_a_token_that_is_none_of_ours_is_invalid(here: Process, header: bytes) -> None:
    error = await refusal(here, header)
    assert error.status == 401
    challenge = error.headers["WWW-Authenticate"]
    assert challenge.startswith('Bearer realm="fhir", error="invalid_token", error_description="')
    assert challenge.isascii()
    assert challenge.isprintable()
    assert here.authenticator.cached(header) is None


async def test_the_scheme_has_no_case_and_the_token_has(here: Process) -> None:
    header = await here.header(user="doctor")
    for good in (header, header.replace(b"Bearer ", b"bearer  "), header.replace(b"Bearer", b"BEARER")):
        assert await here.status(good) == 200
    assert await here.status(b"Bearer " + header.removeprefix(b"Bearer ").swapcase()) == 401


async def test_no_part_of_a_token_is_told(here: Process) -> None:
    header = await here.header(user="doctor")
    token = header.removeprefix(b"Bearer ").decode()
    await here.users.remove("doctor")
    with capture_logs() as logs:
        errors = [await refusal(here, one) for one in (header, header + b"x", header + b" x", b"Basic " + header)]
    said = str(logs) + "".join(f"{error} {error.headers} {error.issues}" for error in errors)
    assert not any(token[at : at + 6] in said for at in range(len(token) - 5))


# ---- what a principal is ---------------------------------------------------------------------------------


async def test_a_user_is_made_of_account_and_grant(here: Process) -> None:
    made = await principal(here, "openid user/Patient.rs patient/*.rs", user="doctor", context={"patient": "9"})
    assert (made.name, made.client, made.user, made.patient) == ("doctor", "app", "Practitioner/1", "Patient/9")
    assert made.roles == ("doctor",)
    assert sorted(map(str, made.scopes)) == ["patient/*.rs", "user/Patient.rs"]
    assert made.grant
    assert not made.is_open
    assert is_open(made)


async def test_a_backend_service_has_its_system_scopes(here: Process) -> None:
    made = await principal(here, "system/Patient.rs")
    assert (made.name, made.client, made.user) == ("app", "app", "")
    assert is_open(made)
    assert not is_open(made, "Observation")


async def test_a_token_of_the_operator_needs_no_client(here: Process) -> None:
    made = await principal(here, "system/*.cruds", client="")
    assert (made.name, made.client) == ("operator", "operator")
    assert not made.is_anonymous
    assert is_open(made)


async def test_a_patient_is_their_own_and_a_proxy_acts_for_one(here: Process) -> None:
    await here.put({"resourceType": "RelatedPerson", "id": "r", "patient": {"reference": "Patient/9"}})
    await here.add("patient", "Patient/9", ["patient"])
    await here.add("proxy", "RelatedPerson/r", ["proxy"])
    assert (await principal(here, user="patient")).own == {"Patient/9"}
    assert (await principal(here, user="proxy")).own == {"Patient/9"}


@pytest.mark.parametrize("context", [{}, {"patient": ""}, {"patient": None}, {"patient": "../9"}, {"patient": ["9"]}])
async def test_a_patient_scope_without_a_patient_opens_nothing(here: Process, context: Json) -> None:
    made = await principal(here, "patient/*.cruds", user="doctor", context=context)
    assert made.scopes == ()
    assert not is_open(made)


async def test_no_system_scope_is_a_users(here: Process) -> None:
    made = await principal(here, "system/*.cruds user/Observation.rs", user="doctor")
    assert [str(scope) for scope in made.scopes] == ["user/Observation.rs"]
    assert not is_open(made)


async def test_a_grant_that_says_more_than_it_may_is_kept_to_its_bounds(here: Process) -> None:
    """Tokens are not issued like this: what would be in the database all the same."""
    made = await here.authenticator.principal(Grant("g", "app", "doctor", scopes="system/*.cruds patient/*.rs"))
    assert made is not None
    assert made.scopes == ()
    made = await here.authenticator.principal(Grant("g", "app", scopes="user/*.cruds patient/*.rs system/Basic.r"))
    assert made is not None
    assert [str(scope) for scope in made.scopes] == ["system/Basic.r"]
    assert await here.authenticator.principal(Grant("g", "app", "never-there", scopes="user/*.rs")) is None


@pytest.mark.parametrize("roles", [[], ["nobody-knows-it"], [""], ["Doctor"]])
async def test_who_has_no_known_role_may_do_nothing(here: Process, roles: list[str]) -> None:
    await here.add("roleless", "Practitioner/2", roles)
    made = await principal(here, "user/*.cruds patient/*.cruds", user="roleless", context={"patient": "1"})
    assert not is_open(made)
    assert not made.is_administrator


async def test_an_account_without_a_person_is_no_backend_service(here: Process) -> None:
    await here.add("clerk", "", ["nobody-knows-it"])
    made = await principal(here, "user/*.cruds", user="clerk")
    assert made.user == "urn:login:clerk"
    assert not made.is_administrator
    assert not is_open(made)
    await here.add("chief", "", ["super-administrator"])
    made = await principal(here, "user/*.cruds", user="chief")
    assert made.is_administrator
    assert is_open(made)


async def test_whose_person_is_gone_may_do_nothing(here: Process) -> None:
    header = await here.header(user="doctor")
    assert is_open(await here.authenticator.authenticate(header, {}))
    await here.put({"resourceType": "Practitioner", "id": "1", "active": False})
    assert not is_open(await here.authenticator.authenticate(header, {}))
    await here.put({"resourceType": "Practitioner", "id": "1", "active": True})
    assert is_open(await here.authenticator.authenticate(header, {}))
    await here.delete("Practitioner", "1")
    assert not is_open(await here.authenticator.authenticate(header, {}))


# ---- what ends it -----------------------------------------------------------------------------------------


async def test_accounts_and_clients_that_are_gone_end_their_tokens(here: Process) -> None:
    header = await here.header(user="doctor")
    assert await here.status(header) == 200
    await here.users.set_active("doctor", False)
    assert await here.status(header) == 401
    await here.users.set_active("doctor", True)
    assert await here.status(header) == 200
    await here.users.remove("doctor")
    assert await here.status(header) == 401
    service = await here.header("system/*.rs")
    assert await here.status(service) == 200
    await here.clients.remove("app")
    assert await here.status(service) == 401
    assert await here.status(await here.header("system/*.rs", client="never-registered")) == 401
    assert await here.status(await here.header(user="never-there")) == 401


async def test_roles_follow_the_account(here: Process) -> None:
    header = await here.header(user="doctor")
    assert (await here.authenticator.authenticate(header, {})).roles == ("doctor",)
    await here.users.set_roles("doctor", ["nurse"])
    assert (await here.authenticator.authenticate(header, {})).roles == ("nurse",)
    await here.users.set_fhir_user("doctor", "Practitioner/2")
    assert (await here.authenticator.authenticate(header, {})).user == "Practitioner/2"


@pytest.mark.parametrize("jump", [-86_400.0, 86_400.0, 0.0])
async def test_a_token_lives_as_long_whatever_becomes_of_the_wall_clock(
    here: Process, monkeypatch: pytest.MonkeyPatch, jump: float
) -> None:
    monkeypatch.setattr(module, "KEPT", inf)
    header = await here.header(user="doctor", seconds=300)
    assert await here.status(header) == 200
    true = module.time
    shifted = SimpleNamespace(time=lambda: true.time() + jump, time_ns=lambda: true.time_ns() + int(jump * 1e9))
    monkeypatch.setattr(module, "time", shifted)
    passed = 0.0
    clock = module.seconds
    monkeypatch.setattr(module, "seconds", lambda: clock() + passed)
    here.changes.until = inf  # only the token's own life is looked at
    passed = 240.0  # a minute is left for a machine that stalls
    assert here.authenticator.cached(header) is not None
    passed = 301.0
    assert here.authenticator.cached(header) is None


async def test_a_principal_is_made_anew_after_a_while(here: Process, monkeypatch: pytest.MonkeyPatch) -> None:
    header = await here.header(user="doctor")
    assert await here.status(header) == 200
    clock = module.seconds
    monkeypatch.setattr(module, "seconds", lambda: clock() + module.KEPT)
    here.changes.until = inf
    assert here.authenticator.cached(header) is None


async def test_principals_are_bounded_and_the_least_asked_for_goes(
    here: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST", 5)
    headers = [await here.header(user="doctor") for _ in range(5)]
    for header in headers:
        assert await here.status(header) == 200
    await here.changes.current()
    assert here.authenticator.cached(headers[0]) is not None
    assert await here.status(await here.header(user="doctor")) == 200
    assert [here.authenticator.cached(header) is not None for header in headers] == [True, False, True, True, True]


async def test_one_principal_serves_a_token_until_something_changes(here: Process) -> None:
    header = await here.header(user="doctor")
    first = await here.authenticator.authenticate(header, {})
    assert here.authenticator.cached(header) is first
    assert await here.authenticator.authenticate(header, {}) is first
    await here.changes.announce()
    assert here.authenticator.cached(header) is None
    assert await here.authenticator.authenticate(header, {}) is not first


async def test_many_requests_at_once_are_all_answered(here: Process) -> None:
    headers = [await here.header(user="doctor") for _ in range(10)]
    assert set(await asyncio.gather(*(here.status(header) for header in headers * 20))) == {200}


async def test_rights_that_change_each_time_they_are_read_keep_nobody_out(
    here: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    header = await here.header(user="doctor")
    find, changed = here.tokens.find, []

    async def and_change(token: str) -> Any:
        live = await find(token)
        # One role more each time, told to everybody while the rest of the principal is read.
        changed.append(f"role-{len(changed)}")
        await here.users.set_roles("doctor", tuple(changed))
        return live

    monkeypatch.setattr(here.tokens, "find", and_change)
    made = await here.authenticator.authenticate(header, {})
    assert made.roles == tuple(changed)
    assert len(changed) == module._TRIES
    assert here.authenticator.cached(header) is None


async def test_rights_that_change_all_the_time_keep_nobody_waiting(here: Process) -> None:
    headers = [await here.header(user="doctor") for _ in range(10)]

    async def change() -> None:
        while True:
            await here.changes.announce()

    changing = [asyncio.create_task(change()) for _ in range(8)]
    try:
        assert set(await asyncio.gather(*(here.status(header) for header in headers * 20))) == {200}
    finally:
        for one in changing:
            one.cancel()
        await asyncio.gather(*changing, return_exceptions=True)


# ---- care -------------------------------------------------------------------------------------------------


async def test_an_order_opens_a_record_at_once_and_its_end_closes_it(here: Process) -> None:
    await here.add("specialist", "Practitioner/3", ["specialist"])
    header = await here.header(user="specialist")
    assert (await here.authenticator.authenticate(header, {})).panel == {}
    order = {
        "resourceType": "ServiceRequest",
        "id": "o",
        "status": "active",
        "intent": "order",
        "subject": {"reference": "Patient/9"},
        "performer": [{"reference": "Practitioner/3"}],
    }
    await here.put(order)
    assert (await here.authenticator.authenticate(header, {})).panel == {"Patient/9": "referral"}
    await here.put({**order, "status": "revoked"})
    assert (await here.authenticator.authenticate(header, {})).panel == {}


async def test_orders_end_no_principal_of_patients_and_services(here: Process) -> None:
    await here.add("patient", "Patient/9", ["patient"])
    headers = [await here.header(user="patient"), await here.header("system/*.rs")]
    kept = [await here.authenticator.authenticate(header, {}) for header in headers]
    await here.put({"resourceType": "ServiceRequest", "id": "o", "status": "draft", "subject": {}})
    await here.changes.current()  # the lease may have run out meanwhile
    assert [here.authenticator.cached(header) for header in headers] == kept


# ---- Consents ---------------------------------------------------------------------------------------------


async def test_a_denial_of_everybody_reaches_everybody_at_once(here: Process) -> None:
    headers = [await here.header(user="doctor"), await here.header("system/*.rs")]
    for header in headers:
        assert (await here.authenticator.authenticate(header, {})).consents == ()
    await here.put(consent("c", "Patient/9", {"type": "deny"}))
    for header in headers:
        (rule,) = (await here.authenticator.authenticate(header, {})).consents
        assert rule.patients == ("Patient/9",)
    await here.put(consent("c", "Patient/9", {"type": "deny"}) | {"status": "inactive"})
    for header in headers:
        assert (await here.authenticator.authenticate(header, {})).consents == ()


async def test_a_consent_that_is_deleted_or_erased_says_no_more(here: Process) -> None:
    header = await here.header(user="doctor")
    for patient in ("1", "2", "3"):
        await here.put(consent(f"c{patient}", f"Patient/{patient}", {"type": "deny"}))
    assert len((await here.authenticator.authenticate(header, {})).consents[0].patients) == 3
    await here.delete("Consent", "c1")
    assert (await here.authenticator.authenticate(header, {})).consents[0].patients == ("Patient/2", "Patient/3")
    await here.repository.erase(Principal("system", is_open=True), "Consent", "c2")
    await here.put(consent("c4", "Patient/4", {"type": "deny"}))
    assert (await here.authenticator.authenticate(header, {})).consents[0].patients == ("Patient/3", "Patient/4")


async def test_a_share_reaches_whom_it_names(here: Process) -> None:
    await here.add("nurse", "Practitioner/2", ["nurse"])
    await here.put(
        consent("c", "Patient/9", permit("Practitioner/1", action=concepts(SHARING, "full"))),
        consent("d", "Patient/8", permit("Organization/1", action=concepts(SHARING, "limited"))),
        consent("e", "Patient/7", {"type": "permit"}),
        {
            "resourceType": "PractitionerRole",
            "id": "x",
            "practitioner": {"reference": "Practitioner/1"},
            "organization": {"reference": "Organization/1"},
        },
    )
    made = await principal(here, user="doctor")
    assert made.panel == {"Patient/9": "full", "Patient/8": "limited"}
    assert (await principal(here, user="nurse")).panel == {}


async def test_broken_glass_lasts_until_its_time(here: Process, monkeypatch: pytest.MonkeyPatch) -> None:
    start, end = datetime.now(UTC) - timedelta(minutes=1), datetime.now(UTC) + timedelta(minutes=20)
    period = {"start": start.isoformat(), "end": end.isoformat()}
    broken = permit(
        "Practitioner/1",
        period=period,
        purpose=[{"system": "http://terminology.hl7.org/CodeSystem/v3-ActReason", "code": "BTG"}],
    )
    header, others = await here.header(user="doctor"), await here.header("system/*.rs")
    assert (await here.authenticator.authenticate(header, {})).emergency == frozenset()
    await here.put(consent("c", "Patient/9", broken, category=concepts(*BREAK_GLASS)))
    monkeypatch.setattr(module, "KEPT", inf)
    assert (await here.authenticator.authenticate(header, {})).emergency == {"Patient/9"}
    assert (await here.authenticator.authenticate(others, {})).emergency == frozenset()
    kept = here.authenticator._kept[header]
    assert kept.until < module.seconds() + 20 * 60 + 1, "no longer than the glass is broken"
    true = module.time
    later = SimpleNamespace(time=lambda: true.time() + 1300, time_ns=lambda: true.time_ns() + 1300 * 10**9)
    monkeypatch.setattr(module, "time", later)
    here.authenticator._kept.clear()
    assert (await here.authenticator.authenticate(header, {})).emergency == frozenset()


async def test_denials_to_one_are_compiled_for_one(here: Process) -> None:
    await here.add("nurse", "Practitioner/2", ["nurse"])
    role = {"coding": [{"code": "IRCP"}]}
    denied = {"type": "deny", "actor": [{"role": role, "reference": {"reference": "Practitioner/2"}}]}
    await here.put(consent("c", "Patient/9", denied), consent("d", "Patient/8", {"type": "deny"}))
    doctor, nurse = await principal(here, user="doctor"), await principal(here, user="nurse")
    assert {one for rule in doctor.consents for one in rule.patients} == {"Patient/8"}
    assert {one for rule in nurse.consents for one in rule.patients} == {"Patient/8", "Patient/9"}
