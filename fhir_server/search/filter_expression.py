"""The language of `_filter`: https://hl7.org/fhir/R4/search_filter.html.

`given eq "peter" and (birthdate ge 2014-10-10 or not (active eq true))` becomes a tree of comparisons, and each
comparison the ordinary search parameters that say the same. Logical expressions go from left to right, "with no
precedence between and and or".
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field

from fhir_server.definitions import RESOURCE_TYPES
from fhir_server.outcomes import FhirError, Invalid, NotSupported
from fhir_server.search.registry import find

MAX_LENGTH = 4_000  # characters
MAX_DEPTH = 32  # parentheses within one another, and changes between `and` and `or`
_PREFIXES = frozenset({"ne", "gt", "lt", "ge", "le", "ap", "sa", "eb"})
OPERATORS = _PREFIXES | {"eq", "co", "sw", "ew", "pr", "po", "ss", "sb", "in", "ni", "re"}

_BLANKS = re.compile(r"\s*")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*", re.ASCII)
_TYPE = re.compile(r":[A-Za-z]+", re.ASCII)
_LOGICAL = re.compile(r"(and|or)(?=[\s(])", re.IGNORECASE)
_NOT = re.compile(r"not\s*(?=\()", re.IGNORECASE)
_STRING = re.compile(r'"(?:[^"\\\x00-\x1f]|\\.)*"')
_TOKEN = re.compile(r"[^\s\])]+")


@dataclass(frozen=True, slots=True)
class Step:
    """One name of a path, with the filter in brackets behind it.

    `type` is the resource type of `subject:Patient.name`, which the grammar does not have and chains may need.
    """

    name: str
    filter: Expression | None = None
    type: str = ""

    def __str__(self) -> str:
        return f"{self.name}:{self.type}" if self.type else self.name


@dataclass(frozen=True, slots=True)
class Comparison:
    """`path operator value`; the value is as meant, without the quotes and escapes of a string."""

    path: tuple[Step, ...]
    operator: str
    value: str
    position: int = field(default=0, compare=False)  # in the text, from 1


@dataclass(frozen=True, slots=True)
class And:
    """All of these hold."""

    parts: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Or:
    """Any of these holds."""

    parts: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """This does not hold."""

    part: Expression


Expression = Comparison | And | Or | Not


def parse(text: str) -> Expression:
    """The filter as a tree at most 100 levels deep; raises Invalid (400) with the position of what is wrong."""
    if len(text) > MAX_LENGTH:
        raise Invalid(f"Parameter '_filter' takes up to {MAX_LENGTH} characters.")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise Invalid("Parameter '_filter' is not valid Unicode.") from None
    reader = _Reader(text)
    found = reader.expression(0)
    if reader.position < len(text):
        raise reader.wrong("expected 'and', 'or' or the end; a value with blanks, ')' or ']' stands in quotes")
    return found


class _Reader:
    def __init__(self, text: str) -> None:
        self.position = 0
        self._text = text
        self._changes = 0

    def wrong(self, problem: str) -> FhirError:
        return Invalid(f"Parameter '_filter' at position {self.position + 1}: {problem}.")

    def expression(self, depth: int) -> Expression:
        if depth > MAX_DEPTH:
            raise self.wrong(f"more than {MAX_DEPTH} parentheses within one another")
        found = self._term(depth)
        while word := self._take(_LOGICAL):
            kind = And if word.lower() == "and" else Or
            self._blanks()
            right = self._term(depth)
            if isinstance(found, kind):
                found = kind((*found.parts, right))
                continue
            if isinstance(found, And | Or):
                self._changes += 1
            if self._changes > MAX_DEPTH:
                raise self.wrong(f"'and' and 'or' take turns more than {MAX_DEPTH} times")
            found = kind((found, right))
        return found

    def _term(self, depth: int) -> Expression:
        """One operand; the blanks behind it are passed over."""
        self._blanks()
        found: Expression
        if self._take(_NOT):
            found = Not(self._within("(", ")", depth))
        elif self._text.startswith("(", self.position):
            found = self._within("(", ")", depth)
        else:
            found = self._comparison(depth)
        self._blanks()
        return found

    def _within(self, opening: str, closing: str, depth: int) -> Expression:
        self.position += len(opening)
        found = self.expression(depth + 1)
        if not self._text.startswith(closing, self.position):
            raise self.wrong(f"expected '{closing}'")
        self.position += len(closing)
        return found

    def _comparison(self, depth: int) -> Comparison:
        start = self.position + 1
        path = self._path(depth)
        if not self._blanks():
            raise self.wrong("expected a blank and an operator")
        before = self.position
        operator = self._take(_NAME).lower()
        if operator not in OPERATORS:
            self.position = before
            raise self.wrong(f"expected an operator, one of {', '.join(sorted(OPERATORS))}")
        if not self._blanks():
            raise self.wrong("expected a blank and a value")
        return Comparison(path, operator, self._value(), start)

    def _path(self, depth: int) -> tuple[Step, ...]:
        steps: list[Step] = []
        while True:
            name = self._take(_NAME)
            if not name:
                raise self.wrong("expected the name of a search parameter")
            type_name = self._type()
            bracket = self._within("[", "]", depth) if self._text.startswith("[", self.position) else None
            steps.append(Step(name, bracket, type_name))
            if not self._text.startswith(".", self.position):
                break
            self.position += 1
        if steps[-1].filter is not None or steps[-1].type:
            raise self.wrong("expected '.' and a name behind a resource type or a filter in brackets")
        return tuple(steps)

    def _type(self) -> str:
        before = self.position
        name = self._take(_TYPE)[1:]
        if name and name not in RESOURCE_TYPES:
            self.position = before + 1
            raise self.wrong("expected a resource type")
        return name

    def _value(self) -> str:
        if not self._text.startswith('"', self.position):
            value = self._take(_TOKEN)
            if not value:
                raise self.wrong("expected a value")
            return value
        start = self.position
        try:
            value = str(json.loads(self._take(_STRING)))
            value.encode()
        except ValueError:
            self.position = start
            raise self.wrong("expected a string as in JSON, closed by a quote") from None
        return value

    def _blanks(self) -> str:
        return self._take(_BLANKS)

    def _take(self, pattern: re.Pattern[str]) -> str:
        match = pattern.match(self._text, self.position)
        if match is None:
            return ""
        self.position = match.end()
        return match[0]


# ---- comparisons as ordinary search parameters ---------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Ordinary:
    """`name=value` as in a URL, its value escaped; `negated`: only resources that this does not find.

    Two modifiers are for this language alone: `:equals` (the whole text, whatever its case) and `:ends`.
    """

    name: str
    value: str
    negated: bool = False


# "The codes loinc, snomed, rxnorm and ucum are predefined."
_SYSTEMS = {
    "loinc": "http://loinc.org",
    "snomed": "http://snomed.info/sct",
    "rxnorm": "http://www.nlm.nih.gov/research/umls/rxnorm",
    "ucum": "http://unitsofmeasure.org",
}
# Search type → operator → modifier. A value of a type that is not here has an order, and takes prefixes.
_MODIFIERS = {
    "string": {"eq": "equals", "co": "contains", "sw": "", "ew": "ends"},
    "token": {"eq": "", "in": "in", "ni": "not-in", "ss": "below", "sb": "above"},
    "reference": {"eq": "", "re": ""},
    "uri": {"eq": "", "ss": "below", "sb": "above"},
    "composite": {"eq": ""},
    "special": {"eq": ""},
}
_ORDERED = frozenset({"date", "number", "quantity"})
# The additional parameters of R4 whose elements R4 has: what they are filtered by, and the composite that says it.
_ADDITIONAL = {
    ("DocumentReference", "relatesTo"): ("code", "target", "relationship"),
    ("Group", "characteristic"): ("code", "value", "characteristic-value"),
}


def as_parameters(comparison: Comparison, resource_type: str) -> tuple[Ordinary, ...]:
    """The ordinary parameters of the type that say the same, all of which must hold.

    `ne` finds what `eq` does not, where a type has no `ne` of its own. Raises Invalid for an unknown parameter or
    value, NotSupported for an operator that the parameter's type does not have (both 400, with the position).
    """
    if any(step.filter is not None for step in comparison.path):
        return (_additional(comparison, resource_type),)
    name = ".".join(map(str, comparison.path))
    kind = _kind(comparison, resource_type)
    operator, value = comparison.operator, comparison.value
    if operator == "pr":
        return (_present(comparison, kind, name),)
    if not value.strip():
        raise _wrong(comparison, f"'{name}' has no value")
    text = escape(value, kind)
    if kind in _ORDERED:
        if operator == "po" and kind == "date":
            return (Ordinary(name, f"ge{text}"), Ordinary(name, f"le{text}"))
        if operator == "eq" or operator in _PREFIXES:
            return (Ordinary(name, text if operator == "eq" else operator + text),)
        raise _refusal(comparison, kind, name)
    modifiers = _MODIFIERS[kind]
    if operator == "ne" and kind == "token":
        return (Ordinary(f"{name}:not", text),)
    modifier = modifiers.get("eq" if operator == "ne" else operator)
    if modifier is None:
        raise _refusal(comparison, kind, name)
    return (Ordinary(f"{name}:{modifier}" if modifier else name, text, negated=operator == "ne"),)


def _present(comparison: Comparison, kind: str, name: str) -> Ordinary:
    """`pr false` says that nothing is there, wherever the chain leads."""
    if comparison.value not in ("true", "false"):
        raise _wrong(comparison, "the value of 'pr' is either true or false")
    if kind in ("composite", "special"):
        raise _refusal(comparison, kind, name)
    if len(comparison.path) == 1:
        return Ordinary(f"{name}:missing", "false" if comparison.value == "true" else "true")
    return Ordinary(f"{name}:missing", "false", negated=comparison.value == "false")


def _additional(comparison: Comparison, resource_type: str) -> Ordinary:
    """`relatesTo[code eq replaces].target re DocumentReference/1` is `relationship=replaces$DocumentReference/1`."""
    first, *others = comparison.path
    by, wanted, composite = _ADDITIONAL.get((resource_type, first.name), ("", "", ""))
    condition = first.filter
    if not composite or others != [Step(wanted)] or condition is None:
        known = ", ".join(f"{type_}.{name}[]" for type_, name in sorted(_ADDITIONAL))
        raise NotSupported(_at(comparison, f"a filter in brackets is supported for {known} only"))
    plain = isinstance(condition, Comparison) and condition.path == (Step(by),) and condition.operator == "eq"
    if not isinstance(condition, Comparison) or not plain or comparison.operator not in ("eq", "re"):
        raise NotSupported(_at(comparison, f"'{first.name}' is supported as {first.name}[{by} eq …].{wanted} eq …"))
    value = escape(comparison.value, "reference" if wanted == "target" else "token")
    return Ordinary(composite, f"{escape(condition.value, 'token')}${value}")


def _kind(comparison: Comparison, resource_type: str) -> str:
    """The search type of the parameter at the end of the path."""
    types = {resource_type}
    *chain, last = comparison.path
    for step in chain:
        found = [one for type_ in types if (one := find(type_, step.name)) is not None and one.type == "reference"]
        if not found:
            raise _wrong(comparison, f"there is no search parameter '{step.name[:64]}' of type reference")
        types = {step.type} if step.type else {to for one in found for to in one.targets or RESOURCE_TYPES}
    if last.name in ("_text", "_content"):
        return "special"
    kinds = {one.type for type_ in types if (one := find(type_, last.name)) is not None}
    if not kinds:
        where = f"what '{chain[-1].name[:64]}' refers to" if chain else resource_type
        raise _wrong(comparison, f"{where} has no search parameter '{last.name[:64]}'")
    if len(kinds) > 1:
        raise _wrong(comparison, f"'{last.name[:64]}' is of several types: {', '.join(sorted(kinds))}")
    return kinds.pop()


def escape(value: str, kind: str) -> str:
    r"""The value as an ordinary parameter of this search type takes it.

    Tokens, quantities, composites and places have separators and escapes already: "the format is the same as the
    existing search parameter". Elsewhere `\`, `,`, `|` and `$` stand for themselves.
    """
    if kind in ("string", "reference", "uri", "date", "number"):
        return re.sub(r"([\\,|$])", r"\\\1", value)
    bare = r",|\$|\\" if kind in ("token", "quantity") else r",|\\"
    text = re.sub(rf"(\\[\\,|$])|({bare})", lambda found: found[1] or f"\\{found[2]}", value)
    parts = text.split("|")
    at = 1 if kind == "quantity" else 0
    if kind in ("token", "quantity") and len(parts) == at + 2:
        parts[at] = _SYSTEMS.get(parts[at], parts[at])
    return "|".join(parts)


def _at(comparison: Comparison, problem: str) -> str:
    return f"Parameter '_filter' at position {comparison.position}: {problem}."


def _wrong(comparison: Comparison, problem: str) -> FhirError:
    return Invalid(_at(comparison, problem))


def _refusal(comparison: Comparison, kind: str, name: str) -> FhirError:
    problem = f"operator '{comparison.operator}' is not supported for search parameter '{name[:64]}' of type {kind}"
    return NotSupported(_at(comparison, problem))
