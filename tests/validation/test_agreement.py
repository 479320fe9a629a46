"""The quick pass is never sure of what the careful pass finds fault with; both are made from one table."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings

from fhir_server.definitions import ElementDefinition, codes, is_primitive, type_definition, type_names
from fhir_server.validation import validate
from fhir_server.validation.explain import _Explainer, explain
from fhir_server.validation.fast import _object, is_surely_valid
from fhir_server.validation.rules import TypeKey, rules
from tests.validation.corpus import sample
from tests.validation.mutation import mutated

Json = dict[str, Any]

PRIMITIVE_SAMPLES: dict[str, Any] = {
    "boolean": True,
    "integer": -1,
    "positiveInt": 1,
    "unsignedInt": 0,
    "decimal": 1,
    "base64Binary": "AAAA",
    "date": "2024-02-29",
    "dateTime": "2024",
    "instant": "2024-01-01T00:00:00Z",
    "time": "00:00:00",
    "oid": "urn:oid:1.2",
    "uuid": "urn:uuid:c757873d-ec9a-4326-a141-556f43239520",
    "xhtml": "<div xmlns='http://www.w3.org/1999/xhtml'>a</div>",
}
LEXICAL_CODES = {"mimetypes": "text/plain", "currencies": "EUR", "bcp13.txt": "text/plain"}


def agree(resource: Any, sure: Callable[[Any], bool]) -> None:
    assert not (sure(resource) and explain(resource))


@settings(max_examples=1500, deadline=None)
@given(mutated())
def test_passes_agree_on_mutations(resource: Json) -> None:
    before = copy.deepcopy(resource)
    agree(resource, is_surely_valid)
    assert resource == before
    for issue in validate(resource):
        assert issue.severity == "error"
        assert issue.code in {"structure", "required", "value", "code-invalid", "invariant", "invalid"}


def test_agreement_can_fail() -> None:
    with pytest.raises(AssertionError):
        agree({"resourceType": "Patient", "active": "true"}, lambda resource: True)


def test_sample_needs_only_the_quick_pass_but_for_companions_of_lists() -> None:
    assert [r["id"] for r in sample() if "id" in r and not is_surely_valid(r)] == ["ada"]


def value_of(element: ElementDefinition) -> Any:
    """A minimal valid value of an element's type."""
    if is_primitive(element.type):
        return [_primitive(element)] if element.repeats else _primitive(element)
    one = minimal(element.type, element)
    return [one] if element.repeats else one


def _primitive(element: ElementDefinition) -> Any:
    binding = element.binding
    if element.path == "Reference.reference":
        return "urn:uuid:c757873d-ec9a-4326-a141-556f43239520"
    if element.type == "code" and binding is not None:
        value_set = binding.value_set if binding.strength == "required" else binding.maximum
        return min(codes(value_set) or {LEXICAL_CODES.get(value_set.rpartition("/")[2], "a")})
    return PRIMITIVE_SAMPLES.get(element.type, "a")


def minimal(name: str, element: ElementDefinition | None = None) -> Json:
    """A minimal valid object of this type, as this element would have it."""
    if name == "Resource":
        return {"resourceType": "Basic", "id": "a", "code": {"text": "a"}}
    definition = type_definition(name)
    result: Json = {"resourceType": name} if definition.kind == "resource" else {}
    chosen: set[str] = set()
    for prop in definition.properties:
        if prop.min and prop.choice not in chosen:
            result[prop.name] = value_of(prop)
            chosen |= {prop.choice} - {""}
    if name == "Extension":
        return {"url": "u", "valueCode": "a"}
    if name == "CodeableConcept" and element is not None and element.binding is not None:
        pairs = rules(TypeKey(element.path.rpartition(".")[0])).properties[element.name].type.value_set
        if pairs:
            system, code = min(pairs)
            return {"coding": [{"system": system, "code": code}]}
    if not result:
        first = next(p for p in definition.properties if p.name not in ("id", "extension", "modifierExtension"))
        result[first.name] = value_of(first)
    return result


def issues_of(name: str, value: Json) -> list[str]:
    explainer = _Explainer(conditional_references=False)
    explainer.object(value, rules(TypeKey(name)), name)
    return [f"{issue.expression[0]}: {issue.diagnostics}" for issue in explainer.issues]


# These depend on their neighbours, and have cases of their own in structure.yaml.
BOUND_TO_OTHERS = {"Extension.extension", "Bundle.total", "Bundle.entry"}
CONCRETE = sorted(n for n in type_names() if not type_definition(n).abstract and not is_primitive(n))


@pytest.mark.parametrize("name", CONCRETE)
def test_each_property_of_each_type(name: str) -> None:
    """Alone beside what is required it is accepted by both passes; as nonsense it is refused by both."""
    base = minimal(name)
    definition = type_definition(name)
    check = _object(TypeKey(name))
    assert check(base)
    assert issues_of(name, base) == []
    for element in definition.properties:
        if element.max == 0 or (name, element.name) in {
            ("Extension", "extension"),
            ("Bundle", "total"),
            ("Bundle", "entry"),
        }:
            continue
        others = {k: v for k, v in base.items() if not (element.choice and k in _group(name, element))}
        good = {**others, element.name: value_of(element)}
        assert issues_of(name, good) == [], element.name
        assert check(good) or element.type == "Resource", element.name
        for nonsense in ([], {}, None, "", [None], {"unknown": 1}):
            bad = {**others, element.name: nonsense}
            assert not check(bad), (element.name, nonsense)
            assert issues_of(name, bad), (element.name, nonsense)


def _group(name: str, element: ElementDefinition) -> frozenset[str]:
    return rules(TypeKey(name)).choices[element.choice]
