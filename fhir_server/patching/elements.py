"""A resource's JSON changed element by element, by its definitions: lists, choices, and the `_` property beside.

A primitive element is two properties in FHIR JSON, `birthDate` and `_birthDate`, and two lists where it
repeats: https://hl7.org/fhir/R4/json.html#primitive
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from fhir_server.definitions import ElementDefinition, is_primitive, type_definition
from fhir_server.outcomes import Invalid, Unprocessable
from fhir_server.patching.locate import Location

Json = dict[str, Any]

# The JSON of primitive types that is not a string.
_NOT_TEXT: dict[str, tuple[type, ...]] = {
    "boolean": (bool,),
    "decimal": (Decimal, int),
    "integer": (int,),
    "positiveInt": (int,),
    "unsignedInt": (int,),
}


@dataclass(frozen=True, slots=True)
class Value:
    """What an element's plain property and its `_` property hold; None where there is none."""

    plain: Any = None
    beside: Any = None


@dataclass(frozen=True, slots=True)
class Slot:
    """The properties of one element in the object that holds them, an object of the type `type_`."""

    type_: str
    holder: Json
    element: ElementDefinition

    def length(self) -> int:
        """How many there are in the list."""
        return max(len(self.holder.get(name) or ()) for name in self._names)

    def taken(self) -> bool:
        """Whether there is a value, of whatever type if the element is a choice."""
        group = [self.element.name]
        if self.element.choice:
            siblings = type_definition(self.type_).properties
            group = [each.name for each in siblings if each.choice == self.element.choice]
        return any(name in self.holder or f"_{name}" in self.holder for name in group)

    def set(self, value: Value, index: int | None = None) -> None:
        """Put a value in the place of the one there is: at an index of the list, or the only one."""
        for name, item in self._items(value):
            if index is not None:
                if item is not None or name in self.holder:
                    self._filled(name)[index] = item
                    self._trim(name)
            elif item is not None:
                self.holder[name] = item
            else:
                self.holder.pop(name, None)

    def insert(self, index: int, value: Value) -> None:
        """Put a value into the list, before the one at `index`."""
        length = self.length()
        for name, item in self._items(value):
            if item is not None or name in self.holder:
                self._filled(name, length).insert(index, item)

    def move(self, source: int, destination: int) -> None:
        """Take the value at `source` out of the list and put it back in at `destination`."""
        for name in self._names:
            if name in self.holder:
                items = self._filled(name)
                items.insert(destination, items.pop(source))

    def remove(self, index: int | None) -> None:
        """Take the value out, at an index of the list or the only one."""
        if index is None:
            self.set(Value())
            return
        for name in self._names:
            if name in self.holder:
                self._filled(name)
        for name in self._names:
            if name in self.holder:
                del self.holder[name][index]
                self._trim(name)

    def beside(self, index: int | None) -> Json:
        """The object beside a primitive, at an index of the list or the only one, made if it is not there."""
        name = self._names[1]
        if index is None:
            return self.holder.setdefault(name, {})  # type: ignore[no-any-return]
        items = self._filled(name)
        items[index] = items[index] or {}
        return items[index]  # type: ignore[no-any-return]

    @property
    def _names(self) -> tuple[str, str]:
        return self.element.name, f"_{self.element.name}"

    def _items(self, value: Value) -> tuple[tuple[str, Any], tuple[str, Any]]:
        plain, beside = self._names
        return (plain, value.plain), (beside, value.beside)

    def _trim(self, name: str) -> None:
        """Take a list away that holds nothing."""
        items = self.holder[name]
        if not items or (name.startswith("_") and all(item is None for item in items)):
            del self.holder[name]

    def _filled(self, name: str, length: int | None = None) -> list[Any]:
        """One of the two lists, filled up with None so that both have the same length."""
        items: list[Any] = self.holder.setdefault(name, [])
        items.extend([None] * ((self.length() if length is None else length) - len(items)))
        return items


def slot_at(resource: Json, location: Location) -> tuple[Slot, int | None]:
    """The slot of the element at a location, and its index if it is one of a list."""
    path, index = _split(location)
    return slot_in(resource, path[:-1], str(path[-1])), index


