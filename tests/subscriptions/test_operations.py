"""`$status`, `$events` and `$get-ws-binding-token`: what they answer, and to whom."""

from __future__ import annotations

import copy
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest

from fhir_server.access import Principal
from fhir_server.access.principal import ANYONE, NOBODY, SYSTEM
from fhir_server.access.scopes import resource_scopes
from fhir_server.config import Settings
from fhir_server.outcomes import FhirError
from subscriptions import wire
from subscriptions.operations.get_ws_binding_token import websocket_url
from tests.subscriptions.desk import Desk, desk
from tests.subscriptions.referee import problems
from tests.subscriptions.test_refusals import TABLE

Json = dict[str, Any]
LAB = Principal("lab", scopes=resource_scopes("system/Subscription.cruds system/Encounter.rs"), client="lab")
WARD = Principal("ward", scopes=resource_scopes("system/*.cruds"), client="ward")
BLIND = Principal("blind", scopes=resource_scopes("system/Encounter.rs"), client="blind")
HALF = Principal("half", scopes=resource_scopes("system/Subscription.rs system/Patient.rs"), client="half")


def wanted(id_: str, **channel: Any) -> Json:
    made = {**copy.deepcopy(TABLE["valid"]), "id": id_}
    if channel.get("type") == "websocket":
        del made["channel"]["header"], made["channel"]["endpoint"]
    made["channel"].update(channel)
    return made


