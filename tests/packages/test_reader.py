"""Packages are read for what they are, and refused in words for what they should not be."""

from __future__ import annotations

import json
import tarfile
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_server.definitions import package as reader
from fhir_server.definitions.package import Package
from fhir_server.outcomes import FhirError, Malformed, TooLarge, Unprocessable
from tests.packages.making import canonical, eyes, manifest, packed, patient, value_set

Json = dict[str, Any]


def read(path: Path, files: dict[str, Any], *entries: tarfile.TarInfo) -> Package:
    return Package.from_file(packed(path / "package.tgz", files, *entries))


def roles(package: Package) -> dict[str, str]:
    return {f"{one.type}/{one.id}": one.role for one in package.items}


def test_what_a_package_says(tmp_path: Path) -> None:
    package = read(tmp_path, eyes())
    assert (package.name, package.version, package.title) == ("org.example.eyes", "1.0.0", "Eyes")
    assert package.dependencies == {"hl7.fhir.r4.core": "4.0.1", "org.example.missing": "2.0.0"}
    assert package.problems == ()
    assert roles(package) == {
        "CodeSystem/eye-colours": "conformance",
        "ValueSet/eye-colours": "conformance",
        "StructureDefinition/seeing-patient": "conformance",
        "SearchParameter/patient-eye-colour": "conformance",
        "Patient/example": "example",
        "Observation/example-sight": "example",
    }
    (found,) = (one for one in package.items if one.type == "ValueSet")
    assert (found.url, found.version, found.path) == (
        "http://example.org/guide/ValueSet/eye-colours",
        "1.0.0",
        "ValueSet-eye-colours.json",
    )
    assert found.resource() == value_set()


def test_examples_may_stand_beside_the_package_folder(tmp_path: Path) -> None:
    found = read(tmp_path, {"package/package.json": manifest(), "./examples/p.json": patient()})
    assert roles(found) == {"Patient/example": "example"}


def test_the_guide_says_what_is_an_example(tmp_path: Path) -> None:
    listed = [
        {"reference": {"reference": "Basic/topic"}, "exampleBoolean": False},
        {"reference": {"reference": "Questionnaire/q"}, "exampleCanonical": "http://example.org/p"},
        {"reference": {"reference": "Patient/unsaid"}},
    ]
    files = {
        "package/package.json": manifest(),
        "package/g.json": canonical("ImplementationGuide", "g", definition={"resource": listed}),
        "package/b.json": {"resourceType": "Basic", "id": "topic"},
        "package/q.json": canonical("Questionnaire", "q"),
        "package/p.json": patient("unsaid"),
    }
    assert roles(read(tmp_path, files)) == {
        "ImplementationGuide/g": "conformance",
        "Basic/topic": "conformance",
        "Questionnaire/q": "example",
        "Patient/unsaid": "other",
    }


def test_files_that_hold_no_resource_are_named(tmp_path: Path) -> None:
    files = eyes() | {
        "package/broken.json": b'{"resourceType": "ValueSet"',
        "package/twice.json": value_set(),
        "package/topic.json": {"resourceType": "SubscriptionTopic", "id": "x"},
        "package/list.json": {"files": []},
        "package/.index.json": {"index-version": 2, "files": []},
        "package/array.json": [],
    }
    assert {path for path, _ in read(tmp_path, files).problems} == {"broken.json", "twice.json", "topic.json"}


def test_a_folder_is_read_alike(tmp_path: Path) -> None:
    for name, content in eyes().items():
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(content))
    found = Package.from_folder(tmp_path)
    assert roles(found) == roles(read(tmp_path, eyes()))
    assert found.digest == Package.from_folder(tmp_path).digest
    (tmp_path / "package" / "ValueSet-eye-colours.json").write_text(json.dumps(value_set(title="changed")))
    assert found.digest != Package.from_folder(tmp_path).digest


def test_a_folder_without_manifest_is_what_its_guide_says(tmp_path: Path) -> None:
    guide = canonical(
        "ImplementationGuide",
        "g",
        packageId="org.example.guide",
        fhirVersion=["4.0.1"],
        dependsOn=[{"uri": "http://example.org/other", "packageId": "org.example.other", "version": "3.0.0"}],
    )
    (tmp_path / "ImplementationGuide-g.json").write_text(json.dumps(guide))
    found = Package.from_folder(tmp_path)
    assert (found.name, found.version, found.canonical) == ("org.example.guide", "1.0.0", "http://example.org/guide")
    assert found.dependencies == {"org.example.other": "3.0.0"}


