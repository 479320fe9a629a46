"""`fhir-server load`: what is in files, what becomes of it, and that an interrupted load loses and doubles nothing."""

from __future__ import annotations

import gzip
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import hypothesis
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymongo import MongoClient
from pymongo.errors import AutoReconnect

from fhir_server.cli.loading.entries import Unloadable, add_conditions, chunks, criterion
from fhir_server.cli.loading.interruption import Interruption
from fhir_server.cli.loading.pool import phases
from fhir_server.cli.loading.report import Earlier, Event, Refused, Stored
from fhir_server.cli.loading.sources import Source, find_sources
from fhir_server.cli.loading.store import Load
from fhir_server.config import Settings
from fhir_server.context import Context, FhirRequest, FhirResponse
from fhir_server.json import InvalidJson
from fhir_server.main import Server, running
from tests.cli.here import here

Json = dict[str, Any]
ROOT = Path(__file__).resolve().parents[2]


def patient(**more: Any) -> Json:
    return {"resourceType": "Patient", "active": True, **more}


def bundle(kind: str, *resources: Json, urls: list[str] | None = None) -> Json:
    entries: list[Json] = [{"resource": resource} for resource in resources]
    for entry, url in zip(entries, urls or [], strict=False):
        entry["fullUrl"] = url
    if kind in ("transaction", "batch"):
        for entry in entries:
            entry["request"] = {"method": "POST", "url": entry["resource"]["resourceType"]}
    return {"resourceType": "Bundle", "type": kind, "entry": entries}


def put(path: Path, *contents: Any) -> Source:
    """A file with JSON, or with NDJSON when there are several values or the name says so."""
    text = "\n".join(content if isinstance(content, str) else json.dumps(content) for content in contents)
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return Source(path)


# Files


def test_files_are_found_by_name_and_below_directories(tmp_path: Path) -> None:
    (tmp_path / "below" / "deep").mkdir(parents=True)
    for name in ("a.json", "b.ndjson.gz", "below/c.JSONL", "below/deep/d.json.gz", "e.txt", "f.gz"):
        (tmp_path / name).write_text("{}")
    odd = tmp_path / "e.txt"
    found = find_sources([tmp_path / "a.json", tmp_path, odd])
    assert [s.path.name for s in found] == ["a.json", "b.ndjson.gz", "c.JSONL", "d.json.gz", "e.txt"]
    assert [s.in_lines for s in found] == [False, True, True, False, False]
    with pytest.raises(FileNotFoundError):
        find_sources([tmp_path / "nothing"])


def test_hospitals_and_practitioners_come_first() -> None:
    names = ["Ada.json", "practitionerInformation1.json", "hospitalInformation1.json", "Location.ndjson", "organ.json"]
    ordered = [[source.path.name for source in phase] for phase in phases([Source(Path(name)) for name in names])]
    assert ordered == [[names[1], names[2], names[3]], [names[0], names[4]]]
    assert phases([]) == []


def test_a_file_that_is_called_compressed_and_is_not(tmp_path: Path) -> None:
    path = tmp_path / "p.json.gz"
    path.write_text('{"resourceType":"Patient"}')
    assert Source(path).document() == {"resourceType": "Patient"}


def test_lines_have_numbers_and_positions(tmp_path: Path) -> None:
    source = put(tmp_path / "p.ndjson", '{"a":1}', "", '{"b":2}')
    assert [(number, line.strip()) for number, line, _ in source.lines()] == [(0, b'{"a":1}'), (2, b'{"b":2}')]
    assert [position for _, _, position in source.lines()][-1] == source.size


def test_a_changed_file_is_another(tmp_path: Path) -> None:
    before = put(tmp_path / "p.json", patient()).fingerprint(True)
    assert before == Source(tmp_path / "p.json").fingerprint(True) != Source(tmp_path / "p.json").fingerprint(False)
    assert before != put(tmp_path / "p.json", patient(gender="male")).fingerprint(True)


# Entries


def requests(source: Source, if_none_exist: bool = False, most: int = 100) -> list[Any]:
    return [item.entry.get("request") for chunk in chunks(source, most, if_none_exist) for item in chunk.items]


def test_resources_with_an_id_keep_it(tmp_path: Path) -> None:
    source = put(tmp_path / "p.ndjson", patient(id="a"), patient(), "[", {"id": "b"})
    assert requests(source) == [{"method": "PUT", "url": "Patient/a"}, {"method": "POST", "url": "Patient"}, None, None]
    problems = [bool(item.problem) for chunk in chunks(source, 9, False) for item in chunk.items]
    assert problems == [False, False, True, True]


