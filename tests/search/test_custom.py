"""SearchParameter resources as definitions: what they mean, what is wrong with them, and what they leave alone."""

from __future__ import annotations

import json
import tarfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fhir_server import definitions
from fhir_server.definitions import RESOURCE_TYPES
from fhir_server.outcomes import FhirError
from fhir_server.search import custom, registry
from fhir_server.search.custom import Definition
from fhir_server.search.extract import extract
from fhir_server.search.fields import fields
from fhir_server.search.registry import FIRST_CUSTOM, SearchParameter, number_text
from tests.search.finder import envelope, find, query

Json = dict[str, Any]
A, B = number_text(FIRST_CUSTOM), number_text(FIRST_CUSTOM + 1)


@pytest.fixture(autouse=True)
def nothing_stays() -> Iterator[None]:
    yield
    registry.install(0, ())


def resource(code: str, kind: str, expression: str, base: str = "Patient", **more: Any) -> Json:
    head = {"resourceType": "SearchParameter", "url": f"http://x/{code}", "code": code, "status": "active"}
    return {**head, "base": [base], "type": kind, "expression": expression, **more}


def defined(*args: Any, **more: Any) -> Definition:
    found = custom.read(resource(*args, **more))
    assert found is not None
    return found


def install(*found: SearchParameter, retired: tuple[SearchParameter, ...] = ()) -> None:
    registry.install(1, found, retired=retired)


def test_every_published_parameter_declared_once_more_means_the_same() -> None:
    meanings: Counter[str] = Counter()
    for one in definitions.search_parameters():
        definition = Definition(
            one.url, one.code, one.type, one.base, one.expression, "", one.target,
            tuple((part.definition, part.expression) for part in one.component),
        )  # fmt: skip
        meanings.update(custom.judge(definition, type_).relation for type_ in definition.types())
    assert meanings == {"same": sum(len(registry.published(name)) for name in RESOURCE_TYPES)}


def test_us_core(shared: Path) -> None:
    meanings: Counter[str] = Counter()
    new: set[str] = set()
    with tarfile.open(shared / "packages" / "hl7.fhir.us.core-6.1.0.tgz") as package:
        for member in package:
            content = package.extractfile(member)
            if "package/SearchParameter-" not in member.name or content is None:
                continue
            found = json.load(content)
            assert custom.issues(found) == []
            definition = custom.read(found)
            assert definition is not None
            assert Definition.of(json.loads(json.dumps(definition.document()))) == definition
            for type_ in definition.types():
                meaning = custom.judge(definition, type_)
                meanings[meaning.relation] += 1
                if meaning.relation == "new":
                    new.add(f"{type_}.{definition.code}")
    assert meanings == {"same": 99, "new": 7}
    assert new == {
        *("CareTeam.role", "Condition.asserted-date", "Encounter.discharge-disposition", "Goal.description"),
        *("Patient.ethnicity", "Patient.gender-identity", "Patient.race"),
    }


