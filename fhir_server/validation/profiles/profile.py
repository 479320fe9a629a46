"""A StructureDefinition's snapshot as a tree of elements, each with its children and its slices.

https://hl7.org/fhir/R4/profiling.html · https://hl7.org/fhir/R4/elementdefinition.html
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import zip_longest
from typing import Any

from fhir_server.definitions import Constraint, is_primitive, type_definition

Json = dict[str, Any]

SPECIFICATION = "http://hl7.org/fhir/StructureDefinition/"
_FHIR_TYPE = SPECIFICATION + "structuredefinition-fhir-type"
_MAX_VALUE_SET = SPECIFICATION + "elementdefinition-maxValueSet"
_PROFILE_ELEMENT = SPECIFICATION + "elementdefinition-profile-element"


class ProfileError(ValueError):
    """A StructureDefinition that cannot be used; the message says why."""


@dataclass(frozen=True, slots=True)
class TypeRef:
    """One type that an element may have, and the profiles on it or on the target of a reference.

    "url#id" is one element of a profile, by its id.
    """

    code: str
    profiles: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()
    aggregation: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Binding:
    """`maximum` is the value set of the elementdefinition-maxValueSet extension, "" without one."""

    strength: str
    value_set: str
    maximum: str = ""


@dataclass(frozen=True, slots=True)
class Discriminator:
    """How the slices of an element are told apart: type is value, pattern, type, profile or exists."""

    type: str
    path: str


@dataclass(frozen=True, slots=True)
class Slicing:
    """`rules` is open, closed or openAtEnd."""

    discriminators: tuple[Discriminator, ...]
    rules: str = "open"
    ordered: bool = False


@dataclass(slots=True, eq=False)
class Element:
    """One element of a snapshot; `name` is its step in FHIRPath (a choice without its [x]), `max` None is "*".

    `fixed`, `pattern` and the limits are pairs (type, value) or None. A contentReference repeats R4's own element,
    not the profile's, so nothing is below it here.
    """

    id: str
    name: str
    min: int = 0
    max: int | None = 1
    types: tuple[TypeRef, ...] = ()
    fixed: tuple[str, Any] | None = None
    pattern: tuple[str, Any] | None = None
    minimum: tuple[str, Any] | None = None
    maximum: tuple[str, Any] | None = None
    max_length: int | None = None
    binding: Binding | None = None
    constraints: tuple[Constraint, ...] = ()
    slicing: Slicing | None = None
    children: dict[str, Element] = field(default_factory=dict)
    slices: dict[str, Element] = field(default_factory=dict)
    slice_name: str = ""
    is_modifier: bool = False

    def type_codes(self) -> frozenset[str]:
        """The codes of its types; empty when any will do."""
        return frozenset(one.code for one in self.types)

    def within(self) -> Iterator[Element]:
        """This element, its children and its slices, and all in them."""
        yield self
        for one in (*self.children.values(), *self.slices.values()):
            yield from one.within()


@dataclass(slots=True, eq=False)
class Profile:
    """A StructureDefinition, ready to check with."""

    url: str
    version: str
    type: str
    base: str
    kind: str
    root: Element
    abstract: bool = False
    contexts: tuple[tuple[str, str], ...] = ()  # of an extension: (type, expression)
    context_invariants: tuple[str, ...] = ()
    title: str = ""

    @property
    def is_modifier(self) -> bool:
        """Whether an extension of this definition changes the meaning of what it is on."""
        return self.root.is_modifier

    def part(self, id_: str) -> Profile | None:
        """What the profile says of one of its elements, by its id: a profile that other elements may have."""
        element = next((one for one in self.root.within() if one.id == id_), None)
        return None if element is None else replace(self, url=f"{self.url}#{id_}", type="", base="", root=element)


def read(structure: Json) -> Profile:
    """The profile in this StructureDefinition, which must have a snapshot; raises ProfileError."""
    listed = (structure.get("snapshot") or {}).get("element") or []
    if not listed:
        raise ProfileError("The StructureDefinition has no snapshot.")
    url = str(structure.get("url", ""))
    return Profile(
        url=url,
        version=str(structure.get("version", "")),
        type=str(structure.get("type", "")),
        base=str(structure.get("baseDefinition", "")),
        kind=str(structure.get("kind", "")),
        root=_tree(listed),
        abstract=structure.get("abstract") is True,
        contexts=tuple(
            (str(one.get("type", "")), str(one.get("expression", ""))) for one in structure.get("context", ())
        ),
        context_invariants=tuple(structure.get("contextInvariant", ())),
        title=str(structure.get("title") or structure.get("name") or url),
    )


def _tree(listed: list[Json]) -> Element:
    by_id: dict[str, Element] = {}
    root: Element | None = None
    for definition in listed:
        element = _element(definition)
        if element.id in by_id:
            raise ProfileError(f"The snapshot has element {element.id[:200]} twice.")
        by_id[element.id] = element
        if root is None:
            root = element
        else:
            _attach(element, by_id)
    assert root is not None
    return root


def _element(definition: Json) -> Element:
    id_ = str(definition.get("id") or definition.get("path") or "")
    step, _, slice_name = id_.rpartition(".")[2].partition(":")
    high = definition.get("max")
    return Element(
        id=id_,
        name=step.removesuffix("[x]"),
        min=int(definition.get("min", 0)),
        max=None if high in ("*", None) else int(high),
        types=tuple(_type(one) for one in definition.get("type", ())),
        fixed=_typed(definition, "fixed"),
        pattern=_typed(definition, "pattern"),
        minimum=_typed(definition, "minValue"),
        maximum=_typed(definition, "maxValue"),
        max_length=definition.get("maxLength"),
        binding=_binding(definition.get("binding")),
        constraints=tuple(
            Constraint(one["key"], one["expression"], one.get("human", ""), one.get("severity", "error"))
            for one in definition.get("constraint", ())
            if "expression" in one
        ),
        slicing=_slicing(definition.get("slicing")),
        slice_name=slice_name,
        is_modifier=definition.get("isModifier") is True,
    )


def _attach(element: Element, by_id: dict[str, Element]) -> None:
    """Put it among its parent's children, or among the slices of what it is a slice of."""
    parent_id, _, step = element.id.rpartition(".")
    parent = by_id.get(parent_id)
    if parent is None:
        raise ProfileError(f"The snapshot has element {element.id[:200]} without the one that it is in.")
    if not element.slice_name:
        _add_child(parent, element)
        return
    name = step.partition(":")[0]
    outer, reslice, _ = element.slice_name.rpartition("/")
    owner_id = f"{parent_id}.{name}"
    owner = by_id.get(f"{owner_id}:{outer}") if reslice else None  # one that is of no slice is a slice itself
    owner = owner or by_id.get(owner_id)
    if owner is None:  # two of R4's own profiles leave out what they slice
        owner = by_id[owner_id] = Element(id=owner_id, name=element.name, max=None)
        parent.children.setdefault(element.name, owner)
    owner.slices[element.slice_name] = element


