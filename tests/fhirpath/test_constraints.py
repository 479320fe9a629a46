"""Every published constraint compiles, and holds on every resource that was published as valid."""

from __future__ import annotations

import gzip
import json
import tarfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from fhir_server.definitions import RESOURCE_TYPES, Constraint, type_definition, type_names
from fhir_server.fhirpath import Environment, FhirPathError, Node, Services, children, compile, root
from fhir_server.fhirpath.types import ancestors
from fhir_server.json import decode

SHARED = Path(__file__).resolve().parents[3] / "shared"
CASES = Path(__file__).parents[1] / "cases"
KNOWN = yaml.safe_load((CASES / "fhirpath_broken.yaml").read_text())
CORE = sorted(type_names())

Json = dict[str, Any]


class Trusting(Services):
    """Narratives and profiles are for others to judge."""

    def html_checks(self, node: Node) -> bool | None:
        return True


def declared() -> Iterator[Constraint]:
    for name in CORE:
        definition = type_definition(name)
        yield from definition.constraints
        for element in definition.properties:
            yield from element.constraints


@cache
def of_node(type_: str, parent: str, name: str) -> tuple[Constraint, ...]:
    """All constraints of an element: those of its type and the types above, and those of the element itself."""
    of_types = [c for each in sorted(ancestors(type_)) for c in type_definition(each).constraints]
    element = type_definition(parent).elements.get(name) if parent else None
    return (*of_types, *(element.constraints if element else ()))


def broken(node: Node) -> Iterator[Constraint]:
    """The constraints that an element, or anything below it, breaks."""
    environment = Environment(services=Trusting())
    parent = node.parent
    for constraint in of_node(node.type, parent.type if parent else "", node.name):
        if not compile(constraint.expression).holds(node, environment):
            yield constraint
    for each in children(node):
        yield from broken(each)


def is_known(constraint: Constraint) -> bool:
    names = (constraint.key, f"*-{constraint.key.rpartition('-')[2]}")
    return constraint.severity == "warning" and any(name in KNOWN for name in names)


def errors(resource: Json) -> set[str]:
    """ "Patient/ada rng-2" for each constraint that the resource breaks, known warnings left out."""
    name = f"{resource['resourceType']}/{resource.get('id')}"
    return {f"{name} {constraint.key}" for constraint in broken(root(resource)) if not is_known(constraint)}


def test_all_of_r4_compile() -> None:
    found = {constraint.expression for constraint in declared()}
    assert len(found) > 190
    for expression in found:
        compile(expression)


def test_all_of_r4_evaluate_on_an_empty_element() -> None:
    for name in CORE:
        node = Node({}, name) if name[0].isupper() else Node(None, name)
        for constraint in of_node(name, "", ""):
            if constraint.key != "txt-1" and "htmlChecks" not in constraint.expression:
                compile(constraint.expression).evaluate(node)


SAMPLE = yaml.safe_load((CASES / "valid_resources.yaml").read_text())


def test_the_sample_is_valid() -> None:
    for resource in SAMPLE:
        assert not errors(decode(json.dumps(resource)))


CATEGORIES = "http://terminology.hl7.org/CodeSystem/condition-category"
BROKEN: dict[str, tuple[str, Json]] = {
    "pat-1": ("Patient", {"contact": [{"relationship": [{"text": "x"}]}]}),
    "per-1": ("Patient", {"name": [{"period": {"start": "2021", "end": "2020"}}]}),
    "ref-1": ("Patient", {"managingOrganization": {"reference": "#none"}}),
    "dom-2": ("Patient", {"contained": [{"resourceType": "Group", "contained": [{"resourceType": "Group"}]}]}),
    "dom-3": ("Patient", {"contained": [{"resourceType": "Group", "id": "unused"}]}),
    "dom-4": ("Patient", {"contained": [{"resourceType": "Group", "id": "g", "meta": {"versionId": "1"}}]}),
    "dom-5": ("Patient", {"contained": [{"resourceType": "Group", "id": "g", "meta": {"security": [{"code": "R"}]}}]}),
    "ele-1": ("Patient", {"name": [{"id": "only"}]}),
    "ext-1": ("Patient", {"extension": [{"url": "u", "valueCode": "a", "extension": [{"url": "v"}]}]}),
    "cpt-2": ("Patient", {"telecom": [{"value": "x"}]}),
    "att-1": ("Patient", {"photo": [{"data": "AAAA"}]}),
    "obs-6": ("Observation", {"valueString": "a", "dataAbsentReason": {"text": "b"}}),
    "obs-7": (
        "Observation",
        {
            "code": {"coding": [{"system": "s", "code": "c"}]},
            "valueString": "a",
            "component": [{"code": {"coding": [{"system": "s", "code": "c"}]}}],
        },
    ),
    "rng-2": ("Observation", {"valueRange": {"low": {"value": 2}, "high": {"value": 1}}}),
    "rat-1": ("Observation", {"valueRatio": {"numerator": {"value": 2}}}),
    "qty-3": ("Observation", {"valueQuantity": {"value": 2, "code": "kg"}}),
    "tim-1": ("ServiceRequest", {"occurrenceTiming": {"repeat": {"duration": 1}}}),
    "tim-9": ("ServiceRequest", {"occurrenceTiming": {"repeat": {"offset": 1, "when": ["CM"]}}}),
    "app-3": ("Appointment", {"status": "booked"}),
    "que-2": ("Questionnaire", {"item": [{"linkId": "1"}, {"linkId": "2", "item": [{"linkId": "1"}]}]}),
    "que-7": ("Questionnaire", {"item": [{"enableWhen": [{"operator": "exists", "answerInteger": 1}]}]}),
    "csd-1": ("CodeSystem", {"concept": [{"code": "a", "concept": [{"code": "b"}]}, {"code": "b"}]}),
    "bdl-3": ("Bundle", {"type": "transaction", "entry": [{"fullUrl": "urn:a"}]}),
    "bdl-7": ("Bundle", {"type": "collection", "entry": [{"fullUrl": "urn:a"}, {"fullUrl": "urn:a"}]}),
    "bdl-11": ("Bundle", {"type": "document", "entry": [{"resource": {"resourceType": "Patient"}}]}),
    "con-3": ("Condition", {"category": [{"coding": [{"system": CATEGORIES, "code": "problem-list-item"}]}]}),
    "eld-16": ("StructureDefinition", {"differential": {"element": [{"sliceName": "a b"}]}}),
    "sdf-8a": ("StructureDefinition", {"type": "A", "differential": {"element": [{"path": "A"}, {"path": "B.c"}]}}),
}


