"""What SearchParameter resources declare, and the numbers that this gives to keys: changed with the resources.

Collections of the system database, always read and written in a transaction:
`declarations` {_id: "SearchParameter/id", code, t, definition, types: type → meaning, same: types} — one for each
active resource;
`parameters` {_id: number, type, code, digest, keyless, definition, resource, state, since} — one for each meaning;
the document `parameters` of `state` {generation, next, layout, rebuild}: the generation grows with every change.

A number means one thing for ever: a parameter that changes its meaning gets another number. The states:
indexing (keys are written since the generation `since`; older resources wait for the reindex), complete, retired
(no longer searched by, but still written, until every process knows it), dropped (no longer written).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from copy import deepcopy
from dataclasses import asdict, dataclass
from typing import Any

import structlog
from pymongo import DeleteOne, ReplaceOne, ReturnDocument
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.read_concern import ReadConcern

from fhir_server import json
from fhir_server.search import custom
from fhir_server.search.custom import Definition, Meaning
from fhir_server.search.registry import LAST_CUSTOM, SearchParameter, number_text
from fhir_server.storage.database import DURABLE, Database

log = structlog.get_logger(__name__)

Document = dict[str, Any]
Pair = tuple[str, str]  # resource type, code

OBSERVED = "SearchParameter"
PARAMETERS = "parameters"  # the collection, and the document of `state` with its generation
REINDEX = (
    "reindex"  # the document of `state` that says which types are to be walked: {due: type → since this generation}
)
INDEXING, COMPLETE, RETIRED, DROPPED = "indexing", "complete", "retired", "dropped"
WRITTEN = (INDEXING, COMPLETE, RETIRED)


@dataclass(frozen=True, slots=True)
class Change:
    """A SearchParameter resource as it is now; `definition` None when it declares nothing. `stamp` orders them."""

    key: str
    definition: Definition | None
    stamp: int = 0


async def in_transaction(database: Database, work: Callable[[AsyncClientSession], Awaitable[None]]) -> None:
    """Run the work in one durable transaction, again when it met another."""
    async with database.client.start_session() as session:
        await session.with_transaction(work, read_concern=ReadConcern("snapshot"), write_concern=DURABLE)


async def advance(database: Database, session: AsyncClientSession) -> Document:
    """Begin a new generation, in one transaction at a time; answers the document of `state` that counts them."""
    state = await database.state.find_one_and_update(
        {"_id": PARAMETERS}, {"$inc": {"generation": 1}}, session=session, return_document=ReturnDocument.AFTER
    )
    assert state is not None
    return state


async def settle(database: Database, session: AsyncClientSession, changes: Iterable[Change]) -> None:
    """Bring declarations and parameters in line with these resources."""
    by_key = {change.key: change for change in changes}
    state = await advance(database, session)
    declarations = database.system["declarations"]
    table = _Table(await database.system[PARAMETERS].find(session=session).to_list(), state)
    codes = {change.definition.code for change in by_key.values() if change.definition is not None}
    # Composites depend on other parameters, so each change concerns them all.
    query: Document = {"$or": [{"_id": {"$in": list(by_key)}}, {"definition.type": "composite"}]}
    codes.update(await declarations.distinct("code", query, session=session))
    codes.update(row["code"] for row in table.rows if row["definition"]["type"] == "composite")
    known = {one["_id"]: one async for one in declarations.find({"code": {"$in": sorted(codes)}}, session=session)}
    judged = _judge(known, by_key, table, codes)
    table.decide(judged, codes)
    await _store(database, session, by_key, known, judged, table)


def _judge(
    known: Mapping[str, Document], changes: Mapping[str, Change], table: _Table, codes: set[str]
) -> dict[str, Document]:
    """The declarations of these codes as they are after the changes."""
    judged = {key: one for key, one in known.items() if key not in changes}
    for key, change in changes.items():
        definition = change.definition
        if definition is not None:
            meanings = {one: custom.judge(definition, one) for one in definition.types()}
            judged[key] = _declaration(key, change.stamp, definition, meanings)
    composites = [key for key, one in judged.items() if one["definition"]["type"] == "composite"]
    if composites:
        outlook = deepcopy(table)
        outlook.decide({key: one for key, one in judged.items() if key not in composites}, codes)
        others = outlook.active()
        for key in composites:
            definition = Definition.of(judged[key]["definition"])
            meanings = {one: custom.judge_among(definition, one, others.get(one, [])) for one in definition.types()}
            judged[key] = _declaration(key, judged[key]["t"], definition, meanings)
    return judged


def _declaration(key: str, stamp: int, definition: Definition, meanings: Mapping[str, Meaning]) -> Document:
    types = {resource_type: asdict(meaning) for resource_type, meaning in meanings.items()}
    same = [resource_type for resource_type, meaning in meanings.items() if meaning.relation == "same"]
    head: Document = {"_id": key, "code": definition.code, "t": stamp}
    return {**head, "definition": definition.document(), "types": types, "same": same}


class _Table:
    """The rows of `parameters`, being changed."""

    def __init__(self, rows: list[Document], state: Document) -> None:
        self.rows = rows
        self._before = {row["_id"]: dict(row) for row in rows}
        self.generation = int(state["generation"])
        self.next = int(state["next"])
        self.due: set[str] = set()

    def decide(self, declarations: Mapping[str, Document], codes: set[str]) -> None:
        """Let the first of several resources that declare a code for a type count; what none declares is given up.

        `declarations` are all those of these codes.
        """
        wanted: dict[Pair, Document] = {}
        for one in sorted(declarations.values(), key=lambda one: (one["t"], one["_id"])):
            for resource_type, meaning in one["types"].items():
                if meaning["relation"] == "new":
                    wanted.setdefault((resource_type, one["code"]), one)
        present = {(row["type"], row["code"]) for row in self.rows if row["code"] in codes}
        for pair in sorted(present | wanted.keys()):
            self._turn(pair, wanted.get(pair))

    def _turn(self, pair: Pair, declaration: Document | None) -> None:
        """Give the pair's rows the states that follow from its declaration."""
        meaning = declaration["types"][pair[0]] if declaration else {}
        found = False
        for row in self.rows:
            if (row["type"], row["code"]) != pair:
                continue
            if declaration is not None and row["digest"] == meaning["digest"]:
                found = True
                row["definition"], row["resource"] = declaration["definition"], declaration["_id"]
                if row["state"] == DROPPED or (row.get("keyless") and not meaning["keyless"]):
                    self._begin(row, meaning)
                elif row["state"] == RETIRED:
                    row["state"] = COMPLETE  # it was written all the time
            elif row["state"] == COMPLETE and row["definition"]["type"] != "composite":
                row["state"], row["since"] = RETIRED, self.generation
            elif row["state"] in (INDEXING, COMPLETE):
                row["state"], row["since"] = DROPPED, self.generation
        if declaration is not None and not found:
            self._add(pair, declaration, meaning)

    def _add(self, pair: Pair, declaration: Document, meaning: Document) -> None:
        if self.next > LAST_CUSTOM:
            log.error("no numbers for search parameters are left", type=pair[0], code=pair[1])
            return
        row: Document = {"_id": self.next, "type": pair[0], "code": pair[1], "digest": meaning["digest"]}
        row |= {"definition": declaration["definition"], "resource": declaration["_id"]}
        self.next += 1
        self._begin(row, meaning)
        self.rows.append(row)

    def _begin(self, row: Document, meaning: Document) -> None:
        row["keyless"], row["since"] = meaning["keyless"], self.generation
        row["state"] = COMPLETE if row["keyless"] else INDEXING
        if row["state"] == INDEXING:
            self.due.add(row["type"])

    def active(self) -> dict[str, list[SearchParameter]]:
        """The parameters that are there to search by, by type."""
        found: dict[str, list[SearchParameter]] = {}
        for row in self.rows:
            if row["state"] in (INDEXING, COMPLETE):
                found.setdefault(row["type"], []).append(parameter_of(row))
        return found

    def changed(self) -> list[Document]:
        return [row for row in self.rows if row != self._before.get(row["_id"])]