@pytest.mark.parametrize("kind", ["collection", "searchset"])
def test_collections_become_transactions(tmp_path: Path, kind: str) -> None:
    content = bundle(kind, patient(id="a"), patient(), urls=["urn:uuid:1"])
    content["entry"].append({"resource": {"resourceType": "OperationOutcome"}, "search": {"mode": "outcome"}})
    (chunk,) = chunks(put(tmp_path / "b.json", content), 100, False)
    assert not chunk.atomic
    assert [item.entry.get("fullUrl") for item in chunk.items] == ["urn:uuid:1", None]
    assert [item.entry["request"]["method"] for item in chunk.items] == ["PUT", "POST"]
    assert [len(chunk.items) for chunk in chunks(Source(tmp_path / "b.json"), 1, False)] == [1, 1]


def test_a_transaction_stays_whole(tmp_path: Path) -> None:
    (chunk,) = chunks(put(tmp_path / "b.json", bundle("transaction", patient(), patient())), 1, False)
    assert chunk.atomic
    assert len(chunk.items) == 2


def test_a_document_is_a_resource(tmp_path: Path) -> None:
    assert requests(put(tmp_path / "b.json", bundle("document", patient()))) == [{"method": "POST", "url": "Bundle"}]


@pytest.mark.parametrize("content", [bundle("history"), bundle("transaction-response"), bundle("batch") | {"entry": 1}])
def test_what_is_not_for_loading(tmp_path: Path, content: Json) -> None:
    with pytest.raises(Unloadable):
        list(chunks(put(tmp_path / "b.json", content), 100, False))


def test_a_file_that_is_no_json(tmp_path: Path) -> None:
    with pytest.raises(InvalidJson):
        list(chunks(put(tmp_path / "b.json", "{"), 100, False))


# Conditions


def conditions(*resources: Json) -> list[str | None]:
    entries = bundle("transaction", *resources)["entry"]
    items = [_item(place, entry) for place, entry in enumerate(entries)]
    add_conditions(items)
    return [item.entry["request"].get("ifNoneExist") for item in items]


def _item(place: int, entry: Json) -> Any:
    from fhir_server.cli.loading.entries import Item

    return Item(place, f"entry {place}", entry)


def identified(*identifiers: tuple[str | None, str | None], type_: str = "Patient") -> Json:
    listed = [{"system": s, "value": v} for s, v in identifiers]
    return {"resourceType": type_, "identifier": [{k: v for k, v in each.items() if v} for each in listed]}


def test_the_first_identifier_of_its_own_is_the_condition() -> None:
    group = ("urn:group", "1")
    assert conditions(identified(("urn:a", "1"), ("urn:b", "2"))) == ["identifier=urn%3Aa%7C1"]
    assert conditions(identified(("urn:a", None), (None, "1"), ("urn:b", "2"))) == ["identifier=urn%3Ab%7C2"]
    assert conditions(identified(group, ("urn:a", "1")), identified(group, ("urn:a", "2"))) == [
        "identifier=urn%3Aa%7C1",
        "identifier=urn%3Aa%7C2",
    ]
    assert conditions(identified(group), identified(group)) == [None, None]
    assert conditions(identified(group), identified(group, type_="Person")) == ["identifier=urn%3Agroup%7C1"] * 2


def test_what_gets_no_condition() -> None:
    assert (
        conditions({"resourceType": "Patient"}, identified(), identified(("urn:a", "1"), type_="Binary")) == [None] * 3
    )
    assert conditions(patient(identifier=[{"use": "old", "system": "urn:a", "value": "1"}])) == [None]
    item = _item(0, {"resource": identified(("urn:a", "1")), "request": {"method": "PUT", "url": "Patient/1"}})
    add_conditions([item])
    assert "ifNoneExist" not in item.entry["request"]


@hypothesis.settings(deadline=None)  # how long one takes is the machine's
@given(st.text(min_size=1), st.text(min_size=1))
def test_a_condition_says_what_it_means(system: str, value: str) -> None:
    ((name, text),) = parse_qsl(criterion(system, value))
    bare = text
    for escaped in ("\\\\", "\\,", "\\$", "\\|"):
        bare = bare.replace(escaped, "")
    assert name == "identifier"
    assert bare.count("|") == 1
    assert not set(bare) & {",", "$", "\\"}


# Into a server


@dataclass
class Told:
    """What a load told of itself."""

    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    refused: dict[str, str] = field(default_factory=dict)
    earlier: tuple[int, int] = (0, 0)
    fail_after: Callable[[Event], bool] = lambda _: False

    def __call__(self, event: Event) -> None:
        match event:
            case Stored(counts):
                self.counts.update(counts)
            case Refused(_, label, issues):
                self.refused[label] = " ".join(issues)
            case Earlier(stored, refused):
                self.earlier = stored, refused
        if self.fail_after(event):
            raise KeyboardInterrupt


