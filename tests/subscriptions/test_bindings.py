"""Binding tokens: good once, for a while, and known to the database only by their digests."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from fhir_server.storage.database import Database
from subscriptions.bindings import Binding, Bindings


@pytest.fixture
async def bindings(mongo_uri: str, database: str) -> AsyncIterator[Bindings]:
    opened = Database(mongo_uri, database)
    try:
        made = Bindings(opened)
        await made.prepare()
        await made.prepare()  # as the next process does
        yield made
    finally:
        await opened.system["sub_bindings"].drop()
        await opened.close()


async def test_a_token_is_good_once(bindings: Bindings) -> None:
    began = datetime.now(UTC)
    token, expires = await bindings.issue(["a", "b"], {"token": "0f"}, after=7)
    assert began + timedelta(seconds=299) < expires <= datetime.now(UTC) + timedelta(seconds=300)
    assert len(token) == 43
    assert await bindings.redeem(token) == Binding(("a", "b"), {"token": "0f"}, 7)
    assert await bindings.redeem(token) is None


async def test_of_parallel_uses_one_wins(bindings: Bindings) -> None:
    token, _ = await bindings.issue(["a"], {})
    found = await asyncio.gather(*(bindings.redeem(token) for _ in range(10)))
    assert [one for one in found if one is not None] == [Binding(("a",), {})]


async def test_one_that_expired_is_no_good(bindings: Bindings) -> None:
    token, expires = await bindings.issue(["a"], {}, 0)
    assert expires <= datetime.now(UTC)
    assert await bindings.redeem(token) is None


@pytest.mark.parametrize("token", ["", "x", "\ud800", "x" * 129, "$ne", "\x00"])
async def test_what_is_no_token_binds_to_nothing(bindings: Bindings, token: str) -> None:
    assert await bindings.redeem(token) is None


async def test_the_database_does_not_know_the_token_and_forgets_it(bindings: Bindings) -> None:
    token, _ = await bindings.issue(["a"], {})
    rows = bindings._rows
    (row,) = [row async for row in rows.find()]
    assert token not in str(row)
    assert len(row["_id"]) == 32
    assert (await rows.index_information())["expires"]["expireAfterSeconds"] == 0
