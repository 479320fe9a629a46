"""What terminology answers, sentence by sentence: tests/cases/terminology_operations.yaml over a real database."""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import yaml

from fhir_server.access.principal import SYSTEM
from fhir_server.main import Server
from fhir_server.outcomes import FhirError
from fhir_server.terminology import (
    Coding,
    ExpandRequest,
    TranslateRequest,
    ValidateRequest,
    closure,
    expand,
    lookup,
    member,
    subsumes,
    translate,
    validate_in_code_system,
    validate_in_value_set,
)
from tests.terminology.storing import BASE, code_system, put, value_set

Json = dict[str, Any]
CASES = Path(__file__).parent.parent / "cases"
CONTENT = yaml.safe_load((CASES / "terminology_operations.yaml").read_text())
SHARED = yaml.safe_load((CASES / "terminology.yaml").read_text())
pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stored(parts: Server) -> Server:
    for key, resource in (SHARED["resources"] | CONTENT["resources"]).items():
        await put(parts, {**resource, "id": key.partition("/")[2]})
    return parts


def coding(text: str) -> Coding:
    """ "system|code|display|version", a short name for the system."""
    system, code, display, version = [*text.split("|"), "", ""][:4]
    return Coding(CONTENT["systems"].get(system, system), code, version, display)


def made(kind: type[Any], given: Json, **more: Any) -> Any:
    """A request of these parameters, lists as tuples."""
    return kind(**{name: tuple(one) if isinstance(one, list) else one for name, one in given.items()}, **more)


async def check(server: Server, case: Json) -> None:
    """Run one case; raises AssertionError when it does not come out as it says."""
    run = CHECKS[next(name for name in case if name in CHECKS)]
    refusal = await refusal_of(run(server, case))
    if refusal is None:
        assert "error" not in case, "was not refused"
        return
    assert "error" in case, refusal
    assert case["error"] in str(refusal)
    assert [issue.code for issue in refusal.issues] == [case["code"]]


async def refusal_of(run: Awaitable[None]) -> FhirError | None:
    try:
        await run
    except FhirError as refusal:
        return refusal
    return None


async def check_expand(server: Server, case: Json) -> None:
    request = made(ExpandRequest, case.get("request", {}))
    found = await expand(server.repository, SYSTEM, BASE, case["expand"], request)
    expansion = found.to_fhir(identifier="urn:uuid:1", timestamp="2020-01-01T00:00:00Z")["expansion"]
    if "codes" in case:
        codes = [(one["system"], one["code"]) for one in expansion.get("contains", ())]
        assert codes == [(one.system, one.code) for one in map(coding, case["codes"])]
    for name in {"contains", "total"} & case.keys():
        assert expansion[name] == case[name]
    if "used" in case:
        named = [one for one in expansion["parameter"] if one["name"] == "used-codesystem"]
        assert [one["valueUri"] for one in named] == case["used"]


async def check_validity(server: Server, case: Json) -> None:
    judge = validate_in_value_set if "validate" in case else validate_in_code_system
    request = made(ValidateRequest, case.get("request", {}))
    where = case.get("validate") or case["system"]
    found = await judge(server.repository, SYSTEM, BASE, where, [coding(one) for one in case["codings"]], request)
    assert found.result is case["result"]
    if "display" in case:
        assert found.coding is not None
        assert found.coding.display == case["display"]
    assert [issue.code for issue in found.issues] == case.get("issues", [])
    answer = {one["name"]: one for one in found.to_fhir()["parameter"]}
    assert answer["result"]["valueBoolean"] is bool(case["result"])
    assert ("message" in answer) == bool(found.issues)


async def check_member(server: Server, case: Json) -> None:
    codings = [coding(one) for one in case["codings"]]
    for _ in range(2):  # the second time as remembered
        found = await member(server.repository, case["member"], codings, code_only=case.get("code_only", False))
        answer = {True: "yes", False: "no"}.get(case["answer"], case["answer"])
        assert found.value == answer


async def check_lookup(server: Server, case: Json) -> None:
    found = await lookup(
        server.repository,
        SYSTEM,
        BASE,
        coding(case["lookup"]),
        properties=case.get("properties", ()),
        display_language=case.get("language", ""),
    )
    assert found.display == case.get("display", found.display)
    parameters = found.to_fhir()["parameter"]
    for one in case.get("has", ()):
        assert one in parameters
    assert parameters == case.get("whole", parameters)


async def check_subsumes(server: Server, case: Json) -> None:
    first, second = map(coding, case["subsumes"])
    assert await subsumes(server.repository, SYSTEM, BASE, first.system, first.code, second.code) == case["outcome"]