@pytest.fixture
async def inside(settings: Settings) -> AsyncIterator[Server]:
    async with running(settings) as server:
        for collection in (server.database.resource, server.database.version, server.database.markers):
            await collection.delete_many({})
        yield server


async def run(server: Server, source: Source, told: Told | None = None, if_none_exist: bool = False) -> Told:
    told = told or Told()
    assert await Load(server, source, if_none_exist, told, lambda: False).run()
    return told


async def test_lines_that_are_refused_leave_the_others_alone(inside: Server, tmp_path: Path) -> None:
    source = put(
        tmp_path / "p.ndjson.gz",
        patient(id="a"),
        patient(id="b", gender="colour"),
        "{",
        patient(id="c", colour="red"),
        patient(id="d"),
        {"resourceType": "Nothing", "id": "e"},
    )
    told = await run(inside, source)
    assert told.counts == {("Patient", "created"): 2, ("Patient", "refused"): 2, ("(unknown)", "refused"): 1} | {
        ("Nothing", "refused"): 1
    }
    assert sorted(told.refused) == ["line 2", "line 3", "line 4", "line 6"]
    assert "Patient.gender" in told.refused["line 2"]
    assert "colour" in told.refused["line 4"]
    assert await inside.counts() == {"Patient": 2}


async def test_the_same_resource_twice_is_two_versions(inside: Server, tmp_path: Path) -> None:
    told = await run(
        inside, put(tmp_path / "p.ndjson", patient(id="a"), patient(id="b"), patient(id="a", gender="male"))
    )
    assert told.counts == {("Patient", "created"): 2, ("Patient", "updated"): 1}
    assert not told.refused


async def test_a_transaction_with_a_bad_entry_leaves_nothing(inside: Server, tmp_path: Path) -> None:
    told = await run(inside, put(tmp_path / "b.json", bundle("transaction", patient(), patient(gender="colour"))))
    assert told.counts == {("Patient", "refused"): 2}
    assert list(told.refused) == ["entry 1"]
    assert await inside.counts() == {}


async def test_a_batch_with_a_bad_entry_stores_the_others(inside: Server, tmp_path: Path) -> None:
    told = await run(inside, put(tmp_path / "b.json", bundle("batch", patient(), patient(gender="colour"), patient())))
    assert told.counts == {("Patient", "created"): 2, ("Patient", "refused"): 1}
    assert list(told.refused) == ["entry 1"]


async def test_links_within_a_collection_lead_to_the_stored_resources(inside: Server, tmp_path: Path) -> None:
    link = {"resourceType": "Basic", "id": "b", "code": {"text": "x"}, "subject": {"reference": "urn:uuid:1"}}
    await run(inside, put(tmp_path / "b.json", bundle("collection", patient(id="p"), link, urls=["urn:uuid:1"])))
    ctx = inside.context()
    response = await ctx.dispatch(ctx, FhirRequest("GET", "Basic/b"))
    assert response.text is not None
    assert json.loads(response.text)["subject"] == {"reference": "Patient/p"}


async def test_a_condition_meets_what_is_there(inside: Server, tmp_path: Path) -> None:
    source = put(tmp_path / "b.json", bundle("transaction", identified(("urn:a", "1,2|3$")), patient()))
    assert (await run(inside, source, if_none_exist=True)).counts == {("Patient", "created"): 2}
    await inside.clear_markers("load:")
    again = await run(inside, source, if_none_exist=True)
    assert again.counts == {("Patient", "created"): 1, ("Patient", "already there"): 1}


async def test_what_cannot_be_read_is_one_refusal(inside: Server, tmp_path: Path) -> None:
    broken = tmp_path / "p.ndjson.gz"
    broken.write_bytes(gzip.compress(b'{"resourceType":"Patient"}\n' * 1000)[:-20])
    assert list((await run(inside, Source(broken))).refused) == ["the file"]
    assert list((await run(inside, put(tmp_path / "h.json", bundle("history")))).refused) == ["the file"]


async def test_a_load_that_ends_anywhere_goes_on_there(inside: Server, tmp_path: Path) -> None:
    lines = [patient(gender="colour") if n in (3, 700) else patient() for n in range(1200)]
    source = put(tmp_path / "p.ndjson", *lines)
    told = Told(fail_after=lambda event: isinstance(event, Stored) and ("Patient", "created") in event.counts)
    for _ in range(20):
        try:
            await run(inside, source, told)
        except KeyboardInterrupt:
            continue
        break
    assert await inside.counts() == {"Patient": 1198}
    assert told.counts["Patient", "created"] == 1198
    assert told.earlier == (1198, 2)
    assert sorted(told.refused) == ["line 4", "line 701"]


