"""Changes show at once, and no value set may cost more than the server allows."""

from __future__ import annotations

from functools import partial

import pytest

from fhir_server.access.principal import SYSTEM, Principal
from fhir_server.main import Server
from fhir_server.outcomes import FhirError
from fhir_server.storage.stored import Stored
from fhir_server.terminology import (
    Coding,
    ExpandRequest,
    below,
    closures,
    codes_in,
    expand,
    judge,
    translation,
    valueset,
)
from fhir_server.terminology.cache import Cache, Kept
from fhir_server.terminology.effort import LOOK_UP, Effort
from fhir_server.terminology.resolve import Resolver
from fhir_server.terminology.versions import Versions
from tests.terminology.storing import BASE, code_system, delete, put, value_set

pytestmark = pytest.mark.asyncio(loop_scope="module")
VS, CS = "http://example.org/vs/", "http://example.org/cs/"


async def codes(parts: Server, id_: str) -> set[str]:
    return {code for _, code in await codes_in(parts.repository, SYSTEM, BASE, VS + id_)}


async def refusal(parts: Server, id_: str) -> FhirError:
    with pytest.raises(FhirError) as caught:
        await codes(parts, id_)
    return caught.value


async def test_a_change_shows_at_once(parts: Server) -> None:
    await put(parts, code_system("changing", "a"))
    await put(parts, value_set("changing", {"system": CS + "changing"}))
    assert await codes(parts, "changing") == {"a"}
    await put(parts, code_system("changing", "a", {"code": "b", "concept": [{"code": "c"}]}))
    assert await codes(parts, "changing") == {"a", "b", "c"}
    found = await below(parts.repository, SYSTEM, BASE, CS + "changing", "b")
    assert found == {(CS + "changing", "b"), (CS + "changing", "c")}
    await put(parts, value_set("changing", {"system": CS + "changing", "concept": [{"code": "b"}]}))
    assert await codes(parts, "changing") == {"b"}
    await delete(parts, "ValueSet/changing")
    assert (await refusal(parts, "changing")).code == "not-found"
    await put(parts, value_set("changing", {"system": CS + "changing"}))
    assert await codes(parts, "changing") == {"a", "b", "c"}


async def test_a_deleted_code_system_gives_way_to_the_published_one(parts: Server) -> None:
    url = "http://hl7.org/fhir/goal-status"
    await put(parts, code_system("goals", "ours", url=url))
    await put(parts, value_set("goals", {"system": url}))
    assert await codes(parts, "goals") == {"ours"}
    await delete(parts, "CodeSystem/goals")
    assert "on-hold" in await codes(parts, "goals")


async def test_what_the_caller_may_not_see_is_not_evaluated(parts: Server) -> None:
    await put(parts, value_set("seen", {"system": CS + "any", "concept": [{"code": "a"}]}))
    assert await codes(parts, "seen") == {"a"}
    for reference in (VS + "seen", "ValueSet/seen"):
        with pytest.raises(FhirError, match=r"not known|There is no"):
            await codes_in(parts.repository, Principal("stranger"), BASE, reference)


