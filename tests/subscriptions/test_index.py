"""Candidates are found by keys: none that could fit is left out, and of the others almost none is looked at."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from subscriptions.filters import compile_criteria, conditions
from subscriptions.index import ANY, Entry, Index
from subscriptions.subscription import FilterBy
from subscriptions.topic import CanFilterBy, Topic, Trigger
from subscriptions.trigger import fires
from subscriptions.view import View
from tests.subscriptions.plant import BASE, observation
from tests.subscriptions.topic_samples import view

ALLOWED = (CanFilterBy("status", "Observation"), CanFilterBy("patient", "Observation"))
CRITERIA = [
    "Observation",
    *(f"Observation?patient=Patient/{number}" for number in range(4)),
    "Observation?patient=1,2",
    "Observation?code=a",
    "Observation?code=http://loinc.org|b&patient=3",
    "Observation?status:not=final",
    "Observation?_id=o1",
    "Observation?date=gt2020",
    "Patient?active=true",
]


def entry(id_: str, criteria: str) -> Entry:
    topic = compile_criteria(criteria, BASE)
    return Entry(id_, topic.types, 0, topic, conditions(topic, (), BASE))


def found(index: Index, seen: View) -> list[Entry]:
    return index.candidates(seen.type, lambda: seen.keys)


def fits(one: Entry, seen: View) -> bool:
    assert one.topic is not None
    return all(condition.matches(seen) for condition in one.conditions) and fires(one.topic, seen)


@given(
    st.lists(st.sampled_from(CRITERIA), max_size=8),
    st.lists(st.integers(0, 7)),
    st.sampled_from("0123"),
    st.sampled_from("ab"),
    st.sampled_from(["final", "amended"]),
)
def test_the_candidates_that_fit_are_all_that_fit(
    criteria: list[str], removed: list[int], patient: str, code: str, status: str
) -> None:
    index = Index()
    entries = {str(number): entry(str(number), one) for number, one in enumerate(criteria)}
    for one in entries.values():
        index.add(one)
    for number in removed:
        index.remove(str(number))
        entries.pop(str(number), None)
    seen = view(None, observation("o1", patient, code, status=status))
    seen = View(seen.change, BASE)
    expected = {one.id for one in entries.values() if fits(one, seen)}
    assert {one.id for one in found(index, seen) if fits(one, seen)} == expected
    assert len(index) == len(entries)


def test_of_ten_thousand_for_other_patients_none_is_a_candidate() -> None:
    index = Index()
    for number in range(10_000):
        index.add(entry(f"s{number}", f"Observation?patient=Patient/p{number}"))
    seen = View(view(None, observation("o", patient="p77")).change, BASE)
    assert [one.id for one in found(index, seen)] == ["s77"]
    other = View(view(None, observation("o", patient="nobody")).change, BASE)
    assert found(index, other) == []
    assert not index.needs_content("Observation")
    assert index.watches("Observation")
    assert not index.watches("Patient")


def test_the_key_that_tells_resources_apart_best_is_looked_up() -> None:
    """Whichever comes first, and also where it is one of several: by a status nobody would be ruled out."""
    index = Index()
    topic = Topic("http://topics.example/o", "O", (Trigger("Observation"),), ALLOWED)
    for number in range(100):
        filters = [FilterBy("", "status=final"), FilterBy("", f"patient=Patient/p{number},Patient/q{number}")]
        index.add(Entry(f"s{number}", topic.types, 0, topic, conditions(topic, filters, BASE)))
    seen = View(view(None, observation("o", patient="p77")).change, BASE)
    assert [one.id for one in found(index, seen)] == ["s77"]


def test_an_entry_is_replaced_and_removed_without_a_trace() -> None:
    index = Index()
    index.add(entry("s", "Observation?patient=1"))
    index.add(entry("s", "Patient?active=true"))
    assert not index.watches("Observation")
    index.remove("s")
    index.remove("s")
    assert not index.watches("Patient")
    assert len(index) == 0


def test_a_hook_on_every_type_watches_all() -> None:
    index = Index()
    index.add(Entry("hook:all", frozenset({ANY}), 0))
    assert index.watches("Patient")
    assert index.needs_content("Patient")
    assert [one.id for one in index.candidates("Patient", lambda: [])] == ["hook:all"]
