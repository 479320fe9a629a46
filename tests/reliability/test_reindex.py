"""Two servers on one database: whatever is written, killed or declared meanwhile, no resource is missing afterwards."""

from __future__ import annotations

import http.client
import itertools
import threading
from pathlib import Path
from typing import Any

from tests.reliability.crash import call, serving

Json = dict[str, Any]
COLOUR = "http://example.org/fhir/StructureDefinition/colour"
COLOURS = ("amber", "blue", "green")
PARAMETER: Json = {
    "resourceType": "SearchParameter",
    "url": "http://example.org/fhir/SearchParameter/colour",
    "name": "colour",
    "status": "active",
    "description": "colour",
    "code": "colour",
    "base": ["Patient"],
    "type": "token",
    "expression": f"Patient.extension.where(url='{COLOUR}').value.ofType(code)",
}


def patient(id_: str, colour: str) -> Json:
    return {"resourceType": "Patient", "id": id_, "extension": [{"url": COLOUR, "valueCode": colour}]}


class Painters:
    """Threads that give patients new colours, each its own patients, and note what was acknowledged."""

    def __init__(self, bases: list[str], threads: int = 6, patients: int = 40) -> None:
        self.colours: dict[str, set[str]] = {}  # by id: the acknowledged one, and one that may have come through
        self.there: set[str] = set()  # acknowledged at least once
        self.written = 0
        self._bases = bases
        self._patients = patients
        self._more = threading.Condition()
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._paint, args=(n,), daemon=True) for n in range(threads)]
        for thread in self._threads:
            thread.start()

    def _paint(self, number: int) -> None:
        base = self._bases[number % len(self._bases)]
        for count in itertools.count():
            if self._stop.is_set():
                return
            id_ = f"w{number}-{count % self._patients}"
            colour = COLOURS[(count // self._patients + count) % len(COLOURS)]
            self.colours.setdefault(id_, set()).add(colour)
            try:
                status, _ = call(base, "PUT", f"/Patient/{id_}", patient(id_, colour))
            except (OSError, http.client.HTTPException, ValueError):
                continue
            if status in (200, 201):
                self.colours[id_] = {colour}
                self.there.add(id_)
                with self._more:
                    self.written += 1
                    self._more.notify_all()

    def wait_for(self, more: int) -> None:
        with self._more:
            wanted = self.written + more
            assert self._more.wait_for(lambda: self.written >= wanted, timeout=120)

    def finish(self) -> dict[str, set[str]]:
        self._stop.set()
        for thread in self._threads:
            thread.join(60)
        return {id_: self.colours[id_] for id_ in self.there}


def report(base: str) -> Json:
    status, answer = call(base, "GET", "/$reindex")
    assert status == 200
    found: Json = {}
    for one in answer["parameter"]:
        if one["name"] == "parameter":
            found["coverage"] = one["part"][-1]["valueCode"]
        else:
            found[one["name"]] = next((value for name, value in one.items() if name != "name"), None)
    return found


def until_complete(base: str) -> None:
    while report(base).get("coverage") != "complete":
        pass


def found_by(base: str, colour: str) -> dict[str, str]:
    """Every patient that a search by this colour finds, with the colour that it has; waits until `base` knows it."""
    found: dict[str, str] = {}
    path = f"/Patient?colour={colour}&_count=1000"
    while path:
        status, bundle = call(base, "GET", path)
        if status == 400:
            continue  # this server has not heard of it yet
        assert status == 200, bundle
        for entry in bundle.get("entry", []):
            found[entry["resource"]["id"]] = entry["resource"]["extension"][0]["valueCode"]
        following = [link["url"] for link in bundle["link"] if link["relation"] == "next"]
        path = following[0].partition("/fhir")[2] if following else ""
    return found


def assert_found(bases: list[str], wanted: dict[str, set[str]]) -> None:
    for base in bases:
        by_colour = {colour: found_by(base, colour) for colour in COLOURS}
        for colour, found in by_colour.items():
            assert {id_: c for id_, c in found.items() if c != colour} == {}, "no stale keys"
        there = {id_: colour for colour, found in by_colour.items() for id_ in found}
        missing = {id_ for id_ in wanted if id_ not in there}
        assert missing == set()
        assert {id_ for id_, colours in wanted.items() if there[id_] not in colours} == set()


def fill(base: str, count: int) -> dict[str, set[str]]:
    """Store so many patients, 500 a transaction."""
    colours = {f"p{number:05d}": {COLOURS[number % 3]} for number in range(count)}
    listed = list(colours)
    for start in range(0, count, 500):
        entries = [
            {"resource": patient(id_, *colours[id_]), "request": {"method": "PUT", "url": f"Patient/{id_}"}}
            for id_ in listed[start : start + 500]
        ]
        assert call(base, "POST", "/", {"resourceType": "Bundle", "type": "transaction", "entry": entries})[0] == 200
    return colours


def test_nothing_is_missed_that_two_servers_write_meanwhile(tmp_path: Path) -> None:
    with serving(tmp_path) as first, serving(tmp_path) as second:
        wanted = fill(first.base, 1000)
        painters = Painters([first.base, second.base])
        painters.wait_for(100)
        assert call(first.base, "POST", "/SearchParameter", PARAMETER)[0] == 201
        until_complete(second.base)
        painters.wait_for(100)
        wanted |= painters.finish()
        assert_found([first.base, second.base], wanted)


def test_another_meaning_declared_meanwhile_leaves_no_stale_keys(tmp_path: Path) -> None:
    """From where nobody has a colour to where everybody has: by every server, what is found is right or refused."""
    nothing = {**PARAMETER, "id": "colour", "expression": "Patient.extension.where(url='http://no').value.ofType(code)"}
    with serving(tmp_path) as first, serving(tmp_path) as second:
        assert call(first.base, "PUT", "/SearchParameter/colour", nothing)[0] == 201
        wanted = fill(first.base, 500)
        until_complete(first.base)
        painters = Painters([first.base, second.base])
        painters.wait_for(50)
        assert call(second.base, "PUT", "/SearchParameter/colour", {**PARAMETER, "id": "colour"})[0] == 200
        until_complete(first.base)
        painters.wait_for(50)
        wanted |= painters.finish()
        until_complete(second.base)
        assert_found([first.base, second.base], wanted)


def test_kill_9_of_the_server_that_reindexes(tmp_path: Path) -> None:
    with serving(tmp_path) as first, serving(tmp_path) as second:
        wanted = fill(first.base, 6000)
        painters = Painters([second.base], threads=2)
        painters.wait_for(20)
        assert call(first.base, "POST", "/SearchParameter", PARAMETER)[0] == 201
        while not report(second.base).get("done"):
            pass
        first.kill()
        assert report(second.base)["coverage"] == "indexing", "too few resources to be killed among"
        until_complete(second.base)
        painters.wait_for(20)
        wanted |= painters.finish()
        assert_found([second.base], wanted)
        assert 6000 <= report(second.base)["done"] < 7000, "it went on where it was"


def test_kill_9_of_a_server_that_only_writes_does_not_hold_up_the_reindex(tmp_path: Path) -> None:
    with serving(tmp_path) as first:
        wanted = fill(first.base, 500)
        with serving(tmp_path) as second:
            painters = Painters([first.base, second.base])
            painters.wait_for(50)
            second.kill()
        assert call(first.base, "POST", "/SearchParameter", PARAMETER)[0] == 201
        until_complete(first.base)
        wanted |= painters.finish()
        assert_found([first.base], wanted)
