"""A code system of rows answers as the same one in memory does; a load shows when it is finished, and at once."""

from __future__ import annotations

from typing import Any

import pytest
import pytest_asyncio

from fhir_server.access.principal import SYSTEM
from fhir_server.main import Server
from fhir_server.outcomes import FhirError
from fhir_server.storage.concept_load import begin, sweep
from fhir_server.storage.concepts import ConceptRow, Designation
from fhir_server.terminology import (
    Coding,
    ExpandRequest,
    Membership,
    above,
    below,
    expand,
    lookup,
    member,
    subsumes,
    validate_in_value_set,
    valueset,
)
from tests.terminology.storing import BASE, put

Json = dict[str, Any]
pytestmark = pytest.mark.asyncio(loop_scope="module")
LISTED, ROWS = "http://example.org/cs/listed", "http://example.org/cs/rows"


def beast(code: str, display: str, *parents: str, **more: Any) -> Json:
    return {"code": code, "display": display, "parents": parents, **more}


# code, display, parents; legs, tame, sound as properties; name in Dutch
BEASTS = [
    beast("animal", "Animal", abstract=True),
    beast("mammal", "Mammal", "animal"),
    beast("flyer", "Flying animal", "animal"),
    beast("Dog", "Dog", "mammal", legs="4", tame="true", sound="woof", nl="Hond"),
    beast("bat", "Bat", "mammal", "flyer", legs="2", nl="Vleermuis"),
    beast("dodo", "Dodo (extinct)", "flyer", legs="2", inactive=True),
    beast("duck", "Mallard duck", "flyer", legs="2", tame="true", nl="Wilde eend"),
    beast("snail", "Snail", "animal", legs="0", sound="x" * 150),
]
_MARKS = {"legs", "tame", "sound"}


def in_memory() -> Json:
    concepts = []
    for one in BEASTS:
        marks = [("parent", parent) for parent in one["parents"]]
        marks += [(name, one[name]) for name in sorted(_MARKS & one.keys())]
        marks += [("notSelectable", "true")] * bool(one.get("abstract"))
        marks += [("inactive", "true")] * bool(one.get("inactive"))
        concept = {"code": one["code"], "display": one["display"]}
        if marks:
            flags = {"notSelectable", "inactive"}
            concept["property"] = [
                {"code": name, "valueBoolean": True} if name in flags else {"code": name, "valueString": value}
                for name, value in marks
            ]
        if "nl" in one:
            concept["designation"] = [{"language": "nl", "value": one["nl"]}]
        concepts.append(concept)
    return {**head(LISTED), "id": "listed", "content": "complete", "concept": concepts}


def head(url: str) -> Json:
    declared = [{"code": name, "type": "string"} for name in sorted(_MARKS)]
    fixed = {"resourceType": "CodeSystem", "url": url, "version": "1", "name": url[-4:], "status": "active"}
    return {**fixed, "hierarchyMeaning": "is-a", "property": declared}


def rows() -> list[ConceptRow]:
    return [
        ConceptRow(
            one["code"],
            one["display"],
            order=number,
            designations=[Designation(one["nl"], "nl")] if "nl" in one else (),
            properties=[(name, one[name]) for name in sorted(_MARKS & one.keys())],
            parents=one["parents"],
            inactive=one.get("inactive"),
            abstract=one.get("abstract"),
        )
        for number, one in enumerate(BEASTS)
    ]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def beasts(parts: Server) -> Server:
    await put(parts, in_memory())
    load = await begin(parts.repository, head(ROWS), base_url=BASE)
    await load.add(rows())
    assert await load.finish() == len(BEASTS)
    return parts


def definition(system: str, *filters: tuple[str, str, str], **more: Any) -> Json:
    listed = [{"property": name, "op": op, "value": value} for name, op, value in filters]
    include = {"system": system, **({"filter": listed} if listed else {}), **more}
    return {"resourceType": "ValueSet", "status": "active", "compose": {"include": [include]}}


FILTERS = [
    (),
    (("concept", "is-a", "flyer"),),
    (("concept", "descendent-of", "animal"),),
    (("concept", "is-not-a", "mammal"),),
    (("concept", "generalizes", "bat"),),
    (("concept", "child-of", "animal"),),
    (("concept", "descendent-leaf", "animal"),),
    (("legs", "=", "2"),),
    (("legs", "=", "2"), ("concept", "is-a", "mammal")),
    (("code", "in", "Dog, duck,unicorn"),),
    (("legs", "in", "0,4"),),
    (("legs", "not-in", "2,4"),),
    (("code", "not-in", "Dog,duck"),),
    (("tame", "exists", "true"),),
    (("tame", "exists", "false"),),
    (("parent", "exists", "false"),),
    (("child", "exists", "false"),),
    (("parent", "=", "flyer"),),
    (("child", "=", "bat"),),
    (("code", "regex", "d.*|b[a-i]t"),),
    (("display", "regex", "^D.+$"),),
    (("legs", "regex", "[2-9]"),),
    (("inactive", "=", "true"),),
    (("inactive", "=", "false"),),
    (("notSelectable", "=", "true"),),
    (("display", "=", "Bat"),),
    (("sound", "=", "x" * 150),),
    (("wings", "=", "2"),),
    (("concept", "is-a", "unicorn"),),
    (("legs", "is-a", "2"),),
    (("legs", "exists", "perhaps"),),
    (("legs", "near", "2"),),
]
REQUESTS = [
    ExpandRequest(),
    ExpandRequest(filter="d"),
    ExpandRequest(filter="ANI fly"),
    ExpandRequest(filter="wil"),
    ExpandRequest(active_only=True, exclude_not_for_ui=True),
    ExpandRequest(offset=1, count=2),
    ExpandRequest(count=0),
]


