"""Entries are small, and stay readable."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_server.audit import Agent, Entry
from fhir_server.audit.entry import MAX_QUERY, action, patients_in
from fhir_server.audit.lines import MAX_ENTRIES, decode, gathered, key, keys, names, picked, salvaged
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


def text(entries: list[Entry]) -> str:
    return "".join(lines.text() for lines in gathered(entries))


@given(st.lists(ENTRIES, max_size=5))
def test_what_is_encoded_can_be_read(entries: list[Entry]) -> None:
    assert decode(text(entries)) == entries
    assert salvaged(text(entries).encode()) == entries


@given(st.lists(ENTRIES, min_size=1, max_size=5), st.data())
def test_of_a_file_that_was_cut_short_all_whole_lines_are_salvaged(entries: list[Entry], data: st.DataObject) -> None:
    whole = text(entries).encode()
    cut = whole[: data.draw(st.integers(0, len(whole)))]
    found = salvaged(cut)
    assert found == entries[: len(found)]
    assert len(found) >= sum(line.startswith(b"[") for line in cut.split(b"\n")[:-1])


def test_an_agent_is_written_once() -> None:
    (lines,) = gathered([read_of("Basic", str(n)) for n in range(10)])
    assert lines.text().count("dr-who") == 1
    assert {one.agent for one in decode(lines.text())} == {DOCTOR}


def test_an_entry_of_an_older_server_can_be_read() -> None:
    for older in ('[[1,"read","R",200,["me"],"Patient","7"]]', '[1,"read","R",200,["me"],"Patient","7"]\n'):
        (found,) = decode(older)
        assert (found.agent.name, found.subjects, found.issue) == ("me", ("Patient/7",), "")


def test_hostile_queries_are_kept_short_and_valid() -> None:
    long = Entry(1, "search-type", "E", 200, DOCTOR, "Patient", query="x" * 100_000)
    broken = Entry(1, "search-type", "E", 200, DOCTOR, "Patient", query="name=\ud800")
    first, second = decode(text([long, broken]))
    assert len(first.query) == MAX_QUERY + 1
    assert second.query == "name=?"


def test_what_a_group_is_found_by_follows_from_its_text() -> None:
    crowd = tuple(f"Patient/{n}" for n in range(1500))
    (lines,) = gathered([Entry(1, "search-type", "E", 200, DOCTOR, "Patient", patients=crowd)])
    assert keys(lines.entries) == keys(decode(lines.text()))
    assert len(keys(lines.entries)) == 1001


@given(st.lists(ENTRIES))
def test_the_keys_of_a_group_are_those_of_its_names(entries: list[Entry]) -> None:
    assert keys(entries) == sorted(set(map(key, names(entries))))


@given(st.lists(ENTRIES, min_size=1), st.data())
def test_the_entries_with_a_name_are_among_those_picked(entries: list[Entry], data: st.DataObject) -> None:
    wanted = [data.draw(st.sets(st.sampled_from(sorted(names(entries)) or ["pPatient/1"]))) for _ in range(2)]
    (lines,) = gathered(entries)
    found = dict(picked(lines.text(), wanted))
    assert list(found) == sorted(found, reverse=True)
    for place, entry in enumerate(decode(lines.text())):
        if not any(names([entry]).isdisjoint(some) for some in wanted):
            assert found[place] == entry


def test_of_a_large_group_few_entries_are_read() -> None:
    (lines,) = gathered([read_of("Observation", f"o{n}", f"Patient/p{n % 100}") for n in range(1000)])
    assert [place for place, _ in picked(lines.text(), [{"pPatient/p42"}, {"eObservation/o942", "eBasic/none"}])] == [
        942
    ]
    assert len(list(picked(lines.text(), [{"aPractitioner/1", "pPatient/p42"}]))) == 1000  # of an agent, all
    assert len(list(picked(lines.text(), [{"aPractitioner/2"}]))) == 0


def test_a_patient_that_is_read_has_one_key() -> None:
    assert keys([read_of("Patient", "1")]) == keys([read_of("Patient", "1", "Patient/1")])
    assert len(keys([read_of("Patient", "1")])) == 2
    assert all(-(2**31) <= one < 2**31 for one in keys([read_of("Basic", str(n)) for n in range(100)]))


def test_a_group_is_never_too_large_for_the_database() -> None:
    worst = [
        Entry(1, "search-type", "E", 200, DOCTOR, query="\0" * 5000, patients=tuple(f"Patient/{n}" for n in range(999)))
        for _ in range(600)
    ]
    groups = list(gathered([*worst, *[read_of("Basic", str(n)) for n in range(6000)]]))
    assert sum(len(lines.entries) for lines in groups) == 6600
    assert max(len(lines.text().encode()) for lines in groups) <= 1024 * 1024
    assert max(len(lines.entries) for lines in groups) == MAX_ENTRIES
