"""The seven search parameter types, one file each: how values become keys, and what a search value asks for.

https://hl7.org/fhir/R4/search.html#ptypes
"""

from __future__ import annotations

from collections.abc import Mapping
from types import ModuleType
from typing import Protocol

from fhir_server.search.fields import Field
from fhir_server.search.keys import Criterion
from fhir_server.search.types import date, number, quantity, reference, string, token, uri
from fhir_server.search.types.values import Indexer, Settings

__all__ = ["INDEXERS", "SearchType", "search_type"]


class SearchType(Protocol):
    """What each of these modules offers."""

    MODIFIERS: frozenset[str]

    def criterion(self, field: Field, modifier: str, value: str, settings: Settings) -> Criterion:
        """What one value (without commas, escapes still in) asks for; raises Invalid (400)."""


_MODULES: Mapping[str, ModuleType] = {
    "date": date,
    "number": number,
    "quantity": quantity,
    "reference": reference,
    "string": string,
    "token": token,
    "uri": uri,
}

# Search type → data type → what makes a visitor of its values.
INDEXERS: Mapping[str, Mapping[str, Indexer]] = {name: module.INDEXERS for name, module in _MODULES.items()}


def search_type(name: str) -> SearchType:
    module: SearchType = _MODULES[name]  # a module is its functions
    return module
