"""Patient/$break-glass: over HTTP in open mode, and in the process for callers of all kinds (smart.md 17)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
import pytest_asyncio

from fhir_server.access.consents import Caller, compile_consents, emergencies
from fhir_server.access.principal import SYSTEM, Principal
from fhir_server.config import Settings
from fhir_server.context import FhirRequest
from fhir_server.dispatch import dispatch
from fhir_server.main import Server, running
from fhir_server.operations.break_glass import MAX_AN_HOUR
from fhir_server.outcomes import Forbidden, SignInRequired, TooManyRequests
from tests.access.people import caller, may
from tests.interactions.journey import Mismatch, journeys, play

Json = dict[str, Any]

REASON = {"resourceType": "Parameters", "parameter": [{"name": "reason", "valueString": "unconscious"}]}
CONDITION = {"resourceType": "Condition", "id": "c", "subject": {"reference": "Patient/1"}}


@pytest.mark.parametrize("steps", [one for one in journeys("access_operations") if "break_glass" in str(one.id)])
def test_journey(client: httpx.Client, steps: list[Json]) -> None:
    play(client, steps)


def test_the_runner_can_fail(client: httpx.Client) -> None:
    with pytest.raises(Mismatch):
        play(client, [{"request": "POST /Patient/nobody/$break-glass", "body": REASON, "status": 200}])


# ---- callers ---------------------------------------------------------------------------------------------------


@pytest_asyncio.fixture
async def here(settings: Settings) -> AsyncIterator[Server]:
    """The parts of a server, in this process."""
    async with running(settings) as server:
        yield server


async def ask(server: Server, who: Principal, method: str, path: str, body: Json | None = None) -> Json:
    request = FhirRequest(method, path, body=body)
    response = await dispatch(server.context(principal=who), request)
    return response.resource or {}


async def test_the_record_is_open_to_who_broke_it_and_to_nobody_else(here: Server) -> None:
    await ask(here, SYSTEM, "PUT", "Patient/1", {"resourceType": "Patient", "id": "1"})
    who = caller({"roles": ["specialist"], "scopes": "user/*.rs user/Consent.c"})
    assert may(who, CONDITION) == ""
    answer = await ask(here, who, "POST", "Patient/1/$break-glass", REASON)
    consent = await stored(here, answer["parameter"][0]["valueReference"]["reference"])
    assert consent["provision"]["actor"][0]["reference"] == {"reference": "Practitioner/me"}
    now = datetime.now(UTC)
    broken = emergencies([consent], "Practitioner/me", now)
    assert broken == {"Patient/1"}
    assert emergencies([consent], "Practitioner/other", now) == frozenset()
    assert emergencies([consent], "Practitioner/me", now + timedelta(minutes=31)) == frozenset()
    again = caller({"roles": ["specialist"], "scopes": "user/*.rs", "emergency": broken})
    assert may(again, CONDITION) == "rs"
    # To everybody else it says nothing.
    assert compile_consents([consent], Caller(frozenset({"Practitioner/other"})), now) == ()


async def test_a_denial_is_overridden_by_the_emergency(here: Server) -> None:
    denial = {"resourceType": "Consent", "id": "d", "status": "active", "patient": {"reference": "Patient/1"}}
    rules = compile_consents([{**denial, "provision": {"type": "deny"}}], Caller())
    assert may(caller({"roles": ["doctor"], "consents": rules}), CONDITION) == ""
    assert may(caller({"roles": ["doctor"], "consents": rules, "emergency": ["Patient/1"]}), CONDITION) == "crus"


async def test_the_scope_to_give_consent_is_enough(here: Server) -> None:
    await ask(here, SYSTEM, "PUT", "Patient/1", {"resourceType": "Patient", "id": "1"})
    who = caller({"roles": ["paramedic"], "scopes": "user/Consent.c"})
    answer = await ask(here, who, "POST", "Patient/1/$break-glass", REASON)
    task = await stored(here, answer["parameter"][1]["valueReference"]["reference"])
    assert task["requester"] == {"reference": "Practitioner/me"}
    officer = caller({"roles": ["privacy-officer"], "user": "Practitioner/officer"})
    assert may(officer, task) == "rus"
    assert may(caller({"roles": ["paramedic"]}), task) == "rs"  # who broke it does not say that it was right
    assert may(caller({"roles": ["privacy-officer"]}), task) == "rs"  # as an officer neither
    alert = await stored(here, answer["parameter"][2]["valueReference"]["reference"])
    assert may(officer, alert) == "rus"
    assert may(caller({"roles": ["paramedic"]}), alert) == "rs"
    assert may(caller({"roles": ["patient"], "user": "Patient/1", "own": ["Patient/1"]}), alert) == ""


async def stored(server: Server, reference: str) -> Json:
    row = await server.repository.read(SYSTEM, *reference.split("/"))
    assert row is not None
    return row.resource()


@pytest.mark.parametrize(
    "said",
    [
        {"roles": ["patient"], "user": "Patient/1", "own": ["Patient/1"]},
        {"roles": ["receptionist"]},
        {"roles": ["doctor"], "user": "urn:login:doctor"},
        {"roles": ["administrator"]},
        {"roles": []},
        {"roles": ["doctor"], "scopes": "user/*.rs"},
        {"roles": ["doctor"], "scopes": "user/Patient.cruds"},
        {"roles": ["doctor"], "scopes": "patient/*.cruds", "patient": "Patient/1"},
        {"roles": ["doctor"], "scopes": ""},
        {"user": "", "client": "service", "roles": ["system"], "scopes": "system/*.cruds"},
    ],
)
async def test_others_may_not(here: Server, said: Json) -> None:
    before = await here.counts()
    with pytest.raises(Forbidden):
        await ask(here, caller(said), "POST", "Patient/1/$break-glass", REASON)
    assert await here.counts() == before


async def test_nobody_may_not(here: Server) -> None:
    with pytest.raises((SignInRequired, Forbidden)):
        await ask(here, Principal("nobody"), "POST", "Patient/1/$break-glass", REASON)


async def test_an_emergency_is_not_written_by_hand(here: Server) -> None:
    await ask(here, SYSTEM, "PUT", "Patient/1", {"resourceType": "Patient", "id": "1"})
    who = caller({"roles": ["doctor"]})
    answer = await ask(here, who, "POST", "Patient/1/$break-glass", REASON)
    consent = await stored(here, answer["parameter"][0]["valueReference"]["reference"])
    with pytest.raises(Forbidden):
        await ask(here, who, "POST", "Consent", {**consent, "id": "mine"})
    service = caller({"user": "", "client": "service", "roles": ["system"], "scopes": "system/*.cruds"})
    with pytest.raises(Forbidden):
        await ask(here, service, "PUT", f"Consent/{consent['id']}", consent)


async def test_nobody_breaks_glass_all_day(here: Server) -> None:
    await ask(here, SYSTEM, "PUT", "Patient/1", {"resourceType": "Patient", "id": "1"})
    who = caller({"roles": ["doctor"], "user": "Practitioner/hasty"})
    for _ in range(MAX_AN_HOUR):
        await ask(here, who, "POST", "Patient/1/$break-glass", REASON)
    with pytest.raises(TooManyRequests):
        await ask(here, who, "POST", "Patient/1/$break-glass", REASON)
    calm = caller({"roles": ["doctor"], "user": "Practitioner/calm"})
    assert await ask(here, calm, "POST", "Patient/1/$break-glass", REASON)
