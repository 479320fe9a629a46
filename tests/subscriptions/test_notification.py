"""Notification Bundles: their form by level of content, whose rights decide, and that the referee can tell."""

from __future__ import annotations

import copy
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from fhir_server import json, xml
from fhir_server.access import Principal
from fhir_server.access.principal import ANYONE
from fhir_server.access.scopes import resource_scopes
from fhir_server.config import Settings
from fhir_server.validation import Answers, Level, Validator
from subscriptions import wire
from subscriptions.notification import Notifications
from subscriptions.subscription import Content, Subscription
from tests.subscriptions.desk import VISITS, Desk, desk
from tests.subscriptions.referee import RULES, problems

Json = dict[str, Any]
LEVELS: list[Content] = ["empty", "id-only", "full-resource"]
VISIT: Json = {
    "resourceType": "Encounter",
    "id": "e1",
    "status": "in-progress",
    "class": {"code": "AMB"},
    "subject": {"reference": "Patient/1"},
}
RESULT: Json = {
    "resourceType": "Observation",
    "id": "o1",
    "status": "final",
    "code": {"text": "Potassium"},
    "subject": {"reference": "Patient/1"},
    "encounter": {"reference": "Encounter/e1"},
    "valueQuantity": {"value": 3},
}


async def bundle_of(notifications: Notifications, *arguments: Any, **more: Any) -> Json | None:
    """The Bundle of a notification; None when nothing of it may be seen."""
    made = await notifications.event_notification(*arguments, **more)
    return made.bundle if made is not None else None


def app(scopes: str, patient: str = "Patient/1") -> Principal:
    """An app in the hands of a patient."""
    return Principal(
        "ann",
        scopes=resource_scopes(scopes),
        client="app",
        user=patient,
        roles=("patient",),
        patient=patient,
        own=frozenset({patient}),
    )


def subscription(level: Content = "full-resource", **more: Any) -> Subscription:
    content: Json = {"topic": VISITS.url, "payload": "application/fhir+json", "content": level}
    return Subscription("s1", 1, "active", "rest-hook", **{**content, **more})