def slot_in(resource: Json, parent: Location, name: str, part: Json | None = None) -> Slot:
    """The slot of a child of the element at `parent`; of a choice, the one for the type of the part's value.

    Raises Unprocessable (422) when there is no such child, or the choice does not take the value's type.
    """
    type_ = _type_at(resource, parent)
    return Slot(type_, _holder_at(resource, parent), _definition(type_, name, part))


def value_for(element: ElementDefinition, part: Json) -> Value:
    """The value of a part as the element holds it: from value[x], from a resource, or from nested parts.

    Raises Unprocessable (422) when the value is not of the element's type.
    """
    if "part" in part and not is_primitive(element.type):
        return Value(_from_parts(element.type, part["part"]))
    if "resource" in part and element.type == "Resource":
        return Value(copy.deepcopy(part["resource"]))
    given = _type_given(part)
    plain, beside = part.get(f"value{given}"), part.get(f"_value{given}")
    if not given or not _fits(element.type, given, plain):
        raise Unprocessable(f"The value is not of the element's type, {element.type}.")
    return Value(copy.deepcopy(plain), copy.deepcopy(beside))


def _from_parts(type_: str, parts: Any) -> Json:
    if not isinstance(parts, list) or not all(isinstance(p, dict) and isinstance(p.get("name"), str) for p in parts):
        raise Invalid("A value in parts has a list of them, each with a name.")
    built: Json = {}
    for part in parts:
        slot = Slot(type_, built, _definition(type_, part["name"], part))
        value = value_for(slot.element, part)
        if slot.element.repeats:
            slot.insert(slot.length(), value)
        elif slot.taken():
            raise Invalid(f"The part {part['name'][:64]} is there twice, and the element does not repeat.")
        else:
            slot.set(value)
    return built


def _definition(type_: str, name: str, part: Json | None) -> ElementDefinition:
    definition = type_definition(type_)
    if name in definition.elements:
        return definition.elements[name]
    choices = [each for each in definition.properties if each.choice == name]
    if not choices:
        raise Unprocessable(f"{type_} has no element {name[:64]}.")
    wanted = name + _type_given(part or {})
    for each in choices:
        if each.name == wanted:
            return each
    raise Unprocessable(f"{type_}.{name}[x] does not take a value of this type.")


def _type_given(part: Json) -> str:
    """The type in the name of a part's value[x], as it is written there ("String"); empty if there is none."""
    found = {name.removeprefix("_").removeprefix("value") for name in part if name.startswith(("value", "_value"))}
    return found.pop() if len(found) == 1 else ""


def _fits(type_: str, given: str, plain: Any) -> bool:
    """Whether a value of the type given can be one of this type; a primitive can be any with the same JSON."""
    if is_primitive(type_):
        python = _NOT_TEXT.get(type_, (str,))
        return plain is None or type(plain) in python
    return given == type_ and isinstance(plain, dict)


def _type_at(resource: Json, location: Location) -> str:
    type_, value = str(resource["resourceType"]), resource
    for step in location:
        value = _step(value, step)
        if isinstance(step, str):
            name = step.removeprefix("_")
            definition = type_definition(type_).elements.get(name)
            if definition is None:
                raise Unprocessable(f"{type_} has no element {name[:64]}.")
            type_ = definition.type
        if type_ == "Resource" and isinstance(value, dict):
            type_ = str(value["resourceType"])
    return type_


def _holder_at(resource: Json, location: Location) -> Json:
    """The object with the children of the element at a location; of a primitive, the `_` one, made if need be."""
    found: Any = resource
    for step in location:
        found = _step(found, step)
    if isinstance(found, dict):
        return found
    slot, index = slot_at(resource, location)
    return slot.beside(index)


def _step(value: Any, step: str | int) -> Any:
    """What is below a key or index; None for the plain property of a primitive that has only the `_` one."""
    if isinstance(value, dict):
        return value.get(str(step))
    return value[step] if isinstance(value, list) and isinstance(step, int) and step < len(value) else None


def _split(location: Location) -> tuple[Location, int | None]:
    last = location[-1]
    return (location[:-1], last) if isinstance(last, int) else (location, None)
