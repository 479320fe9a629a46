"""The parts of CodeSystem and ValueSet that terminology reads, decoded straight from their JSON text.

https://hl7.org/fhir/R4/codesystem.html · https://hl7.org/fhir/R4/valueset.html
Everything has a default: an element may be there only through its extensions.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TypeVar

import msgspec

from fhir_server.outcomes import Unprocessable


class _Part(msgspec.Struct, frozen=True, rename="camel"):
    pass


class Coding(_Part, frozen=True):
    system: str = ""
    code: str = ""


class ConceptProperty(_Part, frozen=True):
    """One property of a concept; `text` is its value as filters compare it."""

    code: str = ""
    value_code: str | None = None
    value_string: str | None = None
    value_coding: Coding | None = None
    value_boolean: bool | None = None
    value_integer: int | None = None
    value_decimal: Decimal | None = None
    value_date_time: str | None = None

    def text(self) -> str:
        if self.value_boolean is not None:
            return "true" if self.value_boolean else "false"
        if self.value_coding is not None:
            return self.value_coding.code
        number = self.value_integer if self.value_decimal is None else self.value_decimal
        return self.value_code or self.value_string or self.value_date_time or ("" if number is None else str(number))


class ConceptDefinition(_Part, frozen=True):
    code: str = ""
    display: str = ""
    definition: str = ""
    property: tuple[ConceptProperty, ...] = ()
    concept: tuple[ConceptDefinition, ...] = ()


class PropertyDefinition(_Part, frozen=True):
    code: str = ""
    uri: str = ""


class CodeSystemResource(_Part, frozen=True):
    url: str = ""
    version: str = ""
    status: str = ""
    case_sensitive: bool | None = None
    hierarchy_meaning: str = ""
    content: str = ""
    property: tuple[PropertyDefinition, ...] = ()
    concept: tuple[ConceptDefinition, ...] = ()


class Filter(_Part, frozen=True):
    property: str = ""
    op: str = ""
    value: str = ""


class ConceptReference(_Part, frozen=True):
    code: str = ""
    display: str = ""


class Include(_Part, frozen=True):
    """What an include or exclude selects: codes that meet all of its conditions."""

    system: str = ""
    version: str = ""
    concept: tuple[ConceptReference, ...] = ()
    filter: tuple[Filter, ...] = ()
    value_set: tuple[str | None, ...] = ()


class Compose(_Part, frozen=True):
    """`inactive` None leaves it to the server whether inactive codes are in."""

    inactive: bool | None = None
    include: tuple[Include, ...] = ()
    exclude: tuple[Include, ...] = ()


class Contains(_Part, frozen=True):
    system: str = ""
    code: str = ""
    display: str = ""
    abstract: bool = False
    inactive: bool = False
    contains: tuple[Contains, ...] = ()


class Mark(_Part, frozen=True):
    """An extension that says yes or no."""

    url: str = ""
    value_boolean: bool | None = None


class StoredExpansion(_Part, frozen=True):
    total: int | None = None
    extension: tuple[Mark, ...] = ()
    contains: tuple[Contains, ...] = ()


class ValueSetResource(_Part, frozen=True):
    url: str = ""
    version: str = ""
    status: str = ""
    compose: Compose | None = None
    expansion: StoredExpansion | None = None


Resource = TypeVar("Resource", CodeSystemResource, ValueSetResource)


def decode(text: str | bytes | msgspec.Raw, kind: type[Resource], name: str) -> Resource:
    """The resource in this JSON text; Unprocessable (422), naming it, when it is not valid."""
    try:
        return msgspec.json.decode(text, type=kind)
    except (msgspec.DecodeError, RecursionError):
        raise Unprocessable(f"The content of {name} is not valid.") from None
