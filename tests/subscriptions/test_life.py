"""The life of a Subscription by every door: who may set which status, and who is remembered as the subscriber."""

from __future__ import annotations

import copy
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from fhir_server.access import Principal
from fhir_server.access.principal import ANYONE, NOBODY, SYSTEM
from fhir_server.access.scopes import resource_scopes
from fhir_server.config import Settings
from fhir_server.context import FhirRequest
from fhir_server.outcomes import FhirError
from subscriptions import quota
from subscriptions.rules import STATUS
from subscriptions.subscriber import is_own, owner, owners
from tests.subscriptions.desk import Desk, desk
from tests.subscriptions.test_refusals import TABLE

Json = dict[str, Any]
SERVICE = Principal("lab", scopes=resource_scopes("system/Subscription.cruds system/Encounter.rs"), client="lab")
OTHER = Principal("ward", scopes=resource_scopes("system/*.cruds"), client="ward")
LIMITED = Principal("bills", scopes=resource_scopes("system/Subscription.cruds system/Claim.rs"), client="bills")


def wanted(status: str = "requested", **more: Any) -> Json:
    return {**copy.deepcopy(TABLE["valid"]), "id": "s1", "status": status, **more}


@pytest.fixture(scope="module")
def settings(mongo_uri: str, database: str, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return Settings(mongodb_uri=mongo_uri, database=database, data_dir=tmp_path_factory.mktemp("data"))


@pytest.fixture
async def server(settings: Settings) -> AsyncIterator[Desk]:
    async with desk(settings) as made:
        await made.ask("DELETE", "Subscription/s1")
        yield made


async def has(server: Desk, status: str, error: str = "") -> Json:
    """Have a Subscription of this status, as the server would have set it."""
    await server.put(wanted())
    if status != "requested":
        await server.put(wanted(status, **({"error": error} if error else {})), SYSTEM)
    stored = await server.server.repository.read(SYSTEM, "Subscription", "s1")
    assert stored is not None
    assert stored.resource()["status"] == status
    return stored.resource()


@pytest.mark.parametrize("before", STATUS)
@pytest.mark.parametrize("asked", ["requested", "active", "error", "off"])
async def test_point_2_the_status_that_is_stored(server: Desk, before: str, asked: str) -> None:
    if before:
        await has(server, before, "The endpoint did not answer." if before == "error" else "")
    expected = STATUS[before].get(asked)
    if expected is None:
        with pytest.raises(FhirError) as caught:
            await server.put(wanted(asked))
        assert caught.value.status == 422
        assert caught.value.issues[0].code == "business-rule"
    else:
        stored = await server.put(wanted(asked))
        assert stored["status"] == expected
        assert ("error" in stored) == (before == asked == "error")


def test_point_2_only_requested_revives_and_only_the_server_activates() -> None:
    for before, table in STATUS.items():
        for asked, stored in table.items():
            assert stored != "active" or before == asked == "active"
            assert stored != "error" or before == asked == "error"
            if before in ("off", "error") and stored == "requested":
                assert asked == "requested"


USER = Principal(
    "dora", scopes=resource_scopes("user/*.cruds"), client="app", user="Practitioner/dora", roles=("administrator",)
)


async def write(server: Desk, status: str, principal: Principal, id_: str = "") -> str:
    """The id of the Subscription, a new one unless given; what the refusal's code is instead."""
    body = {name: value for name, value in wanted(status).items() if name != "id"}
    method, path = ("PUT", f"Subscription/{id_}") if id_ else ("POST", "Subscription")
    try:
        answer = await server.ask(method, path, {**body, **({"id": id_} if id_ else {})}, principal=principal)
    except FhirError as error:
        return f"{error.status} {error.issues[0].code}"
    assert answer.write is not None
    return answer.write.id


async def test_a_user_has_so_many_that_are_not_off(server: Desk) -> None:
    server.server.settings.max_subscriptions = 2
    refusal = "422 too-costly"
    try:
        one, other = [await write(server, "requested", USER) for _ in range(2)]
        assert await write(server, "requested", USER) == refusal
        idle = await write(server, "off", USER)
        assert await write(server, "requested", USER, idle) == refusal
        assert await write(server, "requested", USER, one) == one, "it is none more"
        assert await write(server, "off", USER, one) == one
        assert await write(server, "requested", USER, idle) == idle
        assert await write(server, "requested", OTHER) != refusal
        await server.ask("DELETE", f"Subscription/{other}")
        entry = {"resource": wanted(), "request": {"method": "POST", "url": "Subscription"}}
        bundle = {"resourceType": "Bundle", "type": "transaction", "entry": [entry, copy.deepcopy(entry)]}
        with pytest.raises(FhirError) as caught:
            await server.ask("POST", "", bundle, principal=USER)
        assert caught.value.status == 422
        await server.ask("POST", "", {**bundle, "entry": [entry]}, principal=USER)
    finally:
        server.server.settings.max_subscriptions = 200


async def test_a_service_has_so_many_that_are_not_off(server: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quota, "MAX_OF_A_SERVICE", 2)
    rows = server.server.database.system["sub_active"]
    for id_, status in (("x1", "active"), ("x2", "off"), ("x3", "error")):
        await rows.insert_one({"_id": id_, "status": status, "owner": {"client": "ward", "user": ""}, "count": 0})
    assert await write(server, "requested", OTHER) == "422 too-costly"
    await rows.delete_one({"_id": "x3"})
    assert " " not in await write(server, "requested", OTHER)


@pytest.mark.parametrize("door", ["PUT", "PATCH", "transaction", "conditional"])
async def test_point_2_every_door_has_the_same_rule(server: Desk, door: str) -> None:
    await has(server, "off")
    tries: dict[str, tuple[str, str, Any]] = {
        "PUT": ("PUT", "Subscription/s1", wanted("active")),
        "PATCH": ("PATCH", "Subscription/s1", [{"op": "replace", "path": "/status", "value": "active"}]),
        "conditional": ("PUT", "Subscription", wanted("active")),
        "transaction": (
            "POST",
            "",
            {
                "resourceType": "Bundle",
                "type": "transaction",
                "entry": [{"resource": wanted("active"), "request": {"method": "PUT", "url": "Subscription/s1"}}],
            },
        ),
    }
    method, path, body = tries[door]
    request = FhirRequest(method, path, body=body, query=[("_id", "s1")] if door == "conditional" else [])
    request.content_type = "application/json-patch+json" if door == "PATCH" else "application/fhir+json"
    context = server.context(ANYONE)
    with pytest.raises(FhirError) as caught:
        await context.dispatch(context, request)
    assert caught.value.status == 422


async def test_point_2_a_change_of_where_and_what_needs_a_new_handshake(server: Desk) -> None:
    before = await has(server, "active")
    assert (await server.put({**before, "reason": "Another"}))["status"] == "active"
    moved = copy.deepcopy(before)
    moved["channel"]["endpoint"] = "https://elsewhere.example.org/"
    assert (await server.put(moved))["status"] == "requested"
    before = await has(server, "active")
    again = replace(ANYONE, client="again")  # the subscriber by another app, whose rights count from now on
    assert (await server.put({**before}, again))["status"] == "requested"
    before = await has(server, "error")
    moved["status"] = "error"
    with pytest.raises(FhirError):
        await server.put(moved)


async def test_point_2_a_refreshed_token_goes_on_and_its_authorization_counts(server: Desk) -> None:
    before = await has(server, "active")
    for again in (replace(ANYONE, name="refreshed"), replace(ANYONE, name="refreshed again")):
        assert (await server.put({**before}, again))["status"] == "active"
        assert await owner(server.server.database, "s1") == {"name": again.name}


async def test_point_2_the_error_is_the_servers_to_tell(server: Desk) -> None:
    assert "error" not in await server.put(wanted(error="made up"))
    before = await has(server, "error", "The endpoint did not answer.")
    assert (await server.put({**before, "error": "made up"}))["error"] == "The endpoint did not answer."
    assert "error" not in await server.put(wanted("requested"))


async def test_what_is_off_need_not_be_served(server: Desk) -> None:
    assert (await server.put(wanted("off", end="2020-01-01T00:00:00Z")))["status"] == "off"
    gone = wanted("off", criteria="http://fhir-server.example/topic/none")
    assert (await server.put(gone))["status"] == "off"
    with pytest.raises(FhirError):
        await server.put({**gone, "status": "requested"})


async def test_what_the_server_loads_is_off(server: Desk) -> None:
    assert (await server.put(wanted("active"), SYSTEM))["status"] == "off"
    await has(server, "active")
    moved = wanted("active", reason="Another")
    assert (await server.put(moved, SYSTEM))["status"] == "off"


async def test_point_7_the_subscriber_may_read_what_the_topic_is_about(server: Desk) -> None:
    for principal, status in ((NOBODY, 401), (LIMITED, 403)):
        with pytest.raises(FhirError) as caught:
            await server.put(wanted(), principal)
        assert caught.value.status == status
    assert (await server.put(wanted(), SERVICE))["status"] == "requested"
    criteria = {name: value for name, value in wanted(criteria="Observation?status=final").items() if name[0] != "_"}
    with pytest.raises(FhirError) as caught:
        await server.put(criteria, SERVICE)
    assert caught.value.status == 403


async def test_point_7_whoever_wrote_it_is_the_subscriber(server: Desk) -> None:
    database = server.server.database
    assert await owner(database, "none") is None
    await server.put(wanted(), SERVICE)
    assert await owner(database, "s1") == {"name": "lab"}
    await server.put(wanted("active"), SYSTEM)
    assert await owner(database, "s1") == {"name": "lab"}
    await server.put(wanted("off"), OTHER)
    assert await owner(database, "s1") == {"name": "lab"}  # tests/subscriptions/test_attacks.py
    await server.ask("DELETE", "Subscription/s1", principal=OTHER)
    await server.put(wanted("off"), OTHER)
    assert await owner(database, "s1") == {"name": "ward"}
    marker = (await owners(database, ["s1"]))["s1"]
    assert is_own(OTHER, marker)
    assert not is_own(SERVICE, marker)
    assert not is_own(NOBODY, marker)
    user = Principal("ann", scopes=resource_scopes("user/*.rs"), client="ward", user="Patient/1")
    assert not is_own(user, marker)
    assert is_own(user, {**marker, "user": "Patient/1", "client": "other"})


async def test_point_2_a_transaction_subscribes_like_any_other_door(server: Desk) -> None:
    entry = {"resource": wanted("active"), "request": {"method": "PUT", "url": "Subscription/s1"}}
    visit = {"resourceType": "Encounter", "id": "t1", "status": "planned", "class": {"code": "AMB"}}
    other = {"resource": visit, "request": {"method": "PUT", "url": "Encounter/t1"}}
    await server.ask("POST", "", {"resourceType": "Bundle", "type": "transaction", "entry": [other, entry]})
    stored = await server.server.repository.read(SYSTEM, "Subscription", "s1")
    assert stored is not None
    assert stored.resource()["status"] == "requested"
    assert await owner(server.server.database, "s1") == {"name": "anyone"}


async def test_a_refused_write_remembers_nobody(server: Desk) -> None:
    await server.put(wanted(), SERVICE)
    with pytest.raises(FhirError):
        await server.put(wanted("error"), OTHER)
    assert await owner(server.server.database, "s1") == {"name": "lab"}


async def test_without_the_service_nothing_is_subscribed(server: Desk) -> None:
    context = server.server.context(principal=ANYONE)
    with pytest.raises(FhirError) as caught:
        await context.dispatch(context, FhirRequest("POST", "Subscription", body=wanted()))
    assert caught.value.status == 400
