"""What counts as a right answer."""

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from benchmarks import checks
from benchmarks.client import Answer

Json = dict[str, Any]


def answer(content: Any, status: int = 200, **headers: str) -> Answer:
    head = "".join(f"\r\n{name}: {value}" for name, value in headers.items()) + "\r\n"
    return Answer(status, head.encode(), content if isinstance(content, bytes) else msgspec.json.encode(content))


def searchset(*ids: str, **more: Any) -> Answer:
    entry = [{"resource": {"resourceType": "Patient", "id": id}, "search": {"mode": "match"}} for id in ids]
    return answer({"resourceType": "Bundle", "type": "searchset", "entry": entry} | more)


AGREE = [
    ({"id": "1", "meta": {}, "a": [1]}, {"id": "2", "a": [1], "b": 2}, True),
    ({"a": {"id": "x"}}, {"a": {"id": "y"}}, False),
    ({"a": [1, 2]}, {"a": [1]}, False),
    ({"a": "x"}, {}, False),
    ({"a": "2020-01-01T00:00:00+00:00"}, {"a": "2020-01-01T00:00:00Z"}, True),
    ({"a": "2020-01-01T00:00:00+00:00"}, {"a": "2020-01-01T01:00:00Z"}, False),
    ({"subject": {"reference": "urn:uuid:1"}}, {"subject": {"reference": "Patient/1"}}, True),
    ({"subject": {"reference": "Patient/2"}}, {"subject": {"reference": "Patient/1"}}, False),
    ({"value": 1.0}, {"value": 1}, True),
]


@pytest.mark.parametrize(("sent", "found", "same"), AGREE)
def test_agrees(sent: Json, found: Json, same: bool) -> None:
    assert checks.agrees(sent, found) is same


LOCATIONS = [
    ("http://h/fhir/Patient/1/_history/2", ("Patient", "1")),
    ("/fhir/Patient/a-b.c", ("Patient", "a-b.c")),
    ("Patient/1", ("Patient", "1")),
    ("urn:uuid:1", ("", "")),
    (None, ("", "")),
]


@pytest.mark.parametrize(("location", "expected"), LOCATIONS)
def test_located(location: str | None, expected: tuple[str, str]) -> None:
    assert checks.located(location) == expected


def test_created() -> None:
    good = {"resourceType": "Patient", "id": "1"}
    assert checks.created(answer(good, 201, location="Patient/1"), "Patient") is None
    assert checks.created(answer(b"", 201, location="Patient/1"), "Patient") is None
    assert checks.created(answer(good, 200, location="Patient/1"), "Patient") == "create: status 200"
    assert checks.created(answer(good, 201), "Patient") == "create: no Location of the type"
    assert checks.created(answer(good, 201, location="Patient/2"), "Patient") == "create: another resource"
    assert checks.created(answer(b"<html>", 201, location="Patient/1"), "Patient") == "create: not a resource"


def test_search() -> None:
    def fits(resource: Json) -> bool:
        return bool(resource["id"] != "bad")

    more = {"link": [{"relation": "next", "url": "x"}]}
    assert checks.search(searchset("1", "2"), "Patient", "1", fits) is None
    assert checks.search(searchset("2"), "Patient", "1", fits) == "search: a resource that fits is missing"
    assert checks.search(searchset("2", **more), "Patient", "1", fits) is None
    assert checks.search(searchset("1", "bad"), "Patient", "1", fits) == "search: a match that does not fit"
    assert checks.search(searchset(), "Patient", "1") == "search: empty, though a resource fits"
    assert checks.search(searchset("1", "1"), "Patient", "1") == "search: a match twice, or a total below the matches"
    assert checks.search(searchset("1", "2", total=1), "Patient", "1") is not None
    assert checks.search(searchset("1"), "Observation", "1") == "search: matches of another type"
    assert (
        checks.search(answer({"resourceType": "Bundle", "type": "batch"}), "Patient", "1") == "search: not a searchset"
    )
    assert checks.search(answer(b"[]"), "Patient", "1") == "search: not a Bundle"


def test_transaction() -> None:
    def response(*entries: tuple[str, str]) -> Answer:
        entry = [{"response": {"status": status, "location": location}} for status, location in entries]
        return answer({"resourceType": "Bundle", "type": "transaction-response", "entry": entry})

    assert checks.transaction(response(("201 Created", "Patient/1")), ["Patient"]) is None
    assert checks.transaction(response(("201", "Patient/1")), ["Patient", "Observation"]) is not None
    assert checks.transaction(response(("400", "Patient/1")), ["Patient"]) == "transaction: an entry without success"
    assert checks.transaction(response(("201", "Group/1")), ["Patient"]) is not None
    assert checks.transaction(answer({"resourceType": "OperationOutcome"}), ["Patient"]) is not None


NAMES = [("böhm", True), ("BOHM", True), ("an", True), ("maria", True), ("aria", False), ("x", False)]


@pytest.mark.parametrize(("start", "found"), NAMES)
def test_named(start: str, found: bool) -> None:
    assert checks.named({"name": [{"family": "Böhm", "given": ["Anna Maria"]}]}, start) is found


def test_within() -> None:
    start, end = datetime(2024, 1, 1, tzinfo=UTC), datetime(2024, 2, 1, tzinfo=UTC)
    assert checks.within({"effectiveDateTime": "2024-01-15T10:00:00Z"}, start, end)
    assert checks.within({"effectivePeriod": {"start": "2023-12-01", "end": "2024-01-02"}}, start, end)
    assert not checks.within({"effectiveDateTime": "2024-03-15T10:00:00Z"}, start, end)
    assert not checks.within({"effectivePeriod": {"start": "2023-12-01", "end": "2023-12-02"}}, start, end)
