"""The parts of CodeSystem and ValueSet that terminology reads, decoded straight from their JSON text.

https://hl7.org/fhir/R4/codesystem.html · https://hl7.org/fhir/R4/valueset.html
Everything has a default: an element may be there only through its extensions.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TypeVar

import msgspec

from fhir_server.outcomes import Unprocessable
from fhir_server.storage.concepts import Designation


class _Part(msgspec.Struct, frozen=True, rename="camel"):
    pass


class Coding(_Part, frozen=True):
    system: str = ""
    code: str = ""
    display: str = ""


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

    def typed(self) -> dict[str, object]:
        """The value under its FHIR name: {"valueCode": "x"}."""
        if self.value_coding is not None:
            return {
                "valueCoding": {name: text for name, text in msgspec.structs.asdict(self.value_coding).items() if text}
            }
        values = {
            "valueCode": self.value_code,
            "valueString": self.value_string,
            "valueBoolean": self.value_boolean,
            "valueInteger": self.value_integer,
            "valueDecimal": self.value_decimal,
            "valueDateTime": self.value_date_time,
        }
        return {name: value for name, value in values.items() if value is not None}


class DesignationDefinition(_Part, frozen=True):
    language: str = ""
    use: Coding = Coding()
    value: str = ""

    def read(self) -> Designation:
        return Designation(self.value, self.language, self.use.system, self.use.code)


class ConceptDefinition(_Part, frozen=True):
    code: str = ""
    display: str = ""
    definition: str = ""
    designation: tuple[DesignationDefinition, ...] = ()
    property: tuple[ConceptProperty, ...] = ()
    concept: tuple[ConceptDefinition, ...] = ()


class PropertyDefinition(_Part, frozen=True):
    code: str = ""
    uri: str = ""
    type: str = ""


class CodeSystemResource(_Part, frozen=True):
    url: str = ""
    version: str = ""
    name: str = ""
    date: str = ""
    language: str = ""
    status: str = ""
    case_sensitive: bool | None = None
    hierarchy_meaning: str = ""
    content: str = ""
    supplements: str = ""
    value_set: str = ""
    property: tuple[PropertyDefinition, ...] = ()
    concept: tuple[ConceptDefinition, ...] = ()


class Filter(_Part, frozen=True):
    property: str = ""
    op: str = ""
    value: str = ""


class ConceptReference(_Part, frozen=True):
    code: str = ""
    display: str = ""
    designation: tuple[DesignationDefinition, ...] = ()


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
    locked_date: str = ""
    include: tuple[Include, ...] = ()
    exclude: tuple[Include, ...] = ()


class Contains(_Part, frozen=True):
    system: str = ""
    code: str = ""
    display: str = ""
    abstract: bool = False
    inactive: bool = False
    designation: tuple[DesignationDefinition, ...] = ()
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
    date: str = ""
    language: str = ""
    status: str = ""
    compose: Compose | None = None
    expansion: StoredExpansion | None = None


class Dependency(_Part, frozen=True):
    """`ConceptMap.group.element.target.dependsOn` and `product`."""

    property: str = ""
    system: str = ""
    value: str = ""
    display: str = ""


class MapTarget(_Part, frozen=True):
    code: str = ""
    display: str = ""
    equivalence: str = ""
    comment: str = ""
    depends_on: tuple[Dependency, ...] = ()
    product: tuple[Dependency, ...] = ()


class MapElement(_Part, frozen=True):
    code: str = ""
    display: str = ""
    target: tuple[MapTarget, ...] = ()


class Unmapped(_Part, frozen=True):
    mode: str = ""
    code: str = ""
    display: str = ""
    url: str = ""


class MapGroup(_Part, frozen=True):
    source: str = ""
    source_version: str = ""
    target: str = ""
    target_version: str = ""
    element: tuple[MapElement, ...] = ()
    unmapped: Unmapped | None = None


class ConceptMapResource(_Part, frozen=True):
    url: str = ""
    version: str = ""
    date: str = ""
    status: str = ""
    source_uri: str = ""
    source_canonical: str = ""
    target_uri: str = ""
    target_canonical: str = ""
    group: tuple[MapGroup, ...] = ()


Resource = TypeVar("Resource", CodeSystemResource, ValueSetResource, ConceptMapResource)


def decode(text: str | bytes | msgspec.Raw, kind: type[Resource], name: str) -> Resource:
    """The resource in this JSON text; Unprocessable (422), naming it, when it is not valid."""
    try:
        return msgspec.json.decode(text, type=kind)
    except (msgspec.DecodeError, RecursionError):
        raise Unprocessable(f"The content of {name} is not valid.") from None
