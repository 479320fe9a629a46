"""Release files → concepts: what each file says, and what is refused, in words. All content is made up."""

from __future__ import annotations

import gzip
import json
import os
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_server.storage.concepts import ConceptRow, Designation
from fhir_server.terminology.loaders import BadRelease, Options, Release, codesystem, files, open_release, scanner
from fhir_server.terminology.loaders.store import merged
from tests.terminology import releases
from tests.terminology.releases import BLACK, EDITION, FAVOURITES, FSN, GREEN, LEAF, OLD, ROOT, SITE, SYNONYM, TEA

Json = dict[str, Any]


def concepts(release: Release) -> dict[str, ConceptRow]:
    return {row.code: row for row in merged(row for part in release.parts for _, row in part.rows())}


def values(row: ConceptRow, name: str) -> list[str]:
    return [value for code, value in row.properties if code == name]


def opened(path: Path, **options: Any) -> dict[str, ConceptRow]:
    return concepts(open_release(path, Options(**options)))


# ---- LOINC -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pack", [False, True])
def test_loinc(tmp_path: Path, pack: bool) -> None:
    folder = releases.loinc(tmp_path)
    release = open_release(releases.zipped(folder) if pack else folder, Options())
    assert (release.resource["url"], release.resource["version"]) == ("http://loinc.org", "9.1")
    found = concepts(release)
    term = found["1-1"]
    assert term.display == "Tannin [Mass/volume] in Tea"
    assert term.definition == "How much tannin\nis in a cup."
    assert values(term, "COMPONENT") == ["Tannin", "LP10-1"], "by the name of the part as by its number"
    assert (values(term, "SYSTEM"), values(term, "METHOD_TYP")) == (["Tea"], [])
    assert list(term.parents) == ["LP10-1"]
    assert Designation("Tannin Tea-mCnc", "en", "http://loinc.org", "SHORTNAME") in term.designations
    assert Designation("Tanin dans le thé", "fr-FR", "http://loinc.org", "LONG_COMMON_NAME") in term.designations
    assert "77-7" not in found, "a code that only a link names"


def test_only_deprecated_is_inactive(tmp_path: Path) -> None:
    found = opened(releases.loinc(tmp_path))
    assert [found[code].inactive for code in ("1-1", "2-2", "3-3", "LP20-2")] == [False, False, True, True]
    assert values(found["2-2"], "STATUS") == ["DISCOURAGED"]


def test_parts_answers_and_lists(tmp_path: Path) -> None:
    found = opened(releases.loinc(tmp_path))
    assert (found["LP10-1"].display, list(found["LP10-1"].parents)) == ("Tannin, any", ["LP1-0"])
    assert found["LP1-0"].display == "Everything about tea", "only the hierarchy tells of it"
    assert values(found["LL1-1"], "answer") == ["LA9-9", "LA1-1"], "in the order of the list"
    assert values(found["LL1-1"], "answers-for") == ["2-2"]
    assert (found["LA1-1"].display, values(found["LA1-1"], "LIST")) == ("Very", ["LL1-1"])
    assert values(found["2-2"], "answer-list") == ["LL1-1"]


def test_languages_of_loinc(tmp_path: Path) -> None:
    folder = releases.loinc(tmp_path)
    languages = {one.language for one in opened(folder, languages=("de",))["1-1"].designations}
    assert languages == {"en", "de-DE"}
    assert {one.language for one in opened(folder)["1-1"].designations} == {"en", "de-DE", "fr-FR"}


def test_the_older_layout_of_loinc(tmp_path: Path) -> None:
    folder = releases.loinc(tmp_path)
    accessory = folder / "AccessoryFiles"
    (accessory / "ComponentHierarchyBySystem").rename(accessory / "MultiAxialHierarchy")
    hierarchy = accessory / "MultiAxialHierarchy/ComponentHierarchyBySystem.csv"
    hierarchy.rename(hierarchy.with_name("LOINC_9.1_MULTI-AXIAL_HIERARCHY.CSV"))
    variant = accessory / "LinguisticVariants/frFR18LinguisticVariant.csv"
    variant.rename(variant.with_name("LOINC_9.1_fr_FR_18_LinguisticVariant.csv"))
    found = opened(folder)
    assert list(found["1-1"].parents) == ["LP10-1"]
    assert "fr-FR" in {one.language for one in found["1-1"].designations}


def test_a_version_that_cannot_be_seen(tmp_path: Path) -> None:
    folder = releases.loinc(tmp_path).rename(tmp_path / "download")
    with pytest.raises(BadRelease, match="--version"):
        open_release(folder, Options())
    assert open_release(folder, Options(version="9.1")).resource["version"] == "9.1"


