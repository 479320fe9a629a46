"""AuditEvents of the trail are read and searched like stored ones, and together with them."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast
from urllib.parse import parse_qsl

import pytest
import yaml

from fhir_server import json
from fhir_server.access import Principal
from fhir_server.access.principal import SYSTEM
from fhir_server.access.scopes import resource_scopes
from fhir_server.audit import Agent, Entry, find, group
from fhir_server.config import Settings
from fhir_server.context import Context, FhirRequest, FhirResponse
from fhir_server.dispatch import dispatch
from fhir_server.interactions import audit_event
from fhir_server.interactions.urls import route
from fhir_server.operations import verify_audit as verify_audit
from fhir_server.outcomes import FhirError, Forbidden, Invalid, NotFound
from fhir_server.search.extract import extract
from fhir_server.storage.unit_of_work import UnitOfWork, Write
from fhir_server.validation import Answers, Level, Validator
from tests.audit.conftest import Process, read_of

Json = dict[str, Any]
CASES: Json = yaml.safe_load((Path(__file__).parents[1] / "cases" / "audit.yaml").read_text())
BASE = "http://127.0.0.1:8080/fhir"
START = int(datetime(2026, 3, 1, 10, tzinfo=UTC).timestamp()) * 1_000_000
AGENTS = {
    "doctor": Agent.of(
        "Dr Who", user="Practitioner/doctor", client="app", grant="grant-d", roles=("doctor",), address="10.0.0.8"
    ),
    "nurse": Agent.of(
        "Nurse Joy", user="Practitioner/nurse", client="app", grant="grant-nurse", roles=("nurse",), address="10.0.0.9"
    ),
    "patient": Agent.of("me", user="Patient/me", client="phone", address="10.0.0.10"),
    "backend": Agent.of("backend", client="backend", address="10.0.0.11"),
    "anyone": Agent.of("anyone", address="10.0.0.12"),
}
PRINCIPALS = {
    "system": SYSTEM,
    "client": Principal("job", client="job", scopes=resource_scopes("system/AuditEvent.rs")),
    "granular": Principal("job", client="job", scopes=resource_scopes("system/AuditEvent.rs?action=R")),
    "patient": Principal("me", client="phone", scopes=resource_scopes("patient/AuditEvent.rs"), patient="Patient/p1"),
    "no patient": Principal("me", client="phone", scopes=resource_scopes("patient/AuditEvent.rs")),
    "other": Principal("job", client="job", scopes=resource_scopes("system/Patient.rs")),
}
HANDLERS = {
    "read": audit_event.read_event,
    "vread": audit_event.vread_event,
    "search-type": audit_event.search_events,
    "search-compartment": audit_event.search_events,
}


@dataclass
class Trail:
    """The trail of the cases, and the AuditEvents' ids by the names that the cases give them."""

    process: Process
    settings: Settings
    ids: dict[str, str]

    async def get(self, path: str, query: str = "", principal: Principal = SYSTEM) -> FhirResponse:
        """What a GET answers."""
        for name in sorted(self.ids, key=len, reverse=True):
            query = query.replace(f"${name}", self.ids[name])
        repository = self.process.repository
        ctx = Context(principal, repository, cast(Validator, None), self.settings, BASE, dispatch, secret=b"s" * 32)
        request = FhirRequest("GET", path, parse_qsl(query, keep_blank_values=True))
        route(request)
        return await HANDLERS[request.interaction](ctx, request)

    def names(self, bundle: Json) -> list[str]:
        """What a searchset lists."""
        known = {id_: name for name, id_ in self.ids.items()}
        matches = [one["resource"] for one in bundle.get("entry", []) if one["search"]["mode"] == "match"]
        return [known[one["id"]] for one in matches]


def content(response: FhirResponse) -> Json:
    return cast(Json, json.decode(response.text)) if response.text is not None else cast(Json, response.resource)


