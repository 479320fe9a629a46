"""Types: who descends from whom, and the System values of FHIR primitives.

https://hl7.org/fhirpath/N1/#types · https://hl7.org/fhir/R4/fhirpath.html#types
"""

from __future__ import annotations

from decimal import Decimal
from functools import lru_cache
from typing import Any

from fhir_server.definitions import is_primitive, type_definition, type_names
from fhir_server.fhirpath import dates, quantities
from fhir_server.fhirpath.dates import Moment
from fhir_server.fhirpath.errors import FhirPathError
from fhir_server.fhirpath.nodes import Node
from fhir_server.fhirpath.quantities import Quantity

SYSTEM_TYPES = frozenset(("Boolean", "String", "Integer", "Decimal", "Date", "DateTime", "Time", "Quantity"))
_READ_AS_FHIR = {name: name[0].lower() + name[1:] for name in SYSTEM_TYPES - {"Quantity"}}  # DateTime: dateTime
_OF_PYTHON = {bool: "System.Boolean", str: "System.String", int: "System.Integer", Decimal: "System.Decimal"}
_READ = {"date": dates.date, "dateTime": dates.date_time, "instant": dates.date_time, "time": dates.time}
QUANTITIES = frozenset(("Quantity", "Age", "Count", "Distance", "Duration", "SimpleQuantity"))


@lru_cache(8192)
def ancestors(name: str) -> frozenset[str]:
    """A type and all that it specialises: "Patient.contact" is a BackboneElement and an Element."""
    found = {name}
    while name in type_names() and (name := type_definition(name).base):
        found.add(name)
    return frozenset(found)


@lru_cache(8192)
def specified(name: str) -> tuple[str, ...]:
    """The types that a type specifier may mean: "Quantity" is one of FHIR and one of System.

    Raises FhirPathError when there is no such type.
    """
    namespace, _, rest = name.partition(".")
    if namespace == "System" and rest:
        return (name,)
    wanted = rest if namespace == "FHIR" and rest else name
    found = [wanted] if wanted in type_names() else []
    if wanted == name and name in SYSTEM_TYPES:
        found.append(f"System.{name}")
    if not found:
        raise FhirPathError("A type specifier names no type of FHIR R4.")
    return tuple(found)


@lru_cache(8192)
def is_a(type_: str, specifier: str) -> bool:
    """Whether a node of this type is of the type specified, or of one derived from it."""
    return not ancestors(type_).isdisjoint(specified(specifier))


@lru_cache(8192)
def is_chosen(type_: str, specifier: str) -> bool:
    """Whether `as` and `ofType` choose it: a primitive has to be of just that type, as in the published invariants.

    `as String` chooses a string as well, which would be converted anyway.
    """
    if not is_primitive(type_):
        return is_a(type_, specifier)
    return type_ in specified(specifier) or type_ == _READ_AS_FHIR.get(specifier)


def system_node(value: Any) -> Node:
    """A System value as a node."""
    if type(value) is Moment:
        return Node(value, f"System.{value.kind}")
    return Node(value, "System.Quantity" if type(value) is Quantity else _OF_PYTHON[type(value)])


def system_value(node: Node) -> Any:
    """The System value of a node: bool, str, int, Decimal, Moment or Quantity; None when a primitive has none.

    A node that is none of these (a CodeableConcept) stays itself.
    """
    value = node.value
    kind = type(value)
    if kind is str:
        read = _READ.get(node.type)
        return value if read is None else read(value) or value
    if kind is dict:
        quantity = quantities.from_fhir(value) if node.type in QUANTITIES else None
        return node if quantity is None else quantity
    if kind is float:
        return Decimal(repr(value))
    return node if kind is list else value


def is_fhir(node: Node) -> bool:
    """Whether it is an element of a resource, not a value that the expression made."""
    return not node.type.startswith("System.")
