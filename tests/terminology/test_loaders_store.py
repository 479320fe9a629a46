"""Releases in the database: what terminology says of them, seen all at once, and resumed where a load stopped."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from fhir_server.access.principal import SYSTEM as EVERYBODY
from fhir_server.main import Server
from fhir_server.outcomes import FhirError
from fhir_server.terminology import Coding, ExpandRequest, below, codes_in, expand, lookup, subsumes
from fhir_server.terminology.loaders import BadRelease, Options, Release, open_release
from fhir_server.terminology.loaders import store as storing
from fhir_server.terminology.loaders.records import Record, records, remove
from fhir_server.terminology.loaders.store import store
from tests.terminology import releases
from tests.terminology.releases import BLACK, FAVOURITES, GREEN, LEAF, OLD, ROOT, SITE, TEA
from tests.terminology.storing import BASE, put, value_set

Json = dict[str, Any]
pytestmark = pytest.mark.asyncio(loop_scope="module")

LOINC, SNOMED = "http://loinc.org", "http://snomed.info/sct"


def silent(what: str, done: int, total: int) -> None:
    """Nobody watches."""


async def load(server: Server, release: Release, **options: Any) -> int:
    return await store(server.repository, release, base_url=BASE, report=silent, **options)


async def codes(server: Server, value_set_: str) -> set[str]:
    found = await codes_in(server.repository, EVERYBODY, BASE, value_set_)
    return {code for _, code in found}


async def rows(server: Server, number: int) -> list[Json]:
    """All that is stored of a load, without its number."""
    found = await server.database.system["concept"].find({"s": number}).sort("c", 1).to_list()
    return [{name: value for name, value in row.items() if name not in ("_id", "s")} for row in found]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def loaded(parts: Server, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Server]:
    folder = tmp_path_factory.mktemp("releases")
    assert await load(parts, open_release(releases.loinc(folder), Options())) == 10
    assert await load(parts, open_release(releases.zipped(releases.snomed(folder)), Options())) == 7
    yield parts


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        (f"{SNOMED}?fhir_vs", {ROOT, TEA, GREEN, BLACK, OLD, LEAF, FAVOURITES}),
        (f"{SNOMED}?fhir_vs=isa/{TEA}", {TEA, GREEN, BLACK}),
        (f"{SNOMED}?fhir_vs=refset/{FAVOURITES}", {GREEN}),
        (f"{LOINC}/vs/LL1-1", {"LA9-9", "LA1-1"}),
        (f"{LOINC}/vs/LP10-1", {"LP10-1", "1-1", "2-2"}),
    ],
)
async def test_implicit_value_sets(loaded: Server, url: str, expected: set[str]) -> None:
    assert await codes(loaded, url) == expected


@pytest.mark.parametrize(
    ("system", "property_", "op", "value", "expected"),
    [
        (LOINC, "COMPONENT", "=", "Tannin", {"1-1", "2-2"}),
        (LOINC, "COMPONENT", "=", "LP10-1", {"1-1", "2-2"}),
        (LOINC, "STATUS", "in", "DISCOURAGED,DEPRECATED", {"2-2", "3-3", "LP20-2"}),
        (LOINC, "LIST", "=", "LL1-1", {"LA9-9", "LA1-1"}),
        (LOINC, "answer-list", "=", "LL1-1", {"2-2"}),
        (LOINC, "concept", "is-a", "LP1-0", {"LP1-0", "LP10-1", "1-1", "2-2"}),
        (SNOMED, "sufficientlyDefined", "=", "true", {GREEN}),
        (SNOMED, "concept", "descendent-of", TEA, {GREEN, BLACK}),
        (SNOMED, SITE, "=", LEAF, {GREEN}),
    ],
)
async def test_filters(loaded: Server, system: str, property_: str, op: str, value: str, expected: set[str]) -> None:
    include = {"system": system, "filter": [{"property": property_, "op": op, "value": value}]}
    await put(loaded, value_set("by-filter", include))
    assert await codes(loaded, "http://example.org/vs/by-filter") == expected


async def test_hierarchy(loaded: Server) -> None:
    found = await below(loaded.repository, EVERYBODY, BASE, SNOMED, TEA)
    assert {code for _, code in found} == {TEA, GREEN, BLACK}


@pytest.mark.parametrize(
    ("system", "a", "b", "expected"),
    [
        (SNOMED, ROOT, GREEN, "subsumes"),
        (SNOMED, GREEN, TEA, "subsumed-by"),
        (SNOMED, GREEN, BLACK, "not-subsumed"),
        (LOINC, "LP1-0", "2-2", "subsumes"),
        (LOINC, "1-1", "1-1", "equivalent"),
    ],
)
async def test_subsumes(loaded: Server, system: str, a: str, b: str, expected: str) -> None:
    assert await subsumes(loaded.repository, EVERYBODY, BASE, system, a, b) == expected


async def test_lookup(loaded: Server) -> None:
    found = await lookup(loaded.repository, EVERYBODY, BASE, Coding(SNOMED, GREEN))
    assert (found.name, found.version) == ("SNOMED_CT", releases.EDITION)
    assert found.display == "Green tea of a gray color"
    assert {"Green tea of a grey colour", "Green tea of a gray color"} <= {one.value for one in found.designations}
    told = [(name, *value.values()) for name, value in found.properties]
    assert {("parent", TEA), (SITE, LEAF), ("refset", FAVOURITES)} <= set(told)
    french = await lookup(loaded.repository, EVERYBODY, BASE, Coding(LOINC, "1-1"), display_language="fr-FR")
    assert french.display == "Tanin dans le thé"


async def test_words_find_them(loaded: Server) -> None:
    asked = ExpandRequest(filter="grey", count=5)
    found = await expand(loaded.repository, EVERYBODY, BASE, f"{SNOMED}?fhir_vs=isa/{TEA}", asked)
    assert [code for _, code in found.members] == [GREEN], "a British word in a synonym"


async def test_the_answers_of_a_list_keep_their_order(loaded: Server) -> None:
    found = await expand(loaded.repository, EVERYBODY, BASE, f"{LOINC}/vs/LL1-1")
    assert [(one.code, one.display) for one in found.members.values()] == [("LA9-9", "Not at all"), ("LA1-1", "Very")]


async def test_only_active_ones(loaded: Server) -> None:
    found = await expand(loaded.repository, EVERYBODY, BASE, f"{SNOMED}?fhir_vs", ExpandRequest(active_only=True))
    assert OLD not in {code for _, code in found.members}
    assert GREEN in {code for _, code in found.members}


async def test_the_code_system_beside_it(loaded: Server) -> None:
    (record,) = await records(loaded.database, LOINC)
    type_, _, id_ = record.key.partition("/")
    held = await loaded.repository.read(EVERYBODY, type_, id_)
    assert held is not None
    resource = held.resource()
    assert (resource["url"], resource["version"], resource["content"]) == (LOINC, "9.1", "not-present")
    assert resource["count"] == record.count == 10
    assert {"COMPONENT", "answer"} <= {one["code"] for one in resource["property"]}


def teas(path: Path, *codes_: str, version: str = "1") -> Release:
    concept = [{"code": code, "display": f"Tea {code}"} for code in codes_]
    resource = {"resourceType": "CodeSystem", "url": "http://example.org/teas", "version": version, "concept": concept}
    path.write_text(json.dumps({**resource, "status": "active", "valueSet": "http://example.org/vs/teas"}))
    return open_release(path, Options())


async def of_teas(server: Server, ready: bool = True) -> list[Record]:
    return [one for one in await records(server.database, "http://example.org/teas") if one.ready == ready]


async def test_nobody_sees_half_of_it(parts: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storing, "BATCH", 1)
    await load(parts, teas(tmp_path / "a.json", "a", "b"))
    await put(parts, value_set("teas", {"system": "http://example.org/teas"}))
    seen: list[set[str]] = []

    class Stop(Exception):
        pass

    def interrupt(what: str, done: int, total: int) -> None:
        if what.startswith("Working"):
            raise Stop

    with pytest.raises(Stop):
        await store(parts.repository, teas(tmp_path / "b.json", "b", "c", "d"), base_url=BASE, report=interrupt)
    seen.append(await codes(parts, "http://example.org/vs/teas"))
    assert len(await of_teas(parts, ready=False)) == 1
    assert await load(parts, teas(tmp_path / "b.json", "b", "c", "d")) == 3
    seen.append(await codes(parts, "http://example.org/vs/teas"))
    assert seen == [{"a", "b"}, {"b", "c", "d"}]
    (record,) = await records(parts.database, "http://example.org/teas")
    assert await parts.database.system["concept"].count_documents({"s": {"$ne": record.number}, "d": "Tea a"}) == 0
    await remove(parts.database, record)
    assert await rows(parts, record.number) == []


@pytest.mark.parametrize("make", [releases.loinc, releases.snomed])
async def test_resumed_at_any_point_it_is_the_same(
    parts: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make: Any
) -> None:
    monkeypatch.setattr(storing, "BATCH", 3)
    folder = make(tmp_path)
    whole = open_release(folder, Options(version="whole"))
    calls = 0

    def count(what: str, done: int, total: int) -> None:
        nonlocal calls
        calls += 1

    await store(parts.repository, whole, base_url=BASE, report=count)
    system = whole.resource["url"]
    (expected,) = await records(parts.database, system, "whole")
    released = open_release(folder, Options(version="broken"))
    for at in range(1, calls + 1):

        def fail(what: str, done: int, total: int, at: int = at) -> None:
            nonlocal calls
            calls += 1
            if calls == at:
                raise KeyboardInterrupt

        calls = 0
        with pytest.raises(KeyboardInterrupt):
            await store(parts.repository, released, base_url=BASE, report=fail)
        await load(parts, released)
        (found,) = await records(parts.database, system, "broken")
        assert found.ready
        assert await rows(parts, found.number) == await rows(parts, expected.number), at
        await remove(parts.database, found)
    await remove(parts.database, expected)


async def test_a_bad_file_leaves_nothing(parts: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storing, "BATCH", 1)
    folder = releases.loinc(tmp_path)
    with open(folder / "AccessoryFiles/PartFile/Part.csv", "a") as file:
        file.write('"LP30-3"\n')
    with pytest.raises(BadRelease, match=r"Part.csv, line 4"):
        await load(parts, open_release(folder, Options(version="bad")))
    assert await records(parts.database, LOINC, "bad") == []


async def test_an_unfinished_load_of_another_file_begins_anew(parts: Server, tmp_path: Path) -> None:
    def interrupt(what: str, done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        await store(parts.repository, teas(tmp_path / "a.json", "a", "b"), base_url=BASE, report=interrupt)
    assert await load(parts, teas(tmp_path / "b.json", "x")) == 1
    (record,) = await of_teas(parts)
    assert [row["c"] for row in await rows(parts, record.number)] == ["x"]
    await remove(parts.database, record)


async def test_after_removal_the_codes_are_not_known(parts: Server, tmp_path: Path) -> None:
    await load(parts, teas(tmp_path / "a.json", "a"))
    await put(parts, value_set("teas", {"system": "http://example.org/teas"}))
    assert await codes(parts, "http://example.org/vs/teas") == {"a"}
    for record in await of_teas(parts):
        await remove(parts.database, record)
    with pytest.raises(FhirError):
        await codes(parts, "http://example.org/vs/teas")
