"""Point 1: topics from the guide and from administrators, who may write them, and that they are listed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import ig
from fhir_server import json
from fhir_server.access import Principal
from fhir_server.access.scopes import Scope
from fhir_server.change import Change
from fhir_server.config import Settings
from fhir_server.context import Context, FhirRequest
from fhir_server.main import Server, running
from fhir_server.outcomes import FhirError
from fhir_server.packages.install import install_file
from fhir_server.storage.stored import Stored
from subscriptions.topics import Topics
from tests.subscriptions.topic_samples import BASE, R5, URL, Json, basic, guide, part, query

CANONICAL = (
    "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/capabilitystatement-subscriptiontopic-canonical"
)
# May write every Basic, and is no administrator.
WRITER = Principal("writer", scopes=(Scope("system", "Basic", "cruds"),), client="writer")


@pytest.fixture
async def served(settings: Settings) -> AsyncIterator[Server]:
    async with running(settings) as server:
        yield server


async def put(ctx: Context, resource: Json) -> int:
    """The status of the answer."""
    path = f"{resource['resourceType']}/{resource['id']}"
    try:
        return (await ctx.dispatch(ctx, FhirRequest("PUT", path, body=resource))).status
    except FhirError as error:
        return error.status


async def delete(ctx: Context, path: str) -> int:
    try:
        return (await ctx.dispatch(ctx, FhirRequest("DELETE", path))).status
    except FhirError as error:
        return error.status


def topics_of(server: Server) -> Topics:
    return Topics(server.repository, server.base_url)


def named(id_: str, **more: Any) -> Json:
    return {**basic(**more), "id": id_}


async def test_the_guide_s_topics_come_with_the_package(served: Server) -> None:
    """With the search parameters that they need, in one transaction, on a server that knows neither."""
    folder = Path(str(ig.package_folder()))
    report = await install_file(served.context(), served.database, folder)
    assert [one.path for one in report.refused] == []
    topics = topics_of(served)
    await topics.load()
    assert [one.url for one in topics.list()] == sorted(
        f"{URL}{one['id'].removeprefix('topic-')}" for one in guide("Basic")
    )
    assert topics.get(f"{URL}case") == topics.get(f"{URL}case|0.1.0")
    assert topics.get(f"{URL}case|9") is None
    assert topics.get("http://t.test/none") is None


async def test_the_capability_statement_lists_them(served: Server) -> None:
    ctx, topics = served.context(), topics_of(served)
    ctx.state["subscriptions"] = SimpleNamespace(topics=topics)
    await put(ctx, named("listed", url="http://t.test/listed"))
    assert "http://t.test/listed" in await listed(ctx)
    await put(ctx, named("listed", url="http://t.test/listed", status="retired"))
    assert "http://t.test/listed" not in await listed(ctx)


async def listed(ctx: Context) -> list[str]:
    response = await ctx.dispatch(ctx, FhirRequest("GET", "metadata"))
    assert response.text is not None
    statement = json.decode(response.text)
    (entry,) = (one for one in statement["rest"][0]["resource"] if one["type"] == "Subscription")
    assert entry["supportedProfile"][-1].endswith("backport-subscription")
    return [one["valueCanonical"] for one in entry.get("extension", ()) if one["url"] == CANONICAL]


async def test_only_administrators_write_topics(served: Server) -> None:
    ctx = served.context()
    assert await put(ctx, named("theirs", url="http://t.test/theirs")) == 201
    writer = served.context(principal=WRITER)
    assert await put(writer, named("mine", url="http://t.test/mine")) == 403
    assert await put(writer, named("theirs", url="http://t.test/theirs", status="retired")) == 403
    other = {"resourceType": "Basic", "id": "theirs", "code": {"text": "note"}}
    assert await put(writer, other) == 403
    assert await delete(writer, "Basic/theirs") == 403
    assert await put(writer, {**other, "id": "note"}) == 201
    assert await put(writer, named("note", url="http://t.test/note")) == 403
    assert await delete(writer, "Basic/note") == 204
    assert await delete(ctx, "Basic/theirs") == 204


async def test_what_cannot_be_honoured_is_refused_unless_it_is_a_draft(served: Server) -> None:
    ctx = served.context()
    chain = [part("resource", "Encounter"), query(current="patient.name=x")]
    assert await put(ctx, named("chained", url="http://t.test/c", trigger=chain)) == 422
    assert await put(ctx, named("chained", url="http://t.test/c", trigger=chain, status="draft")) == 201
    assert await put(ctx, named("chained", url="http://t.test/c", trigger=chain)) == 422
    assert await put(ctx, named("silent", url="http://t.test/s") | {"modifierExtension": [part(f"{R5}x", "y")]}) == 422
    topics = topics_of(served)
    await topics.load()
    assert topics.get("http://t.test/c") is None


async def test_no_two_active_ones_have_one_url(served: Server) -> None:
    ctx, url = served.context(), "http://t.test/one"
    assert await put(ctx, named("one-a", url=url)) == 201
    assert await put(ctx, named("one-a", url=url)) == 200
    assert await put(ctx, named("one-b", url=url)) == 409
    assert await put(ctx, named("one-b", url=url, status="draft")) == 201
    assert await put(ctx, named("one-a", url=url, status="retired")) == 200
    assert await put(ctx, named("one-b", url=url)) == 200
    entries = [
        {"resource": named(id_, url="http://t.test/two"), "request": {"method": "PUT", "url": f"Basic/{id_}"}}
        for id_ in ("two-a", "two-b")
    ]
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
    with pytest.raises(FhirError) as refused:
        await ctx.dispatch(ctx, FhirRequest("POST", "", body=bundle))
    assert refused.value.status == 409


async def test_another_process_knows_by_refreshing(served: Server) -> None:
    """Every way of writing: created, changed, deleted."""
    ctx, other = served.context(), topics_of(served)
    await other.refresh()
    url = "http://t.test/fresh"
    await put(ctx, named("fresh", url=url))
    await other.refresh()
    assert other.get(url) is not None
    known = other.get(url)
    await put(ctx, {"resourceType": "Basic", "id": "note", "code": {"text": "note"}})
    await other.refresh()
    assert other.get(url) is known, "a Basic that is no topic has it read nothing"
    await delete(ctx, "Basic/fresh")
    await other.refresh()
    assert other.get(url) is None


async def test_the_engine_s_changes_are_followed(served: Server) -> None:
    topics = topics_of(served)
    url = "http://t.test/followed"

    def change(resource: Json | None, type_: str = "Basic", version: int = 2) -> Change:
        text = "" if resource is None else json.encode(resource).decode()
        stored = Stored(type_, "followed", version, version, 1, text, deleted=resource is None)
        return Change(type_, "followed", version, "update", stored.updated, stored)

    made = named("followed", url=url)
    await topics.changed(change(made))
    assert topics.get(url) is not None
    await topics.changed(change(None, "Patient"))
    assert topics.get(url) is not None
    for gone in (
        {**made, "modifierExtension": [{"url": f"{R5}status", "valueCode": "retired"}]},
        {"resourceType": "Basic", "id": "followed", "code": {"text": "note"}},
        {**made, "extension": []},
        None,
    ):
        await topics.changed(change(made))
        await topics.changed(change(gone))
        assert topics.get(url) is None
    await topics.changed(change(made))
    await topics.changed(change(None, version=1))
    assert topics.get(url) is not None, "what is older than what is known changes nothing"


async def test_a_search_parameter_of_the_same_transaction_counts(served: Server) -> None:
    parameter = {
        "resourceType": "SearchParameter",
        "id": "slow",
        "url": "http://t.test/slow",
        "name": "Slow",
        "status": "active",
        "description": "Slow",
        "code": "slow",
        "base": ["Encounter"],
        "type": "token",
        "expression": "Encounter.serviceType",
    }
    trigger = [part("resource", "Encounter"), query(current="slow=1")]
    made = named("slow", url="http://t.test/slow-topic", trigger=trigger)
    ctx = served.context()
    assert await put(ctx, made) == 422
    entries = [
        {"resource": one, "request": {"method": "PUT", "url": f"{one['resourceType']}/{one['id']}"}}
        for one in (parameter, made)
    ]
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
    answer = await ctx.dispatch(ctx, FhirRequest("POST", "", body=bundle))
    assert answer.status == 200
    context = replace(ctx, base_url=BASE)
    assert await put(context, {**made, "id": "slow"}) == 200