@pytest.fixture(scope="module")
def settings(mongo_uri: str, database: str, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return Settings(mongodb_uri=mongo_uri, database=database, data_dir=tmp_path_factory.mktemp("data"))


@pytest.fixture
async def server(settings: Settings) -> AsyncIterator[Desk]:
    async with desk(settings) as made:
        system = made.server.database.system
        await system["sub_events"].delete_many({})
        await system["sub_active"].delete_many({})
        await made.put(wanted("hook"), LAB)
        await made.put({**wanted("hook"), "status": "error", "error": "It did not answer."}, SYSTEM)
        await made.put({**wanted("quiet"), "status": "off"}, LAB)
        await made.put({"resourceType": "Patient", "id": "1"})
        for number in range(1, 6):
            visit = {"resourceType": "Encounter", "id": f"e{number}", "status": "planned", "class": {"code": "AMB"}}
            await made.put({**visit, "subject": {"reference": "Patient/1"}})
            await made.event("hook", number, f"Encounter/e{number}", "create")
        await made.count("hook", 5)
        yield made


async def answer(server: Desk, path: str, principal: Principal = ANYONE, **query: Any) -> Json:
    pairs = [(name, one) for name, value in query.items() for one in (value if isinstance(value, list) else [value])]
    response = await server.ask("GET", path, query=pairs, principal=principal)
    assert response.resource is not None
    return response.resource


async def refused(server: Desk, path: str, principal: Principal = ANYONE, **query: Any) -> int:
    with pytest.raises(FhirError) as caught:
        await answer(server, path, principal, **query)
    return caught.value.status


def told(bundle: Json) -> dict[str, tuple[str, str]]:
    """Status and count by the subscription's id."""
    found = {}
    for entry in bundle.get("entry", []):
        named = {one["name"]: one for one in entry["resource"]["parameter"]}
        assert named["type"]["valueCode"] == "query-status"
        id_ = named["subscription"]["valueReference"]["reference"].rpartition("/")[2]
        found[id_] = (named["status"]["valueCode"], named["events-since-subscription-start"]["valueString"])
    return found


# ---- $status -----------------------------------------------------------------------------------------


async def test_point_6_status_of_one(server: Desk) -> None:
    bundle = await answer(server, "Subscription/hook/$status")
    assert (bundle["type"], bundle["total"]) == ("searchset", 1)
    assert told(bundle) == {"hook": ("error", "5")}
    assert bundle["entry"][0]["search"] == {"mode": "match"}
    assert wire.parameter(bundle, "error")["valueCodeableConcept"] == {"text": "It did not answer."}
    # At the instance level, the parameters are ignored.
    assert told(await answer(server, "Subscription/hook/$status", id="quiet", status="off")) == told(bundle)


async def test_point_6_status_of_those_that_are_asked_for(server: Desk) -> None:
    both = {"hook": ("error", "5"), "quiet": ("off", "0")}
    path = "Subscription/$status"
    assert told(await answer(server, path)) == both
    assert told(await answer(server, path, id=["hook", "quiet", "none"])) == both
    assert told(await answer(server, path, status=["off", "active"])) == {"quiet": both["quiet"]}
    assert told(await answer(server, path, id="hook", status="off")) == {}
    body = {"resourceType": "Parameters", "parameter": [{"name": "id", "valueId": "hook"}]}
    posted = await server.ask("POST", path, body)
    assert posted.resource is not None
    assert told(posted.resource) == {"hook": both["hook"]}
    assert await refused(server, path, status="running") == 400
    assert await refused(server, path, colour="red") == 400


async def test_point_6_the_count_outlives_what_is_active(server: Desk) -> None:
    await server.server.database.system["sub_active"].delete_many({})
    assert told(await answer(server, "Subscription/hook/$status")) == {"hook": ("error", "5")}


async def test_point_6_status_only_of_what_the_caller_may_read(server: Desk) -> None:
    assert await refused(server, "Subscription/hook/$status", BLIND) == 404
    assert told(await answer(server, "Subscription/$status", BLIND)) == {}
    assert await refused(server, "Subscription/hook/$status", NOBODY) == 401
    assert await refused(server, "Subscription/none/$status") == 404
    await server.ask("DELETE", "Subscription/quiet")
    assert await refused(server, "Subscription/quiet/$status") == 404


# ---- $events -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("since", "until", "numbers"),
    [
        (None, None, [1, 2, 3, 4, 5]),
        ("2", "4", [2, 3, 4]),
        ("3", "3", [3]),
        ("4", None, [4, 5]),
        (None, "2", [1, 2]),
        ("0", "99", [1, 2, 3, 4, 5]),
        ("4", "2", []),
        ("6", None, []),
    ],
)
async def test_point_6_events_by_number(server: Desk, since: str | None, until: str | None, numbers: list[int]) -> None:
    given = {"eventsSinceNumber": since, "eventsUntilNumber": until}
    named = {name: value for name, value in given.items() if value is not None}
    bundle = await answer(server, "Subscription/hook/$events", ANYONE, **named)
    assert wire.numbers(bundle) == numbers
    assert problems(bundle, "id-only") == []
    assert wire.kind(bundle) == "query-event"
    assert wire.parameter(bundle, "events-since-subscription-start")["valueString"] == "5"


@pytest.mark.parametrize("content", ["empty", "id-only", "full-resource"])
async def test_point_6_events_in_the_content_that_is_asked_for(server: Desk, content: str) -> None:
    bundle = await answer(server, "Subscription/hook/$events", content=content)
    assert problems(bundle, content) == []
    assert ("resource" in bundle["entry"][-1]) == (content != "id-only")


async def test_point_6_events_with_the_callers_rights(server: Desk) -> None:
    assert wire.numbers(await answer(server, "Subscription/hook/$events", LAB)) == [1, 2, 3, 4, 5]
    bundle = await answer(server, "Subscription/hook/$events", HALF)
    assert (wire.numbers(bundle), problems(bundle, "id-only")) == ([], [])
    assert await refused(server, "Subscription/hook/$events", BLIND) == 404
    await server.server.repository.erase(ANYONE, "Encounter", "e3")
    assert wire.numbers(await answer(server, "Subscription/hook/$events", LAB)) == [1, 2, 4, 5]


async def test_events_are_asked_for_properly(server: Desk) -> None:
    for wrong in ({"eventsSinceNumber": "-1"}, {"eventsUntilNumber": "x"}, {"content": "all"}, {"eventsSince": "1"}):
        assert await refused(server, "Subscription/hook/$events", ANYONE, **wrong) == 400
    assert await refused(server, "Subscription/$events") == 404


