"""A table of what the backport guide's profiles and R4 ask of a notification Bundle: one rule, one line.

Written from the profiles backport-subscription-notification-r4 and backport-subscription-status-r4 and the pages
"Notifications" and "Payloads", independently of the code that makes the Bundles.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

Json = dict[str, Any]
Rule = Callable[[Json, str], Iterator[bool]]

STATUSES = {"requested", "active", "error", "off"}
TYPES = {"handshake", "heartbeat", "event-notification", "query-status", "query-event"}
METHODS = {"GET", "POST", "PUT", "PATCH", "DELETE"}
UUID = re.compile(r"urn:uuid:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
NUMBER = re.compile(r"0|[1-9][0-9]*")
# The slices of the status: how often, and as which value. `...-event` has parts instead.
PARAMETERS = {
    "subscription": (1, 1, "valueReference"),
    "topic": (0, 1, "valueCanonical"),
    "status": (1, 1, "valueCode"),
    "type": (1, 1, "valueCode"),
    "events-since-subscription-start": (1, 1, "valueString"),
    "notification-event": (0, None, "part"),
    "error": (0, None, "valueCodeableConcept"),
}
PARTS = {
    "event-number": (1, 1, "valueString"),
    "timestamp": (0, 1, "valueInstant"),
    "focus": (0, 1, "valueReference"),
    "additional-context": (0, None, "valueReference"),
}


def problems(bundle: Json, level: str) -> list[str]:
    """The rules that a notification of this level of content breaks; none when it is as it should be."""
    broken = []
    for name, rule in RULES.items():
        try:
            holds = all(rule(bundle, level))
        except (KeyError, IndexError, TypeError, AttributeError, ValueError):
            holds = False
        if not holds:
            broken.append(name)
    return broken


def _status(bundle: Json) -> list[Json]:
    listed: list[Json] = bundle["entry"][0]["resource"]["parameter"]
    return listed


def _value(bundle: Json, name: str, kind: str) -> Any:
    return next(one[kind] for one in _status(bundle) if one["name"] == name)


def _events(bundle: Json) -> list[list[Json]]:
    return [one["part"] for one in _status(bundle) if one["name"] == "notification-event"]


def _of(parts: list[Json], name: str, kind: str) -> list[Any]:
    return [part[kind] for part in parts if part["name"] == name]


def _slices(parameters: list[Json], slices: dict[str, tuple[int, int | None, str]]) -> Iterator[bool]:
    yield all(one["name"] in slices for one in parameters)
    for name, (least, most, kind) in slices.items():
        given = [one for one in parameters if one["name"] == name]
        yield least <= len(given) and (most is None or len(given) <= most)
        yield all(set(one) == {"name", kind} for one in given)


def _is_history(bundle: Json, level: str) -> Iterator[bool]:
    yield bundle["resourceType"] == "Bundle"
    yield bundle["type"] == "history"
    yield datetime.fromisoformat(bundle["timestamp"]).tzinfo is not None
    yield "total" not in bundle


def _first_is_status(bundle: Json, level: str) -> Iterator[bool]:
    yield [entry.get("resource", {}).get("resourceType") for entry in bundle["entry"]].index("Parameters") == 0
    yield UUID.fullmatch(bundle["entry"][0]["fullUrl"]) is not None
    yield sum(entry.get("resource", {}).get("resourceType") == "Parameters" for entry in bundle["entry"]) == 1


def _status_slices(bundle: Json, level: str) -> Iterator[bool]:
    yield from _slices(_status(bundle), PARAMETERS)
    yield _value(bundle, "status", "valueCode") in STATUSES
    yield _value(bundle, "type", "valueCode") in TYPES
    yield "/Subscription/" in _value(bundle, "subscription", "valueReference")["reference"]
    yield NUMBER.fullmatch(_value(bundle, "events-since-subscription-start", "valueString")) is not None


def _event_slices(bundle: Json, level: str) -> Iterator[bool]:
    for parts in _events(bundle):
        yield from _slices(parts, PARTS)
        yield NUMBER.fullmatch(_of(parts, "event-number", "valueString")[0]) is not None
        yield all(datetime.fromisoformat(one).tzinfo is not None for one in _of(parts, "timestamp", "valueInstant"))


def _numbers_grow(bundle: Json, level: str) -> Iterator[bool]:
    numbers = [int(_of(parts, "event-number", "valueString")[0]) for parts in _events(bundle)]
    yield numbers == sorted(set(numbers))
    yield all(1 <= one <= int(_value(bundle, "events-since-subscription-start", "valueString")) for one in numbers)


def _request_and_response(bundle: Json, level: str) -> Iterator[bool]:
    for entry in bundle["entry"]:
        yield entry["request"]["method"] in METHODS
        yield bool(entry["request"]["url"])
        yield re.fullmatch(r"[1-5][0-9]{2}( .+)?", entry["response"]["status"]) is not None
        yield "/_history/" not in entry["fullUrl"]


def _status_request(bundle: Json, level: str) -> Iterator[bool]:
    request = bundle["entry"][0]["request"]
    yield request["method"] == "GET"
    yield request["url"] == _value(bundle, "subscription", "valueReference")["reference"] + "/$status"
    yield bundle["entry"][0]["response"]["status"].startswith("200")


def _empty_tells_nothing(bundle: Json, level: str) -> Iterator[bool]:
    if level == "empty":
        yield len(bundle["entry"]) == 1
        yield not any(part["name"] in ("focus", "additional-context") for parts in _events(bundle) for part in parts)
        yield all(one["name"] != "topic" for one in _status(bundle))


def _id_only_has_no_content(bundle: Json, level: str) -> Iterator[bool]:
    if level == "id-only":
        yield all("resource" not in entry for entry in bundle["entry"][1:])


def _focus_is_named(bundle: Json, level: str) -> Iterator[bool]:
    if level != "empty":
        urls = {entry["fullUrl"] for entry in bundle["entry"][1:]}
        for parts in _events(bundle):
            (focus,) = _of(parts, "focus", "valueReference")
            yield focus["reference"] in urls
            yield all(one["reference"] in urls for one in _of(parts, "additional-context", "valueReference"))


def _full_has_content(bundle: Json, level: str) -> Iterator[bool]:
    if level == "full-resource":
        for entry in bundle["entry"][1:]:
            deleted = entry["request"]["method"] == "DELETE"
            yield deleted != ("resource" in entry)
            if not deleted:
                resource = entry["resource"]
                yield entry["fullUrl"].endswith(f"/{resource['resourceType']}/{resource['id']}")
                yield entry["response"]["etag"] == f'W/"{resource["meta"]["versionId"]}"'


def _deletion(bundle: Json, level: str) -> Iterator[bool]:
    for entry in bundle["entry"][1:]:
        if entry["request"]["method"] == "DELETE":
            yield entry["response"]["status"].startswith("204")


def _only_events_have_events(bundle: Json, level: str) -> Iterator[bool]:
    kind = _value(bundle, "type", "valueCode")
    if kind == "event-notification":
        yield bool(_events(bundle))
    if kind in ("handshake", "heartbeat", "query-status"):
        yield not _events(bundle)
        yield len(bundle["entry"]) == 1


RULES: dict[str, Rule] = {
    "the Bundle is a history": _is_history,
    "the first entry, and no other, is the status": _first_is_status,
    "the status has its slices": _status_slices,
    "an event has its slices": _event_slices,
    "events are numbered upwards, within the count": _numbers_grow,
    "every entry has request and response (bdl-3, bdl-4)": _request_and_response,
    "the status entry stands for a call of $status": _status_request,
    "empty tells of no resource": _empty_tells_nothing,
    "id-only has no content": _id_only_has_no_content,
    "the focus is named, and has an entry": _focus_is_named,
    "full-resource has the content": _full_has_content,
    "a deletion is answered with 204": _deletion,
    "only notifications of events have events": _only_events_have_events,
}
