"""FHIRPath Patch: a Parameters resource of add, insert, delete, replace and move, applied all or none.

https://hl7.org/fhir/R4/fhirpatch.html
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from fhir_server import json
from fhir_server.fhirpath import FhirPathError
from fhir_server.outcomes import FhirError, Invalid, TooLarge, Unprocessable
from fhir_server.patching.elements import Slot, slot_at, slot_in, value_for
from fhir_server.patching.locate import Location, locate, locate_parents
from fhir_server.patching.shape import deeper_than, drop_empty_at, has_empty

Json = dict[str, Any]

MAX_OPERATIONS = 500
MAX_PATH = 500  # characters
# Type of operation → its parts beside type and path.
_PARTS = {
    "add": ("name", "value"),
    "insert": ("value", "index"),
    "delete": (),
    "replace": ("value",),
    "move": ("source", "destination"),
}


@dataclass(frozen=True, slots=True)
class Operation:
    """One parameter named "operation": what to do, and the parts that say where and with what."""

    type: str
    parts: dict[str, Json]

    @property
    def path(self) -> str:
        return self.text("path")

    def text(self, name: str) -> str:
        return str(self.parts[name]["valueString"])

    def number(self, name: str) -> int:
        return int(self.parts[name]["valueInteger"])


def apply(resource: Json, parameters: Json) -> Json:
    """The resource with the operations applied in order; the input stays as it is.

    Raises Invalid (400) when the patch itself is wrong, Unprocessable (422) when an operation does not
    fit the resource or would change its type or id. The issue's expression is `Parameters.parameter[n]`.
    Elements that an operation empties are removed with it. Whether the result is valid is for the caller
    to check.
    """
    if not isinstance(parameters, dict) or parameters.get("resourceType") != "Parameters":
        raise Invalid("A FHIRPath Patch is a Parameters resource.")
    listed = parameters.get("parameter", [])
    if not isinstance(listed, list):
        raise Invalid("Parameters.parameter is a list.", expression=["Parameters.parameter"])
    if len(listed) > MAX_OPERATIONS:
        raise TooLarge(f"A FHIRPath Patch has at most {MAX_OPERATIONS} operations.")
    operations = [_placed(index, _read, parameter) for index, parameter in enumerate(listed)]
    patched = copy.deepcopy(resource)
    for index, operation in enumerate(operations):
        _placed(index, _run, patched, operation)
        if any(patched.get(name) != resource.get(name) for name in ("resourceType", "id")):
            raise Unprocessable("A patch cannot change the id.", expression=_at(index))
    if deeper_than(patched, json.MAX_DEPTH):
        raise Unprocessable(f"The patch nests elements deeper than {json.MAX_DEPTH} levels.")
    return patched


def _at(index: int) -> list[str]:
    return [f"Parameters.parameter[{index}]"]


def _placed(index: int, run: Callable[..., Any], *arguments: Any) -> Any:
    """The answer of `run`, or its failure with the operation's place."""
    try:
        return run(*arguments)
    except FhirPathError as error:
        raise Invalid(str(error), expression=_at(index)) from None
    except FhirError as error:
        raise type(error)(str(error), expression=_at(index)) from None
    # An earlier operation may have put in what has not the form of its type; it is not checked before the end.
    except (LookupError, TypeError, AttributeError):
        raise Unprocessable("The operation does not fit the resource.", expression=_at(index)) from None


def _read(parameter: Any) -> Operation:
    """The operation that a parameter describes, with just the parts that it takes."""
    if not isinstance(parameter, dict) or parameter.get("name") != "operation":
        raise Invalid("Each parameter of a FHIRPath Patch is named operation.")
    listed = parameter.get("part", [])
    if not isinstance(listed, list) or not all(isinstance(p, dict) and isinstance(p.get("name"), str) for p in listed):
        raise Invalid("An operation has parts, each with a name.")
    parts: dict[str, Json] = {part["name"]: part for part in listed}
    if len(parts) != len(listed):
        raise Invalid("An operation has each part once.")
    if has_empty(listed):
        raise Invalid("There are no empty objects and lists in FHIR JSON.")
    type_ = parts.get("type", {}).get("valueCode") or parts.get("type", {}).get("valueString")
    if not isinstance(type_, str) or type_ not in _PARTS:
        raise Invalid(f"The type of an operation is one of {', '.join(_PARTS)}.")
    wanted = {"type", "path", *_PARTS[type_]}
    parts.pop("previousValue", None)  # what $diff tells besides
    if parts.keys() != wanted:
        raise Invalid(f"{type_} takes the parts {', '.join(sorted(wanted))}.")
    operation = Operation(type_, parts)
    _check(operation)
    return operation


