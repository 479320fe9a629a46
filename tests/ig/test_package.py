"""The committed package by itself: its layout, what it may define, and that its parts fit together and this server."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import ig
from fhir_server import definitions
from fhir_server.definitions.package import Package
from fhir_server.search import custom
from fhir_server.search.registry import find
from fhir_server.validation import validate
from tests.ig.conftest import DEFINED, EXAMPLES

Json = dict[str, Any]
ROOT = Path(__file__).resolve().parents[2]
CANONICAL = "http://fhir-server.example/ig"
TOPIC = "http://hl7.org/fhir/5.0/StructureDefinition/extension-SubscriptionTopic."


def of_type(name: str) -> list[Json]:
    return [one for one in DEFINED.values() if one["resourceType"] == name]


TOPICS = of_type("Basic")


def test_what_it_is() -> None:
    manifest = ig.manifest()
    assert ig.package_name() == "fhir-server.telemedicine-0.1.0"
    assert (manifest["canonical"], manifest["license"], manifest["fhirVersions"]) == (CANONICAL, "CC0-1.0", ["4.0.1"])
    assert set(manifest["dependencies"]) == {"hl7.fhir.r4.core", "hl7.fhir.uv.xver-r5.r4"}


def test_the_archive_is_the_same_each_time_and_can_be_read(tmp_path: Path) -> None:
    packed = ig.archive()
    assert packed == ig.archive()
    with tarfile.open(fileobj=io.BytesIO(packed)) as tar:
        names = tar.getnames()
        assert {one.mtime for one in tar} == {0}
    assert {"package/package.json", "package/.index.json", "package/StructureDefinition-tele-case.json"} <= set(names)
    assert len([one for one in names if one.startswith("package/example/Encounter-")]) == 4
    file = tmp_path / "guide.tgz"
    file.write_bytes(packed)
    package = Package.from_file(file)
    assert (package.name, package.version) == ("fhir-server.telemedicine", "0.1.0")
    folder = Package.from_folder(ROOT / "ig" / "package")
    assert (folder.name, folder.version) == (package.name, package.version)


@pytest.mark.parametrize("name", sorted(DEFINED | EXAMPLES))
def test_its_structure_is_r4(name: str) -> None:
    assert validate((DEFINED | EXAMPLES)[name]) == []


def test_names_are_its_own_and_said_once() -> None:
    urls = [one["url"] for one in DEFINED.values() if "url" in one]
    assert len(urls) == len(set(urls))
    for name, one in DEFINED.items():
        if "url" in one:
            assert one["url"] == f"{CANONICAL}/{name}"
            assert (one["version"], one["publisher"]) == ("0.1.0", "The FHIR server project")


# In whose name notifications are sent, and people's public keys: neither R4 nor HL7 has them.
EXTENSIONS = {"subscriber", "encryption-key"}


def test_it_defines_no_other_extension() -> None:
    """R4 and HL7 have what else is needed. Another one needs a reason, and a change of this test."""
    assert {one["id"] for one in of_type("StructureDefinition") if one["type"] == "Extension"} == EXTENSIONS


def test_every_profile_has_an_example() -> None:
    shown = {url for one in EXAMPLES.values() for url in one.get("meta", {}).get("profile", ())}
    concrete = [one for one in of_type("StructureDefinition") if not one["abstract"] and one["id"] not in EXTENSIONS]
    assert shown == {one["url"] for one in concrete}


def references(value: Any, key: str) -> Iterator[str]:
    """All strings under this key, at any depth."""
    if isinstance(value, list):
        for one in value:
            yield from references(one, key)
    elif isinstance(value, dict):
        for name, below in value.items():
            if name == key and isinstance(below, str):
                yield below
            yield from references(below, key)


def test_examples_refer_to_one_another() -> None:
    for name, example in EXAMPLES.items():
        for reference in references(example, "reference"):
            assert reference in EXAMPLES or reference.startswith("#"), name


def test_value_sets_and_systems_that_it_names_are_there() -> None:
    mine = {one["url"] for one in DEFINED.values() if "url" in one}
    named = {url for one in [*DEFINED.values(), *EXAMPLES.values()] for url in named_canonicals(one)}
    sids = {system["uniqueId"][0]["value"] for system in of_type("NamingSystem")}
    assert len(sids) == 4
    topics = {f"{CANONICAL}/SubscriptionTopic/{one['id'].removeprefix('topic-')}" for one in TOPICS}
    assert named - sids - topics - mine == {f"{CANONICAL}/triage/red-flags"}


def named_canonicals(value: Any) -> Iterator[str]:
    """Every string that is one of the guide's URLs."""
    if isinstance(value, str) and value.startswith(f"{CANONICAL}/") and "|" not in value:
        yield value
    elif isinstance(value, list | dict):
        for one in value.values() if isinstance(value, dict) else value:
            yield from named_canonicals(one)


