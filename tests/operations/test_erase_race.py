"""A write that meets an erasure is erased with everything before it, or makes version 1 anew."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest
from pymongo import MongoClient
from pymongo.asynchronous.collection import AsyncCollection

from fhir_server import api
from fhir_server.access import Principal
from fhir_server.config import Settings
from fhir_server.context import FhirRequest
from fhir_server.main import running
from fhir_server.outcomes import FhirError
from fhir_server.storage.flusher import Flusher
from fhir_server.storage.unit_of_work import Write

ROUNDS = 60
WRITERS = 6


async def test_writes_and_erasures_of_one_resource(server: str, settings: Settings) -> None:
    """After each round what is left is a whole history from version 1, or nothing at all."""
    path = "/Location/contested"
    async with httpx.AsyncClient(base_url=server, timeout=60) as client:
        for number in range(ROUNDS):
            await client.put(path, json=location("before"))
            tries = [client.put(path, json=location(f"{number}-{n}")) for n in range(WRITERS)]
            if number % 3 == 1:
                tries.append(client.delete(path))
            if number % 3 == 2:
                patch = [{"op": "replace", "path": "/name", "value": "patched"}]
                tries.append(client.patch(path, json=patch, headers={"Content-Type": "application/json-patch+json"}))
            tries.insert(number % len(tries), client.post(f"{path}/$erase"))
            answers = await asyncio.gather(*tries)
            odd = [answer for answer in answers if answer.status_code not in (200, 201, 204, 404, 409, 410)]
            assert not odd, odd[0].text
            left(settings)
            versions = (await client.get(f"{path}/_history?_count=50")).json().get("entry", [])
            numbers = [int(entry["response"]["etag"][3:-1]) for entry in versions]
            assert numbers == list(range(len(numbers), 0, -1))
            if versions:
                assert versions[-1]["response"]["status"] == "201"
        await client.put(path, json=location("after"))
        receipt = (await client.post(f"{path}/$erase")).json()["parameter"]
        assert receipt[1]["valueInteger"] >= 1
    assert left(settings) == (None, [])


def location(text: str) -> dict[str, Any]:
    return {"resourceType": "Location", "id": "contested", "name": text}


def left(settings: Settings) -> tuple[Any, list[int]]:
    """The current version and all versions in the database: each up to the current one, or none at all."""
    with MongoClient[dict[str, Any]](settings.mongodb_uri) as client:
        fhir = client[f"{settings.database}_fhir"]
        current = fhir["resource"].find_one({"_id": "Location/contested"})
        versions = sorted(one["v"] for one in fhir["version"].find({"r": "Location/contested"}))
    assert versions == list(range(1, (current["v"] if current else 0) + 1))
    return current, versions


async def test_a_write_in_the_midst_of_an_erasure(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """A write that comes between the two deletions waits for both, and is version 1 of a new resource."""
    async with running(settings) as server:
        ctx = server.context()
        for text in ("one", "two"):
            base = await ctx.repository.read(ctx.principal, "Location", "contested")
            await api.write(ctx, Write("PUT", "Location", "contested", location(text), base))
        base = await ctx.repository.read(ctx.principal, "Location", "contested")
        late = Write("PUT", "Location", "contested", location("late"), base)
        tried = asyncio.Event()
        tasks: list[asyncio.Task[None]] = []
        attempt, take_out = Flusher._attempt, AsyncCollection.find_one_and_delete

        async def attempting(self: Flusher, units: Any) -> None:
            try:
                await attempt(self, units)
            finally:
                tried.set()

        async def deleting(self: Any, *arguments: Any, **options: Any) -> Any:
            deleted = await take_out(self, *arguments, **options)
            tasks.append(asyncio.create_task(api.write(ctx, late)))
            await tried.wait()
            return deleted

        monkeypatch.setattr(Flusher, "_attempt", attempting)
        monkeypatch.setattr(AsyncCollection, "find_one_and_delete", deleting)
        assert await ctx.repository.erase(ctx.principal, "Location", "contested") == 2
        await asyncio.gather(*tasks)
        assert late.version == 1
        assert late.created
    current, versions = left(settings)
    assert "late" in current["j"]
    assert versions == [1]


async def test_an_erasure_that_fails_erases_nothing(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    async with running(settings) as server:
        ctx = server.context()
        await ctx.repository.erase(ctx.principal, "Location", "contested")
        await api.write(ctx, Write("PUT", "Location", "contested", location("kept")))

        async def failing(self: Any, *arguments: Any, **options: Any) -> Any:
            raise RuntimeError("out of power")

        with monkeypatch.context() as patched:
            patched.setattr(AsyncCollection, "delete_many", failing)
            with pytest.raises(RuntimeError):
                await ctx.repository.erase(ctx.principal, "Location", "contested")
        current, versions = left(settings)
        assert "kept" in current["j"]
        assert versions == [1]
        assert await ctx.repository.erase(ctx.principal, "Location", "contested") == 1


async def test_only_administrators_erase(settings: Settings) -> None:
    async with running(settings) as server:
        ctx = server.context(principal=Principal("someone", client="app"))
        request = FhirRequest("POST", "Location/contested/$erase")
        with pytest.raises(FhirError, match=r"does not open \$erase") as refusal:
            await ctx.dispatch(ctx, request)
        assert refusal.value.status == 403
