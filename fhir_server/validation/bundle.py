"""The invariants of Bundle as direct checks: https://hl7.org/fhir/R4/bundle.html#invs (there is no bdl-6)"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

Json = dict[str, Any]
Problem = tuple[str, str, str]

_REQUESTS = ("batch", "transaction", "history")
_RESPONSES = ("batch-response", "transaction-response", "history")


def bundle_problems(bundle: Json) -> list[Problem]:
    """(issue code, rule, expression below the Bundle) for every invariant that is broken; tolerates wrong types."""
    entries = bundle.get("entry")
    listed = [e if type(e) is dict else {} for e in entries] if type(entries) is list else []
    kind = bundle.get("type")
    found = [*_of_bundle(bundle, kind, listed), *_unique(kind, listed)]
    for index, entry in enumerate(listed):
        found += ((rule, f"entry[{index}]{step}") for rule, step in _of_entry(entry, kind))
    return [("invariant", rule, expression) for rule, expression in found]


def _of_bundle(bundle: Json, kind: Any, entries: list[Json]) -> Iterator[tuple[str, str]]:
    if "total" in bundle and kind not in ("searchset", "history"):
        yield "bdl-1: total only when a search or history.", "total"
    if kind == "document":
        identifier = bundle.get("identifier")
        if type(identifier) is not dict or not {"system", "value"} <= identifier.keys():
            yield "bdl-9: a document must have an identifier with a system and a value.", "identifier"
        if "timestamp" not in bundle:
            yield "bdl-10: a document must have a timestamp.", "timestamp"
        if _first_type(entries) != "Composition":
            yield "bdl-11: a document must have a Composition as its first resource.", "entry[0].resource"
    if kind == "message" and _first_type(entries) != "MessageHeader":
        yield "bdl-12: a message must have a MessageHeader as its first resource.", "entry[0].resource"


def _of_entry(entry: Json, kind: Any) -> Iterator[tuple[str, str]]:
    if "search" in entry and kind != "searchset":
        yield "bdl-2: entry.search only when a search.", ".search"
    if ("request" in entry) != (kind in _REQUESTS):
        yield "bdl-3: entry.request is mandatory for batch, transaction and history, otherwise prohibited.", ".request"
    if ("response" in entry) != (kind in _RESPONSES):
        yield (
            "bdl-4: entry.response is mandatory for batch-response, transaction-response and history, "
            "otherwise prohibited.",
            ".response",
        )
    if not entry.keys() & {"resource", "request", "response"}:
        yield "bdl-5: an entry must have a resource unless it has a request or response.", ""
    full_url = entry.get("fullUrl")
    if type(full_url) is str and "/_history/" in full_url:
        yield "bdl-8: fullUrl cannot be a version specific reference.", ".fullUrl"


def _unique(kind: Any, entries: list[Json]) -> Iterator[tuple[str, str]]:
    if kind == "history":
        return
    seen: set[tuple[str, str]] = set()
    for index, entry in enumerate(entries):
        full_url = entry.get("fullUrl")
        if type(full_url) is not str:
            continue
        meta = (_resource(entry)).get("meta")
        version = meta.get("versionId") if type(meta) is dict else None
        identity = full_url, version if type(version) is str else ""
        if identity in seen:
            yield "bdl-7: fullUrl must be unique, or the resources must differ in meta.versionId.", f"entry[{index}]"
        seen.add(identity)


def _resource(entry: Json) -> Json:
    resource = entry.get("resource")
    return resource if type(resource) is dict else {}


def _first_type(entries: list[Json]) -> Any:
    return _resource(entries[0]).get("resourceType") if entries else None
