"""What the server makes is made once, however often and by how many at the same time it is called."""

from __future__ import annotations

import asyncio
from typing import Any

from fhir_server.access.principal import SYSTEM
from fhir_server.context import Context, FhirRequest
from workflow.making import change, id_for, make

Json = dict[str, Any]


def note(id_: str, text: str = "a") -> Json:
    return {"resourceType": "Basic", "id": id_, "code": {"text": text}}


async def test_made_once_and_left_as_it_is(ctx: Context) -> None:
    first, second = id_for("made", "1"), id_for("made", "2")
    assert [one["id"] for one in await make(ctx, [note(first)])] == [first]
    assert [one["id"] for one in await make(ctx, [note(first, "b"), note(second)])] == [second]
    stored = await ctx.repository.read(SYSTEM, "Basic", first)
    assert stored is not None
    assert (stored.version, stored.resource()["code"]["text"]) == (1, "a")


async def test_what_was_deleted_does_not_come_back(ctx: Context) -> None:
    id_ = id_for("deleted")
    await make(ctx, [note(id_)])
    await ctx.dispatch(ctx, FhirRequest("DELETE", f"Basic/{id_}"))
    assert await make(ctx, [note(id_)]) == []


async def test_many_at_the_same_time_make_one(ctx: Context) -> None:
    ids = [id_for("race", str(number)) for number in range(3)]
    made = await asyncio.gather(*(make(ctx, [note(one) for one in ids]) for _ in range(8)))
    assert sorted(one["id"] for group in made for one in group) == sorted(ids)


async def test_changes_at_the_same_time_are_all_made(ctx: Context) -> None:
    id_ = id_for("count")
    await make(ctx, [note(id_, "0")])

    def one_more(resource: Json) -> Json:
        resource["code"]["text"] = str(int(resource["code"]["text"]) + 1)
        return resource

    await asyncio.gather(*(change(ctx, "Basic", id_, one_more) for _ in range(4)))
    stored = await ctx.repository.read(SYSTEM, "Basic", id_)
    assert stored is not None
    assert stored.resource()["code"]["text"] == "4"


async def test_nothing_to_do_writes_nothing(ctx: Context) -> None:
    id_ = id_for("idle")
    await make(ctx, [note(id_)])
    assert await change(ctx, "Basic", id_, lambda _: None) is None
    assert await change(ctx, "Basic", "nobody", lambda one: one) is None
    stored = await ctx.repository.read(SYSTEM, "Basic", id_)
    assert stored is not None
    assert stored.version == 1
