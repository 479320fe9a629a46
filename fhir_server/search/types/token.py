"""https://hl7.org/fhir/R4/search.html#token: codes and identifiers, with or without the system they are from.

Case counts in identifiers (https://hl7.org/fhir/R4/datatypes.html#Identifier), URIs and UCUM units. Everywhere else
it does not: "When in doubt, servers SHOULD treat tokens in a case-insensitive manner".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from fhir_server.search.fields import Field
from fhir_server.search.keys import Criterion, Draft, Sink, beginning, fit
from fhir_server.search.paths import Leaf
from fhir_server.search.types.values import Indexer, Settings, Visit, refuse_modifier, split, unescape, wrong

MODIFIERS = frozenset({"not"})

_UCUM = "http://unitsofmeasure.org"
_EXACT = frozenset({"Identifier", "uri", "id"})
_TELEPHONE = re.compile(r"[\s().\-/]")


def fold(code: str) -> str:
    return code.lower() if code.isascii() else code.casefold()


def fold_in(system: str, code: str) -> str:
    return code if system == _UCUM else fold(code)


def fold_contact(value: str) -> str:
    """A telephone number without its separators; an e-mail address or URL without case."""
    return fold(value) if "@" in value or ":" in value else fold(_TELEPHONE.sub("", value))


def coding_keys(number: str, system: Any, code: Any, keys: dict[str, None]) -> None:
    """By the code, and by system and code; a code without system says so."""
    if code:
        keys[f"{number}={fold(code)}"] = None
        keys[f"{number}|{system}|{fold_in(system, code)}" if system else f"{number}||{fold(code)}"] = None
    elif system:
        keys[f"{number}|{system}|"] = None


def _coding(sink: Sink, leaf: Leaf) -> Visit:
    number = sink.number

    def visit(value: Any, draft: Draft) -> None:
        code = value.get("code")
        coding_keys(number, value.get("system"), code, draft.keys)
        if sink.ascending and code:
            sink.sort(draft, fold(code)[:64])

    return visit


def _codeable_concept(sink: Sink, leaf: Leaf) -> Visit:
    number = sink.number

    def visit(value: Any, draft: Draft) -> None:
        first = None
        for coding in value.get("coding", ()):
            code = coding.get("code")
            coding_keys(number, coding.get("system"), code, draft.keys)
            first = first or code
        if sink.ascending and first:
            sink.sort(draft, fold(first)[:64])

    return visit


def _identifier(sink: Sink, leaf: Leaf) -> Visit:
    number = sink.number

    def visit(value: Any, draft: Draft) -> None:
        identifier_keys(f"{number}=", f"{number}|", value, draft.keys)
        if sink.ascending and (text := value.get("value")):
            sink.sort(draft, text[:64])

    return visit


def identifier_keys(alone: str, both: str, identifier: Any, keys: dict[str, None]) -> None:
    """By the value behind `alone`, and by system and value behind `both`."""
    system, value = identifier.get("system"), identifier.get("value")
    if value:
        keys[f"{alone}{value}"] = None
        keys[f"{both}{system or ''}|{value}"] = None
    elif system:
        keys[f"{both}{system}|"] = None


def _plain(normal: Callable[[str], str]) -> Indexer:
    def indexer(sink: Sink, leaf: Leaf) -> Visit:
        number = sink.number

        def visit(value: Any, draft: Draft) -> None:
            text = normal(value)
            draft.keys[f"{number}={text}"] = None
            if sink.ascending:
                sink.sort(draft, text[:64])

        return visit

    return indexer


def _boolean(sink: Sink, leaf: Leaf) -> Visit:
    true, false = f"{sink.number}=true", f"{sink.number}=false"

    def visit(value: Any, draft: Draft) -> None:
        draft.keys[true if value else false] = None
        if sink.ascending:
            sink.sort(draft, "true" if value else "false")

    return visit


def _contact_point(sink: Sink, leaf: Leaf) -> Visit:
    plain = _plain(fold_contact)(sink, leaf)

    def visit(value: Any, draft: Draft) -> None:
        if text := value.get("value"):
            plain(text, draft)

    return visit


INDEXERS: Mapping[str, Indexer] = {
    "Coding": _coding,
    "CodeableConcept": _codeable_concept,
    "Identifier": _identifier,
    "ContactPoint": _contact_point,
    "code": _plain(fold),
    "string": _plain(fold),
    "uri": _plain(str),
    "id": _plain(str),
    "boolean": _boolean,
    "TrueUnlessFalse": _boolean,
}


def criterion(field: Field, modifier: str, value: str, settings: Settings) -> Criterion:
    """The stored tokens that one search value finds: `code`, `system|code`, `|code` or `system|`."""
    if modifier and modifier not in MODIFIERS:
        raise refuse_modifier(field, modifier)
    parts = [unescape(part) for part in split(value, "|")]
    if len(parts) > 2 or not any(parts):
        raise wrong(field, "is not a token: code, system|code, |code or system|")
    found = Criterion()
    for source in field.sources:
        found |= _of_source(source.number, field, parts)
    return found


def _of_source(number: str, field: Field, parts: list[str]) -> Criterion:
    if len(parts) == 1:
        return Criterion(keys=tuple(fit(f"{number}={text}") for text in _normal(field.types, parts[0])))
    system, code = parts
    if not code:
        return Criterion(between=(beginning(f"{number}|{system}|"),))
    keys = [fit(f"{number}|{system}|{text}") for text in _normal(field.types, code, system)]
    if system and field.knows(system):
        keys += [fit(f"{number}={text}") for text in _normal(field.types, code)]
    return Criterion(keys=tuple(keys))


def _normal(types: frozenset[str], code: str, system: str = "") -> list[str]:
    """The forms in which values of these data types can be stored."""
    forms = []
    if types & _EXACT:
        forms.append(code)
    if "ContactPoint" in types:
        forms.append(fold_contact(code))
    if types - _EXACT - {"ContactPoint"}:
        forms.append(fold_in(system, code))
    return list(dict.fromkeys(forms))
