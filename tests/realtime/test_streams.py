"""Subscriptions on a socket: what was missed, in order, once; a bounded outbox; rights at every event (7, 9, 11)."""

from __future__ import annotations

from typing import Any

import pytest

from fhir_server.access.principal import SYSTEM as ADMINISTRATOR
from fhir_server.context import FhirRequest
from realtime import streams
from tests.realtime.house import ANN, BEN, DORA, SECONDS, Ear, Site

pytestmark = pytest.mark.asyncio(loop_scope="module")
Sites = tuple[Site, Site]
Json = dict[str, Any]


def weight(id_: str, patient: str = ANN) -> Json:
    return {
        "resourceType": "Observation",
        "id": id_,
        "status": "final",
        "code": {"text": "Body weight"},
        "subject": {"reference": patient},
    }


def numbers(bundles: list[Json]) -> list[int]:
    """The event numbers of notifications."""
    parameters = [bundle["entry"][0]["resource"]["parameter"] for bundle in bundles]
    events = [one for each in parameters for one in each if one["name"] == "notification-event"]
    parts = [part for event in events for part in event["part"] if part["name"] == "event-number"]
    return [int(part["valueString"]) for part in parts]


async def heard(ear: Ear, count: int) -> list[int]:
    return numbers(await ear.hears("subscription:event", numbers_of_one, count))


def numbers_of_one(bundle: Json) -> bool:
    return bool(numbers([bundle]))


async def test_a_socket_hears_what_it_missed_and_then_what_comes(sites: Sites) -> None:
    here, there = sites
    token = await here.token(DORA)
    id_ = await here.subscribe(token, "Observation?code:text=body")
    async with here.connect(token) as dora:
        assert await dora.ask("subscription:join", {"subscription": id_}) == {
            "ok": True,
            "subscription": id_,
            "status": "active",
            "count": 0,
            "after": 0,
        }
        await here.put(*(weight(f"w-{one}") for one in range(3)))
        assert await heard(dora, 3) == [1, 2, 3]
    await there.put(*(weight(f"w-{one}") for one in range(3, 8)))
    async with there.connect(await there.token(DORA)) as dora:
        answer = await dora.ask("subscription:join", {"subscription": id_, "after": 3})
        assert answer["after"] == 3
        await here.put(weight("w-8"))
        assert await heard(dora, 6) == [4, 5, 6, 7, 8, 9]
        assert (await dora.ask("subscription:join", {"subscription": id_, "after": 10}))["status"] == 400
        assert (await dora.ask("subscription:join", {"subscription": id_, "after": True}))["status"] == 400
        await dora.ask("subscription:leave", {"subscription": id_})


async def test_a_subscription_is_its_subscribers_alone(sites: Sites) -> None:
    here, there = sites
    id_ = await here.subscribe(await here.token(DORA), "Observation?code:text=body")
    async with there.connect(await there.token(ANN)) as ann:
        for asked in (id_, "no-such-one"):
            assert (await ann.ask("subscription:join", {"subscription": asked}))["status"] == 404


async def test_a_patient_hears_nothing_of_another(sites: Sites) -> None:
    here, _ = sites
    token = await here.token(ANN)
    id_ = await here.subscribe(token, "Observation?code:text=body")
    async with here.connect(token) as ann:
        await ann.ask("subscription:join", {"subscription": id_})
        await here.put(weight("b-1", BEN), weight("a-1", ANN), weight("b-2", BEN), weight("a-2", ANN))
        bundles = await ann.hears("subscription:event", numbers_of_one, 2)
        assert "Observation/b-1" not in str(bundles)
        assert [entry["resource"]["id"] for bundle in bundles for entry in bundle["entry"][1:]] == ["a-1", "a-2"]


async def test_what_is_told_is_in_the_audit_trail(sites: Sites) -> None:
    here, _ = sites
    token = await here.token(DORA)
    id_ = await here.subscribe(token, "Observation?code:text=body")
    async with here.connect(token) as dora:
        await dora.ask("subscription:join", {"subscription": id_})
        await here.put(weight("told"))
        await heard(dora, 1)
    assert here.server.trail is not None
    await here.server.trail.settle()
    ctx = here.server.context()
    ctx.state["trail"] = here.server.trail
    found = await ctx.dispatch(ctx, FhirRequest("GET", "AuditEvent", query=[("entity", "Observation/told")]))
    assert found.resource is not None
    read = [entry["resource"] for entry in found.resource["entry"] if entry["resource"]["action"] == "R"]
    assert [one["agent"][-1]["who"]["reference"] for one in read] == [DORA]
    assert ANN in str(read)


async def test_revocation_stops_the_next_event(sites: Sites) -> None:
    here, _ = sites
    assert here.auth is not None
    token = await here.token(DORA, grant="g-stream")
    id_ = await here.subscribe(token, "Observation?code:text=body")
    async with here.connect(token) as dora:
        await dora.ask("subscription:join", {"subscription": id_})
        await here.put(weight("r-1"))
        await heard(dora, 1)
        await here.auth.tokens.revoke("g-stream")
        await here.put(weight("r-2"))
        await dora.gone.wait()
        assert dora.names().count("subscription:event") == 1


async def test_a_client_that_acknowledges_nothing_is_disconnected(
    sites: Sites, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, _ = sites
    monkeypatch.setattr(streams, "PATIENCE", 0.3)
    token = await here.token(DORA)
    id_ = await here.subscribe(token, "Observation?code:text=body")
    async with here.connect(token, acknowledge=False) as dora:
        await dora.ask("subscription:join", {"subscription": id_})
        for start in range(0, 80, 20):
            await here.put(*(weight(f"s-{one}") for one in range(start, start + 20)))
        await dora.gone.wait()
        assert len(await heard(dora, 1)) <= streams.OUTSTANDING
    monkeypatch.setattr(streams, "PATIENCE", SECONDS)  # this one acknowledges, as soon as the machine lets it
    async with here.connect(token) as dora:
        await dora.ask("subscription:join", {"subscription": id_, "after": 0})
        assert await heard(dora, 80) == list(range(1, 81))


async def test_the_end_of_a_subscription_is_told(sites: Sites) -> None:
    here, there = sites
    token = await here.token(DORA)
    id_ = await here.subscribe(token, "Observation?code:text=body")
    async with there.connect(token) as dora:
        await dora.ask("subscription:join", {"subscription": id_})
        found = await here.server.repository.read(ADMINISTRATOR, "Subscription", id_)
        assert found is not None
        await here.put({**found.resource(), "status": "off"})
        await dora.hears("subscription:status", lambda data: data.get("status") == "off" or data.get("ended") == "off")