# ---- SNOMED CT -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pack", [False, True])
def test_snomed(tmp_path: Path, pack: bool) -> None:
    folder = releases.snomed(tmp_path)
    release = open_release(releases.zipped(folder) if pack else folder, Options())
    assert (release.resource["url"], release.resource["version"]) == ("http://snomed.info/sct", EDITION)
    found = concepts(release)
    assert found.keys() == {ROOT, TEA, GREEN, BLACK, OLD, LEAF, FAVOURITES}
    green = found[GREEN]
    assert list(green.parents) == [TEA]
    assert values(green, "sufficientlyDefined") == ["true"]
    assert values(green, SITE) == [LEAF]
    assert values(green, "1142135004") == ["80"]
    assert (values(green, "refset"), values(found[BLACK], "refset")) == ([FAVOURITES], [])
    assert [found[code].inactive for code in (GREEN, OLD)] == [False, True]
    assert list(found[OLD].parents) == [], "the relationship was withdrawn"
    assert found[TEA].definition == "What is drunk at five."
    uses = {(one.value, one.use_code) for one in found[TEA].designations}
    assert {("Tea (drink)", FSN), ("Brew", SYNONYM), ("Tea", SYNONYM)} <= uses
    assert "Withdrawn name" not in {value for value, _ in uses}


def test_the_display_is_the_preferred_term(tmp_path: Path) -> None:
    folder = releases.snomed(tmp_path)
    found = opened(folder)
    assert found[TEA].display == "Tea"
    assert found[GREEN].display == "Green tea of a gray color"
    assert found[BLACK].display == "Black tea (drink)", "there is nothing but the fully specified name"
    assert opened(folder, language="en-GB")[GREEN].display == "Green tea of a grey colour"
    dialects = {one.language: one.value for one in found[GREEN].designations if one.use_code == SYNONYM}
    assert dialects == {"en-US": "Green tea of a gray color", "en-GB": "Green tea of a grey colour"}


def test_a_national_edition_is_named_by_its_module(tmp_path: Path) -> None:
    folder = releases.snomed(tmp_path)
    file = folder / "Snapshot/Terminology/sct2_Concept_Snapshot_INT_20300131.txt"
    lines = file.read_text().replace(releases.CORE, "999999991000001104")
    file.with_name("sct2_Concept_Snapshot_XX1000001_20300131.txt").write_text(lines)
    file.unlink()
    version = open_release(folder, Options()).resource["version"]
    assert version == "http://snomed.info/sct/999999991000001104/version/20300131"


# ---- CodeSystem ------------------------------------------------------------------------------------------

SYSTEM: Json = {
    "resourceType": "CodeSystem",
    "text": {"status": "generated", "div": '<div>[{"not a concept"}]</div>'},
    "url": "http://example.org/teas",
    "version": "1",
    "status": "active",
    "content": "complete",
    "property": [{"code": "above", "uri": "http://hl7.org/fhir/concept-properties#parent", "type": "code"}],
    "concept": [
        {
            "concept": [{"code": "green", "display": 'Grün "}] \\ é', "concept": [{"code": "mint"}]}],
            "code": "tea",
            "designation": [{"language": "de", "value": "Tee", "use": {"system": "http://x", "code": "y"}}],
        },
        {"code": "old", "property": [{"code": "inactive", "valueBoolean": True}, {"code": "cups", "valueInteger": 3}]},
        {"code": "chai", "property": [{"code": "above", "valueCode": "tea"}, {"code": "child", "valueCode": "old"}]},
        {"code": "group", "definition": "d", "property": [{"code": "notSelectable", "valueBoolean": True}]},
    ],
}


@pytest.mark.parametrize("pieces", [3, 64, 1_000_000])
def test_a_code_system(tmp_path: Path, pieces: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scanner, "_PIECE", pieces)
    path = tmp_path / "teas.json"
    path.write_text(json.dumps(SYSTEM, indent=1, ensure_ascii=False))
    release = open_release(path, Options())
    assert release.resource.keys() == SYSTEM.keys() - {"concept", "text"}
    found = concepts(release)
    assert [row.code for row in sorted(found.values(), key=lambda row: row.order or 0)] == [
        *("tea", "green", "mint", "old", "chai", "group")
    ]
    assert {code: list(row.parents) for code, row in found.items() if row.parents} == {
        "green": ["tea"],
        "mint": ["green"],
        "chai": ["tea"],
        "old": ["chai"],
    }
    assert found["green"].display == 'Grün "}] \\ é'
    assert list(found["tea"].designations) == [Designation("Tee", "de", "http://x", "y")]
    assert (found["old"].inactive, values(found["old"], "cups")) == (True, ["3"])
    assert (found["group"].abstract, found["group"].definition) == (True, "d")