@pytest.fixture
async def trail(process: Process) -> Trail:
    await process.database.resource.delete_many({})
    await process.database.version.delete_many({})
    settings = Settings(mongodb_uri="mongodb://unused", max_count=100)
    made = Trail(process, settings, {})
    for case in CASES["trail"]:
        at = START + case["at"] * 1_000_000
        if case.get("stored"):
            await _store(process, case, at)
            made.ids[case["name"]] = case["name"]
            continue
        names = ("interaction", "type", "id", "version", "query", "operation", "purpose", "issue")
        entry = Entry(
            at=at - 5,
            action=case.get("action", "R" if case["interaction"] == "read" else "E"),
            status=case.get("status", 200),
            agent=AGENTS[case["agent"]],
            patients=tuple(case.get("patients", ())),
            request=f"request-{case['name']}",
            **{name: case[name] for name in names if name in case},
        )
        chain = process.trail.recorder._chain
        chain._now = lambda at=at: at  # type: ignore[misc]
        await process.trail.record([entry])
        several = len(entry.subjects) > 1
        for number in range(max(len(entry.subjects), 1)):
            id_ = f"{chain.name}-{chain._sequence}-0" + (f"-{number}" if number else "")
            made.ids[case["name"] + (f".{number + 1}" if several else "")] = id_
    return made


async def _store(process: Process, case: Json, at: int) -> None:
    resource = {
        "resourceType": "AuditEvent",
        "id": case["name"],
        "type": {"system": "http://dicom.nema.org/resources/ontology/DCM", "code": "110110"},
        "action": "R",
        "recorded": datetime.fromtimestamp(at / 1_000_000, UTC).isoformat(),
        "agent": [{"who": {"reference": case["agent"]}, "requestor": True}],
        "source": {"observer": {"display": "elsewhere"}},
        "entity": [{"what": {"reference": case["patient"]}}],
    }
    write = Write("POST", "AuditEvent", case["name"], resource)
    write.index = extract(resource, base_url=BASE).document()
    write.prepare()
    unit = UnitOfWork()
    unit.add(write)
    await process.repository.commit(unit)


async def answer(trail: Trail, case: Json) -> Json:
    """What the search of the case lists, counts and warns of, as far as the case says."""
    path = f"Patient/{case['compartment']}/AuditEvent" if "compartment" in case else "AuditEvent"
    bundle = content(await trail.get(path, case["query"], PRINCIPALS[case.get("as", "system")]))
    warns = any(one["search"]["mode"] == "outcome" for one in bundle.get("entry", []))
    found = {"total": bundle.get("total"), "lists": trail.names(bundle)} | ({"warns": True} if warns else {})
    return found if "total" in case else {name: value for name, value in found.items() if name != "total"}


def expected(case: Json) -> Json:
    return {"lists": [], **{name: value for name, value in case.items() if name in ("total", "lists", "warns")}}


async def test_searches(trail: Trail) -> None:
    """All cases on one trail, because making it takes longer than the searches."""
    wrong = {}
    for case in CASES["searches"]:
        found = await answer(trail, case)
        if found != expected(case):
            wrong[str(case)] = found
    assert wrong == {}


async def test_the_runner_can_fail(trail: Trail) -> None:
    assert await answer(trail, CASES["wrong"]) != expected(CASES["wrong"])


async def pages(trail: Trail, query: str, principal: Principal = SYSTEM) -> list[list[str]]:
    """The names on all pages, by the next links."""
    found: list[list[str]] = []
    while len(found) < 50:
        bundle = content(await trail.get("AuditEvent", query, principal))
        found.append(trail.names(bundle))
        following = [one["url"] for one in bundle["link"] if one["relation"] == "next"]
        if not following:
            return found
        query = following[0].partition("?")[2]
    raise AssertionError("the pages do not end")


async def test_how_many_there_are_in_all_makes_none_of_them(trail: Trail, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*_: Any, **__: Any) -> Json:
        raise AssertionError("an AuditEvent was made")

    monkeypatch.setattr(find, "audit_event", none)
    counted = next(case for case in CASES["searches"] if case["query"] == "_summary=count" and "as" not in case)
    assert await answer(trail, counted) == expected(counted)
    with pytest.raises(AssertionError, match="was made"):
        await answer(trail, {"query": "_summary=count&action=E"})