# ---- $get-ws-binding-token ---------------------------------------------------------------------------


def given(parameters: Json, name: str) -> list[Any]:
    values = []
    for one in parameters["parameter"]:
        if one["name"] == name:
            values += [value for key, value in one.items() if key != "name"]
    return values


async def sockets(server: Desk) -> None:
    await server.put(wanted("ws1", type="websocket"), LAB)
    await server.put(wanted("ws2", type="websocket"), LAB)
    await server.put(wanted("ws3", type="websocket"), WARD)
    await server.put({**wanted("ws4", type="websocket"), "status": "off"}, LAB)


async def test_point_6_a_binding_token_for_ones_own(server: Desk) -> None:
    await sockets(server)
    one = await answer(server, "Subscription/ws1/$get-ws-binding-token", LAB)
    assert given(one, "token") == ["token-1"]
    assert given(one, "subscription") == ["ws1"]
    assert given(one, "websocket-url") == [websocket_url(server.server.base_url)]
    (expiration,) = given(one, "expiration")
    assert datetime.fromisoformat(expiration) > datetime.now(UTC)
    both = await answer(server, "Subscription/$get-ws-binding-token", LAB, id=["ws2", "ws1"])
    assert sorted(given(both, "subscription")) == ["ws1", "ws2"]
    every = await answer(server, "Subscription/$get-ws-binding-token", LAB)
    assert given(every, "subscription") == ["ws1", "ws2"]
    assert [owner for _, owner, _ in server.parts.bindings.tokens] == [{"name": "lab"}] * 3


async def test_a_binding_token_may_go_on_from_an_event(server: Desk) -> None:
    await sockets(server)
    await server.count("ws1", 7)
    await answer(server, "Subscription/ws1/$get-ws-binding-token", LAB, after=["6"])
    assert server.parts.bindings.after == 6
    await answer(server, "Subscription/ws1/$get-ws-binding-token", LAB)
    assert server.parts.bindings.after is None
    for after in ("8", "-1", "x"):
        assert await refused(server, "Subscription/ws1/$get-ws-binding-token", LAB, after=[after]) == 400
    assert await refused(server, "Subscription/$get-ws-binding-token", LAB, after=["0"]) == 400, "of which of two"


async def test_point_6_a_binding_token_for_nothing_else(server: Desk) -> None:
    await sockets(server)
    name = "$get-ws-binding-token"
    assert await refused(server, f"Subscription/ws3/{name}", LAB) == 403
    assert await refused(server, f"Subscription/{name}", LAB, id=["ws1", "ws3"]) == 403
    assert await refused(server, f"Subscription/{name}", LAB, id=["ws1", "none"]) == 404
    assert await refused(server, f"Subscription/ws4/{name}", LAB) == 422
    assert await refused(server, f"Subscription/hook/{name}", LAB) == 422
    assert await refused(server, f"Subscription/ws1/{name}", BLIND) == 404
    assert await refused(server, f"Subscription/{name}", HALF) == 404
    assert await refused(server, f"Subscription/ws1/{name}", NOBODY) == 401
    assert server.parts.bindings.tokens == []


async def test_a_binding_token_is_not_kept_on_the_way(server: Desk) -> None:
    await sockets(server)
    response = await server.ask("GET", "Subscription/ws1/$get-ws-binding-token", principal=LAB)
    assert response.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    ("base", "url"),
    [
        ("http://127.0.0.1:8080/fhir", "ws://127.0.0.1:8080/websocket"),
        ("https://ehr.example/fhir", "wss://ehr.example/websocket"),
        ("https://ehr.example/r4/fhir/", "wss://ehr.example/r4/websocket"),
    ],
)
def test_where_the_websocket_is(base: str, url: str) -> None:
    assert websocket_url(base) == url