async def check_translate(server: Server, case: Json) -> None:
    request: TranslateRequest = made(
        TranslateRequest, case.get("request", {}), codings=[*map(coding, case["translate"])]
    )
    if request.dependencies:
        read = {name: Coding.read(one) for name, one in request.dependencies.items() if isinstance(one, dict)}
        request = replace(request, dependencies=read)
    found = await translate(server.repository, SYSTEM, BASE, request)
    assert found.result is case["result"]
    expected = [(kind, coding(one)) for kind, one in case["matches"]]
    assert [(one.equivalence, one.concept.system, one.concept.code) for one in found.matches] == [
        (kind, one.system, one.code) for kind, one in expected
    ]
    if "products" in case:
        assert [[[name, one.code] for name, one in match.products] for match in found.matches] == case["products"]
    assert [one["name"] for one in found.to_fhir()["parameter"]].count("match") == len(expected)


CHECKS = {
    "expand": check_expand,
    "validate": check_validity,
    "system": check_validity,
    "member": check_member,
    "lookup": check_lookup,
    "subsumes": check_subsumes,
    "translate": check_translate,
}


@pytest.mark.parametrize("case", [pytest.param(case, id=case["spec"][:60]) for case in CONTENT["cases"]])
async def test_case(stored: Server, case: Json) -> None:
    await check(stored, case)


WARM = "http://example.org/vs/warm"


@pytest.mark.parametrize(
    "wrong",
    [
        {"expand": WARM, "codes": []},
        {"expand": WARM, "total": 2},
        {"expand": WARM, "error": "refused", "code": "invalid"},
        {"validate": WARM, "codings": ["c|Red"], "result": False},
        {"validate": WARM, "codings": ["c|green"], "result": False, "issues": []},
        {"member": WARM, "codings": ["c|Red"], "answer": "no"},
        {"lookup": "c|Red", "display": "Green"},
        {"lookup": "c|Red", "has": [{"name": "name", "valueString": "Shapes"}]},
        {"subsumes": ["a|dog", "a|dog"], "outcome": "subsumes"},
        {"translate": ["c|Red"], "request": {"concept_map": "ConceptMap/paint"}, "result": True, "matches": []},
        {"lookup": "c|pink", "error": "another reason", "code": "code-invalid"},
    ],
)
async def test_a_wrong_case_fails(stored: Server, wrong: Json) -> None:
    with pytest.raises(AssertionError):
        await check(stored, wrong)


# ---- closure: https://hl7.org/fhir/R4/terminology-service.html#closure ---------------------------------


def pairs(found: Json) -> set[tuple[str, str]]:
    """(code below, code above) of a closure's answer."""
    return {
        (element["code"], target["code"])
        for group in found.get("group", ())
        for element in group["element"]
        for target in element["target"]
        if target["equivalence"] == "subsumes"
    }


async def test_a_closure_grows_code_by_code(stored: Server) -> None:
    caller = stored.repository, SYSTEM, BASE, "table"
    with pytest.raises(FhirError) as caught:
        await closure(*caller, [coding("a|dog")])
    assert caught.value.code == "not-found"
    assert (await closure(*caller))["version"] == "0"
    first = await closure(*caller, [coding("a|dog"), coding("a|bird"), coding("c|Red")])
    assert (first["version"], pairs(first)) == ("1", set())
    second = await closure(*caller, [coding("a|mammal"), coding("a|duck"), coding("c|colour")])
    assert second["version"] == "2"
    assert pairs(second) == {("dog", "mammal"), ("duck", "bird"), ("Red", "colour")}
    again = await closure(*caller, [coding("a|dog")])
    assert (again["version"], pairs(again)) == ("2", set())
    third = await closure(*caller, [coding("a|animal")])
    above_all = {(one, "animal") for one in ("dog", "bird", "mammal", "duck")}
    assert pairs(third) == above_all
    assert pairs(await closure(*caller, version="1")) == above_all | pairs(second)
    for version, code in (("9", "value"), ("x", "value")):
        with pytest.raises(FhirError) as caught:
            await closure(*caller, version=version)
        assert caught.value.code == code
    with pytest.raises(FhirError) as caught:
        await closure(*caller, [coding("a|unicorn")])
    assert caught.value.code == "code-invalid"
    assert (await closure(*caller))["version"] == "0"
    assert pairs(await closure(*caller, version="0")) == set()


async def test_every_answer_changes_with_its_definition(parts: Server) -> None:
    url, listed = "http://example.org/vs/moving", Coding("http://example.org/cs/moving", "b")
    await put(parts, code_system("moving", "a"))
    await put(parts, value_set("moving", {"system": listed.system}))
    assert (await member(parts.repository, url, [listed])).value == "no"
    assert not (await validate_in_value_set(parts.repository, SYSTEM, BASE, url, [listed])).result
    await put(parts, code_system("moving", "a", {"code": "b", "display": "Bee"}))
    assert (await member(parts.repository, url, [listed])).value == "yes"
    assert (await validate_in_value_set(parts.repository, SYSTEM, BASE, url, [listed])).result
    assert (await lookup(parts.repository, SYSTEM, BASE, listed)).display == "Bee"
    assert (await expand(parts.repository, SYSTEM, BASE, url)).total == 2
