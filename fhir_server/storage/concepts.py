"""Code systems too large to be one resource: a row for each concept, and a record of each load.

Beside them stands an ordinary CodeSystem resource with `content` "not-present": REST users find it, access is decided
on it, and its "CodeSystem/id" leads to the rows. Loaders write through `concept_load.begin`.

A row of the collection `concept` (absent means empty or false):

    _id  "<number>|<code>", the number being that of the load      s  number        n  order (then by code)
    c  code      d  display      f  definition      i  inactive      a  abstract      o  [direct parents' codes]
    l  [{g: language, u: [system, code] of the use, v: text}]                       p  [[property, value as text], …]
    k  what it is found by, made at the end of the load:
         "u|CODE" itself and each ancestor        "o|CODE" each parent       "t|leaf", "t|root", "t|active"
         "w|word" each folded word of display and designations               "c|code" folded, where that differs
         "p|NAME" each property it has            "p|NAME|value" its values up to MAX_KEY characters

A document of `code_system_load`: _id number, r "CodeSystem/id", url, version, content (of the code system as loaded),
state "loading" | "ready" | "replaced", count, properties [names], progress (the loader's own), started.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fhir_server.storage.database import Collection, Database, in_time

Document = dict[str, Any]

MAX_KEY = 100  # characters of a property's value that it can be found by
MAX_WORDS = 200  # of one concept that it can be found by
_WORD = re.compile(r"[^\W_]+")
_SEPARATED = "|"


@dataclass(frozen=True, slots=True)
class Designation:
    """Another name of a concept: https://hl7.org/fhir/R4/codesystem-definitions.html#CodeSystem.concept.designation"""

    value: str
    language: str = ""
    use_system: str = ""
    use_code: str = ""


@dataclass(slots=True)
class ConceptRow:
    """One concept. In a load, what is empty or None says nothing, so that several files can tell about one code."""

    code: str
    display: str = ""
    definition: str = ""
    order: int | None = None  # of the code system's list; equal ones follow their codes
    designations: Sequence[Designation] = ()
    properties: Sequence[tuple[str, str]] = ()  # (name, value as text); several of one name keep their order
    parents: Sequence[str] = ()
    inactive: bool | None = None
    abstract: bool | None = None


@dataclass(frozen=True, slots=True)
class Load:
    """Which rows belong to a code system."""

    number: int
    key: str  # "CodeSystem/id" of the resource beside it
    content: str
    count: int
    properties: frozenset[str]
    has_hierarchy: bool


def words(text: str) -> list[str]:
    """The words of a text as they are compared: without case and accents."""
    plain = unicodedata.normalize("NFKD", text.casefold())
    return _WORD.findall("".join(one for one in plain if not unicodedata.combining(one)))


def row_id(number: int, code: str) -> str:
    return f"{number}{_SEPARATED}{code}"


