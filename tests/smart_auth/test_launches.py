"""Launch contexts: opaque, once, for the app and the user they were made for, and not for long."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from smart_auth.store import digest, now

CONTEXT = {"patient": "1", "encounter": "2", "need_patient_banner": True, "fhirContext": [{"reference": "Task/1"}]}


async def test_point_8_a_launch_is_taken_once(parts: Any) -> None:
    launch = await parts.launches.mint(CONTEXT, "app", "Practitioner/1")
    assert len(launch) == 43
    assert await parts.launches.peek(launch, "app")
    assert await parts.launches.take(launch, "app", "Practitioner/1") == CONTEXT
    assert await parts.launches.take(launch, "app", "Practitioner/1") is None
    assert not await parts.launches.peek(launch, "app")


async def test_point_8_of_parallel_takers_one_wins(parts: Any) -> None:
    launch = await parts.launches.mint(CONTEXT)
    found = await asyncio.gather(*(parts.launches.take(launch, "app", "Practitioner/1") for _ in range(12)))
    assert [one for one in found if one is not None] == [CONTEXT]


@pytest.mark.parametrize(("client", "user"), [("other", "Practitioner/1"), ("app", "Practitioner/2"), ("app", "")])
async def test_point_8_a_launch_is_for_its_app_and_user(parts: Any, client: str, user: str) -> None:
    launch = await parts.launches.mint(CONTEXT, "app", "Practitioner/1")
    assert await parts.launches.take(launch, client, user) is None
    assert await parts.launches.peek(launch, client) == (client == "app")
    assert await parts.launches.take(launch, "app", "Practitioner/1") == CONTEXT


async def test_a_launch_for_anybody(parts: Any) -> None:
    launch = await parts.launches.mint({"patient": "1"})
    assert await parts.launches.take(launch, "any", "Patient/9") == {"patient": "1"}


async def test_point_8_a_launch_expires(parts: Any) -> None:
    launch = await parts.launches.mint(CONTEXT, seconds=0)
    assert not await parts.launches.peek(launch, "app")
    assert await parts.launches.take(launch, "app", "Practitioner/1") is None
    before = now()
    launch = await parts.launches.mint(CONTEXT)
    after = now()
    row = await parts.database.system["auth_launches"].find_one({"_id": digest(launch)})
    assert before + timedelta(seconds=300) <= row["expires"] <= after + timedelta(seconds=300)
    assert launch not in str(row)


@pytest.mark.parametrize("launch", ["", "x", "\ud800", "a\0b", "a" * 5000])
async def test_an_unknown_launch_has_no_context(parts: Any, launch: str) -> None:
    assert await parts.launches.take(launch, "app", "Practitioner/1") is None
