"""Who is behind a reference."""

from __future__ import annotations

from typing import Any

import pytest

from fhir_server.access import Principal
from fhir_server.context import Context, FhirRequest
from workflow.people import is_me, key, persons

Json = dict[str, Any]


def role(id_: str, practitioner: str, *, active: bool = True) -> Json:
    return {
        "resourceType": "PractitionerRole",
        "id": id_,
        "active": active,
        "practitioner": {"reference": practitioner},
        "organization": {"reference": "Organization/ward"},
        "healthcareService": [{"reference": "HealthcareService/heart"}],
    }


WORLD: list[Json] = [
    *({"resourceType": "Practitioner", "id": one} for one in ("sara", "saul", "gone")),
    {"resourceType": "Organization", "id": "ward", "name": "Ward"},
    {"resourceType": "HealthcareService", "id": "heart"},
    role("sara-heart", "Practitioner/sara"),
    role("saul-heart", "Practitioner/saul"),
    role("gone-heart", "Practitioner/gone", active=False),
    {
        "resourceType": "CareTeam",
        "id": "team",
        "participant": [
            {"member": {"reference": "PractitionerRole/saul-heart"}},
            {"member": {"reference": "Patient/ann"}},
            {"member": {"reference": "CareTeam/team"}},
        ],
    },
]


async def told(ctx: Context, *references: str) -> list[str]:
    for one in WORLD:
        await ctx.dispatch(ctx, FhirRequest("PUT", f"{one['resourceType']}/{one['id']}", body=dict(one)))
    return await persons(ctx, [{"reference": one} for one in references])


@pytest.mark.parametrize(
    ("reference", "expected"),
    [
        ("Practitioner/sara", ["Practitioner/sara"]),
        ("PractitionerRole/saul-heart", ["Practitioner/saul"]),
        ("PractitionerRole/nobody", []),
        ("Organization/ward", ["Practitioner/sara", "Practitioner/saul"]),
        ("HealthcareService/heart", ["Practitioner/sara", "Practitioner/saul"]),
        ("CareTeam/team", ["Practitioner/saul", "Patient/ann"]),
        ("Device/1", []),
        ("https://elsewhere.example/fhir/Practitioner/1", []),
    ],
)
async def test_persons(ctx: Context, reference: str, expected: list[str]) -> None:
    assert sorted(await told(ctx, reference)) == sorted(expected)


async def test_each_once(ctx: Context) -> None:
    found = await told(ctx, "PractitionerRole/sara-heart", "Organization/ward", "Practitioner/sara")
    assert found == ["Practitioner/sara", "Practitioner/saul"]


def test_the_caller() -> None:
    sara = Principal("sara", user="Practitioner/sara", organizations=frozenset({"PractitionerRole/1", "CareTeam/2"}))
    for mine in ("Practitioner/sara", "PractitionerRole/1", "CareTeam/2", "Practitioner/sara/_history/3"):
        assert is_me(sara, {"reference": mine})
    for other in ("Practitioner/saul", "", "#sara", "https://elsewhere.example/Practitioner/sara"):
        assert not is_me(sara, {"reference": other})
    assert not is_me(sara, None)
    assert not is_me(Principal("nobody"), {"reference": ""})


def test_keys() -> None:
    assert key({"reference": "Patient/1/_history/2"}) == "Patient/1"
    assert key({"identifier": {"value": "1"}}) == key(None) == key({"reference": "#a"}) == ""