@pytest.mark.parametrize("parameter", of_type("SearchParameter"), ids=lambda one: one["id"])
def test_a_search_parameter_is_new_and_can_be_indexed(parameter: Json) -> None:
    assert custom.issues(parameter) == []
    read = custom.read(parameter)
    assert read is not None
    for resource_type in read.types():
        assert custom.judge(read, resource_type).relation == "new"


def codes(resource_type: str) -> set[str]:
    return {one["code"] for one in of_type("SearchParameter") if resource_type in one["base"]}


def is_searchable(resource_type: str, code: str) -> bool:
    return code in codes(resource_type) or find(resource_type, code) is not None


def part(extension: Json, url: str) -> str:
    found = next(one for one in extension["extension"] if one["url"] == url)
    return str(next(value for key, value in found.items() if key.startswith("value")))


@pytest.mark.parametrize("topic", TOPICS, ids=lambda one: one["id"])
def test_a_topic_names_what_is_there(topic: Json) -> None:
    parts = [(one["url"].removeprefix(TOPIC), one) for one in topic["extension"]]
    triggers = [one for name, one in parts if name == "resourceTrigger"]
    types = {part(one, "resource").rpartition("/")[2] for one in triggers}
    assert types
    assert types <= definitions.RESOURCE_TYPES
    for trigger in triggers:
        resource_type = part(trigger, "resource").rpartition("/")[2]
        for criteria in (one for one in trigger["extension"] if one["url"] == "queryCriteria"):
            for query in part(criteria, "current").split("&"):
                code = query.partition("=")[0].partition(":")[0]
                assert is_searchable(resource_type, code), query
    for _, one in (pair for pair in parts if pair[0] == "canFilterBy"):
        assert part(one, "resource") in types
        assert is_searchable(part(one, "resource"), part(one, "filterParameter")), part(one, "filterParameter")
    shapes = {part(one, "resource") for name, one in parts if name == "notificationShape"}
    assert shapes == types


def test_operations_are_drafts_until_they_are_built() -> None:
    import extensions
    from fhir_server import operations
    from fhir_server.registry import discover

    built = discover(operations, extensions).operations
    for one in of_type("OperationDefinition"):
        assert one["status"] == ("active" if one["code"] in built else "draft"), one["code"]


def test_red_cells_go_where_they_may() -> None:
    """The map is what the two antigens say: a donor has no antigen that the recipient lacks."""

    def antigens(group: str) -> set[str]:
        letters, _, rhesus = group.partition("-")
        return (set(letters) - {"o"}) | ({"d"} if rhesus == "positive" else set())

    groups = [one["code"] for one in DEFINED["CodeSystem/blood-group"]["concept"]]
    listed = {
        element["code"]: {one["code"] for one in element["target"]}
        for element in DEFINED["ConceptMap/red-cell-compatibility"]["group"][0]["element"]
    }
    assert listed == {r: {d for d in groups if antigens(d) <= antigens(r)} for r in groups}


def test_the_package_is_what_the_sources_compile_to(shared: Path) -> None:
    if shutil.which("node") is None:
        pytest.skip("needs node, which is not on this machine")
    if not (ROOT / "build" / "ig" / "sushi" / "node_modules").is_dir():
        pytest.skip("needs SUSHI, which `make ig` installs once")
    ran = subprocess.run([sys.executable, "-m", "scripts.ig", "--check"], cwd=ROOT, capture_output=True, check=False)
    assert ran.returncode == 0, ran.stdout.decode()[-3000:]


def test_the_lock_pins_everything_and_names_no_registry() -> None:
    lock = json.loads((ROOT / "scripts" / "ig" / "package-lock.json").read_text())
    for name, one in lock["packages"].items():
        assert "resolved" not in one
        assert not name or one.get("inBundle") or one["integrity"].startswith("sha512-")
    assert lock["packages"]["node_modules/fsh-sushi"]["version"] == "3.21.0"