def _add_child(parent: Element, element: Element) -> None:
    """A choice may be written by the name of one of its types (valueQuantity): that is a slice of the choice."""
    choice = _choice_of(parent, element.name)
    if choice is None:
        parent.children[element.name] = element
        return
    whole = parent.children.get(choice)
    if whole is None:
        whole = Element(id=f"{parent.id}.{choice}[x]", name=choice, slicing=BY_TYPE)
        parent.children[choice] = whole
    whole.slicing = whole.slicing or BY_TYPE
    element.slice_name, element.name = element.name, choice
    whole.slices[element.slice_name] = element


def _choice_of(parent: Element, name: str) -> str | None:
    codes = [one.code for one in parent.types] or [parent.id]
    for code in codes:
        try:
            found = type_definition(code).elements.get(name)
        except KeyError:
            continue
        if found is not None and found.choice:
            return found.choice
    return None


def _type(definition: Json) -> TypeRef:
    code = str(definition.get("code", ""))
    for extension in definition.get("extension", ()):
        if extension.get("url") == _FHIR_TYPE:
            code = str(extension.get("valueUrl") or extension.get("valueUri") or code)
    return TypeRef(
        code.removeprefix(SPECIFICATION),
        tuple(_profiles(definition)),
        tuple(definition.get("targetProfile", ())),
        frozenset(definition.get("aggregation", ())),
    )


def _profiles(definition: Json) -> Iterator[str]:
    """https://hl7.org/fhir/R4/extension-elementdefinition-profile-element.html"""
    companions = definition.get("_profile") or ()
    for url, companion in zip_longest(definition.get("profile", ()), companions):
        said = (companion or {}).get("extension", ())
        ids = [one.get("valueString") for one in said if one.get("url") == _PROFILE_ELEMENT]
        if url is not None:
            yield f"{url}#{ids[0]}" if ids else url


def _typed(definition: Json, prefix: str) -> tuple[str, Any] | None:
    """The value of fixed[x] and the like, with its type: "fixedCodeableConcept" → "CodeableConcept"."""
    for name, value in definition.items():
        if name.startswith(prefix) and len(name) > len(prefix) and name[len(prefix)].isupper():
            type_name = name[len(prefix) :]
            small = type_name[0].lower() + type_name[1:]
            return (small if _is_known_primitive(small) else type_name), value
    return None


def _is_known_primitive(name: str) -> bool:
    try:
        return type_definition(name).kind == "primitive" and is_primitive(name)
    except KeyError:
        return False


def _binding(definition: Json | None) -> Binding | None:
    if not definition:
        return None
    maximum = ""
    for extension in definition.get("extension", ()):
        if extension.get("url") == _MAX_VALUE_SET:
            maximum = str(extension.get("valueCanonical") or extension.get("valueUri") or "")
    return Binding(str(definition.get("strength", "")), str(definition.get("valueSet", "")), maximum)


def _slicing(definition: Json | None) -> Slicing | None:
    if definition is None:
        return None
    return Slicing(
        tuple(
            Discriminator(str(one.get("type", "")), str(one.get("path", "$this")))
            for one in definition.get("discriminator", ())
        ),
        str(definition.get("rules", "open")),
        definition.get("ordered") is True,
    )


BY_TYPE = Slicing((Discriminator("type", "$this"),))
BY_URL = Slicing((Discriminator("value", "url"),))
