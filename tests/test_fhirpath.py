"""FHIRPath by cases, and that evaluating never changes what it is evaluated on."""

from __future__ import annotations

import copy
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_server.fhirpath import MAX_LENGTH, FhirPathError, evaluate, parse
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

VALUES = {
    "Patient.name.use": ["official", "usual"],
    "Patient.name.given": ["Peter", "James", "Jim"],
    "Patient.name.where(use = 'usual').given": ["Jim"],
    "Patient.name.count()": [2],
    "Patient.deceased": [False],
    "Patient.deceased.ofType(boolean)": [False],
    "Patient.multipleBirth as integer": [2],
    "Patient.multipleBirth as boolean": [],
    "Patient.text.div": ["<div>x</div>"],
    "'a.div'": ["a.div"],
    "Patient.name.exists(given contains 'Jim')": [True],
    "Patient.extension('a').extension('b').value": [Decimal("1.00")],
    "%who & '!'": ["me!"],
    "%resource.id": ["p"],
    "@2020-01-31": ["2020-01-31"],
    "4 'mg'": ["4 'mg'"],
    "Observation.code": [],
    "-(1)": [-1],
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
    "%unknown",
    "1 + 'a'",
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


@pytest.mark.parametrize("expression", VALUES)
def test_values(expression: str) -> None:
    assert evaluate(PATIENT, expression, variables={"who": "me"}) == VALUES[expression]


@pytest.mark.parametrize("path", PLACES)
def test_places(path: str) -> None:
    assert locate(PATIENT, path) == PLACES[path]


@pytest.mark.parametrize("expression", REFUSED)
def test_what_is_no_expression(expression: str) -> None:
    with pytest.raises(FhirPathError) as refused:
        evaluate(PATIENT, expression)
    assert "Peter" not in str(refused.value)
    with pytest.raises(FhirPathError):
        locate(PATIENT, expression)


@pytest.mark.parametrize("path", NO_PLACES)
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


def test_a_part_of_a_resource() -> None:
    assert evaluate({"url": "a", "valueCode": "x"}, "value", base="Extension") == ["x"]
    assert evaluate({"given": ["x"]}, "given", base="HumanName") == ["x"]


def test_a_tree_is_made_once() -> None:
    assert parse("Patient.name.given") is parse("Patient.name.given")


def test_results_are_copies() -> None:
    resource = copy.deepcopy(PATIENT)
    evaluate(resource, "Patient.name")[0]["given"].append("X")
    assert resource == PATIENT


STEPS = """
name given use extension('a') value first() tail() children() descendants() distinct() where($this.exists())
select(given) repeat(extension) ofType(string) combine(%resource.id)
"""
steps = st.lists(st.sampled_from(STEPS.split()), max_size=5)


@given(steps, st.sampled_from(["", " | Patient.name", " = 'x'", ".count() + 1", " & 'x'"]))
def test_the_resource_is_never_changed(names: list[str], end: str) -> None:
    resource = copy.deepcopy(PATIENT)
    expression = ".".join(["Patient", *names]) + end
    for run in (evaluate, locate):
        try:
            run(resource, expression)
        except FhirPathError:
            continue
        finally:
            assert resource == PATIENT
