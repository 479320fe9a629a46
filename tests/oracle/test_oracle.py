"""The oracle against the examples of the search page, written by hand: https://hl7.org/fhir/R4/search.html"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qsl

import pytest

from tests.oracle import NotASearch, Oracle, included, out_of_order
from tests.oracle.dates import span
from tests.oracle.expressions import evaluate, parse, root
from tests.oracle.text import fold, soundex

Json = dict[str, Any]
BASE = "http://example.org/fhir"


def oracle(*resources: Json) -> Oracle:
    """An oracle over a few resources."""
    return Oracle({f"{each['resourceType']}/{each['id']}": each for each in resources}, BASE)


def found(over: Oracle, query: str) -> str:
    """The ids, sorted, that a query finds; a query is written as in a URL, but without escapes."""
    path, _, rest = query.partition("?")
    pairs = parse_qsl(rest.replace("%", "%25").replace("+", "%2B").replace(";", "%3B"), keep_blank_values=True)
    return " ".join(sorted(key.partition("/")[2] for key in over.search(path, pairs)))


def each_with(type_name: str, **values: Mapping[str, Any]) -> Oracle:
    """One resource per keyword: its id and what it has."""
    return oracle(*({"resourceType": type_name, "id": identity} | dict(value) for identity, value in values.items()))


PATIENTS = each_with(
    "Patient",
    a={
        "name": [{"family": "Carreño Quinones", "given": ["Eve"], "use": "official"}],
        "gender": "male",
        "active": True,
        "birthDate": "1980-05",
        "telecom": [{"system": "phone", "value": "(555) 123-4567"}, {"system": "email", "value": "Eve@Example.org"}],
        "address": [{"line": ["12 Main St."], "city": "São Paulo", "use": "home"}],
        "identifier": [
            {
                "system": "urn:mrn",
                "value": "Ab1",
                "type": {"text": "Medical Record", "coding": [{"system": "urn:t", "code": "MR"}]},
            }
        ],
        "meta": {"tag": [{"system": "urn:tags", "code": "x"}], "profile": ["http://p.org/a"], "source": "urn:s"},
    },
    b={
        "name": [{"family": "Smith-Jones", "given": ["Severine"]}, {"text": "O'Brien"}],
        "gender": "female",
        "deceasedBoolean": False,
        "identifier": [{"value": "ab1"}],
    },
    c={"name": [{"given": ["Evelyn"]}], "deceasedDateTime": "2015-02-01", "telecom": [{"value": "555 1234567"}]},
    d={"deceasedBoolean": True, "birthDate": "1980-05-17", "_gender": {"extension": [{"url": "urn:e"}]}},
)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("Patient", "a b c d"),
        ("Patient?given=eve", "a c"),
        ("Patient?given:contains=eve", "a b c"),
        ("Patient?given:exact=Eve", "a"),
        ("Patient?given:exact=eve", ""),
        ("Patient?family=carreno", "a"),
        ("Patient?family=quinones", "a"),
        ("Patient?name=QUIÑ", "a"),
        ("Patient?family:exact=Quinones", ""),
        ("Patient?family=jones", "b"),
        ("Patient?family=smith jon", "b"),
        ("Patient?name=obrien", "b"),
        ("Patient?name=o'b", "b"),
        ("Patient?name=official", ""),
        ("Patient?address=sao", "a"),
        ("Patient?address=12 main st", "a"),
        ("Patient?address=home", ""),
        ("Patient?given=eve,severine", "a b c"),
        ("Patient?given=eve&family=quin", "a"),
        ("Patient?given=e&given=s", ""),
        ("Patient?phonetic=severin", "b"),
        ("Patient?gender=male", "a"),
        ("Patient?gender=MALE", "a"),
        ("Patient?gender=http://hl7.org/fhir/administrative-gender|male", "a"),
        ("Patient?gender=http://other.org|male", ""),
        ("Patient?gender:not=male", "b c d"),
        ("Patient?gender:not=male,female", "c d"),
        ("Patient?gender:missing=true", "c d"),
        ("Patient?gender:missing=false", "a b"),
        ("Patient?gender=male,female&gender:missing=true", ""),
        ("Patient?active=true", "a"),
        ("Patient?deceased=true", "c d"),
        ("Patient?deceased=false", "a b"),
        ("Patient?death-date=2015", "c"),
        ("Patient?identifier=Ab1", "a"),
        ("Patient?identifier=ab1", "b"),
        ("Patient?identifier=urn:mrn|Ab1", "a"),
        ("Patient?identifier=|ab1", "b"),
        ("Patient?identifier=|Ab1", ""),
        ("Patient?identifier=urn:mrn|", "a"),
        ("Patient?identifier:of-type=urn:t|MR|Ab1", "a"),
        ("Patient?identifier:of-type=urn:t|SS|Ab1", ""),
        ("Patient?identifier:text=medical", "a"),
        ("Patient?identifier:text=record", ""),
        ("Patient?phone=5551234567", "a"),
        ("Patient?telecom=(555)1234567", "a"),
        ("Patient?telecom=555 1234567", "a c"),
        ("Patient?email=eve@example.org", "a"),
        ("Patient?birthdate=1980", "a d"),
        ("Patient?birthdate=1980-05-17", "d"),
        ("Patient?birthdate=ge1980-05-20", "a"),
        ("Patient?birthdate=lt1980-05-17", "a"),
        ("Patient?_id=a,b", "a b"),
        ("Patient?_id=A", ""),
        ("Patient?_tag=urn:tags|x", "a"),
        ("Patient?_profile=http://p.org/a", "a"),
        ("Patient?_source=urn:s", "a"),
        ("?_type=Patient&_id=a", "a"),
        ("?_id=b", "b"),
    ],
)
def test_patients(query: str, expected: str) -> None:
    assert found(PATIENTS, query) == expected


DATES = each_with(
    "Observation",
    day={"effectiveDateTime": "2013-01-14"},
    ten={"effectiveDateTime": "2013-01-14T10:00:00Z"},
    next={"effectiveDateTime": "2013-01-15T00:00:00Z"},
    onwards={"effectivePeriod": {"start": "2013-01-21"}},
    march={"effectivePeriod": {"start": "2013-03-15"}},
    until={"effectivePeriod": {"end": "2013-01-21"}},
    timing={"effectiveTiming": {"event": ["2013-01-31T08:00:00Z", "2013-03-24T08:00:00Z"]}},
    none={},
)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("eq2013-01-14", "day ten"),
        ("2013-01-14T10:00", "ten"),
        ("ne2013-01-14", "march next onwards timing until"),
        ("lt2013-01-14T10:00", "day until"),
        ("gt2013-01-14T10:00", "day march next onwards timing until"),
        ("ge2013-03-14", "march onwards timing"),
        ("le2013-03-14", "day next onwards ten timing until"),
        ("sa2013-03-14", "march"),
        ("eb2013-03-14", "day next ten until"),
        ("eq2013", "day next ten timing"),
        ("2013-01-15T00:00:00+00:00", "next"),
        ("2013-01-14T12:00:00+02:00", "ten"),
    ],
)
def test_dates(value: str, expected: str) -> None:
    assert found(DATES, f"Observation?date={value}") == expected


@pytest.mark.parametrize(
    ("narrow", "wide"),
    [
        ("2013-01-14T10:00:00.5Z", "2013-01-14T10:00:00Z"),
        ("2013-01-14T10:00:00-05:00", "2013-01-14T15:00Z"),
        ("2000-02-29", "2000-02"),
        ("9999-12-31", "9999"),
    ],
)
def test_a_longer_date_is_within_a_shorter(narrow: str, wide: str) -> None:
    assert span(wide).start <= span(narrow).start < span(narrow).end <= span(wide).end
    assert span(wide) != span(narrow)


RISKS = each_with(
    "RiskAssessment",
    low={"prediction": [{"probabilityDecimal": Decimal("99.4")}]},
    at={"prediction": [{"probabilityDecimal": 100}]},
    near={"prediction": [{"probabilityDecimal": Decimal("100.4")}]},
    edge={"prediction": [{"probabilityDecimal": Decimal("100.5")}]},
    range={"prediction": [{"probabilityRange": {"low": {"value": 90}, "high": {"value": 100}}}]},
)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("100", "at near"),
        ("100.00", "at"),
        ("1000e-1", "at"),
        ("1e2", "at edge low near range"),
        ("ne100", "edge low range"),
        ("lt100", "low range"),
        ("le100", "at low range"),
        ("gt100", "edge near"),
        ("ge100", "at edge near range"),
        ("sa100", "edge near"),
        ("eb100", "low"),
    ],
)
def test_numbers(value: str, expected: str) -> None:
    assert found(RISKS, f"RiskAssessment?probability={value}") == expected


def _quantity(value: str, **more: str) -> Json:
    return {"valueQuantity": {"value": Decimal(value)} | more}


UCUM = "http://unitsofmeasure.org"
QUANTITIES = each_with(
    "Observation",
    mg=_quantity("5.4", system=UCUM, code="mg", unit="milligram"),
    gram=_quantity("0.00541", system=UCUM, code="g"),
    human=_quantity("5.42", unit="mg"),
    other=_quantity("5.4", system=UCUM, code="mm[Hg]"),
    below=_quantity("5", comparator="<", unit="kg"),
)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (f"5.4|{UCUM}|mg", "gram mg"),
        (f"5.40e-3|{UCUM}|g", "mg"),
        ("5.4||mg", "human mg"),
        ("5.4||milligram", "mg"),
        ("5.4", "human mg other"),
        (f"le5.4|{UCUM}|mg", "mg"),
        (f"gt5.4|{UCUM}|mg", "gram"),
        ("lt5||kg", "below"),
        ("ge5||kg", ""),
    ],
)
def test_quantities(value: str, expected: str) -> None:
    assert found(QUANTITIES, f"Observation?value-quantity={value}") == expected


VALUE_SETS = each_with(
    "ValueSet",
    a={"url": "http://acme.org/fhir/ValueSet/123", "version": "1.0", "name": "a,b"},
    b={"url": "http://acme.org/fhir/ValueSet/124", "name": "a$b|c\\d"},
    c={"url": "urn:oid:1.2.3.4.5", "name": "a"},
)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("url=http://acme.org/fhir/ValueSet/123", "a"),
        ("url=http://acme.org/fhir/valueset/123", ""),
        ("url=http://acme.org/fhir/ValueSet/123|1.0", "a"),
        ("url=http://acme.org/fhir/ValueSet/123|2.0", ""),
        ("url:below=http://acme.org/fhir/", "a b"),
        ("url:above=http://acme.org/fhir/ValueSet/123/_history/5", "a"),
        ("url=urn:oid:1.2.3.4.5", "c"),
        ("url=http://acme.org/fhir/ValueSet/123,urn:oid:1.2.3.4.5", "a c"),
        (r"name:exact=a\,b", "a"),
        (r"name:exact=a\$b\|c\\d", "b"),
        ("name:exact=a,b", "c"),
    ],
)
def test_uris_and_escapes(query: str, expected: str) -> None:
    assert found(VALUE_SETS, f"ValueSet?{query}") == expected


LINKED = oracle(
    {
        "resourceType": "Patient",
        "id": "23",
        "name": [{"family": "Peter"}],
        "generalPractitioner": [{"reference": "Practitioner/d"}],
    },
    {"resourceType": "Practitioner", "id": "d", "name": [{"family": "Joe"}]},
    {"resourceType": "Group", "id": "23", "type": "person", "actual": True},
    {
        "resourceType": "Observation",
        "id": "relative",
        "subject": {"reference": "Patient/23"},
        "code": {"coding": [{"code": "1234-5"}]},
    },
    {
        "resourceType": "Observation",
        "id": "absolute",
        "subject": {"reference": f"{BASE}/Patient/23"},
        "hasMember": [{"reference": "Observation/relative"}],
    },
    {"resourceType": "Observation", "id": "versioned", "subject": {"reference": "Patient/23/_history/2"}},
    {"resourceType": "Observation", "id": "group", "subject": {"reference": "Group/23"}},
    {"resourceType": "Observation", "id": "elsewhere", "subject": {"reference": "http://other.org/fhir/Patient/23"}},
    {
        "resourceType": "Observation",
        "id": "logical",
        "subject": {"identifier": {"system": "urn:mrn", "value": "123456"}},
    },
    {"resourceType": "QuestionnaireResponse", "id": "one", "questionnaire": "http://acme.org/q|1.0"},
    {"resourceType": "QuestionnaireResponse", "id": "any", "questionnaire": "http://acme.org/q"},
    {
        "resourceType": "AuditEvent",
        "id": "e",
        "entity": [{"what": {"reference": "Observation/relative"}}],
        "agent": [{"who": {"reference": "Practitioner/d"}}],
    },
    {
        "resourceType": "List",
        "id": "42",
        "entry": [{"item": {"reference": "Patient/23"}}, {"item": {"reference": "Observation/group"}}],
    },
    {
        "resourceType": "MedicationRequest",
        "id": "m",
        "medicationReference": {"reference": "#in"},
        "contained": [
            {
                "resourceType": "Medication",
                "id": "in",
                "ingredient": [{"itemCodeableConcept": {"coding": [{"code": "abc"}]}}],
            }
        ],
    },
)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("Observation?subject=23", "absolute group relative versioned"),
        ("Observation?subject=Patient/23", "absolute relative versioned"),
        ("Observation?subject:Patient=23", "absolute relative versioned"),
        ("Observation?subject:Group=23", "group"),
        ("Observation?patient=23", "absolute relative versioned"),
        (f"Observation?subject={BASE}/Patient/23", "absolute relative versioned"),
        ("Observation?subject=http://other.org/fhir/Patient/23", "elsewhere"),
        ("Observation?subject=Patient/23/_history/2", "versioned"),
        ("Observation?subject=Patient/23/_history/1", ""),
        ("Observation?subject:identifier=urn:mrn|123456", "logical"),
        ("Observation?subject:identifier=123456", "logical"),
        ("Observation?subject:missing=true", ""),
        ("QuestionnaireResponse?questionnaire=http://acme.org/q", "any one"),
        ("QuestionnaireResponse?questionnaire=http://acme.org/q|1.0", "one"),
        ("Observation?subject:Patient.name=peter", "absolute relative versioned"),
        ("Observation?subject.name=peter", "absolute relative versioned"),
        ("Observation?patient.general-practitioner.family=joe", "absolute relative versioned"),
        ("Observation?patient.general-practitioner:Practitioner.family:exact=joe", ""),
        ("Observation?has-member.patient.name=peter", "absolute"),
        ("Patient?_has:Observation:patient:code=1234-5", "23"),
        ("Patient?_has:Observation:patient:code=123,456", ""),
        ("Patient?_has:Observation:patient:code=0,1234-5", "23"),
        ("Patient?_has:Observation:patient:_has:AuditEvent:entity:agent=Practitioner/d", "23"),
        ("Patient?_has:Observation:patient:_has:AuditEvent:entity:agent.family=joe", "23"),
        ("Observation?patient._has:Observation:patient:code=1234-5", "absolute relative versioned"),
        ("MedicationRequest?medication.ingredient-code=abc", "m"),
        ("Medication?ingredient-code=abc", ""),
        ("Patient?_list=42", "23"),
        ("?_list=42", "23 group"),
        ("Patient/23/Observation", "absolute relative versioned"),
        ("Patient/23/Observation?code=1234-5", "relative"),
        ("Patient/23/*", "23 absolute relative versioned"),
        ("Practitioner/d/Patient", "23"),
    ],
)
def test_references(query: str, expected: str) -> None:
    assert found(LINKED, query) == expected


COMPONENTS = each_with(
    "Observation",
    both={"component": [
        {"code": {"coding": [{"system": "http://loinc.org", "code": "8480-6"}]}, "valueQuantity": {"value": 107}},
        {"code": {"coding": [{"system": "http://loinc.org", "code": "8462-4"}]}, "valueQuantity": {"value": 50}}]},
    whole={"code": {"coding": [{"code": "8480-6"}]}, "valueQuantity": {"value": 50}},
    dated={"code": {"coding": [{"code": "due"}]}, "valueDateTime": "2020-05"},
)  # fmt: skip


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("component-code-value-quantity=http://loinc.org|8480-6$lt60", ""),
        ("component-code-value-quantity=http://loinc.org|8462-4$lt60", "both"),
        ("component-code-value-quantity=8480-6$lt60,8480-6$gt100", "both"),
        ("combo-code-value-quantity=8480-6$lt60", "whole"),
        ("combo-code-value-quantity=8480-6$gt10", "both whole"),
        ("code-value-date=due$2020", "dated"),
    ],
)
def test_composites(query: str, expected: str) -> None:
    assert found(COMPONENTS, f"Observation?{query}") == expected


def test_composites_reach_beyond_their_element() -> None:
    sequences = each_with(
        "MolecularSequence",
        a={"referenceSeq": {"chromosome": {"coding": [{"code": "1"}]}}, "variant": [{"start": 5, "end": 9}]},
        b={"variant": [{"start": 5, "end": 9}]},
    )
    assert found(sequences, "MolecularSequence?chromosome-variant-coordinate=1$lt6$gt8") == "a"


def test_the_composite_that_r4_defines_the_wrong_way_round() -> None:
    documents = each_with(
        "DocumentReference",
        a={"relatesTo": [{"code": "replaces", "target": {"reference": "DocumentReference/b"}}]},
        b={"relatesTo": [{"code": "signs", "target": {"reference": "DocumentReference/b"}}]},
    )
    assert found(documents, "DocumentReference?relationship=replaces$DocumentReference/b") == "a"


def test_near() -> None:
    places = each_with(
        "Location",
        paris={"position": {"latitude": Decimal("48.8566"), "longitude": Decimal("2.3522")}},
        london={"position": {"latitude": Decimal("51.5074"), "longitude": Decimal("-0.1278")}},
    )
    assert found(places, "Location?near=48.86|2.35|10|km") == "paris"
    assert found(places, "Location?near=48.86|2.35|400") == "london paris"
    assert found(places, "Location?near=48.86|2.35|200|[mi_us]") == "paris"


def test_choices_where_and_text() -> None:
    conditions = each_with(
        "Condition",
        aged={"onsetAge": {"value": 20, "system": UCUM, "code": "a"}},
        text={"onsetString": "Early", "code": {"text": "Headache", "coding": [{"display": "Cephalgia"}]}},
    )
    assert found(conditions, f"Condition?onset-age=20|{UCUM}|a") == "aged"
    assert found(conditions, "Condition?onset-info=early") == "text"
    assert found(conditions, "Condition?code:text=head") == "text"
    assert found(conditions, "Condition?code:text=ceph") == "text"
    assert found(conditions, "Condition?code:text=ache") == ""
    assert found(conditions, "Condition?code:missing=false") == "text"


@pytest.mark.parametrize(
    "query",
    [
        "Patient?nonsense=1",
        "Patient?gender:above=x",
        "Patient?gender:missing=maybe",
        "Patient?birthdate=ap2010",
        "Patient?birthdate=soon",
        "Patient?_has:Observation:code:code=1",
        "Patient?name.family=x",
        "Patient?identifier:of-type=a|b",
        "Observation?code-value-quantity=a",
    ],
)
def test_what_is_not_a_search(query: str) -> None:
    with pytest.raises(NotASearch):
        found(PATIENTS if query.startswith("Patient") else QUANTITIES, query)


@pytest.mark.parametrize(
    ("word", "code"),
    [
        ("Robert", "R163"),
        ("Rupert", "R163"),
        ("Ashcraft", "A261"),
        ("Tymczak", "T522"),
        ("Pfister", "P236"),
        ("Lee", "L000"),
    ],
)
def test_soundex(word: str, code: str) -> None:
    assert soundex(fold(word)) == code


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("Patient.name.given", ["Eve", "Ann"]),
        ("Patient.name.given[0]", ["Eve"]),
        ("Patient.name.given.first()", ["Eve"]),
        ("Patient.extension('urn:x').value.ofType(string)", ["v"]),
        ("Patient.extension('urn:x').valueString | Patient.name.given", ["v", "Eve", "Ann"]),
        ("(Patient.extension.value as code)", []),
        ("Patient.name.where(use='official').family", ["F"]),
        ("Patient.name.where(family.exists()).family", ["F"]),
        ("Observation.code", []),
        ("Patient.link.other.where(resolve() is RelatedPerson).reference", ["RelatedPerson/1"]),
        ("Patient.active.exists() and Patient.active != false", [False]),
    ],
)
def test_expressions(expression: str, expected: list[Any]) -> None:
    patient = {
        "resourceType": "Patient",
        "name": [{"given": ["Eve"]}, {"given": ["Ann"], "family": "F", "use": "official"}],
        "extension": [{"url": "urn:x", "valueString": "v"}, {"url": "urn:y", "valueString": "w"}],
        "link": [{"other": {"reference": "Patient/1"}}, {"other": {"reference": "RelatedPerson/1"}}],
        "active": False,
    }
    assert [each.value for each in evaluate(parse(expression), [root(patient)], root(patient))] == expected


@pytest.mark.parametrize(
    ("matched", "includes", "expected"),
    [
        ("Observation/absolute", [("_include", "Observation:subject")], {"Patient/23"}),
        ("Observation/absolute", [("_include", "Observation:subject:Group")], set()),
        ("Observation/absolute", [("_include", "Observation:*")], {"Patient/23", "Observation/relative"}),
        ("Observation/absolute", [("_include", "*")], {"Patient/23", "Observation/relative"}),
        ("Observation/elsewhere", [("_include", "Observation:subject")], set()),
        (
            "Observation/absolute",
            [("_include", "Observation:patient"), ("_include:iterate", "Patient:general-practitioner")],
            {"Patient/23", "Practitioner/d"},
        ),
        (
            "Observation/absolute",
            [("_include", "Observation:patient"), ("_include", "Patient:general-practitioner")],
            {"Patient/23"},
        ),
        (
            "Patient/23",
            [("_revinclude", "Observation:subject")],
            {"Observation/relative", "Observation/absolute", "Observation/versioned"},
        ),
        ("Observation/relative", [("_revinclude", "AuditEvent:entity")], {"AuditEvent/e"}),
        ("MedicationRequest/m", [("_include", "MedicationRequest:medication")], set()),
    ],
)
def test_includes(matched: str, includes: list[tuple[str, str]], expected: set[str]) -> None:
    assert included(LINKED, {matched}, includes) == expected


def test_order() -> None:
    people = each_with(
        "Patient",
        a={"birthDate": "1980", "name": [{"family": "Émile"}]},
        b={"birthDate": "1990", "name": [{"family": "eve"}]},
        c={"name": [{"family": "Zoe"}, {"family": "Abe"}]},
    )
    assert out_of_order(people, "Patient", "birthdate", ["Patient/a", "Patient/b", "Patient/c"]) is None
    assert out_of_order(people, "Patient", "-birthdate", ["Patient/a", "Patient/b"]) == ("Patient/a", "Patient/b")
    assert out_of_order(people, "Patient", "birthdate", ["Patient/c", "Patient/a"]) == ("Patient/c", "Patient/a")
    assert out_of_order(people, "Patient", "family", ["Patient/c", "Patient/a", "Patient/b"]) is None
    assert out_of_order(people, "Patient", "-family", ["Patient/c", "Patient/b", "Patient/a"]) is None
