"""A write that meets an erasure is erased with everything before it, or makes version 1 anew."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
from pymongo import MongoClient

from fhir_server.config import Settings

ROUNDS = 60
WRITERS = 6


async def test_writes_and_erasures_of_one_resource(server: str, settings: Settings) -> None:
    """After each round what is left is a whole history from version 1, or nothing at all."""
    path = "/Basic/contested"
    async with httpx.AsyncClient(base_url=server, timeout=60) as client:
        for number in range(ROUNDS):
            await client.put(path, json=basic("before"))
            tries = [client.put(path, json=basic(f"{number}-{n}")) for n in range(WRITERS)]
            if number % 3 == 1:
                tries.append(client.delete(path))
            if number % 3 == 2:
                patch = [{"op": "replace", "path": "/code/text", "value": "patched"}]
                tries.append(client.patch(path, json=patch, headers={"Content-Type": "application/json-patch+json"}))
            tries.insert(number % len(tries), client.post(f"{path}/$erase"))
            answers = await asyncio.gather(*tries)
            assert {answer.status_code for answer in answers} <= {200, 201, 204, 404, 409, 410}
            left(settings)
            versions = (await client.get(f"{path}/_history?_count=50")).json().get("entry", [])
            numbers = [int(entry["response"]["etag"][3:-1]) for entry in versions]
            assert numbers == list(range(len(numbers), 0, -1))
            if versions:
                assert versions[-1]["response"]["status"] == "201"
        await client.put(path, json=basic("after"))
        receipt = (await client.post(f"{path}/$erase")).json()["parameter"]
        assert receipt[1]["valueInteger"] >= 1
    assert left(settings) == (None, [])


def basic(text: str) -> dict[str, Any]:
    return {"resourceType": "Basic", "id": "contested", "code": {"text": text}}


def left(settings: Settings) -> tuple[Any, list[int]]:
    """The current version and all versions in the database: each up to the current one, or none at all."""
    with MongoClient[dict[str, Any]](settings.mongodb_uri) as client:
        fhir = client[f"{settings.database}_fhir"]
        current = fhir["resource"].find_one({"_id": "Basic/contested"})
        versions = sorted(one["v"] for one in fhir["version"].find({"r": "Basic/contested"}))
    assert versions == list(range(1, (current["v"] if current else 0) + 1))
    return current, versions
