"""Where a path leads, and that looking for it never changes the resource."""

from __future__ import annotations

import copy
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_server.fhirpath import MAX_LENGTH, FhirPathError
from fhir_server.patching.locate import locate, locate_parents

PATIENT: dict[str, Any] = {
    "resourceType": "Patient",
    "id": "p",
    "text": {"status": "generated", "div": "<div>x</div>"},
    "name": [
        {
            "use": "official",
            "given": ["Peter", "James"],
            "_given": [None, {"extension": [{"url": "u", "valueCode": "c"}]}],
        },
        {"use": "usual", "given": ["Jim"]},
    ],
    "deceasedBoolean": False,
    "multipleBirthInteger": 2,
    "_birthDate": {"extension": [{"url": "t", "valueDateTime": "1970"}]},
    "extension": [{"url": "a", "extension": [{"url": "b", "valueDecimal": Decimal("1.00")}]}],
    "contained": [{"resourceType": "Organization", "id": "o", "name": "O"}],
}

PLACES: dict[str, list[tuple[str | int, ...]]] = {
    "Patient": [()],
    "Resource": [()],
    "%resource": [()],
    "$this": [()],
    "name": [("name", 0), ("name", 1)],
    "Patient.`name`[1]": [("name", 1)],
    "Patient.name[2]": [],
    "Patient.name.given.where($this = 'Jim')": [("name", 1, "given", 0)],
    "Patient.name.where($index = 1)": [("name", 1)],
    "Patient.name.given.skip(1).take(1)": [("name", 0, "given", 1)],
    "Patient.name.given.exclude(%resource.name[1].given)": [("name", 0, "given", 0), ("name", 0, "given", 1)],
    "Patient.name[0].given.last().extension('u').value": [("name", 0, "_given", 1, "extension", 0, "valueCode")],
    "Patient.deceased": [("deceasedBoolean",)],
    "Patient.deceased.where($this)": [],
    "(Patient.deceased as boolean)": [("deceasedBoolean",)],
    "Patient.deceased as dateTime": [],
    "Patient.multipleBirth.ofType(integer)": [("multipleBirthInteger",)],
    "Patient.birthDate": [("birthDate",)],
    "Patient.birthDate.extension": [("_birthDate", "extension", 0)],
    "Patient.gender.extension": [],
    "Patient.contained.ofType(Organization).name": [("contained", 0, "name")],
    "Patient.name.first() | Patient.name": [("name", 0), ("name", 1)],
    "Patient.text.div": [("text", "div")],
    "Patient.resourceType": [],
    "Observation.name": [],
}

REFUSED = [
    "",
    "Patient.name[",
    "Patient.name[0](",
    "Patient.name Patient.name",
    "a) or (b",
    "'",
    "Patient.name.nothing()",
    "x" * (MAX_LENGTH + 1),
    "(" * 2000 + "1" + ")" * 1999,
]
NO_PLACES = [
    "1",
    "Patient.name.count()",
    "Patient.name.exists()",
    "Patient.name.descendants()",
    "Patient.name.single()",
    "Patient.name.where(use.matches('x'))",
    "Patient.managingOrganization.resolve()",
    "Patient.name['a']",
    "Patient.active + 1",
]


@pytest.mark.parametrize("path", PLACES)
def test_places(path: str) -> None:
    assert locate(PATIENT, path) == PLACES[path]


@pytest.mark.parametrize("path", [*REFUSED, *NO_PLACES])
def test_what_is_no_path(path: str) -> None:
    with pytest.raises(FhirPathError) as refused:
        locate(PATIENT, path)
    assert "Peter" not in str(refused.value)


def test_parents() -> None:
    assert locate_parents(PATIENT, "Patient.name") == ([()], "name")
    assert locate_parents(PATIENT, "name") == ([()], "name")
    assert locate_parents(PATIENT, "(Patient.name.given)") == ([("name", 0), ("name", 1)], "given")
    with pytest.raises(FhirPathError):
        locate_parents(PATIENT, "Patient.name[0]")


STEPS = """
name given use extension('a') value first() tail() children() descendants() distinct() where($this.exists())
select(given) repeat(extension) ofType(string) combine(%resource.id)
"""
steps = st.lists(st.sampled_from(STEPS.split()), max_size=5)


@given(steps, st.sampled_from(["", " | Patient.name", " = 'x'", ".count() + 1", " & 'x'"]))
def test_the_resource_is_never_changed(names: list[str], end: str) -> None:
    resource = copy.deepcopy(PATIENT)
    try:
        found = locate(resource, ".".join(["Patient", *names]) + end)
    except FhirPathError:
        return
    finally:
        assert resource == PATIENT
    for location in found:
        there: Any = resource
        for step in location[:-1]:
            there = there[step]
        last = location[-1] if location else None
        assert last is None or isinstance(last, int) or last in there or f"_{last}" in there
