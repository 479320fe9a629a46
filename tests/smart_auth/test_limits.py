"""Rate limits and lock-out, per account and per address, over several processes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from fhir_server.config import Settings
from fhir_server.outcomes import TooManyRequests
from fhir_server.storage.database import Database
from smart_auth import authorize
from smart_auth.limits import Limit, Limits, address_of
from smart_auth.store import now
from tests.smart_auth.visitor import PASSWORD, World, world

THREE = Limit("test", 3, 60)


@pytest.fixture
async def two(mongo_uri: str, database: str) -> AsyncIterator[list[Limits]]:
    """The limits as two processes know them."""
    opened = [Database(mongo_uri, database) for _ in range(2)]
    await opened[0].system["auth_limit"].drop()
    found = [Limits(one) for one in opened]
    await found[0].prepare()
    yield found
    for one in opened:
        await one.close()


async def tried(limits: Limits, key: str = "ana", times: int = 1) -> int:
    """How many of so many attempts are let through."""
    answers = await asyncio.gather(*(limits.count(THREE, key) for _ in range(times)), return_exceptions=True)
    assert all(one is None or isinstance(one, TooManyRequests) for one in answers)
    return sum(one is None for one in answers)


async def test_attempts_are_counted_together(two: list[Limits]) -> None:
    first, second = await asyncio.gather(tried(two[0], times=10), tried(two[1], times=10))
    assert first + second == 3


async def test_keys_and_kinds_are_counted_apart(two: list[Limits]) -> None:
    assert await tried(two[0], "ana", 5) == 3
    assert await tried(two[0], "leo", 5) == 3
    await two[0].count(Limit("other", 1, 60), "ana")


async def test_the_refusal_says_when_to_come_back(two: list[Limits]) -> None:
    await tried(two[0], times=3)
    with pytest.raises(TooManyRequests) as refusal:
        await two[0].count(THREE, " ANA ")
    assert 0 < int(refusal.value.headers["Retry-After"]) <= 61


async def test_a_window_ends(two: list[Limits]) -> None:
    await tried(two[0], times=4)
    await two[0]._rows.update_many({}, {"$set": {"expires": now() - timedelta(seconds=1)}})
    assert await tried(two[0], times=4) == 3


async def test_what_succeeded_is_forgotten_or_given_back(two: list[Limits]) -> None:
    await tried(two[0], times=3)
    await two[0].give_back(THREE, "ana")
    assert await tried(two[1], times=2) == 1
    await two[1].forget(THREE, "ana")
    assert await tried(two[0], times=9) == 3


async def test_the_database_forgets_and_knows_no_names(two: list[Limits]) -> None:
    await tried(two[0], "ana@mail.example")
    indexes = await two[0]._rows.index_information()
    assert indexes["expires"]["expireAfterSeconds"] == 0
    assert "ana" not in str([row async for row in two[0]._rows.find()])


def request(client: str, forwarded: str = "") -> Any:
    headers = {"x-forwarded-for": forwarded} if forwarded else {}
    return SimpleNamespace(client=SimpleNamespace(host=client), headers=headers)


@pytest.mark.parametrize(
    ("client", "forwarded", "proxies", "expected"),
    [
        ("198.51.100.7", "", "", "198.51.100.7"),
        ("198.51.100.7", "203.0.113.9", "", "198.51.100.7"),  # nobody of ours wrote it
        ("10.0.0.1", "203.0.113.9", "10.0.0.0/8", "203.0.113.9"),
        ("10.0.0.1", "1.2.3.4, 203.0.113.9", "10.0.0.1", "203.0.113.9"),  # the caller may write what they like before
        ("10.0.0.1", "203.0.113.9, 10.0.0.2", "10.0.0.0/8", "203.0.113.9"),
        ("2001:db8:1:2:3:4:5:6", "", "", "2001:db8:1:2::/64"),
        ("10.0.0.1", "nonsense", "10.0.0.1", "nonsense"),
    ],
)
def test_addresses(client: str, forwarded: str, proxies: str, expected: str) -> None:
    assert address_of(request(client, forwarded), Settings(trusted_proxies=proxies)) == expected


# ---- at sign-in --------------------------------------------------------------------------------------


@pytest.fixture
async def made(settings: Settings) -> AsyncIterator[World]:
    async with world(settings, login_attempts=3, login_attempts_per_address=8) as found:
        yield found


@pytest.mark.parametrize("login", ["ana", "ana@mail.example", "nobody-here"])
async def test_an_account_is_locked_whether_it_exists_or_not(made: World, login: str) -> None:
    visitor = made.visitor()
    statuses = [(await visitor.sign_in(login, "a wrong password")).status_code for _ in range(4)]
    assert statuses == [403, 403, 403, 429]
    response = await visitor.sign_in(login, PASSWORD)
    assert response.status_code == 429
    assert int(response.headers["retry-after"]) > 0
    assert "Too many attempts" in response.text


async def test_names_and_addresses_of_one_account_count_together(made: World) -> None:
    visitor = made.visitor()
    for login in ("ana", "ana@mail.example", "ANA"):
        await visitor.sign_in(login, "a wrong password")
    assert (await visitor.sign_in("ana", PASSWORD)).status_code == 429


async def test_one_caller_does_not_keep_the_owner_out(made: World) -> None:
    for _ in range(8):
        await made.visitor("203.0.113.9").sign_in("ana", "a wrong password")
    assert (await made.visitor("203.0.113.10").sign_in("ana")).status_code == 303


async def test_many_callers_are_stopped_together(made: World) -> None:
    visitors = [made.visitor(f"203.0.113.{n}") for n in range(33)]
    answers = await asyncio.gather(*(one.sign_in("ana", "a wrong password") for one in visitors))
    assert sorted(one.status_code for one in answers) == [403] * 30 + [429] * 3


async def test_requests_that_nobody_signs_in_for_are_counted(made: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(authorize, "STARTS", Limit("authorize", 3, 900))
    stranger, ana = made.visitor("203.0.113.9"), made.visitor("203.0.113.9")
    await ana.sign_in("ana")
    statuses = [(await stranger.get(made.authorize_url("openid"))).status_code for _ in range(5)]
    assert statuses == [303, 303, 303, 429, 429]
    assert await made.auth.database.system["auth_request"].count_documents({}) == 3
    assert (await ana.get(made.authorize_url("openid"))).status_code == 303


async def test_other_accounts_are_not_locked(made: World) -> None:
    visitor = made.visitor()
    for _ in range(4):
        await visitor.sign_in("ana", "a wrong password")
    assert (await made.visitor().sign_in("diaz")).status_code == 303


async def test_an_address_is_locked_over_all_accounts(made: World) -> None:
    visitor = made.visitor("203.0.113.9")
    statuses = [(await visitor.sign_in(f"user{n}", "a wrong password")).status_code for n in range(9)]
    assert statuses == [403] * 8 + [429]
    assert (await visitor.sign_in("ana")).status_code == 429
    assert (await made.visitor("203.0.113.10").sign_in("ana")).status_code == 303


async def test_many_attempts_at_once_gain_nothing(made: World) -> None:
    visitors = [made.visitor("203.0.113.9") for _ in range(8)]
    answers = await asyncio.gather(*(one.sign_in("ana", "a wrong password") for one in visitors))
    assert sorted(one.status_code for one in answers) == [403] * 3 + [429] * 5


async def test_signing_in_begins_the_count_anew_and_hides_no_other_attempts(made: World) -> None:
    visitor = made.visitor("203.0.113.11")
    for _ in range(2):
        await visitor.sign_in("ana", "a wrong password")
    await visitor.sign_in("ana")
    assert (await made.visitor("203.0.113.12").sign_in("ana", "a wrong password")).status_code == 403
    # The owner's own account does not wash the address clean.
    statuses = []
    for n in range(8):
        statuses.append((await made.visitor("203.0.113.11").sign_in(f"user{n}", "a wrong password")).status_code)
        await made.visitor("203.0.113.11").sign_in("diaz")
    assert statuses.count(429) >= 2
