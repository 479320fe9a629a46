"""Which search parameters each resource type has, and the short stable number that stands for each in the keys.

https://hl7.org/fhir/R4/searchparameter-registry.html
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType

from fhir_server import definitions

# Changes whenever keys written by older code no longer fit the queries written by this one: then reindex.
LAYOUT = 2
NUMBER_WIDTH = 3
# The published pairs take about 2,400 of the 46,656 numbers; custom parameters get theirs from here on.
FIRST_CUSTOM = 36**2 * 18

_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
INDEXED_TYPES = frozenset({"string", "token", "reference", "date", "number", "quantity", "uri"})


@dataclass(frozen=True, slots=True)
class SearchParameter:
    """One search parameter of one resource type; `number` is its three base-36 digits in the search keys."""

    resource_type: str
    code: str
    type: str  # string | token | reference | date | number | quantity | uri | composite | special
    number: str
    expression: str
    url: str
    targets: tuple[str, ...] = ()
    components: tuple[tuple[str, str], ...] = ()  # (definition URL, expression) of a composite
    description: str = ""

    @property
    def indexed(self) -> bool:
        """Whether its values have keys or ranges of their own kind."""
        return self.type in INDEXED_TYPES and self.expression != ""

    @property
    def supported(self) -> bool:
        """Whether a search by it is answered."""
        if self.code in ("_text", "_content"):
            return True
        return self.indexed or (self.type in ("composite", "special") and self.expression != "")


def number_text(number: int) -> str:
    """The number in base 36, always three digits, so that all keys of a parameter are one contiguous range."""
    digits = ""
    for _ in range(NUMBER_WIDTH):
        number, digit = divmod(number, 36)
        digits = _DIGITS[digit] + digits
    return digits


@cache
def _tables() -> tuple[dict[str, dict[str, SearchParameter]], dict[str, str]]:
    """Type → code → parameter, and type → the number of the type itself.

    R4's parameters never change, so counting them in sorted order numbers them the same for ever.
    """
    wanted: dict[str, dict[str, definitions.SearchParameter]] = {t: {} for t in sorted(definitions.RESOURCE_TYPES)}
    for published in definitions.search_parameters():
        for base in published.base:
            for type_name in wanted if base in ("Resource", "DomainResource") else (base,):
                if base != "DomainResource" or definitions.type_definition(type_name).base == "DomainResource":
                    wanted[type_name][published.code] = published
    tables: dict[str, dict[str, SearchParameter]] = {}
    type_numbers: dict[str, str] = {}
    count = 0
    for type_name, by_code in wanted.items():
        type_numbers[type_name] = number_text(count)
        tables[type_name] = {}
        for offset, code in enumerate(sorted(by_code), count + 1):
            tables[type_name][code] = _parameter(type_name, by_code[code], number_text(offset))
        count += len(by_code) + 1
    return tables, type_numbers


def _parameter(type_name: str, published: definitions.SearchParameter, number: str) -> SearchParameter:
    return SearchParameter(
        resource_type=type_name,
        code=published.code,
        type=published.type,
        number=number,
        expression=published.expression,
        url=published.url,
        targets=published.target,
        components=tuple((part.definition, part.expression) for part in published.component),
        description=published.description,
    )


def parameters(resource_type: str) -> Mapping[str, SearchParameter]:
    """Code → parameter of a concrete resource type, those of every resource (`_tag` …) included; KeyError."""
    return MappingProxyType(_tables()[0][resource_type])


def find(resource_type: str, code: str) -> SearchParameter | None:
    """The parameter of this type with this code, if there is one."""
    return _tables()[0][resource_type].get(code)


def type_number(resource_type: str) -> str:
    """The number of the type itself: the key that every resource of the type carries."""
    return _tables()[1][resource_type]


@cache
def by_number() -> Mapping[str, SearchParameter]:
    """Number → parameter, for reading stored keys."""
    return {p.number: p for table in _tables()[0].values() for p in table.values()}