def test_compressed_and_in_lines(tmp_path: Path) -> None:
    header = {name: value for name, value in SYSTEM.items() if name != "concept"}
    lines = [json.dumps(one) for one in (header, *SYSTEM["concept"])]
    (tmp_path / "teas.ndjson.gz").write_bytes(gzip.compress("\n".join(lines).encode()))
    (tmp_path / "teas.json.gz").write_bytes(gzip.compress(json.dumps(SYSTEM).encode()))
    assert opened(tmp_path / "teas.ndjson.gz") == opened(tmp_path / "teas.json.gz")


@given(
    st.recursive(st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(), st.lists),
    st.data(),
)
def test_any_json_passes_through_the_scanner(value: Any, data: st.DataObject) -> None:
    text = json.dumps({"a": value, "b": [1, value], "c": value}, indent=data.draw(st.sampled_from([None, 2]))).encode()
    read = scanner.Scanner(_Slow(text, data.draw(st.integers(1, 9))))
    found: Json = {}
    for name in read.members():
        if name == b'"b"':
            found["b"] = [json.loads(read.value()) for _ in read.elements()]
        elif name == b'"c"':
            read.skip()
        else:
            found["a"] = json.loads(read.value())
    assert found == {"a": value, "b": [1, value]}
    assert read.peek() == b""


class _Slow:
    """A stream that gives a few bytes at a time."""

    def __init__(self, text: bytes, few: int) -> None:
        self._text, self._few = text, few

    def read(self, _: int = -1) -> bytes:
        piece, self._text = self._text[: self._few], self._text[self._few :]
        return piece


# ---- refusals --------------------------------------------------------------------------------------------


def refused(path: Path, **options: Any) -> str:
    with pytest.raises(BadRelease) as wrong:
        opened(path, **options)
    return str(wrong.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            '{"resourceType":"CodeSystem",\n"url":"u",\n"concept":[{"code":"a"},\n{"display":"b"}]}',
            "line 4: a concept has no",
        ),
        ('{"resourceType":"CodeSystem",\n"url":"u",\n"concept":[{"code":3}]}', "line 3: not valid as a concept"),
        ('{"resourceType":"CodeSystem",\n"url":"u",\n"concept":[{"code":"a"}\n', "line 4: the file ends"),
        ('{"resourceType":"CodeSystem","url":"u","concept":[{"code":"a"}}', "line 1: there is neither a comma nor ]"),
        ('{"resourceType":"CodeSystem","url":"u","concept":[{"code":"a"}]} {}', "after the end of the resource"),
        ('{"resourceType":"CodeSystem","url":"u","concept":[{"code":"a\xff"}]}', "line 1: not valid as a"),
        ('{"resourceType":"CodeSystem","concept":[{"code":"a"}]}', "has no url"),
        ('{"resourceType":"CodeSystem","url":"u","content":"not-present"}', "no concepts to load"),
        ('{"resourceType":"CodeSystem","url":"u","content":"supplement","concept":[{"code":"a"}]}', "'supplement'"),
        ('{"resourceType":"Patient","id":"a"}', "holds no CodeSystem"),
        ("[]", "line 1: there is no {"),
        ("", "line 1: the file ends"),
        ('{"resourceType":"CodeSystem","url":"u","concept":' + '[{"code":"a","concept":' * 101, "more than 100 deep"),
    ],
)
def test_bad_json(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "x.json").write_bytes(text.encode("latin-1"))
    assert said in refused(tmp_path / "x.json")


def test_two_resources_in_one_file(tmp_path: Path) -> None:
    line = '{"resourceType":"CodeSystem","url":"u","concept":[{"code":"a"}]}\n'
    (tmp_path / "x.ndjson").write_text(line + line)
    assert "line 2: a second resource" in refused(tmp_path / "x.ndjson")


def test_bad_tables(tmp_path: Path) -> None:
    table = releases.loinc(tmp_path) / "LoincTable/Loinc.csv"
    good = table.read_text()
    folder = tmp_path / "Loinc_9.1"
    table.write_text(good + '"only one"\n')
    assert "Loinc.csv, line 6: 1 columns where the header has 18" in refused(folder)
    table.write_text(good.replace("LONG_COMMON_NAME", "NAME"))
    assert "line 1: there is no column LONG_COMMON_NAME" in refused(folder)
    table.write_text(good + '"unfinished\n')
    assert "Loinc.csv, line 6" in refused(folder)
    table.write_bytes(good.encode() + b"\xff\xfe\n")
    assert "line 6: not UTF-8" in refused(folder)


