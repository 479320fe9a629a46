"""Scopes, roles, compartment and Consents put together (smart.md 9, 14 to 17)."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pymongo import MongoClient

from fhir_server.access.compartment import NONE
from fhir_server.access.consents import Caller, compile_consents
from fhir_server.access.explanation import explain
from fhir_server.access.principal import ANYONE, NOBODY, SYSTEM, Principal
from fhir_server.access.scopes import resource_scopes
from fhir_server.access.visibility import condition, is_open_to, visible
from fhir_server.definitions import RESOURCE_TYPES
from fhir_server.search.memory import matches
from tests.access.generated import CONSENTS, ME, NAMES, resources
from tests.access.people import caller, document, may

Json = dict[str, Any]

NOW = datetime(2024, 6, 15, 12, tzinfo=UTC)
MINE = {
    "resourceType": "Observation",
    "id": "o",
    "status": "final",
    "code": {"text": "x"},
    "subject": {"reference": "Patient/1"},
}
OTHERS = {**MINE, "subject": {"reference": "Patient/2"}}
DOCTOR = {"roles": ["doctor"], "patient": "Patient/1"}
PATIENT = {"roles": ["patient"], "user": "Patient/1", "own": ["Patient/1"], "patient": "Patient/1"}
SERVICE = {"user": "", "client": "service", "roles": ["system"]}


@pytest.mark.parametrize(
    ("who", "scopes", "mine", "others"),
    [
        (DOCTOR, "user/*.cruds", "crus", "crus"),
        (DOCTOR, "user/Observation.rs", "rs", "rs"),
        (DOCTOR, "user/Condition.cruds", "", ""),
        (DOCTOR, "patient/Observation.rs", "rs", ""),
        (DOCTOR, "patient/*.cruds", "crus", ""),
        (DOCTOR, "patient/Observation.rs user/Observation.c", "crs", "c"),
        (DOCTOR, "user/*.read", "rs", "rs"),
        (DOCTOR, "user/*.write", "cu", "cu"),
        (DOCTOR, "system/*.cruds", "", ""),
        (DOCTOR, "", "", ""),
        ({**DOCTOR, "patient": ""}, "patient/*.cruds", "", ""),
        ({**DOCTOR, "roles": []}, "user/*.cruds patient/*.cruds", "", ""),
        (PATIENT, "patient/*.rs", "rs", ""),
        (PATIENT, "user/*.cruds", "rs", ""),
        (PATIENT, "patient/*.cruds", "rs", ""),
        ({**PATIENT, "patient": "Patient/2"}, "patient/*.cruds", "", ""),
        (SERVICE, "system/*.rs", "rs", "rs"),
        (SERVICE, "system/Observation.c", "c", "c"),
        (SERVICE, "user/*.cruds", "", ""),
        (SERVICE, "patient/*.cruds", "", ""),
        ({**SERVICE, "patient": "Patient/1"}, "patient/*.rs", "rs", ""),
    ],
)
def test_what_scopes_and_roles_open_together(who: Json, scopes: str, mine: str, others: str) -> None:
    asking = caller({**who, "scopes": scopes})
    assert (may(asking, MINE), may(asking, OTHERS)) == (mine, others)


def test_a_granular_scope_opens_what_it_asks_for() -> None:
    who = caller({**DOCTOR, "scopes": "patient/Observation.rs?category=laboratory user/Observation.r?code=1-1"})
    laboratory = {"category": [{"coding": [{"code": "laboratory"}]}]}
    code = {"code": {"coding": [{"system": "http://loinc.org", "code": "1-1"}]}}
    assert may(who, MINE) == ""
    assert may(who, MINE | laboratory) == "rs"
    assert may(who, OTHERS | laboratory) == ""
    assert may(who, OTHERS | code) == "r"
    assert may(who, MINE | laboratory | code) == "rs"


def test_shared_resources_are_read_with_a_patient_scope_and_not_written() -> None:
    who = caller({**DOCTOR, "scopes": "patient/*.cruds"})
    assert may(who, {"resourceType": "Organization", "id": "o"}) == "rs"


def test_nobody_and_everybody() -> None:
    assert may(NOBODY, MINE) == ""
    assert may(ANYONE, MINE) == may(SYSTEM, MINE) == "cruds"
    assert visible(NOBODY) == NONE
    assert visible(SYSTEM) == {}


def test_what_is_decided_once_is_kept() -> None:
    who = caller({**DOCTOR, "scopes": "user/*.rs"})
    assert condition(who, "Observation", "r") is condition(who, "Observation", "r")
    assert visible(who, ["Observation"]) is visible(who, ["Observation"])


# ---- whoever it is -----------------------------------------------------------------------------------------------


SCOPES = [
    "patient/*.rs", "patient/*.cruds", "patient/Observation.rs", "user/*.cruds", "user/*.rs", "user/Condition.cruds",
    "system/*.rs", "system/*.cruds", "patient/Observation.rs?code=1-1", "user/Observation.rs?code=http://loinc.org|2-2",
    "user/Encounter.r", "patient/Patient.rs",
]  # fmt: skip
LEVELS = ["full", "limited", "emergency", "referral", "care-team"]
PATIENTS = st.sampled_from(["Patient/1", "Patient/2"])
ROLES = ["doctor", "nurse", "specialist", "paramedic", "pharmacist", "administrator", "patient", "proxy", "observer"]


@st.composite
def principals(draw: st.DrawFn) -> Principal:
    """A user of some roles, a patient, or a service, with their Consents."""
    kind = draw(st.sampled_from(["staff", "staff", "patient", "service"]))
    user = {"staff": ME, "patient": "Patient/1", "service": ""}[kind]
    names = NAMES if kind == "staff" else {user}
    found = draw(st.lists(CONSENTS, max_size=2))
    numbered = [{**one, "id": str(number)} for number, one in enumerate(found)]
    return Principal(
        "somebody",
        scopes=resource_scopes(" ".join(draw(st.lists(st.sampled_from(SCOPES), min_size=1, max_size=3)))),
        client="app",
        user=user,
        roles=tuple(draw(st.lists(st.sampled_from(ROLES), max_size=2))),
        patient=draw(PATIENTS | st.just("")),
        own=frozenset({"Patient/1"} if kind == "patient" else ()),
        panel=draw(st.dictionaries(PATIENTS, st.sampled_from(LEVELS), max_size=2)),
        organizations=frozenset({"Organization/mine"}),
        consents=compile_consents(numbered, Caller(frozenset(names)), NOW),
        emergency=draw(st.frozensets(PATIENTS, max_size=1)),
    )


@settings(max_examples=600, deadline=None)
@given(principals(), resources(), st.sampled_from("cruds"))
def test_what_is_explained_is_what_is_done(who: Principal, resource: Json, action: str) -> None:
    stored = document(resource)
    found = explain(who, action, stored)
    assert found.shown is is_open_to(who, action, stored)
    assert [stage.name for stage in found.stages] == ["scope", "role", "compartment", "consent"]
    if found.shown:
        assert all(stage.shown for stage in found.stages)
    else:
        assert not all(stage.shown for stage in found.stages)


@settings(max_examples=300, deadline=None)
@given(principals(), st.lists(resources(), min_size=1, max_size=3), st.sampled_from("rs"))
def test_a_query_finds_what_is_open(who: Principal, found: list[Json], action: str) -> None:
    types = sorted({one["resourceType"] for one in found})
    everywhere, somewhere = visible(who, None, action), visible(who, types, action)
    for one in found:
        stored = document(one)
        expected = is_open_to(who, action, stored)
        assert (not everywhere or matches(everywhere, stored)) is expected
        assert (not somewhere or matches(somewhere, stored)) is expected


@settings(max_examples=300, deadline=None)
@given(principals(), resources(), st.sampled_from("cruds"), st.sampled_from(SCOPES))
def test_more_scopes_never_close_anything(who: Principal, resource: Json, action: str, more: str) -> None:
    stored = document(resource)
    wider = Principal(
        "somebody",
        scopes=(*who.scopes, *resource_scopes(more)),
        user=who.user,
        roles=who.roles,
        patient=who.patient,
        own=who.own,
        panel=who.panel,
        organizations=who.organizations,
        consents=who.consents,
        emergency=who.emergency,
    )
    assert is_open_to(wider, action, stored) or not is_open_to(who, action, stored)


def test_every_type_can_be_decided() -> None:
    for role in ("doctor", "nurse", "specialist", "paramedic", "patient", "administrator"):
        who = caller({"roles": [role], "panel": {"Patient/1": "limited"}, "own": ["Patient/1"]})
        for type_ in RESOURCE_TYPES:
            for action in "cruds":
                condition(who, type_, action)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(principals(), st.lists(resources(), min_size=1, max_size=4), st.sampled_from("cruds"))
def test_the_database_finds_the_same(
    mongo_uri: str, database: str, who: Principal, found: list[Json], action: str
) -> None:
    with MongoClient[Json](mongo_uri) as client:
        collection = client[f"{database}_visibility"]["resource"]
        collection.delete_many({})
        stored = {one["_id"]: one for one in map(document, found)}
        collection.insert_many(stored.values())
        expected = {key for key, one in stored.items() if is_open_to(who, action, one)}
        assert {one["_id"] for one in collection.find(visible(who, None, action))} == expected