@pytest.mark.parametrize(
    "versions", [["4.0.1"], ["4.0.0"], ["4.3.0", "4.0.1"], "4.0.1", ["4.0"], None], ids=lambda one: str(one)
)
def test_versions_of_fhir_that_are_taken(tmp_path: Path, versions: Any) -> None:
    assert read(tmp_path, eyes(fhirVersions=versions)).name == "org.example.eyes"


def entry(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.type, made.linkname = kind, link
    return made


REFUSED: dict[str, tuple[dict[str, Any], tuple[tarfile.TarInfo, ...], type[FhirError], str]] = {
    "R5": (eyes(fhirVersions=["5.0.0"]), (), Unprocessable, "another version of FHIR than 4.0.1: 5.0.0"),
    "R4B": (eyes(fhirVersions=["4.3.0"]), (), Unprocessable, "another version"),
    "no FHIR version": (eyes(fhirVersions=None, dependencies={}), (), Unprocessable, "none that it names"),
    "absolute": (eyes(), (entry("/etc/x.json"),), Unprocessable, "leads out of it"),
    "upwards": (eyes(), (entry("package/../../x.json"),), Unprocessable, "leads out of it"),
    "backslash": (eyes(), (entry("package\\x.json"),), Unprocessable, "leads out of it"),
    "symbolic link": (eyes(), (entry("package/x.json", tarfile.SYMTYPE, "/etc/passwd"),), Unprocessable, "a link"),
    "hard link": (eyes(), (entry("package/x.json", tarfile.LNKTYPE, "package/y"),), Unprocessable, "a link"),
    "pipe": (eyes(), (entry("package/x.json", tarfile.FIFOTYPE),), Unprocessable, "no plain file"),
    "device": (eyes(), (entry("package/x", tarfile.CHRTYPE),), Unprocessable, "no plain file"),
    "no manifest": ({"package/p.json": patient()}, (), Malformed, "not a FHIR package"),
    "npm package": ({"package/package.json": {"name": "left-pad"}}, (), Malformed, "not a FHIR package"),
    "odd name": ({"package/package.json": manifest(name="../x")}, (), Malformed, "not a FHIR package"),
    "broken manifest": ({"package/package.json": b"{"}, (), Malformed, "package.json"),
}


@pytest.mark.parametrize("case", list(REFUSED))
def test_what_is_refused(tmp_path: Path, case: str) -> None:
    files, entries, kind, reason = REFUSED[case]
    with pytest.raises(kind, match=reason):
        read(tmp_path, files, *entries)


def test_that_the_cases_can_fail(tmp_path: Path) -> None:
    with pytest.raises(pytest.fail.Exception, match="DID NOT RAISE"), pytest.raises(Unprocessable):
        read(tmp_path, eyes())


@pytest.mark.parametrize(("limit", "value"), [("MAX_FILES", 3), ("MAX_FILE_BYTES", 100), ("MAX_BYTES", 2000)])
def test_what_is_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str, value: int) -> None:
    monkeypatch.setattr(reader, limit, value)
    with pytest.raises(TooLarge):
        read(tmp_path, eyes())


@pytest.mark.parametrize("spoil", [lambda whole: whole[:-40], lambda whole: b"PK" + whole, lambda _: b""])
def test_what_is_no_archive(tmp_path: Path, spoil: Callable[[bytes], bytes]) -> None:
    file = packed(tmp_path / "package.tgz", eyes())
    file.write_bytes(spoil(file.read_bytes()))
    with pytest.raises(Malformed):
        Package.from_file(file)


def test_a_folder_with_a_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.json").symlink_to("/etc/hostname")
    with pytest.raises(Unprocessable):
        Package.from_folder(tmp_path)


@given(place=st.integers(0, 2000), byte=st.integers(0, 255), cut=st.integers(0, 3000))
def test_damage_is_told_or_does_no_harm(
    tmp_path_factory: pytest.TempPathFactory, place: int, byte: int, cut: int
) -> None:
    folder = tmp_path_factory.getbasetemp()
    spoiled = bytearray(packed(folder / "spoiled.tgz", eyes()).read_bytes())
    spoiled[place % len(spoiled)] = byte
    (folder / "spoiled.tgz").write_bytes(bytes(spoiled[: cut or None]))
    with suppress(FhirError):
        assert Package.from_file(folder / "spoiled.tgz").name


def test_us_core(shared: Path) -> None:
    package = Package.from_file(shared / "packages" / "hl7.fhir.us.core-6.1.0.tgz")
    assert (package.name, package.version, package.problems) == ("hl7.fhir.us.core", "6.1.0", ())
    assert Counter(one.role for one in package.items) == {"conformance": 210, "example": 183}
