"""Every example against its profile with our own validator, and a planted defect for each rule that matters."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import jsonpatch
import pytest
import yaml

from fhir_server import json
from scripts.ig.borrowed import EXTENSIONS, ROOT
from tests.ig.conftest import DEFINED, EXAMPLES

Json = dict[str, Any]
DEFECTS: list[Json] = yaml.safe_load((Path(__file__).parents[1] / "cases" / "guide_defects.yaml").read_text())
PROFILES = {one["url"] for one in DEFINED.values() if one["resourceType"] == "StructureDefinition"}

# Warnings that stay, beside missing narrative: our own codes where R4's list is extensible and has none.
EXPECTED = {
    "Communication.meta.security[0]",
    "DocumentReference.meta.security[0]",
    "Binary.meta.security[0]",
    "AuditEvent.entity[1].type",
    "Consent.policyRule",
    "Endpoint.connectionType",
}


@pytest.fixture
def client(guide_server: str) -> Iterator[httpx.Client]:
    headers = {"Content-Type": "application/fhir+json"}
    with httpx.Client(base_url=guide_server, timeout=60, headers=headers) as session:
        yield session


def judged(client: httpx.Client, resource: Json) -> list[tuple[str, str, str]]:
    """(severity, code, expression) of each issue that $validate has with the resource."""
    answer = client.post(f"/{resource['resourceType']}/$validate", content=json.encode(resource))
    found = [one for one in answer.json()["issue"] if "dom-6" not in one.get("diagnostics", "")]
    return [(one["severity"], one["code"], one.get("expression", [""])[0]) for one in found]


@pytest.mark.parametrize("name", sorted(EXAMPLES))
def test_an_example_conforms(client: httpx.Client, name: str) -> None:
    claimed = EXAMPLES[name].get("meta", {}).get("profile", [])
    assert set(claimed) <= PROFILES
    found = judged(client, EXAMPLES[name])
    assert [one for one in found if one[0] not in ("warning", "information")] == []
    warned = {expression for severity, code, expression in found if severity == "warning" and code != "not-found"}
    assert warned <= EXPECTED


def test_what_broken_glass_leaves_conforms(client: httpx.Client) -> None:
    """The server's own Consent and Task, by the profiles that say what they are."""
    assert client.put("/Patient/glass", json={"resourceType": "Patient", "id": "glass"}).status_code == 201
    reason = {"resourceType": "Parameters", "parameter": [{"name": "reason", "valueString": "unconscious"}]}
    answer = client.post("/Patient/glass/$break-glass", json=reason).json()
    written = [one["valueReference"]["reference"] for one in answer["parameter"][:2]]
    for reference, profile in zip(written, ("emergency-access-consent", "review-task"), strict=True):
        resource = client.get(f"/{reference}").json()
        resource["meta"]["profile"] = [next(one for one in PROFILES if one.endswith(f"/{profile}"))]
        assert [one for one in judged(client, resource) if one[0] == "error"] == [], profile
        # That the profile was looked at.
        assert [one for one in judged(client, {**resource, "status": "x"}) if one[0] == "error"]
        del resource["focus" if profile == "review-task" else "category"]
        assert [one for one in judged(client, resource) if one[0] == "error"], profile


def test_a_definition_is_valid_too(client: httpx.Client) -> None:
    for name, resource in DEFINED.items():
        assert [one for one in judged(client, resource) if one[0] == "error"] == [], name


def is_found(client: httpx.Client, case: Json) -> bool:
    """Whether the patched example has the error of the case, and had it not before."""
    wanted = ("error", case["code"], case["expression"])
    before = judged(client, EXAMPLES[case["example"]])
    after = judged(client, jsonpatch.apply_patch(EXAMPLES[case["example"]], case["patch"]))
    return wanted in after and wanted not in before


@pytest.mark.parametrize("case", DEFECTS, ids=lambda case: f"{case['example']}-{case['patch'][0]['path']}")
def test_a_defect_is_found(client: httpx.Client, case: Json) -> None:
    assert is_found(client, case), judged(client, jsonpatch.apply_patch(EXAMPLES[case["example"]], case["patch"]))


def test_the_runner_can_fail(client: httpx.Client) -> None:
    assert not is_found(client, {**DEFECTS[0], "expression": "Encounter.status"})


def test_every_profile_has_a_defect() -> None:
    claimed = {url for case in DEFECTS for url in EXAMPLES[case["example"]]["meta"]["profile"]}
    concrete = {
        one["url"]
        for one in DEFINED.values()
        if one["resourceType"] == "StructureDefinition" and one["type"] != "Extension" and not one["abstract"]
    }
    assert claimed == concrete


# ---- what is borrowed from R5 --------------------------------------------------------------------------------

BORROWED = {one.url: one for one in EXTENSIONS}


def carried(value: Any, path: str) -> Iterator[tuple[str, Json]]:
    """The cross-version extensions below a value, each with the element that carries it."""
    if isinstance(value, list):
        for one in value:
            yield from carried(one, path)
    elif isinstance(value, dict):
        for one in value.get("extension", ()):
            if one["url"].startswith(ROOT):
                yield path, one
        for name, below in value.items():
            yield from carried(below, f"{path}.{name.removeprefix('_')}")


def kind(extension: Json) -> str:
    return next((name.removeprefix("value") for name in extension if name.startswith("value")), "")


def test_cross_version_extensions_are_used_as_published() -> None:
    seen = set()
    for resource in EXAMPLES.values():
        for path, extension in carried(resource, resource["resourceType"]):
            known = BORROWED[extension["url"]]
            seen.add(known.url)
            assert path == known.context
            assert kind(extension).lower() in {one.lower() for one in known.types or ("",)}
            for part in known.parts:
                there = [one for one in extension["extension"] if one["url"] == part.url]
                assert len(there) >= int(part.cardinality[0]), part.name
                assert all(kind(one).lower() in {name.lower() for name in part.types} for one in there), part.name
            parts = {part.url for part in known.parts}
            assert {one["url"] for one in extension.get("extension", ())} <= parts
    assert seen == set(BORROWED)