async def test_a_load_that_is_asked_to_stop_does_so_between_chunks(inside: Server, tmp_path: Path) -> None:
    source = put(tmp_path / "p.ndjson", *[patient()] * 1200)
    answers = iter([False, True])
    assert not await Load(inside, source, False, Told(), lambda: next(answers)).run()
    assert await inside.counts() == {"Patient": 500}
    assert (await run(inside, source)).earlier == (500, 0)
    assert await inside.counts() == {"Patient": 1200}


async def test_an_answer_that_was_lost_is_not_stored_twice(inside: Server, tmp_path: Path) -> None:
    calls: list[str] = []

    async def lossy(ctx: Context, request: FhirRequest) -> FhirResponse:
        whole = request.path == ""
        if whole and not calls:
            calls.append("never sent")
            raise AutoReconnect
        response = await dispatch(ctx, request)
        if whole and len(calls) == 1:
            calls.append("answer lost")
            raise AutoReconnect
        return response

    dispatch = inside.context().dispatch
    context = inside.context
    inside.context = lambda *a, **k: _with(context(*a, **k), lossy)  # type: ignore[method-assign]
    told = await run(inside, put(tmp_path / "b.json", bundle("transaction", patient(), patient())))
    assert calls == ["never sent", "answer lost"]
    assert told.counts == {("Patient", "created"): 2}
    assert await inside.counts() == {"Patient": 2}


def _with(ctx: Context, dispatch: Any) -> Context:
    ctx.dispatch = dispatch
    return ctx


# The command


def command(settings: Settings, *arguments: str | Path) -> tuple[list[str], dict[str, str]]:
    environment = os.environ | {"FHIR_MONGODB_URI": settings.mongodb_uri or "", "FHIR_DATABASE": settings.database}
    return [sys.executable, "-m", "fhir_server.cli", "load", *map(str, arguments)], environment


