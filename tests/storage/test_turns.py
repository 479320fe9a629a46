"""Turns: the first try waits for nobody, the next ones come one after the other, and nothing is kept."""

from __future__ import annotations

import asyncio

from fhir_server.storage.turns import Turns


async def test_who_was_overtaken_tries_again_in_turn() -> None:
    turns, within, most, order = Turns(), 0, 0, list[int]()

    async def attempt(number: int) -> None:
        nonlocal within, most
        async with turns.of("Patient/1", 1):
            within += 1
            most = max(most, within)
            await asyncio.sleep(0)
            order.append(number)
            within -= 1

    await asyncio.gather(*map(attempt, range(20)))
    assert (most, order) == (1, list(range(20)))
    assert not turns._locks


async def test_the_first_try_and_other_keys_wait_for_nobody() -> None:
    turns = Turns()
    async with turns.of("Patient/1", 1), turns.of("Patient/1", 0), turns.of("Patient/2", 1):
        pass
