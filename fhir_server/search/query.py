"""A search, understood: what to find, in which order, how much of it, and what to bring along."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from fhir_server.outcomes import Issue
from fhir_server.search.keys import Criterion
from fhir_server.search.registry import SearchParameter

Total = Literal["", "none", "estimate", "accurate"]
Contained = Literal["false", "true", "both"]
ContainedType = Literal["container", "contained"]


# ---- what has to be looked up before the database can be asked (fhir_server/joins) ---------------------


@dataclass(frozen=True, slots=True)
class Route:
    """Where references of one parameter are stored: keys that begin with `prefix`, to resources of `target`.

    `canonical` says that they name the target by its URL instead of its id.
    """

    prefix: str  # "1m8>"
    target: str
    canonical: bool = False


@dataclass(frozen=True, slots=True)
class Chain:
    """Refers by any of these routes to a resource that the query finds: `subject:Patient.name=peter`."""

    routes: tuple[Route, ...]
    query: Query


@dataclass(frozen=True, slots=True)
class Has:
    """Is referred to, by any of these routes, by a resource that the query finds: `_has:Observation:patient:code`."""

    routes: tuple[Route, ...]
    query: Query


@dataclass(frozen=True, slots=True)
class Listed:
    """Is an entry of this List: `_list=42`."""

    id: str
    types: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class InValueSet:
    """Has a code of this value set: `code:in=http://…`."""

    parameter: SearchParameter
    value_set: str


@dataclass(frozen=True, slots=True)
class Subsumed:
    """Has this code or one below (or above) it in the hierarchy of its code system: `code:below=http://…|…`."""

    parameter: SearchParameter
    system: str | None
    code: str
    above: bool


@dataclass(frozen=True, slots=True)
class PartOf:
    """Refers to this resource or to one that is part of it (or above: that it is part of): `location:below=42`."""

    routes: tuple[Route, ...]
    ids: tuple[str, ...]  # "Location/42"
    above: bool


@dataclass(frozen=True, slots=True)
class Presence:
    """Has any value, or none, for the parameter: `birthdate:missing=true`."""

    resource_type: str
    code: str
    missing: bool


@dataclass(frozen=True, slots=True)
class Known:
    """A presence that was looked up: the sets of parameters that it means."""

    presence: Presence
    sets: tuple[str, ...]


Lookup = Chain | Has | Listed | InValueSet | Subsumed | PartOf | Presence


@dataclass(frozen=True, slots=True)
class Both:
    """All of these hold."""

    parts: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Either:
    """Any of these holds."""

    parts: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Except:
    """This does not hold."""

    part: Condition


Condition = Criterion | Lookup | Known | Both | Either | Except


# ---- the query -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Filter:
    """One parameter of the query: the resource is to fit the condition (or, negated, must not).

    `single` says that a resource has at most one value for it, so that several filters by the same
    parameter speak of the same value. `otherwise` is what every resource fits that a negated filter lets through,
    for an index to find them by.
    """

    name: str  # with its modifier: "code:not"
    text: str  # its values in one fixed order
    condition: Condition
    negated: bool = False
    single: bool = False
    otherwise: Condition | None = None

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

    `target` limits the type referred to; "" is any. With `iterate` it is applied to what is included, too.
    """

    source: str
    parameters: tuple[SearchParameter, ...]
    target: str = ""
    iterate: bool = False


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
    contained: Contained = "false"
    contained_type: ContainedType = "container"
    explain: bool = False
    used: tuple[tuple[str, str], ...] = ()
    ignored: tuple[Issue, ...] = ()
    cursor: str | None = None
    probes: tuple[Filter, ...] = ()  # chains whose ends are too many to look up: judged page by page (joins/probe.py)
    depth: int = field(default=0, compare=False)  # how many chains deep it stands

    @property
    def stored_types(self) -> tuple[str, ...] | None:
        """The types of what is found; None for all, since what contains a match may be of any."""
        return self.types if self.contained == "false" else None

    @property
    def only_count(self) -> bool:
        """`_summary=count`, or `_count=0`, which is the same."""
        return self.summary == "count" or self.count == 0

    def canonical(self) -> str:
        """What is searched for, the same text for the same criteria in any order."""
        compartment = "/".join(self.compartment) if self.compartment else ""
        filters = sorted(f"{one.name}={one.text}" for one in self.filters)
        contained = f"~{self.contained}" if self.contained != "false" else ""
        return "&".join([f"{compartment}>{','.join(self.types)}{contained}", *filters])

    def binding(self) -> str:
        """What a page's cursor belongs to: the criteria and the order."""
        order = ",".join(("-" if one.descending else "") + one.code for one in self.sort)
        return f"{self.canonical()}&_sort={order}"
