"""Required bindings: codes out of enumerable value sets, the others by the lexical rule of their standard.

https://hl7.org/fhir/R4/terminologies.html#required
"""

from __future__ import annotations

import re
from typing import Any

from fhir_server.definitions import Binding, ElementDefinition, codes, codings
from fhir_server.validation.primitives import PRIMITIVES, Check

_VALUE_SET = "http://hl7.org/fhir/ValueSet/"
_TOKEN = r"[A-Za-z0-9!#$&^_.+*'`|~%-]+"
_MIME = rf"{_TOKEN}/{_TOKEN}(\s*;\s*[^\x00-\x1f]*)?"

# Value sets that no one can list: name of the standard, form of a code.
_STANDARDS = {
    _VALUE_SET + "all-languages": ("BCP 47", re.compile(r"[A-Za-z]{1,8}(-[A-Za-z0-9]{1,8})*")),
    _VALUE_SET + "mimetypes": ("BCP 13 (type/subtype)", re.compile(_MIME)),
    "http://www.rfc-editor.org/bcp/bcp13.txt": ("BCP 13 (type/subtype)", re.compile(_MIME)),
    _VALUE_SET + "currencies": ("ISO 4217 (three capital letters)", re.compile(r"[A-Z]{3}")),
}
# What these two call a format may also be the short code of one: https://hl7.org/fhir/R4/http.html#mime-type
_FORMAT_OWNERS = ("CapabilityStatement.", "TestScript.")
_FORMATS = frozenset(["xml", "json", "ttl"])
_CODE = PRIMITIVES["code"]


def code_check(element: ElementDefinition) -> Check:
    """The Check of an element of type code, by its required or maximum value set."""
    binding = element.binding
    if binding is None:
        return _CODE
    value_set = binding.value_set if binding.strength == "required" else binding.maximum
    allowed = codes(value_set)
    if allowed is not None:
        return _listed(value_set, allowed)
    if value_set not in _STANDARDS:
        return _CODE
    return _standard(value_set, _FORMATS if element.path.startswith(_FORMAT_OWNERS) else frozenset())


def coding_pairs(binding: Binding | None) -> frozenset[tuple[str, str]] | None:
    """(system, code) pairs of a required binding; None where there is no such binding, or no list."""
    if binding is None or binding.strength != "required":
        return None
    systems = codings(binding.value_set)
    if systems is None:
        return None
    return frozenset((system, code) for system, members in systems.items() for code in members)


def has_listed_coding(concept: dict[str, Any], pairs: frozenset[tuple[str, str]]) -> bool:
    """Whether a CodeableConcept has a Coding of these; one with neither coding nor text says nothing to check."""
    listed = concept.get("coding")
    if type(listed) is not list:
        return listed is None and "text" not in concept
    return any((c.get("system"), c.get("code")) in pairs for c in listed if type(c) is dict and _is_pair(c))


def _is_pair(coding: dict[str, Any]) -> bool:
    return type(coding.get("system")) is str and type(coding.get("code")) is str


def _listed(value_set: str, allowed: frozenset[str]) -> Check:
    def test(value: Any) -> bool:
        return type(value) is str and value in allowed

    def problem(value: Any) -> tuple[str, str]:
        if not _CODE.test(value):
            return _CODE.problem(value)
        return "code-invalid", f"The code is not in the required value set {value_set}."

    return Check(test, problem)


def _standard(value_set: str, besides: frozenset[str]) -> Check:
    standard, form = _STANDARDS[value_set]

    def test(value: Any) -> bool:
        return type(value) is str and (form.fullmatch(value) is not None or value in besides)

    def problem(value: Any) -> tuple[str, str]:
        if not _CODE.test(value):
            return _CODE.problem(value)
        return "code-invalid", f"The code has not the form of {standard}, which {value_set} requires."

    return Check(test, problem)