async def outcome(server: Server, system: str, filters: Any, request: ExpandRequest) -> Any:
    try:
        found = await expand(server.repository, SYSTEM, BASE, definition(system, *filters), request)
    except FhirError as refusal:
        return refusal.code, str(refusal).replace(system, "")
    return found.total, [(one.code, one.display, one.abstract, one.inactive) for one in found.members.values()]


@pytest.mark.parametrize("filters", FILTERS, ids=str)
async def test_rows_answer_as_memory_does(beasts: Server, filters: Any) -> None:
    for request in REQUESTS:
        expected = await outcome(beasts, LISTED, filters, request)
        assert await outcome(beasts, ROWS, filters, request) == expected, request
    listed = await outcome(beasts, ROWS, filters, ExpandRequest())
    for one in [*(each["code"] for each in BEASTS), "dog", "unicorn"]:
        verdicts = [
            await validate_in_value_set(
                beasts.repository, SYSTEM, BASE, definition(system, *filters), [Coding(system, one)]
            )
            for system in (LISTED, ROWS)
        ]
        expected = one in [each[0] for each in listed[1]] if isinstance(listed[0], int) else None
        assert [verdict.result for verdict in verdicts] == [expected] * 2, one


@pytest.mark.parametrize("system", [LISTED, ROWS])
async def test_hierarchy_and_lookup(beasts: Server, system: str) -> None:
    caller = beasts.repository, SYSTEM, BASE
    assert {code for _, code in await below(*caller, system, "flyer")} == {"flyer", "bat", "dodo", "duck"}
    assert {code for _, code in await above(*caller, system, "bat")} == {"bat", "mammal", "flyer", "animal"}
    assert {code for _, code in await below(*caller, system, "DOG")} == {"Dog"}
    assert await subsumes(*caller, system, "animal", "bat") == "subsumes"
    assert await subsumes(*caller, system, "bat", "flyer") == "subsumed-by"
    assert await subsumes(*caller, system, "bat", "bat") == "equivalent"
    assert await subsumes(*caller, system, "bat", "Dog") == "not-subsumed"
    found = await lookup(*caller, Coding(system, "bat"))
    assert (found.display, found.version, found.designations) == ("Bat", "1", (Designation("Vleermuis", "nl"),))
    assert ("parent", {"valueCode": "mammal"}) in found.properties or ("parent", {"valueString": "mammal"}) in (
        found.properties
    )
    assert (await lookup(*caller, Coding(system, "bat"), display_language="nl-BE")).display == "Vleermuis"


async def test_rows_beside_other_parts_of_a_definition(beasts: Server) -> None:
    two = definition(ROWS, ("concept", "is-a", "mammal"))
    two["compose"]["include"].append({"system": LISTED, "concept": [{"code": "duck"}]})
    two["compose"]["exclude"] = [{"system": ROWS, "filter": [{"property": "legs", "op": "=", "value": "2"}]}]
    found = await expand(beasts.repository, SYSTEM, BASE, two)
    assert list(found.members) == [(ROWS, "mammal"), (ROWS, "Dog"), (LISTED, "duck")]
    verdict = await validate_in_value_set(beasts.repository, SYSTEM, BASE, two, [Coding(ROWS, "bat")])
    assert verdict.result is False
    assert set(found.used) == {f"{ROWS}|1", f"{LISTED}|1"}


async def test_a_resource_stands_beside_the_rows(beasts: Server) -> None:
    keys = await beasts.repository.concepts.loads()
    ((key, load),) = keys.items()
    stored = await beasts.repository.read(SYSTEM, *key.split("/"))  # type: ignore[arg-type]
    assert stored is not None
    resource = stored.resource()
    assert (resource["url"], resource["content"], resource["count"]) == (ROWS, "not-present", load.count)


