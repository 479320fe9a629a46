"""Whom a user is, works for and cares for; every period is asked, and says until when the answer holds."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from math import inf
from typing import Any

import pytest

from smart_auth.bearings import Bearings, bearings, sees_panel
from tests.smart_auth.process import BASE, Process, process

Json = dict[str, Any]

NOW = datetime(2026, 6, 15, 12, tzinfo=UTC)
OVER, BEGUN, COMING = {"end": "2026-06-14"}, {"start": "2026-06-15"}, {"start": "2026-06-16"}


def micros(*date: int) -> int:
    return int(datetime(*date, tzinfo=UTC).timestamp()) * 1_000_000  # type: ignore[misc, arg-type]


def to(reference: str) -> Json:
    return {"reference": reference}


@pytest.fixture
async def house(mongo_uri: str, database: str) -> AsyncIterator[Process]:
    async with process(mongo_uri, database) as made:
        yield made
        await made.database.resource.delete_many({})
        await made.database.version.delete_many({})


async def look(house: Process, fhir_user: str, *, with_panel: bool = True) -> Bearings:
    now = int(NOW.timestamp()) * 1_000_000
    return await bearings(house.repository, fhir_user, now=now, base_url=BASE, with_panel=with_panel)


def role(id_: str, practitioner: str, organization: str = "Organization/1", **more: Any) -> Json:
    named = {"practitioner": to(practitioner), "organization": to(organization)}
    return {"resourceType": "PractitionerRole", "id": id_, **named, **more}


def order(id_: str, performer: str, patient: str, status: str = "active") -> Json:
    named = {"subject": to(patient), "performer": [to(performer)]}
    return {"resourceType": "ServiceRequest", "id": id_, "status": status, "intent": "order", **named}


def team(id_: str, patient: str, *members: Json, **more: Any) -> Json:
    return {
        "resourceType": "CareTeam",
        "id": id_,
        "status": "active",
        "subject": to(patient),
        "participant": list(members),
        **more,
    }


def member(who: str, **more: Any) -> Json:
    return {"member": to(who), **more}


@pytest.mark.parametrize("nobody", ["", "Device/1", "urn:login:x", "Practitioner"])
async def test_who_is_nobody_has_no_bearings(house: Process, nobody: str) -> None:
    assert await look(house, nobody) == Bearings()


async def test_a_patient_is_their_own(house: Process) -> None:
    await house.put({"resourceType": "Patient", "id": "p", "active": False})
    assert (await look(house, "Patient/p")).own == {"Patient/p"}


@pytest.mark.parametrize(
    ("more", "own"),
    [
        ({}, {"Patient/p"}),
        ({"period": BEGUN}, {"Patient/p"}),
        ({"period": OVER}, set()),
        ({"period": COMING}, set()),
        ({"active": False}, set()),
        ({"patient": to("Practitioner/p")}, set()),
        ({"patient": to("http://elsewhere.example/fhir/Patient/p")}, set()),
        ({"patient": to(f"{BASE}/Patient/p")}, {"Patient/p"}),
        ({"patient": {"display": "somebody"}}, set()),
    ],
)
async def test_a_related_person_acts_for_one_patient_while_it_is_in_force(
    house: Process, more: Json, own: set[str]
) -> None:
    await house.put({"resourceType": "RelatedPerson", "id": "r", "patient": to("Patient/p"), **more})
    assert (await look(house, "RelatedPerson/r")).own == own


async def test_a_person_acts_for_whom_they_surely_are(house: Process) -> None:
    links = [
        {"target": to("RelatedPerson/r"), "assurance": "level3"},
        {"target": to("RelatedPerson/ended"), "assurance": "level4"},
        {"target": to("RelatedPerson/perhaps"), "assurance": "level2"},
        {"target": to("Patient/me"), "assurance": "level4"},
        {"target": to("Patient/perhaps")},
        {"target": to("Practitioner/d"), "assurance": "level4"},
    ]
    await house.put(
        {"resourceType": "Person", "id": "x", "link": links},
        {"resourceType": "RelatedPerson", "id": "r", "patient": to("Patient/a")},
        {"resourceType": "RelatedPerson", "id": "ended", "patient": to("Patient/b"), "period": OVER},
        {"resourceType": "RelatedPerson", "id": "perhaps", "patient": to("Patient/c")},
    )
    assert (await look(house, "Person/x")).own == {"Patient/me", "Patient/a"}


@pytest.mark.parametrize("kind", ["Practitioner", "RelatedPerson", "Person", "PractitionerRole"])
async def test_who_is_deleted_or_inactive_is_gone(house: Process, kind: str) -> None:
    extra = {"patient": to("Patient/p")} if kind == "RelatedPerson" else {}
    await house.put({"resourceType": kind, "id": "x", **extra})
    assert not (await look(house, f"{kind}/x")).gone
    await house.put({"resourceType": kind, "id": "x", "active": False, **extra})
    assert (await look(house, f"{kind}/x")).gone
    await house.put({"resourceType": kind, "id": "x", **extra})
    await house.delete(kind, "x")
    found = await look(house, f"{kind}/x")
    assert found.gone
    assert not found.own


async def test_a_practitioner_works_for_the_organizations_of_their_roles(house: Process) -> None:
    await house.put(
        role("a", "Practitioner/d", "Organization/1"),
        role("b", "Practitioner/d", "Organization/2", period=BEGUN),
        role("c", "Practitioner/d", "Organization/3", period=OVER),
        role("d", "Practitioner/d", "Organization/4", active=False),
        role("e", "Practitioner/other", "Organization/5"),
    )
    found = await look(house, "Practitioner/d")
    assert found.organizations == {"PractitionerRole/a", "PractitionerRole/b", "Organization/1", "Organization/2"}
    found = await look(house, "PractitionerRole/a")
    assert found.organizations == {"Practitioner/d", "Organization/1"}


async def test_active_orders_make_a_panel(house: Process) -> None:
    await house.put(
        role("a", "Practitioner/d"),
        order("1", "Practitioner/d", "Patient/a"),
        order("2", "PractitionerRole/a", "Patient/b"),
        order("3", "Practitioner/d", "Patient/c", "completed"),
        order("4", "Practitioner/d", "Patient/d", "revoked"),
        order("5", "Practitioner/other", "Patient/e"),
        order("6", "Patient/d", "Patient/f"),
        order("7", "Practitioner/d", "Group/g"),
    )
    assert (await look(house, "Practitioner/d")).panel == {"Patient/a": "referral", "Patient/b": "referral"}
    assert (await look(house, "Practitioner/d", with_panel=False)).panel == {}


async def test_care_teams_make_a_panel_while_one_takes_part(house: Process) -> None:
    me, other = "Practitioner/d", member("Practitioner/other")
    await house.put(
        team("1", "Patient/a", member(me)),
        team("2", "Patient/b", member(me, period=OVER)),
        team("3", "Patient/c", member(me, period=OVER), member(me, period=BEGUN)),
        team("4", "Patient/d", member(me), period=OVER),
        team("5", "Patient/e", member(me), status="suspended"),
        team("6", "Patient/f", other),
        team("7", "Group/g", member(me)),
    )
    found = await look(house, me)
    assert found.panel == {"Patient/a": "care-team", "Patient/c": "care-team"}
    assert found.organizations == {"CareTeam/1", "CareTeam/3", "CareTeam/7"}


@pytest.mark.parametrize(
    ("span", "until"),
    [
        ({"end": "2026-06-15"}, micros(2026, 6, 16)),
        ({"end": "2026-06"}, micros(2026, 7, 1)),
        ({"end": "2026-06-15T12:00:00Z"}, micros(2026, 6, 15, 12, 0, 1)),
        ({"start": "2026-06-16", "end": "2026-06-17"}, micros(2026, 6, 16)),
        ({"start": "2020"}, inf),
        ({"end": "2020"}, inf),
        ({"end": "soon"}, inf),
    ],
)
async def test_a_period_says_until_when_the_answer_holds(house: Process, span: Json, until: float) -> None:
    await house.put(role("a", "Practitioner/d", period=span))
    assert (await look(house, "Practitioner/d")).until == until


async def test_the_next_of_several_changes_counts(house: Process) -> None:
    member_ = member("Practitioner/d", period={"end": "2026-06-20"})
    await house.put(
        role("a", "Practitioner/d", period={"end": "2026-07"}),
        team("1", "Patient/a", member_, period={"end": "2026-06-18"}),
        team("2", "Patient/a", member("Practitioner/d"), member("Practitioner/d", period={"end": "2026-06-16"})),
    )
    assert (await look(house, "Practitioner/d")).until == micros(2026, 6, 17)


def test_the_policy_says_for_whom_a_panel_is_read() -> None:
    assert sees_panel("specialist")
    assert not sees_panel("patient")
    assert not sees_panel("nobody-knows-it")