def parameter_of(row: Document) -> SearchParameter:
    """The search parameter of a row."""
    definition = Definition.of(row["definition"])
    return definition.parameter(row["type"], number_text(row["_id"]), complete=row["state"] != INDEXING)


async def _store(
    database: Database,
    session: AsyncClientSession,
    changes: Mapping[str, Change],
    known: Mapping[str, Document],
    judged: Mapping[str, Document],
    table: _Table,
) -> None:
    written: list[ReplaceOne[Document] | DeleteOne] = [
        ReplaceOne({"_id": key}, one, upsert=True) for key, one in judged.items() if one != known.get(key)
    ]
    written += [DeleteOne({"_id": key}) for key in changes if key not in judged]
    if written:
        await database.system["declarations"].bulk_write(written, session=session)
    if rows := table.changed():
        replaced = [ReplaceOne({"_id": row["_id"]}, row, upsert=True) for row in rows]
        await database.system[PARAMETERS].bulk_write(replaced, session=session)
    await database.state.update_one({"_id": PARAMETERS}, {"$set": {"next": table.next}}, session=session)
    if table.due:
        await make_due(database, session, table.due, table.generation)
    for key in changes.keys() & judged.keys():
        _report(judged[key])


async def make_due(database: Database, session: AsyncClientSession, types: Iterable[str], generation: int) -> None:
    """Ask for a walk over these types with at least this generation's parameters."""
    later = {f"due.{resource_type}": generation for resource_type in types}
    await database.state.update_one({"_id": REINDEX}, {"$max": later}, upsert=True, session=session)