@pytest.mark.parametrize("key", BROKEN)
def test_what_breaks_them(key: str) -> None:
    type_, elements = BROKEN[key]
    assert key in {constraint.key for constraint in broken(root({"resourceType": type_, **elements}))}


# ---- the published corpora, where they are -----------------------------------------------------------


def shared(name: str) -> Path:
    path = SHARED / name
    if not path.exists():
        pytest.skip(f"shared/{name} is not on this machine")
    return path


def test_published_examples() -> None:
    with gzip.open(shared("fhir-r4/examples.ndjson.gz")) as lines:
        for line in lines:
            assert not errors(decode(line))


@pytest.mark.parametrize("part", range(4))
def test_synthea(part: int) -> None:
    for bundle in sorted(shared("synthea").glob("*.json.gz"))[part::16]:
        assert not errors(decode(gzip.decompress(bundle.read_bytes())))


def constraints_in(structure: Json) -> Iterator[str]:
    for view in ("snapshot", "differential"):
        for element in structure.get(view, {}).get("element", ()):
            for constraint in element.get("constraint", ()):
                if "expression" in constraint:
                    yield constraint["expression"]


def evaluate_everywhere(expressions: set[str]) -> None:
    """Compile each, and evaluate it on each kind of node that the sample has."""
    nodes = {}
    for resource in SAMPLE:
        waiting = [root(decode(json.dumps(resource)))]
        while waiting:
            node = waiting.pop()
            nodes.setdefault(node.type, node)
            waiting.extend(children(node))
    environment = Environment(services=Trusting())
    evaluated = set()
    for expression in expressions:
        compiled = compile(expression)
        for node in nodes.values():
            try:
                compiled.evaluate(node, environment)
                evaluated.add(expression)
            except FhirPathError:
                continue  # on a node of a type that it was not written for, which another will not be
    assert evaluated == expressions


@pytest.mark.parametrize("name", ["profiles-others", "extension-definitions", "profiles-types", "profiles-resources"])
def test_published_profiles(name: str) -> None:
    bundle = decode(gzip.decompress(shared(f"fhir-r4/{name}.json.gz").read_bytes()))
    structures = [e["resource"] for e in bundle["entry"] if e["resource"]["resourceType"] == "StructureDefinition"]
    expressions = {expression for structure in structures for expression in constraints_in(structure)}
    assert expressions
    evaluate_everywhere(expressions)


def test_us_core() -> None:
    found: set[str] = set()
    with tarfile.open(shared("packages/hl7.fhir.us.core-6.1.0.tgz")) as package:
        for member in package:
            if member.name.startswith("package/StructureDefinition-"):
                found.update(constraints_in(decode(package.extractfile(member).read())))  # type: ignore[union-attr]
    assert len(found) > 50
    evaluate_everywhere(found)


def test_us_core_examples() -> None:
    with tarfile.open(shared("packages/hl7.fhir.us.core-6.1.0.tgz")) as package:
        members = [m for m in package if m.name.startswith("package/example/") and m.name.endswith(".json")]
        for member in members:
            resource = decode(package.extractfile(member).read())  # type: ignore[union-attr]
            if resource["resourceType"] in RESOURCE_TYPES:
                assert not errors(resource)
