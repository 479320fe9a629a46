"""What is installed: one document for each package, in the collection `packages` of the system database.

{_id: name, version, title, canonical, digest, state, examples, installed, dependencies: [{name, version}],
resources: [{key, path, url, version}], mark}. States: installing and removing (begun, and to be finished by the same
command given again), installed. What an installation has written so far is in `markers`, in the transactions that
wrote it: {_id: "package:<name>:<first key>", resources}.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from secrets import token_hex
from typing import Any

import msgspec
from pymongo.errors import DuplicateKeyError

from fhir_server.storage.database import Database

Document = dict[str, Any]
INSTALLING, INSTALLED, REMOVING = "installing", "installed", "removing"


@dataclass(frozen=True, slots=True)
class Owned:
    """A stored resource ("Type/id") that a package brought, under its file's name and canonical URL|version, if any."""

    key: str
    path: str
    url: str = ""
    version: str = ""


@dataclass(frozen=True, slots=True)
class Dependency:
    """A package that another one says it needs."""

    name: str
    version: str


@dataclass(frozen=True, slots=True)
class Record:
    """A package that is installed, or on its way."""

    name: str
    version: str
    digest: str
    title: str = ""
    canonical: str = ""
    state: str = INSTALLED
    examples: bool = False
    installed: datetime = field(default_factory=lambda: datetime.now(UTC))
    dependencies: tuple[Dependency, ...] = ()
    resources: tuple[Owned, ...] = ()
    mark: str = field(default_factory=lambda: token_hex(8))  # tells one writing of the record from another


class Records:
    """The records of one database."""

    def __init__(self, database: Database) -> None:
        self._collection = database.system["packages"]
        self._markers = database.markers

    async def all(self) -> list[Record]:
        """Every record, by name; of one that is not installed yet with what is written of it."""
        records = await self._read()
        while True:
            found = [one if one.state == INSTALLED else await self._with_written(one) for one in records]
            before, records = records, await self._read()
            if records == before:  # nobody came to an end meanwhile and took the notes away
                return found

    async def _read(self) -> list[Record]:
        return [_record(one) async for one in self._collection.find().sort("_id", 1)]

    async def _with_written(self, record: Record) -> Record:
        owned = {one.key: one for one in record.resources}
        async for marker in self._markers.find({"_id": _of(record.name)}):
            owned |= {one["key"]: msgspec.convert(one, Owned) for one in marker["resources"]}
        return replace(record, resources=tuple(owned.values()))

    async def put(self, record: Record, before: Record | None) -> bool:
        """Write the record in place of this one; False when another one is there by now."""
        document: Document = msgspec.to_builtins(record, builtin_types=(datetime,))
        document["_id"] = document.pop("name")
        if before is None:
            try:
                await self._collection.insert_one(document)
            except DuplicateKeyError:
                return False
            return True
        same = {"_id": before.name, "mark": before.mark}
        return (await self._collection.replace_one(same, document)).matched_count == 1

    async def settle(self, name: str) -> None:
        """Forget what was written on the way; the record says it, or nobody needs it."""
        await self._markers.delete_many({"_id": _of(name)})

    async def forget(self, record: Record) -> bool:
        """Remove the record; False when another one is there by now. The resources are none of its business."""
        return (await self._collection.delete_one({"_id": record.name, "mark": record.mark})).deleted_count == 1


def marker(name: str, resources: Sequence[Owned]) -> tuple[str, Document]:
    """What a transaction notes besides these resources: id and content."""
    return f"package:{name}:{resources[0].key}", {"resources": [msgspec.to_builtins(one) for one in resources]}


def _of(name: str) -> Document:
    return {"$gte": f"package:{name}:", "$lt": f"package:{name};"}


def _record(document: Document) -> Record:
    return msgspec.convert({**document, "name": document["_id"]}, Record)
