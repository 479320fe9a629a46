"""A resource and the searches that find it, for any search parameter of any type."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fhir_server.definitions import RESOURCE_TYPES
from fhir_server.search.fields import Field, fields
from fhir_server.search.paths import Leaf
from fhir_server.search.types import INDEXERS

Json = dict[str, Any]

_CODED = [{"system": "http://s", "code": "A-1"}]
VALUES: dict[str, Any] = {
    "Coding": _CODED[0],
    "CodeableConcept": {"coding": _CODED},
    "Identifier": {"system": "http://s", "value": "A-1"},
    "ContactPoint": {"value": "A-1"},
    "code": "A-1",
    "string": "Ä-1 text",
    "markdown": "Ä-1 text",
    "HumanName": {"family": "Ä-1 text"},
    "Address": {"city": "Ä-1 text"},
    "id": "A-1",
    "boolean": True,
    "uri": "http://u/1",
    "url": "http://u/1",
    "canonical": "http://u/1|2",
    "date": "2020-02-03",
    "dateTime": "2020-02-03",
    "instant": "2020-02-03T10:00:00Z",
    "Period": {"start": "2020-02-03", "end": "2020-02-03"},
    "Timing": {"event": ["2020-02-03"]},
    "integer": 7,
    "decimal": 7,
    "Range": {"low": {"value": 7, "unit": "u"}, "high": {"value": 7, "unit": "u"}},
    "Quantity": {"value": 7, "unit": "u"},
    "Age": {"value": 7, "unit": "u"},
    "Duration": {"value": 7, "unit": "u"},
    "Money": {"value": 7, "currency": "u"},
    "SampledData": {"origin": {"value": 7, "unit": "u"}, "lowerLimit": 7, "upperLimit": 7},
    "TrueUnlessFalse": True,
}
# By search type: values that find it, and one that does not.
ASKED: dict[str, tuple[list[str], str]] = {
    "token": (["a-1", "A-1"], "A-2"),
    "string": (["a 1", "Ä-1 TEXT"], "b"),
    "date": (["2020-02", "ge2020-02-03", "lt2021"], "ge2021"),
    "number": (["7", "gt6", "le7"], "gt7"),
    "quantity": (["7", "7||u", "gt6"], "gt7"),
    "uri": (["http://u/1"], "http://u/2"),
}


def leaf_value(field: Field, leaf: Leaf) -> Any:
    if leaf.type == "Reference":
        return {"reference": f"{_target(field, leaf)}/x"}
    if leaf.type == "Resource":
        return {"resourceType": _target(field, leaf), "id": "x"}
    return VALUES[leaf.type]


def searches(field: Field, leaf: Leaf) -> tuple[list[str], str]:
    """Values of the parameter that find the resource, and one that does not."""
    if field.parameter.type == "reference":
        if leaf.type in ("canonical", "uri"):
            return ["http://u/1"], "http://u/2"
        target = _target(field, leaf)
        return ["x", f"{target}/x"], f"{target}/y"
    if leaf.type in ("boolean", "TrueUnlessFalse"):
        return ["true"], "false"
    if leaf.type in ("Identifier", "id"):
        return ["A-1"], "a-1"
    if leaf.type in ("string", "uri") and field.parameter.type == "token":
        return [VALUES[leaf.type]], "A-2"
    return ASKED[field.parameter.type]


def resource(field: Field, leaf: Leaf) -> Json:
    """The least JSON that has the value at the leaf (and no more: it need not be valid)."""
    value = leaf_value(field, leaf)
    for hop in reversed(leaf.path):
        if hop.where is not None:
            value = {**value, hop.where[0]: hop.where[1]}
        value = {hop.name: [value] if hop.many else value}
    return {"resourceType": field.parameter.resource_type, "id": "x", **value}


def every() -> Iterator[tuple[Field, Leaf]]:
    """Every leaf of every parameter of every type that a search can find."""
    for name in sorted(RESOURCE_TYPES):
        for field in fields(name).values():
            for leaf in field.leaves:
                # An attachment only counts as a value.
                if leaf.type in INDEXERS[field.parameter.type] and leaf.type != "Attachment":
                    yield field, leaf


def _target(field: Field, leaf: Leaf) -> str:
    return leaf.target or (field.parameter.targets or ("Patient",))[0]