class Concepts:
    """The rows of loads that are ready, as terminology asks for them."""

    def __init__(self, database: Database, milliseconds: int) -> None:
        self._rows: Collection = database.system["concept"]
        self._loads: Collection = database.system["code_system_load"]
        self._milliseconds = milliseconds

    async def loads(self) -> dict[str, Load]:
        """Every load that is ready, by the "CodeSystem/id" of its resource."""
        found = await self._loads.find({"state": "ready"}).sort("_id", 1).to_list()
        return {one["r"]: _load(one) for one in found}

    async def many(self, number: int, codes: Iterable[str]) -> dict[str, ConceptRow]:
        """The concepts of these codes; those that are not there are absent."""
        wanted = [row_id(number, code) for code in dict.fromkeys(codes)]
        found: dict[str, ConceptRow] = {}
        with in_time():
            for start in range(0, len(wanted), 1000):
                some = {"_id": {"$in": wanted[start : start + 1000]}}
                async for row in self._rows.find(some, max_time_ms=self._milliseconds):
                    found[row["c"]] = _row(row)
        return found

    async def find(self, number: int, condition: Mapping[str, Any], *, offset: int = 0, limit: int) -> list[ConceptRow]:
        """The concepts that fit, in order of the code system."""
        cursor = self._rows.find({"s": number, **condition}, {"k": 0}).sort([("n", 1), ("c", 1)])
        with in_time():
            rows = await cursor.skip(offset).limit(limit).max_time_ms(self._milliseconds).to_list()
        return [_row(row) for row in rows]

    async def codes(self, number: int, condition: Mapping[str, Any], *, limit: int) -> list[str]:
        """Up to `limit` codes of those that fit, in no order."""
        cursor = self._rows.find({"s": number, **condition}, {"_id": 0, "c": 1}).limit(limit)
        with in_time():
            return [row["c"] for row in await cursor.max_time_ms(self._milliseconds).to_list()]

    async def texts(self, number: int, condition: Mapping[str, Any], name: str) -> AsyncIterator[tuple[str, str]]:
        """(code, text) of those that fit: their "code", "display" or "definition"."""
        path = {"code": "c", "display": "d", "definition": "f"}[name]
        cursor = self._rows.find({"s": number, **condition}, {"_id": 0, "c": 1, path: 1}, batch_size=1000)
        with in_time():
            async for row in cursor.max_time_ms(self._milliseconds):
                yield row["c"], row.get(path, "")

    async def count(self, number: int, condition: Mapping[str, Any], *, limit: int = 0) -> int:
        """How many fit; counting stops at `limit`, unless it is 0."""
        options: Document = {"maxTimeMS": self._milliseconds, **({"limit": limit} if limit else {})}
        with in_time():
            return await self._rows.count_documents({"s": number, **condition}, **options)

    async def property_values(self, number: int, name: str, *, limit: int) -> list[str]:
        """Up to `limit` different values of a property."""
        prefix = f"p|{name}|"
        between = {"$gte": prefix, "$lt": prefix + "\uffff"}
        pipeline: list[Document] = [
            {"$match": {"s": number, "k": {"$elemMatch": between}}},
            {"$unwind": "$k"},
            {"$match": {"k": between}},
            {"$group": {"_id": "$k"}},
            {"$limit": limit},
        ]
        with in_time():
            async with await self._rows.aggregate(pipeline, maxTimeMS=self._milliseconds) as rows:
                return [row["_id"].removeprefix(prefix) async for row in rows]

    async def ancestors(self, number: int, codes: Iterable[str]) -> dict[str, frozenset[str]]:
        """Each code that is there with all above it, itself included."""
        wanted = [row_id(number, code) for code in dict.fromkeys(codes)]
        found: dict[str, frozenset[str]] = {}
        with in_time():
            async for row in self._rows.find({"_id": {"$in": wanted}}, {"c": 1, "k": 1}):
                found[row["c"]] = frozenset(key[2:] for key in row.get("k", ()) if key.startswith("u|"))
        return found

    async def keys(self, number: int, codes: Iterable[str]) -> dict[str, frozenset[str]]:
        """Each code that is there with all that it is found by."""
        wanted = [row_id(number, code) for code in dict.fromkeys(codes)]
        with in_time():
            rows = await self._rows.find({"_id": {"$in": wanted}}, {"c": 1, "k": 1}).to_list()
        return {row["c"]: frozenset(row.get("k", ())) for row in rows}


def _load(document: Mapping[str, Any]) -> Load:
    return Load(
        document["_id"],
        document["r"],
        document.get("content", "complete"),
        document.get("count", 0),
        frozenset(document.get("properties", ())),
        bool(document.get("hierarchy")),
    )


def _row(document: Mapping[str, Any]) -> ConceptRow:
    get = document.get
    return ConceptRow(
        document["c"],
        get("d", ""),
        get("f", ""),
        get("n", 0),
        [Designation(one["v"], one.get("g", ""), *one.get("u", ())) for one in get("l", ())],
        [(name, value) for name, value in get("p", ())],
        get("o", ()),
        bool(get("i")),
        bool(get("a")),
    )
