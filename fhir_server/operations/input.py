"""What an operation is called with: the query, a Parameters body, or both, read against its definition.

https://hl7.org/fhir/R4/operations.html#request
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from fhir_server.context import FhirRequest
from fhir_server.definitions import RESOURCE_TYPES, OperationParameter, is_primitive, operations
from fhir_server.outcomes import Invalid, Malformed, ValueWrong
from fhir_server.validation import validate
from fhir_server.validation.primitives import PRIMITIVES

Json = dict[str, Any]

MAX_PARAMETERS = 1000  # of one call
_UNSEEN = frozenset({"_", "_format", "_pretty"})  # the form of the answer
_NUMBERS = frozenset({"integer", "positiveInt", "unsignedInt"})
# A caller who knows only the day of an instant means its beginning.
_ALSO = {"instant": "dateTime"}
CURSOR = OperationParameter("_cursor", "in", type="string")  # of operations that answer in pages


@dataclass(slots=True)
class Input:
    """The values by parameter name, in order: JSON values of primitives and data types, or whole resources.

    `search` holds what was given beside the declared parameters, where the operation takes search parameters.
    """

    values: dict[str, list[Any]] = field(default_factory=dict)
    search: list[tuple[str, str]] = field(default_factory=list)

    def one(self, name: str) -> Any:
        """The value of a parameter that is given at most once; None without it."""
        return self.values.get(name, [None])[0]

    def all(self, name: str) -> list[Any]:
        return self.values.get(name, [])

    def pairs(self) -> list[tuple[str, str]]:
        """The parameters as those of a query: primitives and Codings."""
        pairs = [(name, _as_text(value)) for name, values in self.values.items() for value in values]
        return pairs + self.search


def _as_text(value: Any) -> str:
    if isinstance(value, dict):
        return f"{value['system']}|{value['code']}" if "system" in value else str(value.get("code", ""))
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def published(operation: str, resource_type: str | None) -> tuple[OperationParameter, ...]:
    """The input parameters of the R4 definition for this type, for any type, or for the whole system."""
    named = [one for one in operations() if one.code == operation]
    chosen = next(
        (one for wanted in (resource_type, "Resource") for one in named if wanted in one.resource),
        next((one for one in named if one.system), None),
    )
    return tuple(p for p in chosen.parameter if p.use == "in") if chosen else ()


def read(request: FhirRequest, parameters: Sequence[OperationParameter], *, search: bool = False) -> Input:
    """The call's input; with `search`, names that are not declared are search parameters.

    A body that is no Parameters resource is the value of the parameter `resource`, where that is declared.
    Raises Malformed or Invalid (400), naming the parameter, for what is unknown, missing, repeated or of another type.
    """
    declared = {one.name: one for one in parameters}
    found = Input()
    for where, name, given in _given(request, declared):
        one = declared.get(name)
        if one is not None:
            found.values.setdefault(name, []).append(given.value(one, where))
        elif search:
            found.search.append((name, given.text(name, where)))
        else:
            raise _unknown(request, name, declared, where)
    for one in parameters:
        count = len(found.all(one.name))
        if count < one.min:
            raise Invalid(f"${request.operation} needs the parameter '{one.name}'.", code="required")
        if one.max is not None and count > one.max:
            raise Invalid(f"${request.operation} takes the parameter '{one.name}' once.")
    return found


@dataclass(frozen=True, slots=True)
class _Text:
    """A value from the query."""

    given: str

    def value(self, one: OperationParameter, where: str) -> Any:
        if one.type == "Coding":
            system, bar, code = self.given.rpartition("|")
            return {**({"system": system} if bar and system else {}), "code": code}
        if not one.type or not is_primitive(one.type):
            raise Invalid(f"Parameter '{one.name}' is a {one.type or 'group'} and comes in a Parameters body.")
        return _primitive(one, self.given, where)

    def text(self, name: str, where: str) -> str:
        return self.given


@dataclass(frozen=True, slots=True)
class _Part:
    """One entry of a Parameters resource that is valid as such."""

    given: Json

    def value(self, one: OperationParameter, where: str) -> Any:
        if not one.type:
            if "part" not in self.given:
                raise Invalid(f"Parameter '{one.name}' has parts.", expression=[where])
            return self.given["part"]
        if one.type in RESOURCE_TYPES or one.type == "Resource":
            if not isinstance(self.given.get("resource"), dict):
                raise Invalid(f"Parameter '{one.name}' is a resource.", expression=[where])
            return self.given["resource"]
        type_, value = self._typed()
        if is_primitive(one.type) and type(value) in (str, bool, int):
            return _primitive(one, value, where)
        if type_ != one.type:
            raise ValueWrong(f"Parameter '{one.name}' is a {one.type}.", expression=[where])
        return value

    def text(self, name: str, where: str) -> str:
        _, value = self._typed()
        if isinstance(value, bool):
            return "true" if value else "false"
        if not isinstance(value, str | int):
            raise ValueWrong(f"Search parameter '{name[:64]}' is a string.", expression=[where])
        return str(value)

    def _typed(self) -> tuple[str, Any]:
        for name, value in self.given.items():
            if name.startswith("value"):
                return name.removeprefix("value"), value
        return "", None


def _given(
    request: FhirRequest, declared: Mapping[str, OperationParameter]
) -> Iterator[tuple[str, str, _Text | _Part]]:
    """Where, name and value of everything that was given."""
    for name, text in request.query:
        if name not in _UNSEEN:
            yield f"http.{name[:64]}", name, _Text(text)
    body = request.body
    if body is None:
        return
    if not isinstance(body, dict) or not body:
        raise Malformed(f"${request.operation} takes a Parameters resource as its body.")
    if body.get("resourceType") == "Parameters":
        yield from _parts(body)
    elif "resource" in declared:
        yield body.get("resourceType", ""), "resource", _Part({"name": "resource", "resource": body})
    else:
        raise Invalid(f"${request.operation} takes a Parameters resource as its body.", expression=["resourceType"])


def _parts(body: Json) -> Iterator[tuple[str, str, _Part]]:
    listed = body.get("parameter", [])
    if not isinstance(listed, list) or len(listed) > MAX_PARAMETERS:
        raise Malformed(
            f"Parameters.parameter is a list of up to {MAX_PARAMETERS}.", expression=["Parameters.parameter"]
        )
    # Resources are for the operation to judge: $validate must be able to read what is not valid.
    bare = [_without_resource(part) for part in listed]
    shell = {**body, **({"parameter": bare} if "parameter" in body else {})}
    errors = [issue for issue in validate(shell, expect_type="Parameters") if issue.severity in ("error", "fatal")]
    if errors:
        raise Malformed(issues=errors)
    for index, part in enumerate(listed):
        yield f"Parameters.parameter[{index}]", part["name"], _Part(part)


def _without_resource(part: Any) -> Any:
    if not isinstance(part, dict) or "resource" not in part:
        return part
    return {"valueBoolean": True, **{name: value for name, value in part.items() if name != "resource"}}


def _primitive(one: OperationParameter, given: Any, where: str) -> Any:
    """A primitive of the declared type, from text or from the JSON value of any primitive that can be one."""
    value: Any = given
    if isinstance(given, str):
        if one.type == "boolean":
            value = {"true": True, "false": False}.get(given, given)
        elif one.type in _NUMBERS and given.isascii() and given.removeprefix("-").isdigit() and len(given) < 12:
            value = int(given)
    check = PRIMITIVES[one.type]
    also = _ALSO.get(one.type)
    if check.test(value) or (also is not None and PRIMITIVES[also].test(value)):
        return value
    rule = check.problem(value)[1] if type(value) is str else f"This is a {one.type}."
    raise ValueWrong(f"Parameter '{one.name}': {rule}", expression=[where])


def _unknown(request: FhirRequest, name: str, declared: Mapping[str, OperationParameter], where: str) -> Invalid:  # type: ignore[valid-type]
    near = difflib.get_close_matches(name, declared, n=2)
    hint = f" Near it are: {', '.join(near)}." if near else ""
    return Invalid(f"${request.operation} has no parameter '{name[:64]}'.{hint}", expression=[where])
