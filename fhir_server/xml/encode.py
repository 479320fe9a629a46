"""The JSON of a resource → FHIR XML: https://hl7.org/fhir/R4/xml.html"""

from __future__ import annotations

from decimal import Decimal
from itertools import pairwise, zip_longest
from math import isfinite
from typing import Any

from fhir_server.definitions import RESOURCE_TYPES
from fhir_server.outcomes import Unprocessable
from fhir_server.xml.characters import escape
from fhir_server.xml.fields import FHIR, Field, Kind, fields
from fhir_server.xml.narrative import NotNarrative, check

Json = dict[str, Any]
Table = dict[str, Field]

_DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>'


def encode(resource: Json, *, pretty: bool = False) -> bytes:
    """The UTF-8 XML document of a resource as json.decode gives it, elements in R4's order, decimals digit by digit.

    Raises Unprocessable (422) with the FHIRPath of what has no place in XML: a property that R4 does not have,
    a value of another JSON type, an empty value, a narrative that is no XHTML.
    """
    writer = _Writer(pretty)
    try:
        writer.resource(resource, f' xmlns="{FHIR}"')
    except _Misfit as misfit:
        path = "".join(reversed(misfit.steps)).removeprefix(".")
        raise Unprocessable(misfit.rule, expression=[path] if path else (), code="structure") from None
    return (_DECLARATION + "".join(writer.parts) + "\n" * pretty).encode()


class _Misfit(Exception):
    """A rule that is broken, and the steps from there up to the resource."""

    def __init__(self, rule: str) -> None:
        self.rule = rule
        self.steps: list[str] = []

    def at(self, field: Field, index: str = "") -> _Misfit:
        self.steps.append(f".{field.expression}{index}")
        return self


class _Writer:
    """Collects the text; each method writes one thing of the specification."""

    def __init__(self, pretty: bool) -> None:
        self.parts: list[str] = []
        self._pretty = pretty
        self._depth = 0

    def _line(self, text: str) -> None:
        self.parts.append(f"\n{'  ' * self._depth}{text}" if self._pretty else text)

    def resource(self, value: Any, namespace: str = "") -> None:
        """An element named by the resource's type."""
        name = value.get("resourceType") if type(value) is dict else None
        if type(name) is not str or name not in RESOURCE_TYPES:
            raise _Misfit("A resource must be an object with a resourceType of FHIR R4.")
        try:
            self._around(f"{name}{namespace}", name, value, _children(value, fields(name)))
        except _Misfit as misfit:
            if namespace:
                misfit.steps.append(name)
            raise

    def _around(self, start: str, name: str, value: Json, children: list[Field]) -> None:
        """An element with its children, or without any."""
        if not children:
            self._line(f"<{start}/>")
            return
        self._line(f"<{start}>")
        self._depth += 1
        for field in children:
            self._property(field, value)
        self._depth -= 1
        self._line(f"</{name}>")

    def _property(self, field: Field, owner: Json) -> None:
        """All repetitions of one property, with what stands beside primitive values."""
        name = field.name
        value, beside = owner.get(name), owner.get(f"_{name}")
        if not field.repeats:
            self._step(field, value, beside, "")
            return
        for listed in (value, beside):
            if listed is not None and (type(listed) is not list or not listed):
                raise _Misfit("This repeats, so it must be a JSON array with something in it.").at(field)
        if value is not None and beside is not None and len(value) != len(beside):
            raise _Misfit("This array and that of its extensions must have the same length.").at(field)
        for index, (item, companion) in enumerate(zip_longest(value or (), beside or ())):
            self._step(field, item, companion, f"[{index}]")

    def _step(self, field: Field, value: Any, beside: Any, index: str) -> None:
        try:
            if field.kind is Kind.COMPLEX:
                self._complex(field, value)
            elif field.kind is Kind.RESOURCE:
                self._wrapped(field, value)
            elif field.kind is Kind.XHTML:
                self._narrative(value)
            else:
                self._primitive(field, value, beside)
        except _Misfit as misfit:
            raise misfit.at(field, index) from None

    def _complex(self, field: Field, value: Any) -> None:
        if type(value) is not dict or not value:
            raise _Misfit("This must be a JSON object with something in it.")
        table = fields(field.type)
        self._around(f"{field.name}{_attributes(value, table)}", field.name, value, _children(value, table))

    def _wrapped(self, field: Field, value: Any) -> None:
        self._line(f"<{field.name}>")
        self._depth += 1
        self.resource(value)
        self._depth -= 1
        self._line(f"</{field.name}>")

    def _narrative(self, value: Any) -> None:
        if type(value) is not str:
            raise _Misfit("This must be a JSON string.")
        try:
            check(value)
        except NotNarrative as reason:
            raise _Misfit(str(reason)) from None
        self._line(value)

    def _primitive(self, field: Field, value: Any, beside: Any) -> None:
        start = field.name
        if beside is None:
            self._line(f'<{start} value="{_text(field, value)}"/>')
            return
        if type(beside) is not dict or not beside:
            raise _Misfit("The id and extensions of a value must be a JSON object with something in it.")
        table = fields("Element")
        start += _attributes(beside, table)
        if value is not None:
            start += f' value="{_text(field, value)}"'
        self._around(start, field.name, beside, _children(beside, table))


def _children(value: Json, table: Table) -> list[Field]:
    """The fields of the child elements, in their order. Raises _Misfit for a property that is none."""
    found: list[Field] = []
    for name, child in value.items():
        field = table.get(name) or _beside(name, value, table)
        if child is None:
            raise _Misfit("null is allowed only within an array.")
        if field is not None and field.kind not in (Kind.ATTRIBUTE, Kind.NAME):
            found.append(field)
    found.sort(key=_rank)
    for one, other in pairwise(found):
        if one.rank == other.rank:
            raise _Misfit(f"Only one type of {one.expression}[x] may be present.")
    return found


def _rank(field: Field) -> int:
    return field.rank


def _beside(name: str, value: Json, table: Table) -> Field | None:
    """The field of `_birthDate` when there is no `birthDate`; None when there is one, which then writes both."""
    field = table.get(name[1:]) if name.startswith("_") else None
    if field is None or field.kind in (Kind.NAME, Kind.ATTRIBUTE, Kind.COMPLEX, Kind.RESOURCE):
        raise _Misfit("There is a property here that FHIR R4 does not have.")
    return None if field.name in value else field


def _attributes(value: Json, table: Table) -> str:
    """The id of an element and the url of an Extension."""
    written = ""
    for name in ("id", "url"):
        if name in value and table[name].kind is Kind.ATTRIBUTE:
            written += f' {name}="{_text(table[name], value[name])}"'
    return written


def _text(field: Field, value: Any) -> str:
    """A primitive value as the text of an attribute. Raises _Misfit for another JSON type."""
    kind, of = field.kind, type(value)
    if of is str and value and kind in (Kind.TEXT, Kind.ATTRIBUTE):
        return escape(value)
    if of is bool and kind is Kind.BOOLEAN:
        return "true" if value else "false"
    if of is int and kind in (Kind.INTEGER, Kind.DECIMAL):
        return str(value)
    if kind is Kind.DECIMAL and (of is Decimal or of is float) and isfinite(value):
        return str(value)
    expected = "string with something in it" if kind in (Kind.TEXT, Kind.ATTRIBUTE) else kind.value
    raise _Misfit(f"This must be a JSON {'number' if kind in (Kind.INTEGER, Kind.DECIMAL) else expected}.")
