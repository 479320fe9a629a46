"""How much the database reads for an answer: as little for the last page as for the first."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from fhir_server import api, json
from fhir_server.access.principal import SYSTEM
from fhir_server.config import Settings
from fhir_server.context import Context, FhirRequest
from fhir_server.dispatch import dispatch
from fhir_server.main import running
from fhir_server.operations import lastn
from fhir_server.storage.repository import Repository
from fhir_server.storage.unit_of_work import UnitOfWork, Write

Json = dict[str, Any]
Asked = list[tuple[Json, Any, int]]
RECORD = 400
COUNT = 20
SCANS = 110  # of the compartment's keys, each of which looks at one key at least


@pytest.fixture
async def ctx(settings: Settings) -> AsyncIterator[Context]:
    async with running(settings) as server:
        made = server.context()
        unit = UnitOfWork()
        within = replace(made, unit=unit)
        for patient in ("a", "b", "c"):
            person = {"resourceType": "Patient", "id": patient}
            await api.write(within, Write("PUT", "Patient", patient, person))
            for number in range(RECORD):
                observation = {
                    "resourceType": "Observation",
                    "id": f"{patient}{number}",
                    "status": "final",
                    "code": {"coding": [{"system": "urn:c", "code": str(number % 8)}]},
                    "subject": {"reference": f"Patient/{patient}"},
                    "performer": [{"reference": f"Practitioner/{number % 5}"}],
                    "effectiveDateTime": f"20{number // 40:02d}-01-01T00:{number % 40:02d}:00Z",
                }
                await api.write(within, Write("PUT", "Observation", observation["id"], observation))
        if await made.repository.read(SYSTEM, "Patient", "a") is None:
            await made.repository.commit(unit)
        yield made


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Asked:
    """What the operations ask of the repository."""
    seen: Asked = []
    find = Repository.find

    async def spy(self: Repository, principal: Any, filter: Any, **options: Any) -> Any:
        seen.append((filter, options.get("sort", ()), options["limit"]))
        return await find(self, principal, filter, **options)

    monkeypatch.setattr(Repository, "find", spy)
    return seen


async def call(ctx: Context, path: str, query: list[tuple[str, str]]) -> Json:
    response = await dispatch(ctx, FhirRequest("GET", path, query=query))
    assert response.text is not None
    return dict(json.decode(response.text))


async def test_every_page_of_everything_reads_as_little(ctx: Context, asked: Asked) -> None:
    query, pages = [("_count", str(COUNT))], 0
    while query:
        bundle = await call(ctx, "Patient/a/$everything", query)
        pages += 1
        following = [link["url"] for link in bundle["link"] if link["relation"] == "next"]
        query = parse_qsl(urlsplit(following[0]).query) if following else []
    assert pages > 15
    walks = [one for one in asked if one[1]]
    assert len(walks) == pages
    for filter, sort, limit in walks:
        plan = await ctx.repository.explain(SYSTEM, filter, sort=sort, limit=limit)
        assert plan["keysExamined"] <= 2 * limit + SCANS
        assert plan["documentsExamined"] <= 2 * limit


async def test_lastn_fetches_only_what_it_answers(ctx: Context, asked: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    fetched: list[int] = []
    read_many = Repository.read_many

    async def spy(self: Repository, principal: Any, keys: Any) -> Any:
        fetched.append(len(keys))
        return await read_many(self, principal, keys)

    monkeypatch.setattr(Repository, "read_many", spy)
    bundle = await call(ctx, "Observation/$lastn", [("patient", "b"), ("max", "2")])
    assert len(bundle["entry"]) == 16
    assert fetched == [16]
    assert asked == []
    times = [entry["resource"]["effectiveDateTime"] for entry in bundle["entry"]]
    assert times[0] == "2009-01-01T00:39:00Z"


async def test_lastn_has_limits_and_says_so(ctx: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(lastn.TIES + 3):
        tie = {
            "resourceType": "Observation",
            "id": f"tie{number}",
            "status": "final",
            "code": {"coding": [{"system": "urn:c", "code": "tie"}]},
            "subject": {"reference": "Patient/tied"},
            "effectiveDateTime": "2024-01-01",
        }
        await api.write(ctx, Write("PUT", "Observation", tie["id"], tie))
    bundle = await call(ctx, "Observation/$lastn", [("patient", "tied")])
    assert bundle["total"] == lastn.TIES + 1
    assert bundle["entry"][-1]["resource"]["issue"][0]["code"] == "incomplete"
    monkeypatch.setattr(lastn, "MAX_RESULTS", 5)
    with pytest.raises(Exception, match="up to 5 Observations"):
        await call(ctx, "Observation/$lastn", [("patient", "b")])
