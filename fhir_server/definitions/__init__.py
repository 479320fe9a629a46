"""The R4 definitions, compiled ahead of time and read lazily from the package data.

Made by `python -m scripts.definitions` from the published bundles; see docs/decisions/0002.
"""

from __future__ import annotations

import gzip
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from types import MappingProxyType

import msgspec

from fhir_server.definitions.shapes import (
    Binding,
    Constraint,
    ElementDefinition,
    Manifest,
    OperationDefinition,
    OperationParameter,
    SearchComponent,
    SearchParameter,
    TypeDefinition,
)

__all__ = [
    "DATA_TYPES",
    "FHIR_VERSION",
    "RESOURCE_TYPES",
    "VERSION",
    "Binding",
    "Constraint",
    "ElementDefinition",
    "OperationDefinition",
    "OperationParameter",
    "SearchComponent",
    "SearchParameter",
    "TypeDefinition",
    "code_system",
    "code_system_urls",
    "codes",
    "codings",
    "compartments",
    "concept_map",
    "concept_map_urls",
    "is_primitive",
    "mandatory_elements",
    "operations",
    "search_parameters",
    "structure",
    "structure_urls",
    "summary_elements",
    "type_definition",
    "type_names",
    "value_set",
]

_data = files(__name__) / "data"
_manifest = msgspec.json.decode((_data / "manifest.json").read_bytes(), type=Manifest)

FHIR_VERSION = _manifest.fhir_version
VERSION = f"{_manifest.fhir_version}+{_manifest.digest[:12]}"  # changes when any compiled definition does
RESOURCE_TYPES = frozenset(_manifest.resource_types)  # the 146 concrete ones
DATA_TYPES = frozenset(_manifest.data_types)


def _read(name: str) -> bytes:
    return gzip.decompress((_data / name).read_bytes())


@cache
def _types() -> dict[str, msgspec.Raw]:
    return msgspec.json.decode(_read("types.json.gz"), type=dict[str, msgspec.Raw])


@cache
def type_definition(name: str) -> TypeDefinition:
    """The definition of a resource type, data type or nested type ("Patient.contact"); KeyError if there is none."""
    return msgspec.json.decode(_types()[name], type=TypeDefinition)


def type_names() -> frozenset[str]:
    """Every name that type_definition knows: resources, abstract ones, data types and nested types."""
    return frozenset(_types())


def is_primitive(name: str) -> bool:
    """Whether this type is a JSON string, number or boolean; primitives are the types with a small initial."""
    return name[0].islower()


@cache
def search_parameters() -> tuple[SearchParameter, ...]:
    """The 1,375 published SearchParameters, sorted by URL."""
    return msgspec.json.decode(_read("search-parameters.json.gz"), type=tuple[SearchParameter, ...])


@cache
def compartments() -> Mapping[str, Mapping[str, tuple[str, ...]]]:
    """Compartment type → resource type → search parameter codes; the code "{def}" means the resource itself.

    Only resource types that can be in the compartment are listed.
    """
    read = msgspec.json.decode(_read("compartments.json.gz"), type=dict[str, dict[str, tuple[str, ...]]])
    return MappingProxyType({name: MappingProxyType(members) for name, members in read.items()})


@cache
def operations() -> tuple[OperationDefinition, ...]:
    """The 46 published OperationDefinitions, sorted by URL."""
    return msgspec.json.decode(_read("operations.json.gz"), type=tuple[OperationDefinition, ...])


@cache
def _codes() -> dict[str, dict[str, frozenset[str]]]:
    return msgspec.json.decode(_read("codes.json.gz"), type=dict[str, dict[str, frozenset[str]]])


@cache
def codes(value_set: str) -> frozenset[str] | None:
    """The codes of a value set with a required binding, whatever their system; None where R4 cannot list them."""
    systems = codings(value_set)
    return None if systems is None else frozenset().union(*systems.values())


def codings(value_set: str) -> Mapping[str, frozenset[str]] | None:
    """The same by system: system → codes."""
    return _codes().get(value_set.partition("|")[0])


@cache
def _code_systems() -> dict[str, msgspec.Raw]:
    return msgspec.json.decode(_read("code-systems.json.gz"), type=dict[str, msgspec.Raw])


def code_system_urls() -> frozenset[str]:
    """The URLs that code_system knows."""
    return frozenset(_code_systems())


def code_system(url: str) -> msgspec.Raw | None:
    """The JSON of a published CodeSystem (R4, v2, v3) without its prose; None when HL7 has not published it with R4."""
    return _code_systems().get(url)


@cache
def _value_sets() -> dict[str, msgspec.Raw]:
    return msgspec.json.decode(_read("value-sets.json.gz"), type=dict[str, msgspec.Raw])


def value_set(url: str) -> msgspec.Raw | None:
    """The JSON of a published ValueSet (R4, v2, v3) without its prose; None when HL7 has not published it with R4."""
    return _value_sets().get(url)


@cache
def _concept_maps() -> dict[str, msgspec.Raw]:
    return msgspec.json.decode(_read("concept-maps.json.gz"), type=dict[str, msgspec.Raw])


def concept_map(url: str) -> msgspec.Raw | None:
    """The JSON of a published ConceptMap without its prose; None when HL7 has not published it with R4."""
    return _concept_maps().get(url)


def concept_map_urls() -> frozenset[str]:
    """Every URL that concept_map knows."""
    return frozenset(_concept_maps())


@cache
def _structures() -> dict[str, msgspec.Raw]:
    return msgspec.json.decode(_read("structures.json.gz"), type=dict[str, msgspec.Raw])


def structure(url: str) -> msgspec.Raw | None:
    """The JSON of a published StructureDefinition (type, resource, profile or extension) without its prose.

    `url` has no version. None when HL7 has not published it with R4. Snapshot and differential have the errata applied.
    """
    return _structures().get(url)


def structure_urls() -> frozenset[str]:
    """Every URL that structure knows: the types, the resources, and the profiles and extensions published with R4."""
    return frozenset(_structures())


@cache
def summary_elements(type_name: str) -> frozenset[str]:
    """JSON properties of this type that are in its `_summary=true` form."""
    return frozenset(e.name for e in type_definition(type_name).properties if e.is_summary)


@cache
def mandatory_elements(type_name: str) -> frozenset[str]:
    """JSON properties of this type with a minimum cardinality of 1 (every property of a mandatory choice)."""
    return frozenset(e.name for e in type_definition(type_name).properties if e.min)
