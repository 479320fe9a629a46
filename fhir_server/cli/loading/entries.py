"""What is in a file as the entries of transactions, each with the request that stores it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import Any
from urllib.parse import quote

from fhir_server.cli.loading.sources import Source
from fhir_server.definitions import search_parameters
from fhir_server.json import InvalidJson, decode

Json = dict[str, Any]
LINES_TOGETHER = 500
BYTES_TOGETHER = 8 * 1024 * 1024
_SPECIAL = re.compile(r"([\\,$|])")


class Unloadable(ValueError):
    """There is nothing to load in a file; the message says why."""


@dataclass(slots=True)
class Item:
    """One entry of a Bundle or one line: its place in the file from 0, and how to store it or why that cannot be."""

    place: int
    label: str  # "entry 3", "line 7"
    entry: Json = field(default_factory=dict)
    problem: str = ""

    @property
    def type(self) -> str:
        """The resource type, for the summary."""
        resource = self.entry.get("resource")
        if isinstance(resource, dict) and isinstance(resource.get("resourceType"), str):
            return str(resource["resourceType"])[:64]
        url = self.entry.get("request", {}).get("url")
        return re.split(r"[/?]", url)[0][:64] if isinstance(url, str) else "(unknown)"


@dataclass(slots=True)
class Chunk:
    """Items that are stored in one transaction; `atomic`: all of them or none, as the file asks for."""

    items: list[Item]
    position: int  # bytes of the file on disk that are read by then
    atomic: bool = False


def chunks(source: Source, most: int, if_none_exist: bool) -> Iterator[Chunk]:
    """The file's content in order, at most `most` items of a Bundle together.

    Raises Unloadable, InvalidJson, OSError, EOFError.
    """
    for chunk in _from_lines(source) if source.in_lines else _from_document(source, most):
        if if_none_exist:
            add_conditions(chunk.items)
        yield chunk


def _from_lines(source: Source) -> Iterator[Chunk]:
    items: list[Item] = []
    length = position = 0
    for number, line, position in source.lines():
        if items and (len(items) == LINES_TOGETHER or length + len(line) > BYTES_TOGETHER):
            yield Chunk(items, position)
            items, length = [], 0
        items.append(_line(number, line))
        length += len(line)
    if items:
        yield Chunk(items, position)


def _line(number: int, line: bytes) -> Item:
    label = f"line {number + 1}"
    try:
        return _item(number, label, decode(line))
    except InvalidJson as wrong:
        return Item(number, label, problem=str(wrong))


def _from_document(source: Source, most: int) -> Iterator[Chunk]:
    document = source.document()
    kind = document.get("type") if isinstance(document, dict) and document.get("resourceType") == "Bundle" else None
    if kind in ("history", "batch-response", "transaction-response"):
        raise Unloadable(f"A Bundle of type {kind} is not for loading.")
    if kind not in ("transaction", "batch", "collection", "searchset"):
        yield Chunk([_item(0, "the resource", document)], source.size)
        return
    listed = document.get("entry", [])
    if not isinstance(listed, list):
        raise Unloadable("Bundle.entry is a list.")
    asks = kind in ("transaction", "batch")
    items = [_of_entry(place, entry, asks) for place, entry in enumerate(listed) if not _is_outcome(entry)]
    step = len(items) if kind == "transaction" else most
    for start in range(0, len(items), max(step, 1)):
        yield Chunk(items[start : start + step], source.size, atomic=kind == "transaction")


def _is_outcome(entry: Any) -> bool:
    """What a search said beside its results."""
    return isinstance(entry, dict) and isinstance(s := entry.get("search"), dict) and s.get("mode") == "outcome"


def _of_entry(place: int, entry: Any, asks: bool) -> Item:
    label = f"entry {place}"
    if not isinstance(entry, dict):
        return Item(place, label, problem="An entry of a Bundle is an object.")
    if asks:
        request = entry.get("request")
        return Item(place, label, {**entry, **({"request": dict(request)} if isinstance(request, dict) else {})})
    item = _item(place, label, entry.get("resource"))
    if not item.problem and isinstance(entry.get("fullUrl"), str):
        item.entry["fullUrl"] = entry["fullUrl"]
    return item


def _item(place: int, label: str, resource: Any) -> Item:
    """A resource kept under its id; one without gets an id from the server."""
    if not isinstance(resource, dict) or not isinstance(resource.get("resourceType"), str):
        return Item(place, label, problem="There is no resource here.")
    type_, id_ = quote(resource["resourceType"], safe=""), resource.get("id")
    if isinstance(id_, str) and id_:
        request = {"method": "PUT", "url": f"{type_}/{quote(id_, safe='')}"}
    else:
        request = {"method": "POST", "url": type_}
    return Item(place, label, {"resource": resource, "request": request})


def add_conditions(items: Iterable[Item]) -> None:
    """Make each POST conditional on an identifier of its resource, where one tells the resource from all others.

    That is the first with system and value that no other resource of the same type in the same transaction
    has: an identifier that several share (a claim group) does not tell them apart.
    """
    posted = [item for item in items if item.entry.get("request", {}).get("method") == "POST"]
    known = [(item, _identifiers(item.entry.get("resource"))) for item in posted]
    users = Counter((item.type, identifier) for item, identifiers in known for identifier in set(identifiers))
    for item, identifiers in known:
        own = next((each for each in identifiers if users[item.type, each] == 1), None)
        if own and "ifNoneExist" not in item.entry["request"] and item.type in _searchable():
            item.entry["request"]["ifNoneExist"] = criterion(*own)


def criterion(system: str, value: str) -> str:
    """`identifier=system|value` as the query of a URL; , $ | and \\ within them are no separators."""
    return "identifier=" + quote("|".join(_SPECIAL.sub(r"\\\1", part) for part in (system, value)), safe="")


def _identifiers(resource: Any) -> list[tuple[str, str]]:
    found = resource.get("identifier") if isinstance(resource, dict) else None
    listed = found if isinstance(found, list) else [found]
    return [
        (each["system"], each["value"])
        for each in listed
        if isinstance(each, dict)
        and isinstance(each.get("system"), str)
        and isinstance(each.get("value"), str)
        and each.get("use") != "old"
    ]


@cache
def _searchable() -> frozenset[str]:
    """The types that can be searched by identifier."""
    return frozenset(type_ for each in search_parameters() if each.code == "identifier" for type_ in each.base)