async def test_too_many_codes(parts: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    await put(parts, code_system("many", *(f"c{n}" for n in range(20))))
    await put(parts, value_set("many", {"system": CS + "many"}))
    assert len(await codes(parts, "many")) == 20
    monkeypatch.setattr(valueset, "MAX_CODES", 19)
    await put(parts, value_set("another", {"system": CS + "any"}))  # what was worked out before holds no longer
    assert (await refusal(parts, "many")).code == "too-costly"


async def test_a_part_instead_of_too_many_codes(parts: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    await put(parts, code_system("more", *(f"c{n}" for n in range(20))))
    await put(parts, value_set("more", {"system": CS + "more"}))
    monkeypatch.setattr(valueset, "MAX_CODES", 19)
    found = await expand(parts.repository, SYSTEM, BASE, VS + "more", ExpandRequest(limited=True))
    assert len(found.members) == 19
    marks = found.to_fhir(identifier="urn:uuid:1", timestamp="2020-01-01T00:00:00Z")["expansion"]["extension"]
    assert [one["url"].rpartition("/")[2] for one in marks] == ["valueset-toocostly"]


async def test_too_much_work(parts: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    await put(parts, code_system("work", *(f"c{n}" for n in range(20))))
    await put(parts, value_set("work", *[{"system": CS + "work"}] * 50))
    assert len(await codes(parts, "work")) == 20
    monkeypatch.setattr(valueset, "Effort", partial(Effort, 900))
    await put(parts, value_set("another", {"system": CS + "any"}))
    assert (await refusal(parts, "work")).code == "too-costly"


async def test_imports_that_go_too_deep(parts: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judge, "MAX_DEPTH", 5)
    await put(parts, value_set("deep0", {"system": CS + "any", "concept": [{"code": "a"}]}))
    for n in range(1, 8):
        await put(parts, value_set(f"deep{n}", {"valueSet": [f"{VS}deep{n - 1}"]}))
    assert await codes(parts, "deep5") == {"a"}
    assert (await refusal(parts, "deep7")).code == "too-costly"


async def test_a_nesting_as_deep_as_json_may_be(parts: Server) -> None:
    concept = {"code": "c0"}
    for n in range(1, 40):
        concept = {"code": f"c{n}", "concept": [concept]}  # type: ignore[dict-item]
    await put(parts, code_system("nested", concept))
    assert len(await below(parts.repository, SYSTEM, BASE, CS + "nested", "c39")) == 40


async def test_the_longest_unused_goes_first() -> None:
    read: list[str] = []

    def parse(text: str) -> str:
        read.append(text)
        return text.upper()

    cache = Cache(capacity=6)
    one, two, three = (Stored("CodeSystem", str(n), 1, 1, text=text) for n, text in enumerate(["aaa", "bbb", "ccc"]))
    assert [await cache.parsed(stored, parse) for stored in (one, two, one, three, one, two)] == [
        *("AAA", "BBB", "AAA", "CCC", "AAA", "BBB")
    ]
    assert read == ["aaa", "bbb", "ccc", "bbb"]
    newer = Stored("CodeSystem", "1", 2, 2, text="new")
    assert await cache.parsed(newer, parse) == "NEW"
    assert await cache.parsed(Stored("CodeSystem", "9", 1, 1, text="longer than all"), parse) == "LONGER THAN ALL"


# ---- definitions that lead to one another, over and over ------------------------------------------------------------


def importing(id_: str, *others: str) -> dict[str, object]:
    return value_set(id_, *({"valueSet": [VS + one]} for one in others))


@pytest.mark.parametrize("leaf", ["there", "missing"])
async def test_an_import_is_looked_into_once_however_many_lead_there(parts: Server, leaf: str) -> None:
    last = f"lattice-{leaf}-20"
    for n in range(20):
        await put(parts, importing(f"lattice-{leaf}-{n}", *[f"lattice-{leaf}-{n + 1}"] * 3))
    if leaf == "there":
        await put(parts, value_set(last, {"system": CS + "any", "concept": [{"code": "a"}]}))
    resolver = Resolver(parts.repository, SYSTEM, BASE)
    once = judge.Judge(resolver, Versions(resolver, ExpandRequest()), Effort(25 * (judge.VISIT + 10)))
    answer = await once.value_set(f"{VS}lattice-{leaf}-0", [(CS + "any", "b")])
    assert not answer.yes
    assert bool(answer.unknown) is (leaf == "missing")
    again = judge.Judge(resolver, Versions(resolver, ExpandRequest()), Effort(25 * (judge.VISIT + 10)))
    definition = (await resolver.value_set(f"{VS}lattice-{leaf}-0")).definition
    assert list(await again.systems(definition, ())) == ([CS + "any"] if leaf == "there" else [])


async def test_a_map_is_looked_through_once_however_many_lead_there(
    parts: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(translation, "Effort", partial(Effort, 1000))
    for n in range(9):
        unmapped = {"mode": "other-map", "url": f"http://example.org/cm/lattice-{n + 1}"}
        if n == 8:
            unmapped = {"mode": "fixed", "code": "z"}
        element = {"code": "never", "target": [{"code": "x", "equivalence": "equal"}]}
        groups = [
            {"source": CS + "any", "target": CS + str(g), "element": [element], "unmapped": unmapped} for g in (1, 2)
        ]
        url = f"http://example.org/cm/lattice-{n}"
        await put(
            parts, {"resourceType": "ConceptMap", "id": f"lattice-{n}", "url": url, "status": "active", "group": groups}
        )
    asked = translation.TranslateRequest([Coding(CS + "any", "a")], "http://example.org/cm/lattice-0")
    found = await translation.translate(parts.repository, SYSTEM, BASE, asked)
    assert {one.concept.system for one in found.matches} == {CS + "1", CS + "2"}
    many = translation.TranslateRequest([Coding(CS + "any", f"a{n}") for n in range(100)], asked.concept_map)
    with pytest.raises(FhirError) as caught:
        await translation.translate(parts.repository, SYSTEM, BASE, many)
    assert caught.value.code == "too-costly"


async def test_a_closure_of_too_many_relations_changes_nothing(parts: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    codes_ = [f"c{n}" for n in range(30)]
    circle = [
        {"code": code, "property": [{"code": "parent", "valueCode": codes_[n - 1]}]} for n, code in enumerate(codes_)
    ]
    await put(parts, code_system("whirl", *circle, property=[{"code": "parent", "type": "code"}]))
    caller = parts.repository, SYSTEM, BASE, "whirl"
    every = [Coding(CS + "whirl", code) for code in codes_]
    await closures.closure(*caller)
    for name, value in (("MAX_NEW", 1000), ("Effort", partial(Effort, 100))):
        with monkeypatch.context() as patch:
            patch.setattr(closures, name, value)
            with pytest.raises(FhirError) as caught:
                await closures.closure(*caller, every)
        assert caught.value.code == "too-costly"
    assert (await closures.closure(*caller, version="0"))["version"] == "0"
    whole = await closures.closure(*caller, every)
    assert sum(len(one["target"]) for one in whole["group"][0]["element"]) == 30 * 29


async def test_code_systems_that_are_looked_up_cost(parts: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(valueset, "Effort", partial(Effort, 10 * (LOOK_UP + 10)))
    few, more = ([{"system": f"{CS}none-{n}", "concept": [{"code": "a"}]} for n in range(size)] for size in (10, 11))
    await put(parts, value_set("few-systems", *few, *few))
    await put(parts, value_set("more-systems", *more))
    assert len((await expand(parts.repository, SYSTEM, BASE, VS + "few-systems")).members) == 10
    assert (await refusal(parts, "more-systems")).code == "too-costly"


async def test_long_keys_count_for_more() -> None:
    kept: Kept[bool] = Kept(100)
    for n in range(50):
        kept.put(("short", n), True)
    assert kept.get(("short", 0))
    kept.put("x" * 15_000, True)
    assert kept.get(("short", 1)) is None
    kept.put("y" * 30_000, True)
    assert kept.get("y" * 30_000) is None
