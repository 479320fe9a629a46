"""A code system in the database, asked in the common way: filters become conditions on its rows.

The keys that rows are found by: storage/concepts.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from fhir_server.outcomes import Invalid, NotSupported, TooCostly
from fhir_server.storage.concepts import MAX_KEY, ConceptRow, Concepts, Load, row_id
from fhir_server.terminology.cache import Kept
from fhir_server.terminology.codesystem import IS_A, CodeSystem, Concept
from fhir_server.terminology.effort import MAX_CODES, Effort
from fhir_server.terminology.filters import HIERARCHICAL, ITSELF
from fhir_server.terminology.pattern import Pattern
from fhir_server.terminology.resources import Filter
from fhir_server.terminology.system import Selection, Want

Condition = dict[str, Any]
_ABSTRACT = {"notSelectable": "a", "inactive": "i"}


class Rows:
    """The concepts of one load; `resource` is the CodeSystem beside them, `counts` what was counted before."""

    def __init__(self, resource: CodeSystem, load: Load, concepts: Concepts, counts: Kept[int]) -> None:
        self._resource, self._load, self._concepts, self._counts = resource, load, concepts, counts
        self.url, self.version, self.name = resource.url, resource.version, resource.name
        self.language, self.content = resource.language, load.content
        self.hierarchy_meaning, self.case_sensitive = resource.hierarchy_meaning, resource.case_sensitive

    @property
    def is_partial(self) -> bool:
        return self.content != "complete"

    @property
    def is_a(self) -> bool:
        return self.hierarchy_meaning in IS_A or not self._load.has_hierarchy

    def check_listed(self) -> None:
        if not self._load.count:
            self._resource.check_listed()

    def value_type(self, name: str) -> str:
        return self._resource.types.get(name) or "string"

    async def many(self, codes: Iterable[str]) -> dict[str, Concept]:
        rows = await self._concepts.many(self._load.number, codes)
        return {code: _concept(row) for code, row in rows.items()}

    async def matching(self, code: str) -> list[str]:
        number = self._load.number
        if code in await self._concepts.many(number, [code]):
            return [code]
        folded = code.casefold()
        alike: Condition = {"$or": [{"_id": row_id(number, folded)}, {"k": f"c|{folded}"}]}
        return sorted(await self._concepts.codes(number, alike, limit=100))

    async def select(self, filters: Sequence[Filter], effort: Effort, want: Want) -> Selection:
        number = self._load.number
        parts = [await self._condition(one, effort) for one in filters]
        parts += [{"k": _beginning(f"w|{word}")} for word in want.words]
        if want.active:
            parts.append({"k": "t|active"})
        if want.selectable:
            parts.append({"a": {"$ne": True}})
        condition = _all(parts)
        limit = MAX_CODES + 1 if want.limit is None else want.limit
        total = await self._count(condition) if parts else self._load.count
        if not limit or want.offset >= total:
            return Selection([], total)
        effort.spend(min(limit, total))
        rows = await self._concepts.find(number, condition, offset=want.offset, limit=limit)
        return Selection([_concept(row) for row in rows], total)

    async def _count(self, condition: Condition) -> int:
        """How many fit; page after page asks for the same."""
        key = self._load.number, repr(condition)
        total = self._counts.get(key)
        if total is None:
            total = await self._concepts.count(self._load.number, condition)
            self._counts.put(key, total)
        return total

    async def fitting(self, codes: Iterable[str], filters: Sequence[Filter], effort: Effort) -> set[str]:
        ids = [row_id(self._load.number, code) for code in dict.fromkeys(codes)]
        found = _all([{"_id": {"$in": ids}}])
        narrowed = [await self._condition(one, effort, found) for one in filters]
        return set(await self._concepts.codes(self._load.number, _all([found, *narrowed]), limit=len(ids)))

    async def parents(self, code: str) -> list[str]:
        row = (await self._concepts.many(self._load.number, [code])).get(code)
        return list(row.parents) if row else []

    async def children(self, code: str, limit: int) -> list[str]:
        rows = await self._concepts.find(self._load.number, {"k": f"o|{code}"}, limit=limit)
        return [row.code for row in rows]

    async def below(self, code: str, limit: int) -> list[str]:
        return await self._concepts.codes(self._load.number, {"k": f"u|{code}"}, limit=limit)

    async def above(self, codes: Iterable[str]) -> dict[str, frozenset[str]]:
        return await self._concepts.ancestors(self._load.number, codes)

    # ---- filters → conditions ----------------------------------------------------------------------

    async def _condition(self, one: Filter, effort: Effort, within: Condition | None = None) -> Condition:
        """`within` narrows what a regular expression has to look at."""
        if one.op in HIERARCHICAL:
            return await self._by_hierarchy(one)
        match one.op:
            case "=":
                return await self._valued(one.property, [one.value])
            case "in":
                return await self._valued(one.property, _listed(one.value))
            case "not-in":
                return {"$nor": [await self._valued(one.property, _listed(one.value))]}
            case "exists":
                if one.value not in ("true", "false"):
                    raise Invalid(f"A filter 'exists' on code system {self.url} is either true or false.")
                present = self._present(one.property)
                return present if one.value == "true" else {"$nor": [present]}
            case "regex":
                return await self._by_pattern(one, effort, within or {})
        raise NotSupported(f"Filter '{one.op[:32]}' on code system {self.url} is not supported.")

    async def _by_hierarchy(self, one: Filter) -> Condition:
        if one.property not in ITSELF:
            raise NotSupported(
                f"Filter '{one.op}' on property '{one.property[:64]}' of code system {self.url} is not supported."
            )
        if not self.is_a:
            meaning = self.hierarchy_meaning
            raise NotSupported(
                f"Filter '{one.op}' needs an is-a hierarchy; that of code system {self.url} is {meaning}."
            )
        above = (await self.above([one.value])).get(one.value)
        if above is None:
            raise Invalid(f"Filter '{one.op}' names a code that code system {self.url} does not list.")
        within: Condition = {"k": f"u|{one.value}"}
        match one.op:
            case "generalizes":
                return self._coded(above)
            case "is-not-a":
                return {"$nor": [within]}
            case "descendent-of":
                return {"$and": [within, {"c": {"$ne": one.value}}]}
            case "child-of":
                return {"k": f"o|{one.value}"}
            case "descendent-leaf":
                return {"$and": [within, {"k": "t|leaf"}, {"c": {"$ne": one.value}}]}
        return within

    def _coded(self, codes: Iterable[str]) -> Condition:
        return {"_id": {"$in": [row_id(self._load.number, code) for code in codes]}}

    async def _valued(self, name: str, values: Sequence[str]) -> Condition:
        """A property has one of these values."""
        match name:
            case "concept" | "code":
                return self._coded(values)
            case "display":
                return {"d": {"$in": list(values)}}
            case "definition":
                return {"f": {"$in": list(values)}}
            case "parent":
                return {"k": {"$in": [f"o|{value}" for value in values]}}
            case "child":
                rows = await self._concepts.many(self._load.number, values)
                return self._coded({parent for row in rows.values() for parent in row.parents})
            case "inactive" | "notSelectable":
                flag = _ABSTRACT[name]
                return {"$or": [{flag: True} if value == "true" else {flag: {"$ne": True}} for value in values]}
        self._check(name)
        short = [f"p|{name}|{value}" for value in values if len(value) <= MAX_KEY]
        long = [[name, value] for value in values if len(value) > MAX_KEY]
        parts: list[Condition] = ([{"k": {"$in": short}}] if short else []) + ([{"p": {"$in": long}}] if long else [])
        return parts[0] if len(parts) == 1 else {"$or": parts} if parts else {"c": {"$in": []}}

    def _present(self, name: str) -> Condition:
        match name:
            case "concept" | "code" | "inactive" | "notSelectable":
                return {}
            case "display":
                return {"d": {"$exists": True}}
            case "definition":
                return {"f": {"$exists": True}}
            case "parent":
                return {"k": {"$ne": "t|root"}}
            case "child":
                return {"k": {"$ne": "t|leaf"}}
        self._check(name)
        return {"k": f"p|{name}"}

    async def _by_pattern(self, one: Filter, effort: Effort, within: Condition) -> Condition:
        """The values of the property are matched here: the expression is the caller's, and the database not ours."""
        pattern = Pattern(one.value)
        number = self._load.number
        if one.property in (*ITSELF, "display", "definition"):
            name = "code" if one.property in ITSELF else one.property
            codes = [
                code async for code, text in self._concepts.texts(number, within, name) if fits(pattern, text, effort)
            ]
            return self._coded(self._bounded(codes))
        self._check(one.property)
        values = self._bounded(await self._concepts.property_values(number, one.property, limit=MAX_CODES + 1))
        return await self._valued(one.property, [value for value in values if pattern.matches(value, effort)])

    def _check(self, name: str) -> None:
        if name not in self._load.properties and name not in self._resource.types:
            raise NotSupported(f"Code system {self.url} has no property '{name[:64]}' to filter by.")

    def _bounded(self, found: list[str]) -> list[str]:
        if len(found) > MAX_CODES:
            raise TooCostly(f"A filter on code system {self.url} fits more than {MAX_CODES} codes.")
        return found


def fits(pattern: Pattern, text: str, effort: Effort) -> bool:
    effort.spend(1)
    return bool(text) and pattern.matches(text, effort)


def _concept(row: ConceptRow) -> Concept:
    properties: dict[str, tuple[str, ...]] = {}
    for name, value in row.properties:
        properties[name] = (*properties.get(name, ()), value)
    return Concept(
        row.code,
        row.display,
        row.definition,
        properties,
        bool(row.inactive),
        bool(row.abstract),
        tuple(row.designations),
    )


def _listed(value: str) -> list[str]:
    return [text.strip() for text in value.split(",")]


def _beginning(key: str) -> Condition:
    return {"$elemMatch": {"$gte": key, "$lt": key + "\uffff"}}  # one element: a range alone may be two


def _all(parts: list[Condition]) -> Condition:
    parts = [part for part in parts if part]
    return {} if not parts else parts[0] if len(parts) == 1 else {"$and": parts}
