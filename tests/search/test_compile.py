"""The shape of the filters: each is one that an index serves (docs/decisions/0004-search-keys.md)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from fhir_server.search.compile import NOTHING, compile
from fhir_server.search.cursor import Position
from fhir_server.search.keys import END, Criterion
from fhir_server.search.keyset import page
from fhir_server.search.registry import find, type_number
from tests.search.finder import query

Json = dict[str, Any]

PATIENT = type_number("Patient")
OBSERVATION = type_number("Observation")


def number(type_: str, code: str) -> str:
    parameter = find(type_, code)
    assert parameter is not None
    return parameter.number


CODE, SUBJECT, DATE = (number("Observation", code) for code in ("code", "subject", "date"))


@pytest.mark.parametrize(
    ("search", "filter", "sort"),
    [
        ("Patient?", {"k": PATIENT}, [("t", -1)]),
        ("Observation?code=a", {"k": f"{CODE}=a"}, [("t", -1)]),
        ("Observation?code=a,b", {"k": {"$in": [f"{CODE}=a", f"{CODE}=b"]}}, [("t", -1)]),
        ("Observation?code=a&code=b", {"$and": [{"k": f"{CODE}=a"}, {"k": f"{CODE}=b"}]}, [("t", -1)]),
        ("Observation?code=a&code=a", {"k": f"{CODE}=a"}, [("t", -1)]),
        ("Patient?_id=1", {"$and": [{"_id": "Patient/1"}, {"d": None}]}, [("_id", 1)]),
        (
            "Patient?_lastUpdated=lt1970",
            {"$and": [{"u": {"$lte": -1}}, {"ty": "Patient", "d": None}]},
            [("u", 1), ("_id", -1)],
        ),
        ("Patient?_sort=family", {"ty": "Patient", "s.n": {"$exists": True}}, [("s.n", 1), ("_id", 1)]),
        ("Patient?_sort=-birthdate", {"ty": "Patient", "s.d": {"$exists": True}}, [("s.d", -1), ("_id", -1)]),
        ("Patient?_sort=_id", {"_id": {"$gte": "Patient/", "$lt": "Patient0"}, "d": None}, [("_id", 1)]),
        ("?_type=Patient&_id=", None, None),
        ("Patient?_type=Observation", NOTHING, [("t", -1)]),
    ],
)
def test_filters(search: str, filter: Json | None, sort: list[tuple[str, int]] | None) -> None:
    if filter is None:
        with pytest.raises(Exception, match="no value"):
            query(search)
        return
    found = compile(query(search))
    assert found.filter == filter
    assert list(found.sort) == (sort or [])


def test_not_says_what_else_there_is() -> None:
    """Other codes, no code, or no value at all: what an index can find when nearly all have the code."""
    unlike = {"$nor": [{"k": f"{CODE}=a"}]}
    gaps = [(f"{CODE}=", f"{CODE}=a"), (f"{CODE}=a\0", f"{CODE}={END}")]
    missing = {"$and": [{"$nor": [{"k": {"$elemMatch": {"$gte": CODE, "$lt": f"{CODE}{END}"}}}]}, {"k": OBSERVATION}]}
    others = [{"k": f"{CODE}="}, *({"k": {"$elemMatch": {"$gte": first, "$lt": last}}} for first, last in gaps)]
    found = compile(query("Observation?code:not=a"))
    assert found.filter == {"$and": [unlike, {"$or": [missing, {"$or": others}]}, {"k": OBSERVATION}]}
    assert found.sort == (("t", -1),)


def test_two_limits_on_one_date_are_one_scan() -> None:
    found = compile(query("Observation?date=ge1970-01-02&date=lt1970-01-03"))
    day = 86_400_000_000
    narrow = {"k": DATE, "lo": {"$gte": 0, "$lte": 2 * day - 1}, "hi": {"$gte": day}}
    wide = {"k": f"{DATE}~", "lo": {"$lte": 2 * day - 1}, "hi": {"$gte": day}}
    either = {"$or": [{"r": {"$elemMatch": narrow}}, {"r": {"$elemMatch": wide}}]}
    assert found.filter == {"$and": [either, {"k": OBSERVATION}]}


def test_two_limits_on_several_dates_stay_apart() -> None:
    """Goal.target repeats: one target may fit the first limit and another the second."""
    found = compile(query("Goal?target-date=ge2020&target-date=lt2021"))
    assert len(found.filter["$and"]) == 3


def test_subject_and_code_are_one_key() -> None:
    pair = f"{SUBJECT}+{CODE}>Patient/1=a"
    assert compile(query("Observation?patient=1&code=A")).filter == {"k": pair}
    by_system = compile(query("Observation?subject:Patient=1&code=http://s|A")).filter
    assert by_system == {"$and": [{"k": pair}, {"k": f"{CODE}|http://s|a"}]}
    # What cannot be taken apart safely is not put together.
    for search in (
        "Observation?patient=1&code=http://s|",
        r"Observation?patient=1&code=s|a\|b",
        "Observation?patient=1&code:not=a",
    ):
        assert pair[:8] not in str(compile(query(search)).filter)


def test_the_order_is_the_same_whether_a_chain_is_looked_up_or_judged() -> None:
    """A page by the one way is followed by a page by the other."""
    for search in (
        "Observation?_lastUpdated=gt2020&patient.gender=male",
        "Observation?_id=1,2&patient.gender=male",
        "Observation?_id=1,2",
        "Observation?patient.gender=male",
    ):
        asked = query(search)
        looked_up = [replace(one, condition=Criterion(ids=())) if "." in one.name else one for one in asked.filters]
        probes = tuple(one for one in asked.filters if "." in one.name)
        judged = replace(asked, filters=tuple(one for one in asked.filters if one not in probes), probes=probes)
        assert compile(judged).sort == compile(replace(asked, filters=tuple(looked_up))).sort, search


def test_a_compartment_is_a_list_of_keys() -> None:
    found = compile(query("Observation?", compartment=("Patient", "1")))
    performer = number("Observation", "performer")
    assert found.filter == {"k": {"$in": [f"{SUBJECT}>Patient/1", f"{performer}>Patient/1"]}}
    everything = compile(query("?", compartment=("Patient", "1"))).filter["k"]["$in"]
    assert f"{PATIENT}>Patient/1" in everything
    assert len(everything) <= 200, "more than MongoDB merges in order"


def test_pages_have_a_limit_that_the_index_can_use() -> None:
    newest = compile(query("Patient?"))
    assert page(newest, Position((5,), ("Patient/1",))).filter == {
        "$and": [newest.filter, {"t": {"$lte": 5}, "_id": {"$nin": ["Patient/1"]}}]
    }
    before = page(newest, Position((5,), ("Patient/1",), forward=False))
    assert before.sort == (("t", 1),)
    assert before.filter["$and"][1]["t"] == {"$gte": 5}
    by_name = compile(query("Patient?_sort=-family"))
    assert page(by_name, Position(("b", "Patient/1"))).filter["$and"][1] == {
        "$and": [
            {"s.n": {"$lte": "b"}},
            {"$or": [{"s.n": {"$lt": "b"}}, {"$and": [{"s.n": "b"}, {"_id": {"$lt": "Patient/1"}}]}]},
        ]
    }


def test_a_search_up_to_a_day_sorted_by_date_begins_there() -> None:
    day = 86_400_000_000
    found = compile(query("Observation?date=lt1970-01-03&_sort=-date")).filter["$and"][-1]
    assert found == {"ty": "Observation", "s.d": {"$exists": True, "$lte": 2 * day - 1}}
    # An open end, another parameter or another order says nothing of where to begin.
    for search in ("date=ge1970&_sort=-date", "value-date=lt1970&_sort=-date", "date=lt1970,ge1980&_sort=-date"):
        assert compile(query(f"Observation?{search}")).filter["$and"][-1]["s.d"] == {"$exists": True}
    assert "s.d" not in str(compile(query("Observation?date=lt1970")).filter)
