"""Writing the concepts of a large code system, batch by batch; they show all at once when the load is finished.

load = await begin(repository, {"resourceType": "CodeSystem", "url": …, "version": …, …}, base_url=…)
while …:                                         # from load.progress on, if a killed load left some
    await load.add(rows, progress={"file": 3})   # any size; idempotent: rows of the same code are merged
await load.finish()
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from pymongo import ReturnDocument, UpdateOne
from pymongo.asynchronous.client_session import AsyncClientSession

from fhir_server import json
from fhir_server.access.principal import SYSTEM
from fhir_server.storage.concepts import MAX_KEY, MAX_WORDS, ConceptRow, Designation, row_id, words
from fhir_server.storage.database import Collection, Database
from fhir_server.storage.generation import advance
from fhir_server.storage.repository import Repository
from fhir_server.storage.unit_of_work import UnitOfWork, Write

Json = dict[str, Any]
Document = dict[str, Any]
Report = Callable[[int, int], None]  # done, total

BATCH = 1000  # rows that one message to the database carries
_COUNTER = "code_system_loads"  # a document of `state`


async def begin(repository: Repository, resource: Json, *, base_url: str, restart: bool = False) -> ConceptLoad:
    """Start to load a code system, or go on with a load of the same url and version that was killed.

    `resource` is the CodeSystem without its concepts: url (needed), version, name, title, status, content (what the
    loaded concepts are: "complete" unless said), hierarchyMeaning, caseSensitive, property … With `restart` an
    unfinished load begins anew. Raises ValueError without a url.
    """
    url, version = resource.get("url", ""), resource.get("version", "")
    if not url:
        raise ValueError("a code system needs a url")
    database = repository.database
    loads: Collection = database.system["code_system_load"]
    await sweep(database)
    key = f"CodeSystem/{_id_of(url, version, resource.get('name', ''))}"
    found = await loads.find_one({"r": key, "state": "loading"})
    if found is not None and restart:
        await _remove(database, found["_id"])
        found = None
    if found is None:
        found = {
            "_id": await _number(database),
            "r": key,
            "url": url,
            "version": version,
            "content": resource.get("content", "complete"),
            "state": "loading",
            "started": datetime.now(UTC),
        }
        await loads.insert_one(found)
    return ConceptLoad(repository, resource, found, base_url)


async def sweep(database: Database) -> int:
    """Remove the rows of loads that were replaced; answers how many loads."""
    loads: Collection = database.system["code_system_load"]
    replaced = await loads.find({"state": "replaced"}, {"_id": 1}).to_list()
    for one in replaced:
        await _remove(database, one["_id"])
    return len(replaced)


class ConceptLoad:
    """One load under way. `progress` is what the last `add` noted, of a killed load too; {} at the beginning."""

    def __init__(self, repository: Repository, resource: Json, record: Document, base_url: str) -> None:
        self._repository = repository
        self._database = repository.database
        self._resource = resource
        self._base_url = base_url
        self._rows: Collection = self._database.system["concept"]
        self._loads: Collection = self._database.system["code_system_load"]
        self.number: int = record["_id"]
        self.key: str = record["r"]
        self.progress: Json = record.get("progress", {})

    async def add(self, rows: Iterable[ConceptRow], *, progress: Mapping[str, Any] | None = None) -> int:
        """Write these rows, merged with what the load has of their codes; answers how many.

        `progress` is stored after them (JSON-like, small).
        """
        count, left = 0, iter(rows)
        while some := list(islice(left, BATCH)):
            await self._rows.bulk_write([_upsert(self.number, row) for row in some], ordered=False)
            count += len(some)
        if progress is not None:
            self.progress = dict(progress)
            await self._loads.update_one({"_id": self.number}, {"$set": {"progress": self.progress}})
        return count

    async def finish(self, report: Report = lambda done, total: None) -> int:
        """Work out the hierarchy and the search keys, and let everyone see the load; answers the number of concepts.

        Killed on the way, it can be called again on a resumed load. What it replaces is removed afterwards.
        """
        graph = await self._graph()
        count, properties = await self._derive(graph, report)
        await self._write_resource(count, properties)
        await self._switch(count, properties, bool(graph.edges))
        await sweep(self._database)
        return count

    async def abandon(self) -> None:
        """Remove what was loaded."""
        await _remove(self._database, self.number)

    async def _graph(self) -> _Graph:
        graph = _Graph()
        async for row in self._rows.find({"s": self.number}, {"_id": 0, "c": 1, "o": 1}, batch_size=10 * BATCH):
            graph.add(row["c"], row.get("o", ()))
        return graph

    async def _derive(self, graph: _Graph, report: Report) -> tuple[int, set[str]]:
        done, properties, total = 0, set[str](), len(graph.known)
        cursor = self._rows.find({"s": self.number}, {"n": 0, "f": 0, "k": 0}, batch_size=BATCH)
        batch: list[UpdateOne] = []
        async for row in cursor.hint("order"):
            properties.update(name for name, _ in row.get("p", ()))
            batch.append(UpdateOne({"_id": row["_id"]}, {"$set": {"k": _keys(row, graph)}}))
            if len(batch) == BATCH:
                await self._rows.bulk_write(batch, ordered=False)
                done, batch = done + len(batch), []
                report(done, total)
        if batch:
            await self._rows.bulk_write(batch, ordered=False)
        report(total, total)
        return total, properties

    async def _write_resource(self, count: int, properties: set[str]) -> None:
        """Create or update the CodeSystem resource, unless it says the same already."""
        type_, _, id_ = self.key.partition("/")
        concepts = {"concept", "resourceType", "id", "meta", "text"}
        listed = {one.get("code") for one in self._resource.get("property", ())}
        more = [{"code": name, "type": "string"} for name in sorted(properties - listed)]
        resource: Json = {
            "resourceType": type_,
            "id": id_,
            "status": "active",
            **{name: value for name, value in self._resource.items() if name not in concepts},
            "content": "not-present",
            "count": count,
        }
        if listed or more:
            resource["property"] = [*self._resource.get("property", ()), *more]
        base = await self._repository.read(SYSTEM, type_, id_)
        if base is not None and not base.deleted:
            held = base.resource()
            held.pop("meta", None)
            if held == json.decode(json.encode(resource)):
                return
        write = Write("PUT", type_, id_, resource, base)
        write.find_by(self._base_url)
        write.prepare()
        unit = UnitOfWork()
        unit.add(write)
        await self._repository.commit(unit)

    async def _switch(self, count: int, properties: set[str], hierarchy: bool) -> None:
        async def switch(session: AsyncClientSession) -> None:
            older = {"r": self.key, "state": "ready", "_id": {"$ne": self.number}}
            await self._loads.update_many(older, {"$set": {"state": "replaced"}}, session=session)
            made = {"state": "ready", "count": count, "properties": sorted(properties), "hierarchy": hierarchy}
            await self._loads.update_one({"_id": self.number}, {"$set": made}, session=session)
            await advance(self._database, session)

        async with self._database.client.start_session() as session:
            await session.with_transaction(switch)


class _Graph:
    """Who is directly above whom, in numbers: some 100 bytes a concept."""

    def __init__(self) -> None:
        self.numbers: dict[str, int] = {}
        self.names: list[str] = []
        self.edges: dict[int, tuple[int, ...]] = {}
        self.inner: set[int] = set()  # who has somebody below
        self.known: set[int] = set()

    def add(self, code: str, parents: Sequence[str]) -> None:
        number = self._number(code)
        self.known.add(number)
        above = tuple(self._number(one) for one in parents if one != code)
        if above:
            self.edges[number] = above
            self.inner.update(above)

    def _number(self, code: str) -> int:
        number = self.numbers.setdefault(code, len(self.numbers))
        if number == len(self.names):
            self.names.append(code)
        return number

    def ancestors(self, code: str) -> list[str]:
        """The code and all above it; a circle ends where it closes, and parents that have no row are left out."""
        start = self.numbers[code]
        found, waiting = {start}, [start]
        while waiting:
            for above in self.edges.get(waiting.pop(), ()):
                if above not in found and above in self.known:
                    found.add(above)
                    waiting.append(above)
        return [self.names[number] for number in found]

    def is_leaf(self, code: str) -> bool:
        return self.numbers[code] not in self.inner


def _keys(row: Mapping[str, Any], graph: _Graph) -> list[str]:
    """What a concept is found by; see `concepts`."""
    code = row["c"]
    keys = dict.fromkeys(f"u|{one}" for one in graph.ancestors(code))
    keys.update(dict.fromkeys(f"o|{one}" for one in row.get("o", ())))
    if graph.is_leaf(code):
        keys["t|leaf"] = None
    if not row.get("o"):
        keys["t|root"] = None
    if not row.get("i"):
        keys["t|active"] = None
    if code.casefold() != code:
        keys[f"c|{code.casefold()}"] = None
    for name, value in row.get("p", ()):
        keys[f"p|{name}"] = None
        if len(value) <= MAX_KEY:
            keys[f"p|{name}|{value}"] = None
    texts = [row.get("d", ""), *(one["v"] for one in row.get("l", ()))]
    found = dict.fromkeys(word for text in texts for word in words(text))
    keys.update(dict.fromkeys(f"w|{word}" for word in islice(found, MAX_WORDS)))
    return list(keys)


def _upsert(number: int, row: ConceptRow) -> UpdateOne:
    scalars: Document = {"s": number, "c": row.code}
    if row.order is not None:
        scalars["n"] = row.order
    for name, text in (("d", row.display), ("f", row.definition)):
        if text:
            scalars[name] = text
    for name, flag in (("i", row.inactive), ("a", row.abstract)):
        if flag is not None:
            scalars[name] = flag
    lists: Document = {}
    if row.designations:
        lists["l"] = {"$each": [_designation(one) for one in row.designations]}
    if row.properties:
        lists["p"] = {"$each": [list(one) for one in row.properties]}
    if row.parents:
        lists["o"] = {"$each": list(row.parents)}
    update: Document = {"$set": scalars, **({"$addToSet": lists} if lists else {})}
    if row.order is None:
        update["$setOnInsert"] = {"n": 0}
    return UpdateOne({"_id": row_id(number, row.code)}, update, upsert=True)


def _designation(one: Designation) -> Document:
    document: Document = {"v": one.value}
    if one.language:
        document["g"] = one.language
    if one.use_code:
        document["u"] = [one.use_system, one.use_code]
    return document


def _id_of(url: str, version: str, name: str) -> str:
    """The id of the resource: readable, and the same for each load of the same url and version."""
    readable = re.sub(r"[^A-Za-z0-9]+", "-", name or url.rstrip("/").rpartition("/")[2]).strip("-").lower()[:40]
    return f"{readable or 'codes'}-{hashlib.sha256(f'{url}|{version}'.encode()).hexdigest()[:12]}"


async def _number(database: Database) -> int:
    found = await database.state.find_one_and_update(
        {"_id": _COUNTER}, {"$inc": {"last": 1}}, upsert=True, return_document=ReturnDocument.AFTER
    )
    assert found is not None
    return int(found["last"])


async def _remove(database: Database, number: int) -> None:
    """The rows in slices, so that no single deletion takes long, and the record after them."""
    rows: Collection = database.system["concept"]
    async for some in _slices(rows, number):
        await rows.delete_many({"_id": {"$in": some}})
    await database.system["code_system_load"].delete_one({"_id": number})


async def _slices(rows: Collection, number: int) -> AsyncIterator[list[str]]:
    while found := await rows.find({"s": number}, {"_id": 1}).limit(5 * BATCH).to_list():
        yield [row["_id"] for row in found]
