"""Snapshots: our own cases of every kind, and each published profile made again from its differential."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Callable, Iterator
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from fhir_server import definitions
from fhir_server.json import Json, decode
from fhir_server.validation.snapshot import SnapshotError, generate
from fhir_server.validation.snapshot.tree import parse

CASES = Path(__file__).parents[1] / "cases"
US_CORE = Path(__file__).resolve().parents[3] / "shared" / "packages" / "hl7.fhir.us.core-6.1.0.tgz"
FHIR = "http://hl7.org/fhir/StructureDefinition/"
OURS = "http://example.org/"

cases: list[Json] = yaml.safe_load((CASES / "snapshot.yaml").read_text())


@cache
def published(url: str) -> Json | None:
    text = definitions.structure(url)
    return None if text is None else decode(text)


def definition(name: str, case: Json) -> Json:
    base = case["base"]
    return {
        "resourceType": "StructureDefinition",
        "url": OURS + name,
        "baseDefinition": base if ":" in base else FHIR + base,
        "derivation": case.get("derivation", "constraint"),
        "differential": {"element": case["differential"]},
    }


def finder(case: Json) -> Callable[[str], Json | None]:
    own = {OURS + name: definition(name, one) for name, one in case.get("definitions", {}).items()}
    own[OURS + "tested"] = definition("tested", case)
    return lambda url: own.get(url) or published(url)


def ids(structure: Json) -> list[str]:
    return [element["id"] for element in structure["snapshot"]["element"]]


def check(case: Json) -> None:
    find = finder(case)
    if "error" in case:
        element, problem = case["error"]
        with pytest.raises(SnapshotError) as raised:
            generate(definition("tested", case), find)
        assert raised.value.element == element
        assert problem in raised.value.problem
        return
    made = generate(definition("tested", case), find)
    elements = {element["id"]: element for element in made["snapshot"]["element"]}
    assert len(elements) == len(made["snapshot"]["element"])
    for id_, expected in case.get("expect", {}).items():
        found = elements.get(id_)
        if expected is None:
            assert found is None, id_
            continue
        assert found is not None, id_
        assert {name: found.get(name) for name in expected} == expected, id_
    for id_, sources in case.get("keys", {}).items():
        found = {c["key"]: c["source"] for c in elements[id_]["constraint"]}
        assert {key: found.get(key) for key in sources} == sources
        assert [c["key"] for c in elements[id_]["constraint"]].count(next(iter(sources))) == 1
    if "order" in case:
        start = ids(made).index(case["order"][0])
        assert ids(made)[start : start + len(case["order"])] == case["order"]
    if "added" in case:
        base = find(definition("tested", case)["baseDefinition"])
        assert base is not None
        base = base if "snapshot" in base else generate(base, find)
        assert [id_ for id_ in ids(made) if id_ not in ids(base)] == case["added"]


@pytest.mark.parametrize("case", cases, ids=lambda case: case["name"])
def test_case(case: Json) -> None:
    check(case)


@pytest.mark.parametrize(
    "wrong",
    [
        {"expect": {"Patient.name": {"max": "2"}}},
        {"expect": {"Patient.nickname": {"max": "1"}}},
        {"expect": {"Patient.name": None}},
        {"order": ["Patient.name", "Patient.id"]},
        {"added": ["Patient.nickname"]},
    ],
)
def test_a_wrong_case_fails(wrong: Json) -> None:
    with pytest.raises(AssertionError):
        check({"base": "Patient", "differential": [{"path": "Patient.name", "max": "1"}], **wrong})


def test_a_wrong_error_fails() -> None:
    with pytest.raises(pytest.fail.Exception):
        check({"base": "Patient", "differential": [{"path": "Patient.name"}], "error": ["Patient.name", "x"]})


def test_inputs_stay_as_they_are_and_outputs_are_free_to_change() -> None:
    case = {"base": "Patient", "differential": [{"path": "Patient.name.given", "type": [{"code": "string"}]}]}
    given, base = definition("tested", case), published(FHIR + "Patient")
    before = deepcopy((given, base))
    made = generate(given, published)
    assert (given, base) == before
    assert "snapshot" not in given
    for element in made["snapshot"]["element"]:
        for kind in element.get("type", ()):
            kind["code"] = "changed"
    assert (given, base) == before


def test_a_definition_without_base_is_refused() -> None:
    with pytest.raises(SnapshotError, match="baseDefinition"):
        generate({"url": OURS + "x", "differential": {"element": [{"path": "X"}]}}, published)


def test_ids_are_those_published_with_ids_and_without() -> None:
    odd = {FHIR + "catalog", FHIR + "familymemberhistory-genetic"}  # a slice without what it slices
    for url in sorted(definitions.structure_urls() - odd):
        structure = published(url)
        assert structure is not None
        bare = [{k: v for k, v in e.items() if k != "id"} for e in structure["snapshot"]["element"]]
        assert [e["id"] for e in parse(bare).elements()] == ids(structure), url
        assert list(parse(structure["snapshot"]["element"]).elements()) == structure["snapshot"]["element"], url


# Published snapshots, made again


@cache
def us_core() -> dict[str, Json]:
    with tarfile.open(US_CORE) as package:
        members = [m for m in package if m.name.startswith("package/StructureDefinition-") and m.name.endswith(".json")]
        files = [package.extractfile(m) for m in members]
        found = [json.load(file) for file in files if file]
    return {one["url"]: one for one in found}


def profiles() -> Iterator[str]:
    for url in sorted(definitions.structure_urls()):
        structure = published(url)
        if structure and structure.get("derivation") == "constraint":
            yield url


def checked(element: Json) -> dict[str, Any]:
    """What validation uses of an element, in a form that can be compared."""
    view = {k: v for k, v in element.items() if k in ("min", "max", "sliceName", "maxLength", "isModifier")}
    view |= {k: v for k, v in element.items() if k.startswith(("fixed", "pattern", "minValue", "maxValue"))}
    view["type"] = [
        {k: v for k, v in kind.items() if k in ("code", "profile", "targetProfile", "aggregation")}
        for kind in element.get("type", ())
    ]
    view["constraint"] = sorted(c["key"] for c in element.get("constraint", ()))
    # Newer publishers write the URL of the resource before the #; it is the same element.
    view["contentReference"] = element.get("contentReference", "").rpartition("#")[2]
    view["binding"] = {k: v for k, v in element.get("binding", {}).items() if k in ("strength", "valueSet")}
    slicing = element.get("slicing", {})
    view["slicing"] = (slicing.get("discriminator"), slicing.get("ordered", False), slicing.get("rules"))
    return view


def differences(structure: Json, find: Callable[[str], Json | None]) -> list[str]:
    """What is not as published: "min Observation.value[x]"; "missing …" and "extra …" for elements."""
    try:
        made = generate(structure, find)
    except SnapshotError as error:
        return [f"error {error}"]
    ours = {element["id"]: checked(element) for element in made["snapshot"]["element"]}
    theirs = {element["id"]: checked(element) for element in structure["snapshot"]["element"]}
    found = [f"missing {id_}" for id_ in theirs if id_ not in ours] + [
        f"extra {id_}" for id_ in ours if id_ not in theirs
    ]
    if not found and list(ours) != list(theirs):
        found = ["order"]
    for id_ in theirs.keys() & ours.keys():
        names = theirs[id_].keys() | ours[id_].keys()
        found += [f"{name} {id_}" for name in names if theirs[id_].get(name) != ours[id_].get(name)]
    return sorted(found)


def explained(group: str) -> dict[str, list[str]]:
    """URL → differences that the file explains."""
    result: dict[str, list[str]] = {}
    for entry in yaml.safe_load((CASES / "snapshot_differences.yaml").read_text())[group]:
        assert entry["reason"]
        for url, found in entry["differences"].items():
            result.setdefault(url, []).extend(found)
    return {url: sorted(found) for url, found in result.items()}


def all_differences(structures: dict[str, Json], find: Callable[[str], Json | None]) -> dict[str, list[str]]:
    found = {url: differences(structure, find) for url, structure in structures.items()}
    return {url: one for url, one in found.items() if one}


def test_the_profiles_and_extensions_of_r4_are_made_again() -> None:
    structures = {url: one for url in profiles() if (one := published(url))}
    assert len(structures) == 436
    assert all_differences(structures, published) == explained("r4")


@pytest.mark.skipif(not US_CORE.is_file(), reason="US Core is not at ../shared/packages")
def test_the_profiles_and_extensions_of_us_core_are_made_again() -> None:
    structures = us_core()
    assert len(structures) == 59
    assert all_differences(structures, lambda url: structures.get(url) or published(url)) == explained("us-core")


def test_a_difference_is_seen() -> None:
    structure = deepcopy(published(FHIR + "vitalsigns"))
    assert structure is not None
    assert differences(structure, published) == []
    by_id = {element["id"]: element for element in structure["snapshot"]["element"]}
    by_id["Observation.category"]["min"] = 7
    by_id["Observation.code"]["id"] = "Observation.other"
    assert differences(structure, published) == [
        "extra Observation.code", "min Observation.category", "missing Observation.other"
    ]  # fmt: skip