@pytest.mark.parametrize("count", [1, 2, 3, 5, 11, 12, 13])
async def test_pages_hold_everything_once(trail: Trail, count: int) -> None:
    found = await pages(trail, f"_count={count}")
    assert [name for page in found for name in page] == CASES["searches"][0]["lists"]
    assert {len(page) for page in found[:-1]} <= {count}
    assert len(found[-1]) > 0


async def test_pages_of_a_limited_reader(trail: Trail) -> None:
    assert await pages(trail, "_count=2", PRINCIPALS["patient"]) == [["h", "s1"], ["c.1", "b"], ["a"]]


async def test_pages_stay_when_something_is_recorded(trail: Trail) -> None:
    first = content(await trail.get("AuditEvent", "_count=4"))
    await trail.process.trail.record([read_of("Basic", "new")])
    following = next(one["url"] for one in first["link"] if one["relation"] == "next")
    second = content(await trail.get("AuditEvent", following.partition("?")[2]))
    assert trail.names(second) == CASES["searches"][0]["lists"][4:8]


async def test_a_cursor_of_another_caller_is_refused(trail: Trail) -> None:
    bundle = content(await trail.get("AuditEvent", "_count=4"))
    following = next(one["url"] for one in bundle["link"] if one["relation"] == "next")
    with pytest.raises(Invalid):
        await trail.get("AuditEvent", following.partition("?")[2], PRINCIPALS["patient"])


