"""How each search parameter is served: by keys of its own, or by those of other parameters that cover it.

`Observation?patient=` asks for the keys of `subject`, `combo-code` for those of `code` and `component-code`:
what is indexed once is not indexed again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache

from fhir_server.definitions import codings
from fhir_server.search.paths import Leaf, leaves
from fhir_server.search.registry import SearchParameter, kept, parameters, published, retired

# The one date and the one name of a type that have an index of their own for sorting, by preference.
_DATES = (
    *("date", "birthdate", "authoredon", "authored-on", "authored", "onset-date", "created", "issued"),
    *("effective-time", "effective", "started", "start", "start-date", "recorded", "sent", "timestamp"),
    *("whenhandedover", "collected", "occurrence", "datetime", "datewritten"),
)
_NAMES = ("name", "title")
DATE_SLOT, NAME_SLOT = "d", "n"
# With several values these sort by the smallest going up and the largest going down, the others by the smallest.
_TWO_ENDED = {"date", "number", "quantity"}


@dataclass(frozen=True, slots=True)
class Source:
    """The keys of one number, limited to references to `target` unless that is empty."""

    number: str
    target: str = ""


@dataclass(frozen=True, slots=True)
class Field:
    """A parameter as it is stored and searched."""

    parameter: SearchParameter
    leaves: tuple[Leaf, ...]
    sources: tuple[Source, ...]
    own: bool  # its keys are written under its own number
    many: bool  # one resource may have several values
    types: frozenset[str]  # data types of its values
    ascending: str = ""  # names of the sort scalars; "" when it cannot be sorted by
    descending: str = ""
    sorts: bool = False  # it is the one that writes these scalars

    def knows(self, system: str) -> bool:
        """Whether the codes of this system are stored without it, because a binding implies it."""
        return any(system in (codings(leaf.value_set) or ()) for leaf in self.leaves if leaf.value_set)


@kept
def fields(resource_type: str) -> Mapping[str, Field]:
    """Code → field, for every parameter of the type that searches support."""
    custom = {p.code: custom_field(p) for p in parameters(resource_type).values() if p.custom and p.indexed}
    own = _published_fields(resource_type)
    return {**own, **custom} if custom else own


@kept
def unsearched(resource_type: str) -> tuple[Field, ...]:
    """The fields of parameters that are still written, and no longer searched by here."""
    return tuple(custom_field(p) for p in retired(resource_type) if p.indexed)


@cache
def _published_fields(resource_type: str) -> Mapping[str, Field]:
    usable = [p for p in published(resource_type).values() if p.indexed and p.code not in ("_id", "_lastUpdated")]
    made: dict[str, Field] = {}
    # Small ones first: a parameter can only be served by smaller ones. Then the unlimited before the limited.
    for parameter in sorted(usable, key=lambda p: (len(leaves(p)), any(le.target for le in leaves(p)), p.code)):
        made[parameter.code] = _field(parameter, [f for f in made.values() if f.own])
    return _with_sorting(made)


def custom_field(parameter: SearchParameter) -> Field:
    """A custom parameter is served by keys of R4's own where they say the same, else by its own.

    It never serves another, nor takes a sort slot: when it goes, nothing else changes.
    """
    others = [f for f in _published_fields(parameter.resource_type).values() if f.own]
    field = _field(parameter, others)
    if not field.own and not any(source.target for source in field.sources):
        first = next(f for f in others if f.parameter.number == field.sources[0].number)
        return replace(field, ascending=first.ascending, descending=first.descending)
    up = parameter.number
    down = up + "-" if field.many and parameter.type in _TWO_ENDED else up
    return replace(field, own=True, sources=(Source(up),), ascending=up, descending=down, sorts=True)


def _field(parameter: SearchParameter, others: list[Field]) -> Field:
    own_leaves = leaves(parameter)
    served = _served_by(parameter, own_leaves, others)
    return Field(
        parameter=parameter,
        leaves=own_leaves,
        sources=served or (Source(parameter.number),),
        own=not served,
        # Of a choice only one can be there, so its leaves count as one.
        many=len({tuple(hop.element for hop in leaf.path) for leaf in own_leaves}) > 1
        or any(leaf.many for leaf in own_leaves),
        types=frozenset(leaf.type for leaf in own_leaves),
    )


def _served_by(parameter: SearchParameter, wanted: tuple[Leaf, ...], others: list[Field]) -> tuple[Source, ...]:
    """The sources that together have exactly the wanted leaves; none when there are no such."""
    same_kind = [f for f in others if f.parameter.type == parameter.type and parameter.code != "phonetic"]
    if len(wanted) == 1 and wanted[0].target:
        anywhere = (replace(wanted[0], target=""),)
        return tuple(Source(f.parameter.number, wanted[0].target) for f in same_kind if f.leaves == anywhere)
    missing = set(wanted)
    found: list[Source] = []
    for field in sorted(same_kind, key=lambda f: -len(f.leaves)):
        if missing.issuperset(field.leaves):
            missing.difference_update(field.leaves)
            found.append(Source(field.parameter.number))
    return () if missing else tuple(found)


def _with_sorting(made: dict[str, Field]) -> dict[str, Field]:
    slots = {_date_slot(made): DATE_SLOT, _name_slot(made): NAME_SLOT}
    by_number: dict[str, Field] = {}
    for code, field in made.items():
        if not field.own:
            first = by_number.get(field.sources[0].number)
            if first is not None:
                made[code] = replace(field, ascending=first.ascending, descending=first.descending)
            continue
        slot = slots.get(code) or (slots.get("name") if code == "family" else None)
        up = slot or field.parameter.number
        down = slot or (up + "-" if field.many and field.parameter.type in _TWO_ENDED else up)
        # People sort by family name and then given name, whether asked for as `name` or as `family`.
        sorts = not (code == "family" and slot)
        by_number[field.parameter.number] = made[code] = replace(field, ascending=up, descending=down, sorts=sorts)
    return made


def _date_slot(made: Mapping[str, Field]) -> str:
    dates = sorted(code for code, f in made.items() if f.own and f.parameter.type == "date")
    single = [code for code in dates if not made[code].many] or dates
    return next((code for code in _DATES if code in single), single[0] if single else "")


def _name_slot(made: Mapping[str, Field]) -> str:
    return next((code for code in _NAMES if code in made and made[code].parameter.type == "string"), "")
