"""The shapes of the compiled definitions: what the compiler writes and the loader reads."""

from __future__ import annotations

from functools import cached_property

import msgspec


class Constraint(msgspec.Struct, frozen=True, omit_defaults=True):
    """An invariant in FHIRPath: https://hl7.org/fhir/R4/conformance-rules.html#constraints"""

    key: str
    expression: str
    human: str
    severity: str = "error"


class Binding(msgspec.Struct, frozen=True, omit_defaults=True):
    """Which value set, without its version, and how binding; `maximum` is the elementdefinition-maxValueSet."""

    strength: str  # required | extensible | preferred | example
    value_set: str = ""
    maximum: str = ""


class ElementDefinition(msgspec.Struct, frozen=True, omit_defaults=True):
    """One JSON property of a type; a choice `value[x]` is one of these for each type it may have.

    `type` is a data type, "Resource", or the name of a nested type ("Patient.contact"). `min` and `max` of a
    choice hold for all its properties together; `max` None is "*", and then the JSON is an array.
    """

    name: str  # JSON property: "valueQuantity"
    path: str  # as published: "Observation.value[x]"
    type: str
    min: int = 0
    max: int | None = 1
    choice: str = ""  # "value" for every property of value[x], else empty
    targets: tuple[str, ...] = ()  # resource types a Reference or canonical may point to; empty: any
    profile: str = ""  # "SimpleQuantity" when the type is so constrained
    binding: Binding | None = None
    is_summary: bool = False
    is_modifier: bool = False
    xml_attribute: bool = False
    constraints: tuple[Constraint, ...] = ()

    @property
    def repeats(self) -> bool:
        """Whether the JSON is an array."""
        return self.max is None


class TypeDefinition(msgspec.Struct, frozen=True, omit_defaults=True, dict=True):
    """A resource, a data type or a nested element of one ("Timing.repeat"), with all inherited elements.

    `constraints` are those the type itself declares; its bases' are on its bases.
    """

    name: str
    kind: str  # resource | complex | primitive | nested
    base: str = ""  # name of the type it specialises; "" for Element and Resource
    abstract: bool = False
    regex: str = ""  # of a primitive, as published
    properties: tuple[ElementDefinition, ...] = ()  # in published order
    constraints: tuple[Constraint, ...] = ()

    @cached_property
    def elements(self) -> dict[str, ElementDefinition]:
        """JSON property → its definition, in published order."""
        return {e.name: e for e in self.properties}


class SearchComponent(msgspec.Struct, frozen=True):
    """One part of a composite: the canonical URL of its SearchParameter and its expression from the whole's value."""

    definition: str
    expression: str


class SearchParameter(msgspec.Struct, frozen=True, omit_defaults=True):
    """https://hl7.org/fhir/R4/searchparameter.html: only what a server acts on."""

    url: str
    code: str
    type: str
    base: tuple[str, ...]
    description: str = ""
    expression: str = ""  # empty for _text, _content and _query
    target: tuple[str, ...] = ()
    component: tuple[SearchComponent, ...] = ()
    multiple_or: bool | None = None  # None: not published, so the server's choice
    multiple_and: bool | None = None
    comparator: tuple[str, ...] = ()
    modifier: tuple[str, ...] = ()
    chain: tuple[str, ...] = ()


class OperationParameter(msgspec.Struct, frozen=True, omit_defaults=True):
    """A parameter of an operation; `max` None is "*"; `type` is empty when it has parts."""

    name: str
    use: str  # in | out
    min: int = 0
    max: int | None = 1
    type: str = ""
    search_type: str = ""
    targets: tuple[str, ...] = ()
    binding: Binding | None = None
    part: tuple[OperationParameter, ...] = ()


class OperationDefinition(msgspec.Struct, frozen=True, omit_defaults=True):
    """https://hl7.org/fhir/R4/operationdefinition.html: where an operation may be called and with what."""

    url: str
    code: str
    name: str
    description: str = ""
    kind: str = "operation"
    affects_state: bool = False
    resource: tuple[str, ...] = ()
    system: bool = False
    type: bool = False
    instance: bool = False
    parameter: tuple[OperationParameter, ...] = ()


class Manifest(msgspec.Struct, frozen=True):
    """What was compiled: `digest` is over every data file, so it changes when any definition does."""

    fhir_version: str = ""
    digest: str = ""
    resource_types: tuple[str, ...] = ()
    data_types: tuple[str, ...] = ()
    sources: dict[str, str] = {}  # published file → SHA-256
