"""$explain-access: who may ask, and what is told; that it tells the truth is in tests/access/test_visibility.py."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import pytest_asyncio

from fhir_server.access.consents import Caller, compile_consents
from fhir_server.access.principal import Principal
from fhir_server.access.visibility import is_open_to
from fhir_server.config import Settings
from fhir_server.context import FhirRequest
from fhir_server.dispatch import dispatch
from fhir_server.main import Server, running
from fhir_server.outcomes import Forbidden, NotFound, ValueWrong
from tests.access.people import caller, document
from tests.interactions.journey import Mismatch, journeys, play

Json = dict[str, Any]

CONDITION = {"resourceType": "Condition", "id": "c", "subject": {"reference": "Patient/1"}}
ADMINISTRATOR = {"roles": ["administrator"], "user": "Practitioner/admin"}
PATIENT = {
    "roles": ["patient"],
    "user": "Patient/1",
    "own": ["Patient/1"],
    "scopes": "patient/*.rs",
    "patient": "Patient/1",
}


@pytest.mark.parametrize("steps", [one for one in journeys("access_operations") if "explain" in str(one.id)])
def test_journey(client: httpx.Client, steps: list[Json]) -> None:
    play(client, steps)


def test_the_runner_can_fail(client: httpx.Client) -> None:
    with pytest.raises(Mismatch):
        play(client, [{"request": "GET /Patient/nobody/$explain-access", "status": 200}])


@pytest_asyncio.fixture
async def here(settings: Settings) -> AsyncIterator[Server]:
    """The parts of a server, in this process, with a Condition of Patient/1."""
    async with running(settings) as server:
        await dispatch(server.context(), FhirRequest("PUT", "Condition/c", body=dict(CONDITION)))
        yield server


async def told(server: Server, who: Principal, about: Principal | None = None, **query: str) -> dict[str, str]:
    """Stage → decision, "outcome" included, and stage + "?" → reason."""

    async def principal_of(user: str, client: str, scope: str) -> Principal | None:
        return about

    ctx = server.context(principal=who)
    ctx.state["principal_of"] = principal_of
    request = FhirRequest("GET", "Condition/c/$explain-access", query=list(query.items()))
    answer = (await dispatch(ctx, request)).resource
    assert answer is not None
    decisions: dict[str, str] = {}
    for one in answer["parameter"]:
        if "part" in one:
            decisions[one["name"]] = one["part"][0]["valueCode"]
            decisions[one["name"] + "?"] = one["part"][1]["valueString"]
        else:
            decisions[one["name"]] = one["valueCode"]
    return decisions


def hidden(found: dict[str, str]) -> set[str]:
    return {name for name, decision in found.items() if decision == "hidden"}


async def test_an_administrator_asks_about_others(here: Server) -> None:
    nurse = caller({"roles": ["nurse"], "scopes": "user/Condition.rs"})
    found = await told(here, caller(ADMINISTRATOR), nurse, user="nurse")
    assert hidden(found) == set()
    assert "user/Condition.rs" in found["scope?"]
    assert "nurse: crus limited" in found["role?"]


async def test_hidden_by_scope(here: Server) -> None:
    who = caller({"roles": ["doctor"], "scopes": "user/Observation.rs"})
    found = await told(here, caller(ADMINISTRATOR), who, user="doctor")
    assert hidden(found) == {"scope", "outcome"}
    assert found["scope?"] == "No granted scope has 'r' for Condition."


async def test_hidden_by_role(here: Server) -> None:
    found = await told(here, caller(ADMINISTRATOR), caller({"roles": ["receptionist"]}), user="reception")
    assert hidden(found) == {"role", "outcome"}
    assert "receptionist" in found["role?"]
    found = await told(here, caller(ADMINISTRATOR), caller({"roles": ["specialist"]}), user="specialist")
    assert hidden(found) == {"role", "outcome"}
    assert "specialist: crus panel" in found["role?"]


async def test_hidden_by_compartment(here: Server) -> None:
    who = caller({"roles": ["doctor"], "scopes": "patient/*.rs", "patient": "Patient/2"})
    found = await told(here, caller(ADMINISTRATOR), who, user="doctor", scope="patient/*.rs")
    assert hidden(found) == {"compartment", "outcome"}


async def test_hidden_by_consent(here: Server) -> None:
    denial = {"resourceType": "Consent", "id": "no", "status": "active", "patient": {"reference": "Patient/1"}}
    rules = compile_consents([{**denial, "provision": {"type": "deny"}}], Caller())
    found = await told(here, caller(ADMINISTRATOR), caller({"roles": ["doctor"], "consents": rules}), user="doctor")
    assert hidden(found) == {"consent", "outcome"}
    assert found["consent?"] == "Denied by Consent/no."


async def test_of_another_action(here: Server) -> None:
    found = await told(here, caller(ADMINISTRATOR), caller({"roles": ["doctor"]}), user="doctor", action="d")
    assert hidden(found) == {"role", "outcome"}


async def test_a_patient_asks_about_their_own_record(here: Server) -> None:
    assert hidden(await told(here, caller(PATIENT))) == set()
    assert (await told(here, caller(PATIENT), caller({"roles": ["doctor"]}), user="doctor"))["outcome"] == "shown"


async def test_who_is_not_known(here: Server) -> None:
    with pytest.raises(ValueWrong):
        await told(here, caller(ADMINISTRATOR), None, user="nobody")


@pytest.mark.parametrize(
    ("said", "error"),
    [
        ({"roles": ["doctor"]}, Forbidden),
        ({"roles": ["specialist"]}, Forbidden),
        ({**PATIENT, "user": "Patient/2", "own": ["Patient/2"], "patient": "Patient/2"}, NotFound),
        ({**PATIENT, "scopes": "patient/Observation.rs"}, NotFound),
        ({**ADMINISTRATOR, "scopes": "user/Observation.rs"}, NotFound),
    ],
)
async def test_others_may_not_ask(here: Server, said: Json, error: type[Exception]) -> None:
    with pytest.raises(error):
        await told(here, caller(said))


async def test_the_outcome_is_what_is_done(here: Server) -> None:
    stored = document(CONDITION)
    for role in ("doctor", "nurse", "specialist", "paramedic", "pharmacist", "observer"):
        for action in "cruds":
            who = caller({"roles": [role]})
            found = await told(here, caller(ADMINISTRATOR), who, user=role, action=action)
            assert (found["outcome"] == "shown") is is_open_to(who, action, stored)