def _check(operation: Operation) -> None:
    """Raise Invalid (400) where a part that is a text or a number is none."""
    for name in operation.parts.keys() & {"path", "name"}:
        if not isinstance(operation.parts[name].get("valueString"), str):
            raise Invalid(f"The {name} of an operation is a valueString.")
    for name in operation.parts.keys() & {"index", "source", "destination"}:
        value = operation.parts[name].get("valueInteger")
        if type(value) is not int or value < 0:
            raise Invalid(f"The {name} of an operation is a valueInteger, 0 or more.")
    if len(operation.path) > MAX_PATH:
        raise Invalid(f"The path of an operation has at most {MAX_PATH} characters.")


def _run(resource: Json, operation: Operation) -> None:
    match operation.type:
        case "add":
            _add(resource, operation)
        case "insert":
            _insert(resource, operation)
        case "delete":
            _delete(resource, operation)
        case "replace":
            _replace(resource, operation)
        case _:
            _move(resource, operation)


def _add(resource: Json, operation: Operation) -> None:
    """The value appended to the list in the element at the path, or set in it when it does not repeat."""
    part = operation.parts["value"]
    slot = slot_in(resource, _one(resource, operation.path), operation.text("name"), part)
    value = value_for(slot.element, part)
    if slot.element.repeats:
        slot.insert(slot.length(), value)
    elif slot.taken():
        raise Unprocessable("The element to add is there already, and does not repeat.")
    else:
        slot.set(value)


def _insert(resource: Json, operation: Operation) -> None:
    slot = _list(resource, operation.path)
    index = operation.number("index")
    if index > slot.length():
        raise Unprocessable(f"The index is beyond the end of the list, which has {slot.length()} elements.")
    slot.insert(index, value_for(slot.element, operation.parts["value"]))


def _delete(resource: Json, operation: Operation) -> None:
    found = locate(resource, operation.path)
    if len(found) > 1:
        raise Unprocessable("The path selects several elements; a delete takes one.")
    for location in found:
        _not_root(location)
        slot, index = slot_at(resource, location)
        slot.remove(index)
        drop_empty_at(resource, location[:-1] if index is None else location[:-2])


def _replace(resource: Json, operation: Operation) -> None:
    location = _one(resource, operation.path)
    _not_root(location)
    part = operation.parts["value"]
    slot, index = slot_at(resource, location)
    if slot.element.choice:
        # The new value may be of another type: valueQuantity gives way to valueString.
        chosen = slot_in(resource, location[:-1], slot.element.choice, part)
        if chosen.element.name != slot.element.name:
            slot.remove(index)
        slot = chosen
    slot.set(value_for(slot.element, part), index)


def _move(resource: Json, operation: Operation) -> None:
    slot = _list(resource, operation.path)
    source, destination = operation.number("source"), operation.number("destination")
    if max(source, destination) >= slot.length():
        raise Unprocessable(f"The list has {slot.length()} elements, counted from 0.")
    slot.move(source, destination)


def _one(resource: Json, path: str) -> Location:
    found = locate(resource, path)
    if len(found) != 1:
        raise Unprocessable(f"The path selects {len(found) or 'no'} elements, not one.")
    return found[0]


def _not_root(location: Location) -> None:
    if not location:
        raise Unprocessable("The path selects the resource itself, not an element of it.")


def _list(resource: Json, path: str) -> Slot:
    """The one list that the path names."""
    parents, name = locate_parents(resource, path)
    if not locate(resource, path):
        raise Unprocessable("The path selects no elements.")
    if len(parents) != 1:
        raise Unprocessable("The path selects elements of several lists, not of one.")
    slot = slot_in(resource, parents[0], name)
    if not slot.element.repeats:
        raise Unprocessable("The path selects an element that does not repeat, not a list.")
    return slot