async def test_a_load_shows_when_it_is_finished(parts: Server) -> None:
    url = "http://example.org/cs/growing"
    resource = {"resourceType": "CodeSystem", "url": url, "version": "1", "status": "active"}

    async def codes() -> list[str]:
        found = await expand(parts.repository, SYSTEM, BASE, definition(url))
        return [one.code for one in found.members.values()]

    first = await begin(parts.repository, resource, base_url=BASE)
    await first.add([ConceptRow("b", "B"), ConceptRow("a")], progress={"line": 2})
    with pytest.raises(FhirError):
        await codes()
    # Killed here: the next one goes on with it, and what is told twice or in parts is one.
    again = await begin(parts.repository, resource, base_url=BASE)
    assert (again.number, again.progress) == (first.number, {"line": 2})
    await again.add([ConceptRow("a", "A", parents=["b"]), ConceptRow("b", "B"), ConceptRow("a", parents=["b"])])
    assert await again.finish() == 2
    assert await codes() == ["a", "b"]
    assert await subsumes(parts.repository, SYSTEM, BASE, url, "b", "a") == "subsumes"
    second = await begin(parts.repository, resource, base_url=BASE)
    assert (second.number != first.number, second.progress) == (True, {})
    await second.add([ConceptRow("c", "C")])
    assert await codes() == ["a", "b"]
    await second.finish()
    assert await codes() == ["c"]
    left = await parts.database.system["concept"].distinct(
        "s", {"_id": {"$regex": rf"^({first.number}|{second.number})\|"}}
    )
    assert left == [second.number]
    assert await sweep(parts.database) == 0
    third = await begin(parts.repository, resource, base_url=BASE)
    await third.add([ConceptRow("d")])
    await third.abandon()
    assert await codes() == ["c"]


async def test_value_sets_that_are_only_a_url(parts: Server) -> None:
    releases = {
        "http://loinc.org": [
            ConceptRow("LL1-1", "A list", properties=[("answer", "LA2-2"), ("answer", "LA1-1")]),
            ConceptRow("LA1-1", "No"),
            ConceptRow("LA2-2", "Yes"),
            ConceptRow("LP1-1", "A part"),
            ConceptRow("1-1", "A term", parents=["LP1-1"], properties=[("answer-list", "LL1-1")]),
        ],
        "http://snomed.info/sct": [
            ConceptRow("138875005", "SNOMED CT Concept"),
            ConceptRow("64572001", "Disease", parents=["138875005"], properties=[("refset", "733073007")]),
            ConceptRow("22298006", "Myocardial infarction", parents=["64572001"]),
        ],
    }
    for url, listed in releases.items():
        resource = {"resourceType": "CodeSystem", "url": url, "version": "1", "status": "active"}
        load = await begin(parts.repository, resource, base_url=BASE)
        await load.add(listed)
        await load.finish()
    expected = {
        "http://loinc.org/vs": ["1-1", "LA1-1", "LA2-2", "LL1-1", "LP1-1"],
        "http://loinc.org/vs/LL1-1": ["LA2-2", "LA1-1"],
        "http://loinc.org/vs/LP1-1": ["1-1", "LP1-1"],
        "http://snomed.info/sct?fhir_vs": ["138875005", "22298006", "64572001"],
        "http://snomed.info/sct/900000000000207008?fhir_vs=isa/64572001": ["22298006", "64572001"],
        "http://snomed.info/sct?fhir_vs=refset/733073007": ["64572001"],
    }
    for url, codes in expected.items():
        found = await expand(parts.repository, SYSTEM, BASE, url)
        assert [one.code for one in found.members.values()] == codes, url
        system = "http://loinc.org" if "loinc" in url else "http://snomed.info/sct"
        for row in releases[system]:
            answer = await member(parts.repository, url, [Coding(system, row.code)])
            assert answer is (Membership.YES if row.code in codes else Membership.NO), (url, row.code)


async def test_circles_and_parents_that_are_not_there(parts: Server) -> None:
    url = "http://example.org/cs/odd"
    resource = {"resourceType": "CodeSystem", "url": url, "version": "1", "status": "active"}
    load = await begin(parts.repository, resource, base_url=BASE)
    await load.add(
        [ConceptRow("x", parents=["y"]), ConceptRow("y", parents=["x", "y"]), ConceptRow("z", parents=["gone"])]
    )
    assert await load.finish() == 3
    caller = parts.repository, SYSTEM, BASE
    assert {code for _, code in await below(*caller, url, "x")} == {"x", "y"}
    assert {code for _, code in await above(*caller, url, "z")} == {"z"}
    assert await subsumes(*caller, url, "x", "y") == "equivalent"


async def test_a_large_system_is_counted_before_it_is_fetched(beasts: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(valueset, "MAX_CODES", 5)
    with pytest.raises(FhirError) as caught:
        await expand(beasts.repository, SYSTEM, BASE, definition(ROWS))
    assert caught.value.code == "too-costly"
    assert len((await expand(beasts.repository, SYSTEM, BASE, definition(ROWS), ExpandRequest(count=3))).members) == 3
    found = await expand(beasts.repository, SYSTEM, BASE, definition(ROWS), ExpandRequest(limited=True))
    assert (len(found.members), found.total, found.limited) == (5, len(BEASTS), True)
