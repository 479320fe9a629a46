"""What must be atomic, tried by many at once over HTTP."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import httpx

ROUNDS = 200
CALLERS = 8


async def test_parallel_conditional_creates_make_exactly_one(server: str) -> None:
    """200 rounds of 8 callers with one criterion: each round ends with one resource and one 201."""
    async with httpx.AsyncClient(base_url=server, timeout=60) as client:

        async def create(number: int) -> httpx.Response:
            body = {"resourceType": "Patient", "identifier": [{"system": "urn:race", "value": str(number)}]}
            return await client.post("/Patient", json=body, headers={"If-None-Exist": f"identifier=urn:race|{number}"})

        for number in range(ROUNDS):
            answers = await asyncio.gather(*(create(number) for _ in range(CALLERS)))
            assert Counter(answer.status_code for answer in answers) == {201: 1, 200: CALLERS - 1}
            assert len({answer.json()["id"] for answer in answers}) == 1
        found = await client.get("/Patient", params={"_summary": "count", "_total": "accurate"})
        assert found.json()["total"] == ROUNDS


async def test_parallel_updates_leave_an_unbroken_history(server: str) -> None:
    async with httpx.AsyncClient(base_url=server, timeout=60) as client:
        bodies = [{"resourceType": "Basic", "id": "hot", "code": {"text": str(n)}} for n in range(100)]
        answers = await asyncio.gather(*(client.put("/Basic/hot", json=body) for body in bodies))
        assert Counter(answer.status_code for answer in answers) == {201: 1, 200: 99}
        versions = await history(client, "/Basic/hot/_history?_count=200")
        assert sorted(int(v["meta"]["versionId"]) for v in versions) == list(range(1, 101))
        assert {v["code"]["text"] for v in versions} == {str(n) for n in range(100)}, "an update was lost"


async def test_parallel_version_aware_updates_have_one_winner(server: str) -> None:
    async with httpx.AsyncClient(base_url=server, timeout=60) as client:
        await client.put("/Basic/aware", json={"resourceType": "Basic", "id": "aware", "code": {"text": "first"}})
        body = {"resourceType": "Basic", "id": "aware", "code": {"text": "second"}}
        tries = [client.put("/Basic/aware", json=body, headers={"If-Match": 'W/"1"'}) for _ in range(20)]
        answers = await asyncio.gather(*tries)
        assert Counter(answer.status_code for answer in answers) == {200: 1, 412: 19}


async def test_parallel_patches_all_take_effect(server: str) -> None:
    async with httpx.AsyncClient(base_url=server, timeout=60) as client:
        await client.put(
            "/Patient/many", json={"resourceType": "Patient", "id": "many", "name": [{"given": ["start"]}]}
        )
        headers = {"Content-Type": "application/json-patch+json"}
        patches = [[{"op": "add", "path": "/name/0/given/-", "value": f"n{n}"}] for n in range(8)]
        answers = await asyncio.gather(*(client.patch("/Patient/many", json=p, headers=headers) for p in patches))
        assert {answer.status_code for answer in answers} <= {200, 409}
        taken = sum(answer.status_code == 200 for answer in answers)
        names = (await client.get("/Patient/many")).json()["name"][0]["given"]
        assert len(names) == 1 + taken


async def test_parallel_transactions_with_one_criterion_make_one(server: str) -> None:
    async with httpx.AsyncClient(base_url=server, timeout=60) as client:

        def bundle(number: int) -> dict[str, Any]:
            resource = {"resourceType": "Organization", "identifier": [{"system": "urn:race", "value": str(number)}]}
            request = {"method": "POST", "url": "Organization", "ifNoneExist": f"identifier=urn:race|{number}"}
            return {
                "resourceType": "Bundle",
                "type": "transaction",
                "entry": [{"resource": resource, "request": request}],
            }

        for number in range(30):
            answers = await asyncio.gather(*(client.post("/", json=bundle(number)) for _ in range(CALLERS)))
            assert {answer.status_code for answer in answers} == {200}
            statuses = Counter(a.json()["entry"][0]["response"]["status"][:3] for a in answers)
            assert statuses == {"201": 1, "200": CALLERS - 1}


async def history(client: httpx.AsyncClient, path: str) -> list[dict[str, Any]]:
    bundle = (await client.get(path)).json()
    return [entry["resource"] for entry in bundle["entry"]]
