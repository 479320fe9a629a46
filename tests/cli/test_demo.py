"""`fhir-server demo` on a real database."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Awaitable, Callable
from datetime import date
from typing import Any

import pytest

from fhir_server.cli.demo import load_demo
from fhir_server.config import Settings
from fhir_server.context import FhirRequest
from fhir_server.demo.clinic import bundles
from fhir_server.json import decode
from fhir_server.main import Server, running
from tests.cli.here import here

Json = dict[str, Any]
SIZE = sum(len(bundle["entry"]) for bundle in bundles())
PATIENT = "Patient/demo-amara-okoye"


@pytest.fixture
def empty(settings: Settings, request: pytest.FixtureRequest) -> Settings:
    """Settings of a database that nothing is in."""
    return settings.model_copy(update={"database": f"{settings.database}_{zlib.crc32(request.node.name.encode())}"})


def on(settings: Settings, work: Callable[[Server], Awaitable[None]]) -> None:
    async def run() -> None:
        async with running(settings) as server:
            await work(server)

    asyncio.run(run())


async def read(server: Server, path: str) -> Json:
    ctx = server.context()
    response = await ctx.dispatch(ctx, FhirRequest("GET", path))
    assert response.text is not None
    found: Json = decode(response.text)
    return found


async def send(server: Server, method: str, path: str, body: Json | None = None) -> None:
    ctx = server.context()
    await ctx.dispatch(ctx, FhirRequest(method, path, body=body))


def test_a_second_load_changes_nothing(empty: Settings) -> None:
    async def work(server: Server) -> None:
        assert await load_demo(server) == SIZE
        assert sum((await server.counts()).values()) == SIZE
        assert await load_demo(server) == 0
        assert await load_demo(server, restore=True) == 0
        assert (await read(server, PATIENT))["meta"]["versionId"] == "1"

    on(empty, work)


def test_what_users_did_stays_unless_it_is_to_be_restored(empty: Settings) -> None:
    async def work(server: Server) -> None:
        await load_demo(server)
        changed = await read(server, PATIENT) | {"active": False}
        await send(server, "PUT", PATIENT, changed)
        await send(server, "DELETE", "CareTeam/demo-walter-brandt")
        assert await load_demo(server) == 0
        assert (await read(server, PATIENT))["active"] is False
        assert await load_demo(server, restore=True) == 2
        assert (await read(server, PATIENT))["active"] is True
        assert (await read(server, "CareTeam/demo-walter-brandt"))["status"] == "active"

    on(empty, work)


def test_a_database_with_other_data_is_left_alone_if_asked(empty: Settings) -> None:
    async def work(server: Server) -> None:
        await send(server, "PUT", "Patient/1", {"resourceType": "Patient", "id": "1"})
        assert await load_demo(server, if_empty=True) == 0
        assert await server.counts() == {"Patient": 1}

    on(empty, work)


def test_an_interrupted_load_is_completed(empty: Settings) -> None:
    async def work(server: Server) -> None:
        for bundle in bundles()[:3]:
            await send(server, "POST", "", bundle)
        begun = sum((await server.counts()).values())
        assert await load_demo(server, if_empty=True) == SIZE - begun
        assert sum((await server.counts()).values()) == SIZE

    on(empty, work)


def test_dates_can_be_counted_from_another_day(empty: Settings) -> None:
    async def work(server: Server) -> None:
        await load_demo(server, date(2030, 1, 7))
        assert (await read(server, "Appointment/demo-walter-brandt"))["start"].startswith("2030-01-08")

    on(empty, work)


def test_the_command_says_what_it_did(empty: Settings) -> None:
    named = {"FHIR_MONGODB_URI": empty.mongodb_uri or "", "FHIR_DATABASE": empty.database}
    said = [here("demo", "--data-dir", empty.data_dir, **named) for _ in "12"]
    assert [one.returncode for one in said] == [0, 0]
    assert said[0].stdout.splitlines()[-1] == f"Demo clinic: {SIZE} resources written."
    assert said[1].stdout == "Demo clinic: nothing to do.\n"