def load(settings: Settings, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    line, environment = command(settings, *arguments)
    return subprocess.run(line, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=300)


def stored(settings: Settings) -> Counter[str]:
    with MongoClient[Any](settings.mongodb_uri) as client:
        rows = client[f"{settings.database}_fhir"]["resource"].find({"d": {"$exists": False}}, {"ty": 1})
        return Counter(row["ty"] for row in rows)


@pytest.fixture
def fresh(settings: Settings, request: pytest.FixtureRequest) -> Settings:
    """Settings of a database that nothing is in."""
    return settings.model_copy(update={"database": f"{settings.database}_{abs(hash(request.node.name)) % 10**8}"})


def test_a_finished_load_can_be_done_again(fresh: Settings, tmp_path: Path) -> None:
    put(tmp_path / "p.ndjson", patient(), patient(id="a"))
    first, second = load(fresh, tmp_path), load(fresh, tmp_path)
    assert (first.returncode, second.returncode) == (0, 0), first.stderr + second.stderr
    assert "100 %: " in first.stderr
    assert stored(fresh) == {"Patient": 3}


def test_refused_entries_are_named_and_counted(fresh: Settings, tmp_path: Path) -> None:
    put(tmp_path / "p.ndjson", patient(), patient(gender="Secret"))
    put(tmp_path / "b.json", bundle("transaction", patient(), {"resourceType": "Patient", "active": "Secret"}))
    done = load(fresh, tmp_path, "--workers", "1")
    assert done.returncode == 1
    assert "p.ndjson, line 2: " in done.stderr
    assert "b.json, entry 1: " in done.stderr
    assert "Secret" not in done.stderr + done.stdout
    assert "refused: 2." in done.stdout
    assert stored(fresh) == {"Patient": 1}


@pytest.mark.parametrize("arguments", [["nowhere.json"], ["."], []])
def test_nothing_to_load(fresh: Settings, tmp_path: Path, arguments: list[str]) -> None:
    done = here("load", *(tmp_path / one for one in arguments), FHIR_MONGODB_URI=fresh.mongodb_uri or "")
    assert done.returncode in (1, 2)
    assert done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_load_goes_on_where_it_stopped(fresh: Settings, tmp_path: Path, number: signal.Signals) -> None:
    for name in range(6):
        put(tmp_path / f"p{name}.ndjson", *[patient()] * 1100)
    for attempt in range(5):
        into = fresh.model_copy(update={"database": f"{fresh.database}_{attempt}"})
        line, environment = command(into, tmp_path)
        with subprocess.Popen(line, env=environment, cwd=ROOT, stderr=subprocess.PIPE, text=True) as process:
            assert process.stderr is not None
            for said in process.stderr:
                if " %: " in said:
                    process.send_signal(number)
                    break
            process.stderr.read()  # the workers write there, too: its end is theirs
        if (before := stored(into).total()) < 6 * 1100:
            break  # else it was done before the signal came
    assert 0 < before < 6 * 1100
    assert process.returncode == (-number if number is signal.SIGKILL else 130)
    done = load(into, tmp_path)
    assert done.returncode == 0, done.stderr
    assert "before the interruption" in done.stdout
    assert stored(into) == {"Patient": 6 * 1100}


def test_an_interruption_is_noted_and_only_the_second_raises() -> None:
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    with Interruption() as interruption:
        assert not interruption.noted
        signal.raise_signal(signal.SIGTERM)
        assert interruption.noted
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


def test_interrupted_before_anything_is_loaded(tmp_path: Path) -> None:
    """While it waits for a database that takes connections and says nothing."""
    put(tmp_path / "p.ndjson", patient())
    with socket.create_server(("127.0.0.1", 0)) as silent:
        uri = f"mongodb://127.0.0.1:{silent.getsockname()[1]}/?directConnection=true"
        line, environment = command(Settings(mongodb_uri=uri), tmp_path)
        with subprocess.Popen(line, env=environment, cwd=ROOT, stderr=subprocess.PIPE, text=True) as process:
            connection, _ = silent.accept()
            process.send_signal(signal.SIGINT)
            _, said = process.communicate()
            connection.close()
    assert process.returncode == 130
    assert "Traceback" not in said


def forked(process: int) -> list[int] | None:
    """The workers that a load has so far; None as long as the process that they are forked from is not there."""

    def children(of: int) -> list[int]:
        return [int(child) for child in Path(f"/proc/{of}/task/{of}/children").read_text().split()]

    for child in children(process):
        with suppress(FileNotFoundError, ProcessLookupError):  # it has ended since it was listed
            if b"forkserver" in Path(f"/proc/{child}/cmdline").read_bytes():
                return children(child)
    return None


@pytest.mark.parametrize("begun", [0, 2])
def test_ctrl_c_of_a_terminal_at_the_start_reaches_no_worker(fresh: Settings, tmp_path: Path, begun: int) -> None:
    """It goes to the whole process group, also to workers that are not yet themselves, and to what they come from."""
    for name in range(2):
        put(tmp_path / f"p{name}.ndjson", *[patient()] * 600)
    line, environment = command(fresh, tmp_path)
    with subprocess.Popen(
        line, env=environment, cwd=ROOT, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        while (workers := forked(process.pid)) is None or len(workers) < begun:
            assert process.poll() is None, "it was over before its workers were seen"
            threading.Event().wait(0.01)  # nobody tells of a process; they need the CPU more than this loop does
        os.killpg(process.pid, signal.SIGINT)
        _, said = process.communicate()
    assert process.returncode == 130
    assert "KeyboardInterrupt" not in said
    assert load(fresh, tmp_path).returncode == 0
    assert stored(fresh) == {"Patient": 2 * 600}


@pytest.fixture
def synthea(shared: Path) -> list[Path]:
    """The bundles of all institutions and of each fifth patient; tests/interactions tells of every resource."""
    found = sorted((shared / "synthea").glob("*.json.gz"))
    staff = [path for path in found if path.name.startswith(("hospital", "practitioner"))]
    patients = [path for path in found if path not in staff]
    return [*staff, *patients[::5]]


def test_synthea_bundles_load_as_they_are(fresh: Settings, synthea: list[Path]) -> None:
    expected: Counter[str] = Counter()
    for path in synthea:
        expected.update(entry["resource"]["resourceType"] for entry in Source(path).document()["entry"])
    done = load(fresh, *synthea)
    assert done.returncode == 0, done.stderr
    assert stored(fresh) == expected
    assert expected.total() == 3_120


def test_synthea_bundles_load_once_by_their_identifiers(fresh: Settings, synthea: list[Path]) -> None:
    for total in (3_080, 3_080 + 2_613):  # the second adds only what carries no identifier
        done = load(fresh, *synthea, "--if-none-exist", "identifier")
        assert done.returncode == 0, done.stderr
        there = stored(fresh)
        assert there.total() == total
        assert (there["Organization"], there["Practitioner"], there["Patient"]) == (102, 102, 12)
        assert (there["ExplanationOfBenefit"], there["ImagingStudy"]) == (245, 6)