@pytest.mark.parametrize(
    ("given", "relation"),
    [
        (resource("gender", "token", "Patient.gender"), "same"),
        (resource("gender", "token", "(Patient.gender)"), "same"),
        (resource("gender", "string", "Patient.gender"), "conflict"),
        (resource("gender", "token", "Patient.name.use"), "conflict"),
        (resource("gender", "token", "Patient.nothing"), "conflict"),
        (resource("mine", "token", "Patient.nothing"), "unusable"),
        (resource("mine", "special", "Patient.gender"), "unusable"),
        (resource("mine", "token", "Patient.name.use"), "new"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_relations(given: Json, relation: str) -> None:
    definition = custom.read(given)
    assert definition is not None
    assert custom.judge(definition, "Patient").relation == relation


def test_the_meaning_is_that_of_the_places() -> None:
    one, other = (
        custom.judge(defined("a", "token", text), "Patient")
        for text in ("Patient.name.where(use='old').use", "( Patient . name.where( use = 'old' ) ).use")
    )
    assert one == other
    third = custom.judge(defined("a", "string", "Patient.name.where(use='old').use"), "Patient")
    assert third.digest != one.digest


def test_what_r4_has_keys_for_needs_none() -> None:
    assert custom.judge(defined("sex", "token", "Patient.gender"), "Patient").keyless
    assert not custom.judge(defined("use", "token", "Patient.name.use"), "Patient").keyless
    limited = defined("doctor", "reference", "Patient.generalPractitioner.where(resolve() is Practitioner)")
    assert not custom.judge(limited, "Patient").keyless, "presence could not be told"


def test_nothing_of_r4_changes_by_custom_parameters() -> None:
    plain = {name: fields(name) for name in RESOURCE_TYPES}
    every = [
        defined("a-first", "date", "Patient.birthDate").parameter("Patient", A),
        defined("birth-and-death", "date", "Patient.birthDate | Patient.deceased.as(dateTime)").parameter("Patient", B),
    ]
    install(*every)
    for name in RESOURCE_TYPES:
        now = fields(name)
        assert {code: now[code] for code in plain[name]} == plain[name]
    assert fields("Patient").keys() - plain["Patient"].keys() == {"a-first", "birth-and-death"}


def test_a_code_of_r4_is_never_replaced() -> None:
    install(defined("gender", "token", "Patient.name.use").parameter("Patient", A))
    found = registry.find("Patient", "gender")
    assert found is not None
    assert not found.custom


def test_values_beside_a_primitive_and_in_nested_extensions() -> None:
    time = "http://hl7.org/fhir/StructureDefinition/patient-birthTime"
    install(
        defined("born-at", "date", f"Patient.birthDate.extension('{time}').value").parameter("Patient", A),
        defined("part", "token", "Patient.extension('http://whole').extension('part').value").parameter("Patient", B),
    )
    inner = {"url": "part", "valueCoding": {"system": "http://s", "code": "c"}}
    patient = {
        "resourceType": "Patient",
        "id": "p",
        "birthDate": "2020-01-01",
        "_birthDate": {"extension": [{"url": time, "valueDateTime": "2020-01-01T12:00:00Z"}]},
        "extension": [{"url": "http://whole", "extension": [inner]}],
    }
    other = {"resourceType": "Patient", "id": "q", "birthDate": "2020-01-01"}
    documents = [envelope(patient), envelope(other)]
    assert find(query("Patient?born-at=ge2020-01-01T11:00:00Z"), documents) == {"Patient/p"}
    assert find(query("Patient?part=http://s|c"), documents) == {"Patient/p"}
    assert find(query("Patient?part:missing=true"), documents) == {"Patient/q"}


def test_what_is_retired_is_written_and_not_searched_by() -> None:
    old = defined("use", "token", "Patient.name.use").parameter("Patient", A)
    new = defined("use", "token", "Patient.telecom.use").parameter("Patient", B)
    install(new, retired=(old,))
    keys = extract({"resourceType": "Patient", "name": [{"use": "old"}], "telecom": [{"use": "home"}]}).keys
    assert {f"{A}=old", f"{B}=home"} <= set(keys)
    assert registry.find("Patient", "use") == new


@pytest.mark.parametrize(
    "search",
    [
        *("Patient?use=old", "Patient?use:missing=true", "Patient?use:not=old", "Patient?_sort=use"),
        *("Patient?_filter=use eq old", "Observation?patient.use=old", "Observation?subject:Patient.use=old"),
        *("Organization?_has:Patient:organization:use=old", "Patient?_has:Patient:link:use=old"),
        *("Patient?_include=Patient:kin", "Patient?_revinclude=Patient:kin", "Patient?kin.name=x"),
    ],
)
def test_nothing_incomplete_is_searched_by(search: str) -> None:
    kin = defined("kin", "reference", "Patient.contact.extension('http://kin').value", target=["Patient"])
    install(
        defined("use", "token", "Patient.name.use").parameter("Patient", A, complete=False),
        kin.parameter("Patient", B, complete=False),
    )
    registry.note_progress({"Patient": "3 of 7 resources"})
    with pytest.raises(FhirError, match=r"being indexed \(3 of 7 resources\)") as refused:
        query(search)
    assert refused.value.status == 400
    assert refused.value.issues[0].code == "incomplete"
    registry.note_progress({})
    assert query("Patient?_include=*").includes[0].parameters == tuple(
        one for one in registry.published("Patient").values() if one.type == "reference"
    )


def test_a_composite_takes_part_only_with_its_components() -> None:
    parts = [{"definition": "http://x/c", "expression": "code"}, {"definition": "http://x/t", "expression": "value"}]
    both = defined("both", "composite", "Observation.component", "Observation", component=parts)
    code = defined("c", "token", "Observation.component.code", "Observation").parameter("Observation", A)
    text = defined("t", "string", "Observation.component.value", "Observation").parameter("Observation", B)
    assert custom.judge_among(both, "Observation", [code]).relation == "unusable"
    first = custom.judge_among(both, "Observation", [code, text])
    assert (first.relation, first.keyless) == ("new", False)
    other = replace(text, expression="Observation.component.value.ofType(string)")
    assert custom.judge_among(both, "Observation", [code, other]).digest != first.digest
    assert registry.changes() > 0
    assert registry.find("Observation", "c") is None, "a trial leaves nothing behind"
