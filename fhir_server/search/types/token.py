"""https://hl7.org/fhir/R4/search.html#token: codes and identifiers, with or without the system they are from.

Case counts in identifiers (https://hl7.org/fhir/R4/datatypes.html#Identifier), URIs and UCUM units. Everywhere else
it does not: "When in doubt, servers SHOULD treat tokens in a case-insensitive manner".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from fhir_server.search.fields import Field
from fhir_server.search.keys import MAX_BEGINNING, Criterion, Draft, Sink, beginning, fit
from fhir_server.search.paths import Leaf
from fhir_server.search.types import string
from fhir_server.search.types.values import Indexer, Settings, Visit, refuse_modifier, split, unescape, wrong

# What reaches outside the resource (:in, :above …) is read elsewhere: fhir_server/search/criteria.py
MODIFIERS = frozenset({"not", "text", "of-type"})
# Data types whose values have a system beside the code.
CODED = frozenset({"Coding", "CodeableConcept", "Identifier"})


_TEXT = 64  # folded characters of what a code is called that are in its key
_UCUM = "http://unitsofmeasure.org"
_EXACT = frozenset({"Identifier", "uri", "id"})
_TELEPHONE = re.compile(r"[\s().\-/+]")


def fold(code: str) -> str:
    return code.lower() if code.isascii() else code.casefold()


def fold_in(system: str, code: str) -> str:
    return code if system == _UCUM else fold(code)


def fold_contact(value: str) -> str:
    """A telephone number without its separators; an e-mail address or URL without case."""
    return fold(value) if "@" in value or ":" in value else fold(_TELEPHONE.sub("", value))


def coding_keys(number: str, system: Any, code: Any, keys: dict[str, None]) -> None:
    """By the code, and by system and code; a code without system says so, and so does the want of a code."""
    if code:
        keys[f"{number}={fold(code)}"] = None
        keys[f"{number}|{system}|{fold_in(system, code)}" if system else f"{number}||{fold(code)}"] = None
        return
    keys[f"{number}="] = None
    if system:
        keys[f"{number}|{system}|"] = None


def text_key(number: str, text: Any, keys: dict[str, None]) -> None:
    """By what a code is called, for :text."""
    if text:
        keys[f"{number}~{string.fold(text)[:_TEXT]}"] = None


def _coding(sink: Sink, leaf: Leaf) -> Visit:
    number = sink.number

    def visit(value: Any, draft: Draft) -> None:
        code = value.get("code")
        coding_keys(number, value.get("system"), code, draft.keys)
        text_key(number, value.get("display"), draft.keys)
        if sink.ascending and code:
            sink.sort(draft, fold(code)[:64])

    return visit


def _codeable_concept(sink: Sink, leaf: Leaf) -> Visit:
    number = sink.number

    def visit(value: Any, draft: Draft) -> None:
        first, keys = None, draft.keys
        codings = value.get("coding")
        for coding in codings or ():
            code = coding.get("code")
            coding_keys(number, coding.get("system"), code, keys)
            text_key(number, coding.get("display"), keys)
            first = first or code
        if not codings:
            keys[f"{number}="] = None
        text_key(number, value.get("text"), keys)
        if sink.ascending and first:
            sink.sort(draft, fold(first)[:64])

    return visit


def _identifier(sink: Sink, leaf: Leaf) -> Visit:
    number = sink.number

    def visit(value: Any, draft: Draft) -> None:
        identifier_keys(f"{number}=", f"{number}|", value, draft.keys)
        if kind := value.get("type"):
            _typed(number, kind, value.get("value"), draft.keys)
        if sink.ascending and (text := value.get("value")):
            sink.sort(draft, text[:64])

    return visit


def _typed(number: str, kind: Any, value: Any, keys: dict[str, None]) -> None:
    """By the codes of the identifier's type, for :of-type, and by what the type is called, for :text."""
    for coding in kind.get("coding", ()):
        if value and (code := coding.get("code")):
            keys[f"{number}^{coding.get('system', '')}|{fold(code)}|{value}"] = None
    text_key(number, kind.get("text"), keys)


def identifier_keys(alone: str, both: str, identifier: Any, keys: dict[str, None]) -> None:
    """By the value behind `alone`, and by system and value behind `both`."""
    system, value = identifier.get("system"), identifier.get("value")
    if value:
        keys[f"{alone}{value}"] = None
        keys[f"{both}{system or ''}|{value}"] = None
        return
    keys[alone] = None
    if system:
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
    if modifier == "text":
        return _by_text(field, value)
    if modifier == "of-type":
        return _of_type(field, value)
    system, code = parse(field, value)
    found = Criterion()
    for source in field.sources:
        found |= _of_source(source.number, field, system, code)
    return found


def parse(field: Field, value: str) -> tuple[str | None, str]:
    """System (None: not said, "": that there is none) and code ("" for any); Invalid (400) when it is no token."""
    parts = [unescape(part) for part in split(value, "|")]
    if len(parts) > 2 or not any(parts):
        raise wrong(field, "is not a token: code, system|code, |code or system|")
    return (None, parts[0]) if len(parts) == 1 else (parts[0], parts[1])


def coded(field: Field, codes: Iterable[tuple[str, str]]) -> Criterion:
    """The tokens with any of these systems and codes."""
    found: dict[str, None] = {}
    for source in field.sources:
        for system, code in codes:
            found.update((key, None) for key in _of_source(source.number, field, system, code).keys)
    return Criterion(keys=tuple(found))


def _of_source(number: str, field: Field, system: str | None, code: str) -> Criterion:
    if system is None:
        return Criterion(keys=tuple(fit(f"{number}={text}") for text in _normal(field.types, code)))
    if not code:
        opening = f"{number}|{system}|"
        if len(opening) > MAX_BEGINNING:
            raise wrong(field, "has a system that is too long to be searched by without a code")
        return Criterion(between=(beginning(opening),))
    keys = [fit(f"{number}|{system}|{text}") for text in _normal(field.types, code, system)]
    if system and field.knows(system):
        keys += [fit(f"{number}={text}") for text in _normal(field.types, code)]
    return Criterion(keys=tuple(keys))


def _by_text(field: Field, value: str) -> Criterion:
    """What the code is called begins so, as a string search would have it."""
    if not field.types & CODED:
        raise refuse_modifier(field, "text")
    folded = string.fold(unescape(value))
    if not folded or len(folded) > _TEXT:
        raise wrong(field, f"has from 1 to {_TEXT} characters for :text")
    return Criterion(between=tuple(beginning(f"{source.number}~{folded}") for source in field.sources))


def _of_type(field: Field, value: str) -> Criterion:
    """An identifier with a type of this system and code, and this value."""
    if "Identifier" not in field.types:
        raise refuse_modifier(field, "of-type")
    parts = [unescape(part) for part in split(value, "|")]
    if len(parts) != 3 or not parts[1] or not parts[2]:
        raise wrong(field, "is system|code|value for :of-type, all three of them")
    system, code, text = parts
    return Criterion(keys=tuple(fit(f"{source.number}^{system}|{fold(code)}|{text}") for source in field.sources))


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