async def test_a_search_that_takes_too_long_goes_on_by_its_next_link(
    trail: Trail, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No time at all: each page has one group's AuditEvents, or none that fit."""
    monkeypatch.setattr(audit_event, "SECONDS", -1)
    found = await pages(trail, "patient=p1&_count=50")
    assert len(found) > 3
    assert [name for page in found for name in page] == ["h", "s1", "c.1", "b", "a"]
    sparse = await pages(trail, "subtype=read&_count=50")
    assert [name for page in sparse for name in page] == ["e", "b", "a"]


# ---- reads -------------------------------------------------------------------------------------------


async def test_what_is_listed_can_be_read(trail: Trail) -> None:
    bundle = content(await trail.get("AuditEvent"))
    for one in bundle["entry"]:
        response = await trail.get(f"AuditEvent/{one['resource']['id']}")
        assert content(response) == one["resource"]
        assert response.version == 1
        assert content(await trail.get(f"AuditEvent/{one['resource']['id']}/_history/1")) == one["resource"]


@pytest.mark.parametrize("name", ["d", "e", "f", "g", "i", "c.2"])
async def test_what_is_hidden_cannot_be_read(trail: Trail, name: str) -> None:
    with pytest.raises(NotFound) as hidden:
        await trail.get(f"AuditEvent/{trail.ids[name]}", principal=PRINCIPALS["patient"])
    with pytest.raises(NotFound) as absent:
        await trail.get(f"AuditEvent/{trail.ids['a'][:-3]}-999-0", principal=PRINCIPALS["patient"])
    assert str(hidden.value) == str(absent.value)


@pytest.mark.parametrize("who", ["no patient", "other"])
async def test_those_without_rights_see_nothing(trail: Trail, who: str) -> None:
    with pytest.raises(FhirError) as refused:
        await trail.get(f"AuditEvent/{trail.ids['a']}", principal=PRINCIPALS[who])
    assert refused.value.status in (403, 404)
    assert trail.names(content(await trail.get("AuditEvent", principal=PRINCIPALS[who]))) == []


async def test_a_limited_reader_is_not_told_of_other_patients(trail: Trail) -> None:
    bundle = content(await trail.get("AuditEvent", principal=PRINCIPALS["patient"]))
    assert "p2" not in json.encode(bundle).decode()
    both = content(await trail.get(f"AuditEvent/{trail.ids['c.1']}"))
    (query,) = [one["query"] for one in both["entity"] if "query" in one]
    assert base64.b64decode(query) == b"Observation?patient=p1,p2&code=x"


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
async def test_nothing_in_it_can_be_changed(trail: Trail, method: str) -> None:
    for id_ in (trail.ids["a"], "s1"):
        with pytest.raises(FhirError) as refused:
            route(FhirRequest(method, f"AuditEvent/{id_}"))
        assert refused.value.status == 405


# ---- shape -------------------------------------------------------------------------------------------


async def test_a_read_has_the_shape_of_balp(trail: Trail) -> None:
    event = content(await trail.get(f"AuditEvent/{trail.ids['b']}"))
    assert event["meta"]["profile"] == [
        "https://profiles.ihe.net/ITI/BALP/StructureDefinition/IHE.BasicAudit.PatientRead"
    ]
    assert (event["action"], event["outcome"], event["recorded"]) == ("R", "0", "2026-03-01T10:00:01.000Z")
    client, server, user = event["agent"]
    assert [one["type"]["coding"][0]["code"] for one in event["agent"]] == ["110152", "110153", "IRCP"]
    assert (client["who"], client["network"]) == (
        {"identifier": {"value": "app"}},
        {"address": "10.0.0.9", "type": "2"},
    )
    assert server["network"] == {"address": BASE, "type": "5"}
    assert user["who"] == {"reference": "Practitioner/nurse"}
    assert [one["requestor"] for one in event["agent"]] == [False, False, True]
    data, patient, request = event["entity"]
    assert data["what"] == {"reference": "Observation/o1/_history/2"}
    assert patient["what"] == {"reference": "Patient/p1"}
    assert request["what"] == {"identifier": {"value": "request-b"}}


async def test_refusals_and_emergencies_are_marked(trail: Trail) -> None:
    refused = content(await trail.get(f"AuditEvent/{trail.ids['h']}"))
    assert (refused["outcome"], refused["outcomeDesc"], "profile" in refused["meta"]) == ("8", "forbidden", False)
    emergency = content(await trail.get(f"AuditEvent/{trail.ids['g']}"))
    assert emergency["purposeOfEvent"][0]["coding"][0]["code"] == "BTG"


async def test_open_mode_names_anyone(trail: Trail) -> None:
    event = content(await trail.get(f"AuditEvent/{trail.ids['i']}"))
    assert event["agent"][0]["who"] == {"display": "anyone"}
    assert event["agent"][0]["requestor"] is True


async def test_every_event_is_valid(trail: Trail) -> None:
    """By R4's structure, invariants and bindings; what only a server of all terminologies knows is not asked."""
    validator = Validator(Answers(trail.process.repository, BASE), Level.INVARIANTS, {})

    async def nothing(_: str, __: str) -> None:
        return None

    for entry in content(await trail.get("AuditEvent"))["entry"]:
        if entry["resource"]["id"] not in ("s1", "s2"):
            assert await validator.check(entry["resource"], nothing, expect_type="AuditEvent") == []


# ---- $verify-audit -------------------------------------------------------------------------------------


async def verified(trail: Trail, principal: Principal, data_dir: Path) -> dict[str, Any]:
    """The parameters that $verify-audit answers, by name."""
    settings = trail.settings.model_copy(update={"data_dir": data_dir})
    ctx = Context(principal, trail.process.repository, cast(Validator, None), settings, BASE, dispatch)
    response = await dispatch(ctx, FhirRequest("GET", "$verify-audit"))
    listed = cast(Json, response.resource)["parameter"]
    return {one["name"]: next(value for name, value in one.items() if name != "name") for one in listed}


async def test_administrators_verify_the_trail(trail: Trail, tmp_path: Path) -> None:
    found = await verified(trail, SYSTEM, tmp_path)
    assert (found["ok"], found["groups"], found["entries"], found["unsigned"]) == (True, 9, 9, 9)
    groups = trail.process.trail.store.groups
    name = group.name(trail.process.trail.recorder._chain.name, 4)
    await groups.update_one({"_id": name}, {"$set": {"e": "[]"}})
    found = await verified(trail, SYSTEM, tmp_path)
    assert found["ok"] is False
    assert found["break"] == [
        {"name": "chain", "valueString": name.partition("/")[0]},
        {"name": "sequence", "valueInteger": 4},
        {"name": "what", "valueString": "altered"},
    ]


@pytest.mark.parametrize("who", ["patient", "client", "other"])
async def test_nobody_else_does(trail: Trail, tmp_path: Path, who: str) -> None:
    with pytest.raises(Forbidden):
        await verified(trail, PRINCIPALS[who], tmp_path)
