"""Entries are small, and stay readable."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_server.audit import Agent, Entry, group
from fhir_server.audit.entry import MAX_QUERY, action, patients_in
from tests.audit.conftest import DOCTOR, read_of

ENTRIES = st.builds(
    Entry,
    st.integers(0, 2**53),
    st.sampled_from(["read", "search-type", "operation"]),
    st.sampled_from("CRUDE"),
    st.integers(200, 599),
    st.builds(Agent, st.text(), st.text(), roles=st.tuples(st.text())),
    type=st.text(),
    id=st.text(),
    query=st.text(max_size=50),
    patients=st.lists(st.text(), max_size=3).map(tuple),
)


@pytest.mark.parametrize(
    ("status", "outcome"), [(200, 0), (304, 0), (404, 4), (412, 4), (401, 8), (403, 8), (500, 12), (503, 12)]
)
def test_the_outcome_follows_from_the_status(status: int, outcome: int) -> None:
    assert read_of("Patient", "1", status=status).outcome == outcome


def test_the_action_follows_from_the_interaction() -> None:
    codes = {"read": "R", "vread": "R", "create": "C", "patch": "U", "delete": "D", "search-type": "E", "bundle": "E"}
    assert {name: action(name) for name in codes} == codes


def test_patients_are_found_in_the_text_of_a_resource() -> None:
    text = '{"subject":{"reference":"Patient/1"},"x":[{"reference":"Patient/2/_history/3"},{"reference":"Patient/1"}]}'
    assert patients_in(text) == ("Patient/1", "Patient/2")
    assert patients_in('{"reference":"Practitioner/1"}') == ()


@given(st.lists(ENTRIES, max_size=5))
def test_what_is_encoded_can_be_read(entries: list[Entry]) -> None:
    assert group.decode(group.encode(entries)) == entries


def test_an_entry_of_an_older_server_can_be_read() -> None:
    (found,) = group.decode('[[1,"read","R",200,["me"],"Patient","7"]]')
    assert (found.agent.name, found.subjects, found.issue) == ("me", ("Patient/7",), "")


def test_hostile_queries_are_kept_short_and_valid() -> None:
    long = Entry(1, "search-type", "E", 200, DOCTOR, "Patient", query="x" * 100_000)
    broken = Entry(1, "search-type", "E", 200, DOCTOR, "Patient", query="name=\ud800")
    first, second = group.decode(group.encode([long, broken]))
    assert len(first.query) == MAX_QUERY + 1
    assert second.query == "name=?"


def test_a_group_is_never_too_large_for_the_database() -> None:
    worst = [
        Entry(1, "search-type", "E", 200, DOCTOR, query="\0" * 5000, patients=tuple(f"Patient/{n}" for n in range(999)))
        for _ in range(600)
    ]
    portions = list(group.portions(worst))
    assert sum(map(len, portions)) == 600
    assert max(len(group.encode(portion).encode()) for portion in portions) < 14_000_000