def test_bad_rf2(tmp_path: Path) -> None:
    folder = releases.snomed(tmp_path)
    file = folder / "Snapshot/Terminology/sct2_Relationship_Snapshot_INT_20300131.txt"
    good = file.read_text()
    file.write_text(good + "1\t2\n")
    assert "sct2_Relationship_Snapshot_INT_20300131.txt, line 9: 2 columns" in refused(folder)
    file.write_text(good.replace(f"\t1\t{releases.CORE}", f"\tyes\t{releases.CORE}", 1))
    assert "line 2: active is neither 0 nor 1" in refused(folder)
    file.unlink()
    assert "has no sct2_Relationship file" in refused(folder)


def test_what_is_no_release(tmp_path: Path) -> None:
    (tmp_path / "x.txt").write_text("hello")
    assert "is no release" in refused(tmp_path / "x.txt")
    assert "is no release" in refused(tmp_path)
    with pytest.raises(FileNotFoundError):
        open_release(tmp_path / "nothing", Options())


def test_a_zip_that_unpacks_to_too_much(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "_FREE", 1000)
    with zipfile.ZipFile(tmp_path / "Loinc_9.1.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("Loinc.csv", b"a" * 1_000_000)
    assert "more than 200 times its size" in refused(tmp_path / "Loinc_9.1.zip")
    (tmp_path / "x.json.gz").write_bytes(gzip.compress(b'{"a":"' + b"a" * 1_000_000))
    assert "more than 200 times its size" in refused(tmp_path / "x.json.gz")


def test_a_damaged_zip(tmp_path: Path) -> None:
    path = releases.zipped(releases.loinc(tmp_path, more=50))
    content = bytearray(path.read_bytes())
    start = content.index(b"Loinc.csv") + 60
    content[start : start + 40] = bytes(40)
    path.write_bytes(content)
    assert "damaged" in refused(path)


def test_names_in_a_zip_are_no_paths(tmp_path: Path) -> None:
    inside = tmp_path / "in"
    folder = releases.loinc(inside)
    with zipfile.ZipFile(tmp_path / "Loinc_9.1.zip", "w") as archive:
        for file in sorted(folder.rglob("*.csv")):
            archive.write(file, f"../../../{file.name}")
    before = sorted(tmp_path.rglob("*"))
    assert "1-1" in opened(tmp_path / "Loinc_9.1.zip")
    assert sorted(tmp_path.rglob("*")) == before, "nothing is unpacked"


def test_links_in_a_folder_are_not_followed(tmp_path: Path) -> None:
    folder = releases.loinc(tmp_path / "real")
    linked = tmp_path / "Loinc_9.1"
    linked.mkdir()
    os.symlink(folder / "LoincTable/Loinc.csv", linked / "Loinc.csv")
    os.symlink(folder, linked / "more")
    assert "is no release" in refused(linked)


def test_a_changed_release_is_another(tmp_path: Path) -> None:
    folder = releases.loinc(tmp_path)
    first = open_release(releases.zipped(folder), Options()).fingerprint
    assert first == open_release(releases.zipped(folder), Options()).fingerprint
    assert first != open_release(releases.zipped(folder), Options(languages=("de",))).fingerprint
    table = folder / "LoincTable/Loinc.csv"
    table.write_text(table.read_text().replace("Tannin, tea", "Tannin; tea"))
    assert first != open_release(releases.zipped(folder), Options()).fingerprint


def test_a_long_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "MAX_LINE", 100)
    assert "line 1: longer than 100 bytes" in refused(releases.loinc(tmp_path))


def test_a_large_value(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scanner, "MAX_VALUE", 1000)
    (tmp_path / "x.json").write_text(json.dumps({**SYSTEM, "description": "d" * 600_000}))
    assert "a value is longer than 1000 bytes" in refused(tmp_path / "x.json")
    (tmp_path / "x.json").write_text(json.dumps({**SYSTEM, "text": {"status": "generated", "div": "d" * 900}}))
    assert "tea" in opened(tmp_path / "x.json")
    assert codesystem.MAX_DEPTH == 100


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    listed = ({"code": f"c{n}", "display": f"Concept {n}", "definition": "d" * 200} for n in range(20_000))
    with open(tmp_path / "x.json", "w") as file:
        file.write('{"resourceType":"CodeSystem","url":"http://example.org/x","concept":[{"code":"root","concept":[')
        file.write(",".join(map(json.dumps, listed)) + "]}]}")
    tracemalloc.start()
    try:
        release = open_release(tmp_path / "x.json", Options())
        assert sum(1 for part in release.parts for _ in part.rows()) == 20_001
        assert tracemalloc.get_traced_memory()[1] < 4_000_000 < file_size(tmp_path / "x.json")
    finally:
        tracemalloc.stop()


def file_size(path: Path) -> int:
    return path.stat().st_size
