"""Search keys computed anew, beside a running server: a resource that changes meanwhile has fresh keys anyway."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from pymongo import UpdateOne

from fhir_server import json
from fhir_server.storage.database import Database

Document = dict[str, Any]
BATCH = 500
MARKER = "reindex"
INDEX_FIELDS = ("k", "r", "s", "f", "w", "g", "c")  # what extraction writes: fhir_server/search/keys.py


class Index(Protocol):
    """What extraction yields for a resource."""

    def document(self) -> Document:
        """The fields of the stored document."""


async def reindex(
    database: Database, extract: Callable[[Document], Index], progress: Callable[[int, int], None]
) -> int:
    """Walk all current resources in order of "Type/id"; answers how many keys were out of date.

    Resumable: an interrupted run goes on where it stopped. `progress(done, total)` is called per batch.
    """
    total = await database.resource.estimated_document_count()
    marker = await database.markers.find_one({"_id": MARKER}) or {}
    last, done, changed = str(marker.get("last", "")), int(marker.get("done", 0)), int(marker.get("changed", 0))
    while True:
        query: Document = {"_id": {"$gt": last}}
        documents = await database.resource.find(query).sort("_id", 1).limit(BATCH).to_list()
        if not documents:
            break
        updates = [update for document in documents if (update := _update(document, extract)) is not None]
        if updates:
            result = await database.resource.bulk_write(updates, ordered=False)
            changed += result.modified_count
        last, done = documents[-1]["_id"], done + len(documents)
        state = {"last": last, "done": done, "changed": changed}
        await database.markers.replace_one({"_id": MARKER}, state, upsert=True)
        progress(done, max(total, done))
    await database.markers.delete_one({"_id": MARKER})
    return changed


def _update(document: Document, extract: Callable[[Document], Index]) -> UpdateOne | None:
    if document.get("d"):
        return None
    fresh = extract(json.decode(document["j"])).document()
    if all(document.get(name) == fresh.get(name) for name in INDEX_FIELDS):
        return None
    stale = {name: "" for name in INDEX_FIELDS if name in document and name not in fresh}
    change: Document = {"$set": fresh, **({"$unset": stale} if stale else {})}
    # Only while it is still the version we read: a later write brings its own keys.
    return UpdateOne({"_id": document["_id"], "v": document["v"]}, change)
