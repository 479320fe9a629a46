"""A search, understood: what to find, in which order, how much of it, and what to bring along."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from fhir_server.outcomes import Issue
from fhir_server.search.keys import Criterion
from fhir_server.search.registry import SearchParameter

Total = Literal["", "none", "estimate", "accurate"]


@dataclass(frozen=True, slots=True)
class Filter:
    """One parameter of the query: the resource is to fit the criterion (or, negated, must not).

    `single` says that a resource has at most one value for it, so that several filters by the same
    parameter speak of the same value.
    """

    name: str  # with its modifier: "code:not"
    text: str  # its values in one fixed order
    criterion: Criterion
    negated: bool = False
    single: bool = False

    @property
    def code(self) -> str:
        return self.name.partition(":")[0]


@dataclass(frozen=True, slots=True)
class Sort:
    """One sort key: `field` is a field of the stored document ("s.d", "u", "_id")."""

    code: str
    field: str
    descending: bool


@dataclass(frozen=True, slots=True)
class Include:
    """One `_include` or `_revinclude`: the resources of `source` that refer by any of these parameters.

    `target` limits the type referred to; "" is any.
    """

    source: str
    parameters: tuple[SearchParameter, ...]
    target: str = ""


@dataclass(frozen=True, slots=True)
class Query:
    """A parsed search. `used` are the pairs that count, for the self link; `ignored` says what was left out."""

    types: tuple[str, ...]
    filters: tuple[Filter, ...] = ()
    compartment: tuple[str, str] | None = None
    sort: tuple[Sort, ...] = ()
    count: int = 20
    total: Total = ""
    summary: str | None = None
    elements: tuple[str, ...] = ()
    includes: tuple[Include, ...] = ()
    revincludes: tuple[Include, ...] = ()
    used: tuple[tuple[str, str], ...] = ()
    ignored: tuple[Issue, ...] = ()
    cursor: str | None = None

    @property
    def only_count(self) -> bool:
        """`_summary=count`, or `_count=0`, which is the same."""
        return self.summary == "count" or self.count == 0

    def canonical(self) -> str:
        """What is searched for, the same text for the same criteria in any order."""
        compartment = "/".join(self.compartment) if self.compartment else ""
        filters = sorted(f"{one.name}={one.text}" for one in self.filters)
        return "&".join([f"{compartment}>{','.join(self.types)}", *filters])

    def binding(self) -> str:
        """What a page's cursor belongs to: the criteria and the order."""
        order = ",".join(("-" if one.descending else "") + one.code for one in self.sort)
        return f"{self.canonical()}&_sort={order}"
