"""Is the answer right? Each function gives None, or the reason it is not (never a value of a resource)."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Any

import msgspec

from benchmarks.client import Answer

Json = dict[str, Any]
_location = re.compile(r"(?:^|/)([A-Z][A-Za-z]+)/([A-Za-z0-9.-]{1,64})(?:/_history/[^/]+)?$")
SERVERS_OWN = {"id", "meta", "text"}  # a server assigns the first two and may write the narrative


class Resource(msgspec.Struct):
    """As much of a resource as every answer is checked for."""

    resourceType: str = ""
    id: str = ""


class Search(msgspec.Struct):
    mode: str = "match"


class Response(msgspec.Struct):
    status: str = ""
    location: str = ""


class Link(msgspec.Struct):
    relation: str = ""
    url: str = ""


class Entry(msgspec.Struct):
    resource: Resource | None = None
    search: Search | None = None
    response: Response | None = None


class Bundle(msgspec.Struct):
    resourceType: str = ""
    type: str = ""
    total: int | None = None
    link: list[Link] = []
    entry: list[Entry] = []

    def matches(self) -> list[Resource]:
        found = (e.resource for e in self.entry if e.search is None or e.search.mode == "match")
        return [resource for resource in found if resource is not None]

    def next(self) -> str | None:
        return next((link.url for link in self.link if link.relation == "next"), None)


_resource = msgspec.json.Decoder(Resource)
_bundle = msgspec.json.Decoder(Bundle)


def located(location: str | None) -> tuple[str, str]:
    """Type and id of a Location, absolute or relative, with or without version; ("", "") for anything else."""
    found = _location.search(location or "")
    return (found[1], found[2]) if found else ("", "")


def created(answer: Answer, kind: str) -> str | None:
    """A create: 201, Location names the type and the id, and the content, when there is any, agrees with it."""
    if answer.status != 201:
        return f"create: status {answer.status}"
    where, id = located(answer.header("location"))
    if where != kind:
        return "create: no Location of the type"
    return resource(answer, kind, id, "create") if answer.body else None


def resource(answer: Answer, kind: str, id: str, interaction: str, sent: Json | None = None) -> str | None:
    """A resource came back: its type, its id and, with `sent`, everything that was sent."""
    try:
        found = _resource.decode(answer.body)
        if found.resourceType != kind or found.id != id:
            return f"{interaction}: another resource"
        if sent is not None and not agrees(sent, answer.json()):
            return f"{interaction}: other content than was sent"
    except msgspec.DecodeError:
        return f"{interaction}: not a resource"
    return None


def updated(answer: Answer, kind: str, id: str, sent: Json | None = None) -> str | None:
    """An update of what exists: 200, and the content, when there is any, is what was sent."""
    if answer.status not in (200, 204):
        return f"update: status {answer.status}"
    return resource(answer, kind, id, "update", sent) if answer.body else None


def agrees(sent: Any, found: Any, top: bool = True) -> bool:
    """Everything that was sent is there again; elements a server assigns, and rewritten references, may differ."""
    if isinstance(sent, dict):
        return isinstance(found, dict) and all(
            (top and key in SERVERS_OWN)
            or (key == "reference" and str(value).startswith("urn:") and key in found)
            or (key in found and agrees(value, found[key], False))
            for key, value in sent.items()
        )
    if isinstance(sent, list):
        same = isinstance(found, list) and len(sent) == len(found)
        return same and all(agrees(a, b, False) for a, b in zip(sent, found, strict=True))
    return bool(sent == found) or (instant(sent) is not None and instant(sent) == instant(found))


def search(
    answer: Answer, kind: str, source: str, fits: Callable[[Json], bool] | None = None, include: str | None = None
) -> str | None:
    """A search: matches of the type; with `fits` each is looked at, and the resource the query was made from is there.

    `include` names the reference element whose targets must be in the bundle too.
    """
    try:
        bundle = _bundle.decode(answer.body)
    except msgspec.DecodeError:
        return "search: not a Bundle"
    matches = bundle.matches()
    if bundle.resourceType != "Bundle" or bundle.type != "searchset":
        return "search: not a searchset"
    if not matches:
        return "search: empty, though a resource fits"
    if any(match.resourceType != kind for match in matches):
        return "search: matches of another type"
    ids = {match.id for match in matches}
    if len(ids) != len(matches) or (bundle.total is not None and bundle.total < len(matches)):
        return "search: a match twice, or a total below the matches"
    if fits is None:
        return None
    if bundle.next() is None and source not in ids:
        return "search: a resource that fits is missing"
    return _look(answer.json()["entry"], fits, include)


def _look(entries: Iterable[Json], fits: Callable[[Json], bool], include: str | None) -> str | None:
    entries = list(entries)
    matches = [e["resource"] for e in entries if e.get("search", {}).get("mode", "match") == "match"]
    if not all(fits(match) for match in matches):
        return "search: a match that does not fit"
    there = {f"{e['resource']['resourceType']}/{e['resource']['id']}" for e in entries}
    wanted = {"/".join(located(match[include]["reference"])) for match in matches if include and include in match}
    return None if wanted <= there else "search: an included resource is missing"


def transaction(answer: Answer, types: list[str]) -> str | None:
    """A transaction: one entry for each that was sent, 201 or 200, with a location of its type."""
    try:
        bundle = _bundle.decode(answer.body)
    except msgspec.DecodeError:
        return "transaction: not a Bundle"
    if bundle.resourceType != "Bundle" or bundle.type != "transaction-response":
        return "transaction: not a transaction-response"
    if len(bundle.entry) != len(types):
        return "transaction: another number of entries"
    for entry, kind in zip(bundle.entry, types, strict=True):
        if entry.response is None or entry.response.status[:3] not in ("200", "201"):
            return "transaction: an entry without success"
        if located(entry.response.location)[0] != kind:
            return "transaction: an entry without a location of its type"
    return None


def fold(text: str) -> str:
    """Without case and accents, as FHIR compares strings."""
    decomposed = unicodedata.normalize("NFKD", text)
    return "".join(c for c in decomposed if not unicodedata.combining(c)).casefold()


def named(resource: Json, start: str) -> bool:
    """A name has a part, or a word of one, that starts with `start`."""
    for name in resource.get("name", []):
        parts = [name.get("family", ""), name.get("text", "")]
        parts += [p for key in ("given", "prefix", "suffix") for p in name.get(key, [])]
        if any(fold(word).startswith(fold(start)) for part in parts for word in (part, *part.split())):
            return True
    return False


def coded(concept: Json | None, system: str | None, code: str) -> bool:
    """A CodeableConcept has this coding."""
    return any(c.get("code") == code and c.get("system") == system for c in (concept or {}).get("coding", []))


def within(resource: Json, start: datetime, end: datetime) -> bool:
    """The observation's time touches the range, half a day of time zones allowed for."""
    period = resource.get("effectivePeriod", {})
    first = resource.get("effectiveDateTime") or resource.get("effectiveInstant") or period.get("start")
    last = resource.get("effectiveDateTime") or resource.get("effectiveInstant") or period.get("end")
    slack = timedelta(hours=14)
    low, high = instant(first), instant(last)
    return (low is None or low < end + slack) and (high is None or high >= start - slack)


def instant(text: Any) -> datetime | None:
    """The moment of a dateTime, None for anything else."""
    if not isinstance(text, str) or not re.match(r"\d{4}-\d\d-\d\d", text):
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found.astimezone() if found.tzinfo is None else found