@pytest.fixture(scope="module")
def settings(mongo_uri: str, database: str, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return Settings(mongodb_uri=mongo_uri, database=database, data_dir=tmp_path_factory.mktemp("data"))


@pytest.fixture
async def server(settings: Settings) -> AsyncIterator[Desk]:
    async with desk(settings) as made:
        await made.server.database.system["sub_events"].delete_many({})
        for id_ in ("1", "2"):
            await made.put({"resourceType": "Patient", "id": id_, "gender": "female"})
        await made.put(VISIT)
        await made.put(RESULT)
        yield made


def entries(bundle: Json) -> list[str]:
    """ "PUT Encounter/e1 200" for each entry behind the status."""
    return [
        f"{one['request']['method']} {one['request']['url']} {one['response']['status']}" for one in bundle["entry"][1:]
    ]


@pytest.mark.parametrize("level", LEVELS)
async def test_point_5_a_notification_of_events(server: Desk, level: Content) -> None:
    first = await server.event("s1", 1, "Encounter/e1", "create")
    await server.put({**VISIT, "status": "finished"})
    second = await server.event("s1", 2, "Encounter/e1", "update")
    bundle = await bundle_of(server.parts.notifications, subscription(level), 2, [first, second], ANYONE)
    assert bundle is not None
    assert problems(bundle, level) == []
    assert wire.numbers(bundle) == [1, 2]
    visits = [one.get("resource", {}).get("status") for one in bundle["entry"][1:3]]
    expected: dict[Content, Any] = {"empty": [], "id-only": [None, None], "full-resource": ["in-progress", "finished"]}
    assert visits == expected[level]
    if level != "empty":
        assert entries(bundle) == [
            "PUT Encounter/e1 201",
            "PUT Encounter/e1 200",
            "GET Patient/1 200",
            "GET Observation/o1 200",
        ]


async def test_point_5_a_create_by_POST_and_a_deletion(server: Desk) -> None:
    made = await server.ask("POST", "Encounter", {**VISIT, "id": "x"})
    assert made.write is not None
    key = made.write.key
    first = await server.event("s1", 1, key, "create")
    await server.ask("DELETE", key)
    second = await server.event("s1", 2, key, "delete")
    for level in LEVELS:
        bundle = await bundle_of(server.parts.notifications, subscription(level), 2, [first, second], ANYONE)
        assert bundle is not None
        assert problems(bundle, level) == []
        if level != "empty":
            assert entries(bundle)[:2] == ["POST Encounter 201", f"DELETE {key} 204"]


@pytest.mark.parametrize("level", LEVELS)
async def test_point_5_handshake_heartbeat_and_status_are_no_events(server: Desk, level: Content) -> None:
    make = server.parts.notifications
    one = subscription(level, error="The endpoint did not answer.")
    for bundle, kind in ((make.handshake(one, 0), "handshake"), (make.heartbeat(one, 7), "heartbeat")):
        assert problems(bundle, level) == []
        assert wire.kind(bundle) == kind
    assert wire.parameter(make.heartbeat(one, 7), "events-since-subscription-start")["valueString"] == "7"
    assert wire.parameter(make.heartbeat(one, 7), "error")["valueCodeableConcept"] == {"text": one.error}


async def test_bundles_are_valid_R4(server: Desk) -> None:
    deep = Validator(Answers(server.server.repository, server.server.base_url), Level.PROFILES, {}, strict=False)

    async def nothing(type_: str, id_: str) -> Json | None:
        return None

    event = await server.event("s1", 1, "Encounter/e1", "update")
    make = server.parts.notifications
    bundles = [make.handshake(subscription(), 0), make.query_status([(subscription(), 3)], "http://a.example/fhir")]
    bundles.append(await make.events(subscription(), 1, [], ANYONE, "full-resource"))
    for level in LEVELS:
        made = await bundle_of(make, subscription(level), 1, [event], ANYONE)
        assert made is not None
        bundles.append(made)
    for bundle in bundles:
        issues = await deep.check(bundle, nothing, expect_type="Bundle")
        assert [one for one in issues if one.severity in ("error", "fatal")] == []
        assert json.decode(json.encode(xml.decode(xml.encode(bundle)))) == json.decode(json.encode(bundle))
    broken = copy.deepcopy(bundles[0])
    broken["type"] = "searchset"
    issues = await deep.check(broken, nothing, expect_type="Bundle")
    assert any(one.severity == "error" for one in issues)


# ---- whose rights ------------------------------------------------------------------------------------


async def test_point_7_what_one_may_not_see_is_left_out(server: Desk) -> None:
    await server.put({**VISIT, "id": "e2", "subject": {"reference": "Patient/2"}})
    mine = await server.event("s1", 1, "Encounter/e1", "update")
    others = await server.event("s1", 2, "Encounter/e2", "create")
    make = server.parts.notifications
    for level in LEVELS:
        bundle = await bundle_of(make, subscription(level), 2, [mine, others], app("patient/*.rs"))
        assert bundle is not None
        assert problems(bundle, level) == []
        assert wire.numbers(bundle) == [1]
        assert b"Encounter/e2" not in json.encode(bundle)
        assert await bundle_of(make, subscription(level), 2, [others], app("patient/*.rs")) is None


async def test_point_7_included_resources_are_the_subscribers_too(server: Desk) -> None:
    await server.put({**RESULT, "id": "o2", "subject": {"reference": "Patient/2"}})
    event = await server.event("s1", 1, "Encounter/e1", "update")
    make = server.parts.notifications
    for scopes, seen in {
        "patient/*.rs": {"Patient/1", "Observation/o1"},
        "patient/Encounter.rs patient/Patient.rs": {"Patient/1"},
        "patient/Encounter.rs patient/Observation.r": set(),
        "patient/Encounter.r": set(),
    }.items():
        bundle = await bundle_of(make, subscription(), 1, [event], app(scopes))
        assert bundle is not None
        assert problems(bundle, "full-resource") == []
        assert {one["request"]["url"] for one in bundle["entry"][2:]} == seen


async def test_point_7_rights_of_this_moment(server: Desk) -> None:
    event = await server.event("s1", 1, "Encounter/e1", "update")
    await server.put({**VISIT, "subject": {"reference": "Patient/2"}})
    make = server.parts.notifications
    assert await bundle_of(make, subscription(), 1, [event], app("patient/*.rs")) is None
    assert await bundle_of(make, subscription(), 1, [event], app("patient/*.rs", "Patient/2")) is None
    assert await bundle_of(make, subscription(), 1, [event], app("patient/Observation.rs")) is None


async def test_point_7_a_deletion_is_as_open_as_what_was_deleted(server: Desk) -> None:
    await server.put({**VISIT, "id": "e3"})
    await server.ask("DELETE", "Encounter/e3")
    event = await server.event("s1", 1, "Encounter/e3", "delete")
    make = server.parts.notifications
    assert await bundle_of(make, subscription(), 1, [event], app("patient/*.rs", "Patient/2")) is None
    bundle = await bundle_of(make, subscription(), 1, [event], app("patient/*.rs"))
    assert bundle is not None
    assert entries(bundle) == ["DELETE Encounter/e3 204"]


async def test_an_erased_resource_is_told_of_no_more(server: Desk) -> None:
    await server.put({**VISIT, "id": "e4"})
    event = await server.event("s1", 1, "Encounter/e4", "create")
    await server.server.repository.erase(ANYONE, "Encounter", "e4")
    assert await bundle_of(server.parts.notifications, subscription(), 1, [event], ANYONE) is None


# ---- on the wire -------------------------------------------------------------------------------------


async def test_point_5_the_content_type_is_that_of_the_payload(server: Desk) -> None:
    event = await server.event("s1", 1, "Encounter/e1", "update")
    for payload, decode in {
        "application/fhir+json": json.decode,
        "application/fhir+json;charset=utf-8": json.decode,
        "application/fhir+xml": xml.decode,
    }.items():
        one = subscription(payload=payload)
        bundle = await bundle_of(server.parts.notifications, one, 1, [event], ANYONE)
        assert bundle is not None
        message = wire.message(one, bundle)
        assert message is not None
        assert (message.method, message.path, message.content_type) == ("POST", "", payload)
        assert problems(decode(message.body), "full-resource") == []


async def test_R4s_own_form_is_an_empty_message_or_the_resource(server: Desk) -> None:
    plain = Subscription("s1", 1, "active", "rest-hook", criteria="Observation?status=final")
    event = await server.event("s1", 1, "Observation/o1", "update")
    make = server.parts.notifications
    bundle = await bundle_of(make, plain, 1, [event], ANYONE)
    assert bundle is not None
    assert wire.message(plain, bundle) == wire.Message("POST", "", b"", "")
    assert b"Potassium" not in json.encode(bundle)
    assert wire.message(plain, make.handshake(plain, 0)) is None
    assert wire.message(plain, make.heartbeat(plain, 0)) is None
    with_payload = Subscription(
        "s1", 1, "active", "rest-hook", criteria="Observation?status=final", payload="application/fhir+xml"
    )
    bundle = await bundle_of(make, with_payload, 1, [event], ANYONE)
    assert bundle is not None
    message = wire.message(with_payload, bundle)
    assert message is not None
    assert (message.method, message.path) == ("PUT", "Observation/o1")
    assert message.content_type == "application/fhir+xml"
    assert xml.decode(message.body)["code"] == {"text": "Potassium"}


def test_an_email_is_attached_in_the_form_that_is_asked_for() -> None:
    resource = {"resourceType": "Basic", "code": {"text": "a"}}
    for payload, content_type, start in (
        ("text/plain;attach=application/fhir+xml", "application/fhir+xml", b"<Basic"),
        ("text/html;attach=application/fhir+json", "application/fhir+json", b"{"),
        ("text/plain", "application/fhir+json", b"{"),
        ("", "application/fhir+json", b"{"),
    ):
        body, given = wire.encode(resource, payload)
        assert given == content_type
        assert body.removeprefix(b'<?xml version="1.0" encoding="UTF-8"?>').lstrip().startswith(start)


# ---- the referee -------------------------------------------------------------------------------------

Spoil = Callable[[Json], Any]
SPOILS: dict[str, tuple[str, Spoil]] = {
    "the Bundle is a history": ("id-only", lambda b: b.update(type="collection")),
    "the first entry, and no other, is the status": ("id-only", lambda b: b["entry"].reverse()),
    "the status has its slices": ("id-only", lambda b: _part(b, "status").update(valueCode="running")),
    "an event has its slices": ("id-only", lambda b: _event(b)[0].update(name="number")),
    "events are numbered upwards, within the count": ("empty", lambda b: _event(b)[0].update(valueString="9")),
    "every entry has request and response (bdl-3, bdl-4)": ("id-only", lambda b: b["entry"][1].pop("response")),
    "the status entry stands for a call of $status": ("id-only", lambda b: b["entry"][0]["request"].update(url="a")),
    "empty tells of no resource": ("empty", lambda b: _event(b).append({"name": "focus", "valueReference": {}})),
    "id-only has no content": ("id-only", lambda b: b["entry"][1].update(resource=VISIT)),
    "the focus is named, and has an entry": ("id-only", lambda b: b["entry"].pop(1)),
    "full-resource has the content": ("full-resource", lambda b: b["entry"][1].pop("resource")),
    "a deletion is answered with 204": ("id-only", lambda b: b["entry"][1]["request"].update(method="DELETE")),
    "only notifications of events have events": ("id-only", lambda b: _part(b, "type").update(valueCode="heartbeat")),
}


def _part(bundle: Json, name: str) -> Json:
    return wire.parameter(bundle, name)


def _event(bundle: Json) -> list[Json]:
    part: list[Json] = _part(bundle, "notification-event")["part"]
    return part


async def test_the_referee_can_fail_by_every_rule(server: Desk) -> None:
    assert set(SPOILS) == set(RULES)
    event = await server.event("s1", 1, "Encounter/e1", "update")
    for rule, (level, spoil) in SPOILS.items():
        one = subscription(level)  # type: ignore[arg-type]
        bundle = await bundle_of(server.parts.notifications, one, 1, [event], ANYONE)
        assert bundle is not None
        spoil(bundle)
        assert rule in problems(bundle, level)