def _report(declaration: Document) -> None:
    for relation in ("conflict", "unusable"):
        types = [name for name, meaning in declaration["types"].items() if meaning["relation"] == relation]
        if types:
            log.warning(f"search parameter: {relation}", resource=declaration["_id"], types=types)


@dataclass(frozen=True, slots=True)
class Coverage:
    """What became of a SearchParameter resource for one type.

    `state`: indexing | complete | same (as R4's own) | conflict (another keeps the code) | unusable.
    """

    resource: str
    type: str
    code: str
    url: str
    state: str


async def coverage(database: Database) -> list[Coverage]:
    """What became of every resource that declares something, for each of its types."""
    rows = await database.system[PARAMETERS].find({"state": {"$in": [INDEXING, COMPLETE]}}).to_list()
    in_force = {(row["type"], row["code"], row["digest"]): row["state"] for row in rows}
    found: list[Coverage] = []
    async for one in database.system["declarations"].find().sort("_id", 1):
        for name, meaning in one["types"].items():
            state = meaning["relation"]
            if state == "new":
                state = in_force.get((name, one["code"], meaning["digest"]), "conflict")
            found.append(Coverage(one["_id"], name, one["code"], one["definition"]["url"], state))
    return found


async def reconcile(database: Database) -> None:
    """Declare what the resources say and the declarations do not: after an upgrade, or on restored data."""

    async def work(session: AsyncClientSession) -> None:
        if changes := await _differences(database, session):
            await settle(database, session, changes)

    if await _differences(database, None):
        await in_transaction(database, work)


async def _differences(database: Database, session: AsyncClientSession | None) -> list[Change]:
    declared = {one["_id"]: one async for one in database.system["declarations"].find(session=session)}
    found: list[Change] = []
    query = {"ty": OBSERVED, "d": None}
    async for one in database.resource.find(query, {"j": 1, "t": 1}, session=session):
        change = Change(one["_id"], custom.read(json.decode(one["j"])), one["t"])
        stored = declared.pop(change.key, None)
        if change.definition is None:
            found += [change] if stored is not None else []
        elif stored is None or stored != _as_declared(change, stored):
            found.append(change)
    return found + [Change(key, None) for key in declared]


def _as_declared(change: Change, stored: Document) -> Document:
    """The declaration as this code makes it; meanings of composites depend on others and are left as they are."""
    definition = change.definition
    assert definition is not None
    if definition.type == "composite":
        return {**stored, "definition": definition.document(), "t": change.stamp, "code": definition.code}
    meanings = {one: custom.judge(definition, one) for one in definition.types()}
    return _declaration(change.key, change.stamp, definition, meanings)
