"""Nobody sees too much, and nobody too little.

Two patients whose records name one another, a third with none, and callers with every kind of scope and role send
requests of every kind (requests.py). Each answer is held three ways against an oracle that reads nothing but JSON
(oracle.py, referee.py): nothing too much, nothing shows through, nothing too few. `FHIR_LEAK_REQUESTS` says how many
requests go out; a sample without it.
"""

from __future__ import annotations

import os
from collections import Counter
from typing import Any

import pytest

import fhir_server.access.visibility as visibility
import fhir_server.api as api
import fhir_server.storage.history as history
import fhir_server.storage.repository as repository
from fhir_server.access import Principal
from fhir_server.access.compartment import NONE
from tests.leak.conftest import Court
from tests.leak.oracle import patients_of
from tests.leak.referee import CALLERS, Caller, Finding
from tests.leak.requests import KINDS, WORLD, draw
from tests.leak.stage import Ask, call

REQUESTS = int(os.environ.get("FHIR_LEAK_REQUESTS", "700"))
SEED = int(os.environ.get("FHIR_LEAK_SEED", "1"))
EACH = max(1, REQUESTS // len(CALLERS))
READER = next(one for one in CALLERS if one.name == "v2 read a")
WRITER = next(one for one in CALLERS if one.name == "v2 all a")
_answered: Counter[str] = Counter()


@pytest.mark.parametrize("caller", CALLERS, ids=lambda one: one.name.replace(" ", "-"))
def test_nothing_too_much_and_nothing_too_few(court: Court, caller: Caller) -> None:
    number = CALLERS.index(caller)
    referee = court.hear(caller, draw(SEED * 1000 + number, EACH, first=number * EACH))
    _answered.update(referee.answered)
    assert not referee.findings, told(referee.findings)


@pytest.mark.parametrize("type_", ["Binary", "Observation"])
def test_what_was_deleted_is_brought_back_by_who_may_write_it(court: Court, type_: str) -> None:
    """Also by callers who write less than they read: what comes in its place is judged as new."""
    caller = next(one for one in CALLERS if one.name == "patient level with user a")
    body: dict[str, Any] = {"resourceType": type_, "id": "a-patient-file" if type_ == "Binary" else "a-lab1"}
    if type_ == "Binary":
        body |= {"contentType": "text/plain", "securityContext": {"reference": "Patient/a"}, "data": "bWluZQ=="}
    else:
        body |= {"status": "final", "code": {"text": "x"}, "subject": {"reference": "Patient/a"}}
    path = f"{type_}/{body['id']}"
    asks = [Ask("delete", "DELETE", path), Ask("update", "PUT", path, body=body)]
    found = court.hear(caller, asks).findings
    assert not found, told(found)


def test_every_kind_of_request_was_answered_to_somebody() -> None:
    if sum(_answered.values()) == 0:
        pytest.skip("runs after the others")
    refused = {"administration", "explain"}
    assert len(KINDS) >= 40
    if REQUESTS >= 1000:
        assert {name.strip("_") for name in KINDS} - refused <= {kind for kind, count in _answered.items() if count}


def test_without_a_token_there_is_nothing(court: Court) -> None:
    async def ask() -> None:
        for one in draw(SEED, 3 * len(KINDS)):
            answer = await call(court.stage.house.named, one, None)
            assert answer.status == 401, str(one)
        assert court.stage.house.restore() == []

    court.run(ask())


def test_the_same_seed_draws_the_same_requests() -> None:
    assert list(map(str, draw(5, 200))) == list(map(str, draw(5, 200)))
    assert list(map(str, draw(5, 200))) != list(map(str, draw(6, 200)))


# ---- the test can fail: holes, planted ------------------------------------------------------------------


def test_a_type_that_is_not_filtered_is_found(court: Court, monkeypatch: pytest.MonkeyPatch) -> None:
    real = visibility.visible

    def leaky(principal: Principal, types: Any = None, action: str = "s") -> dict[str, Any]:
        return {} if types == ("Observation",) else real(principal, types, action)

    monkeypatch.setattr(repository, "visible", leaky)
    asks = [
        Ask("search", "GET", "Observation", [("code", "718-7")]),
        Ask("chain", "GET", "DiagnosticReport", [("result.code", "718-7")]),
    ]
    found = court.hear(READER, asks).findings
    assert any("Observation/b-lab2 version 1 is shown" in one.what for one in found)
    # What comes of it elsewhere, without any resource that is not the caller's.
    assert any(one.what == "what is hidden shows through" and "result.code" in one.ask for one in found)


def test_a_type_that_is_filtered_too_much_is_found(court: Court, monkeypatch: pytest.MonkeyPatch) -> None:
    real = visibility.visible

    def blind(principal: Principal, types: Any = None, action: str = "s") -> dict[str, Any]:
        return NONE if types == ("Condition",) and not principal.is_open else real(principal, types, action)

    monkeypatch.setattr(repository, "visible", blind)
    found = court.hear(READER, [Ask("search", "GET", "Condition")]).findings
    assert [one.what for one in found] == ["something is missing, or too much"]


def test_a_read_that_is_not_judged_is_found(court: Court, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repository, "is_open_to", lambda *_: True)
    found = court.hear(READER, [Ask("read", "GET", "Observation/b-vital")]).findings
    assert {one.what for one in found} >= {
        "what is hidden shows through",
        "Observation/b-vital version 1 is shown to v2 read a (the answer)",
    }


def test_a_version_that_is_not_judged_is_found(court: Court, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "is_open_to", lambda *_: True)
    found = court.hear(READER, [Ask("vread", "GET", "Observation/a-moved/_history/1")]).findings
    assert any(one.what.startswith("Observation/a-moved version 1 is shown") for one in found)


def test_a_write_that_is_not_judged_is_found(court: Court, monkeypatch: pytest.MonkeyPatch) -> None:
    async def anything(*_: object) -> None:
        """Lets every write pass."""

    monkeypatch.setattr(api, "_authorize_before", anything)
    monkeypatch.setattr(api, "_authorize_after", anything)
    moved = WORLD["Observation/a-vital"] | {"subject": {"reference": "Patient/b"}}
    found = court.hear(WRITER, [Ask("update", "PUT", "Observation/a-vital", body=moved)]).findings
    assert any(one.what.startswith("written without leave: Observation/a-vital") for one in found)


# ---- the oracle itself -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "whose"),
    [
        ("Patient/a", "a"),
        ("Patient/a-old", "a a-old"),
        ("Observation/a-lab", "a"),
        ("Observation/a-told", "a b"),
        ("Observation/a-absolute", "a"),
        ("Observation/a-versioned", "a"),
        ("Observation/a-foreign", ""),
        ("Observation/a-logical", ""),
        ("Observation/a-inside", "a"),
        ("Observation/nobody", ""),
        ("Condition/a-asserted", "a b"),
        ("Task/a-task", "a"),
        ("Task/a-owned", "b"),
        ("Communication/a-team", ""),
        ("Communication/a-sent", "a b"),
        ("Provenance/a-no-patient", ""),
        ("Provenance/both", "a b"),
        ("Coverage/a-pays", "a b"),
        ("List/a-about-you", ""),
        ("Group/both", "a b"),
        ("Bundle/both", ""),
        ("Device/a-pump", "a"),
    ],
)
def test_whose_a_resource_is(key: str, whose: str) -> None:
    assert patients_of(WORLD[key]) == {f"Patient/{one}" for one in whose.split()}


def told(findings: list[Finding]) -> str:
    """The findings, the shortest request of each sort first."""
    listed = sorted(findings, key=lambda one: len(one.ask))
    return f"{len(findings)} findings\n\n" + "\n\n".join(map(str, listed[:20]))
