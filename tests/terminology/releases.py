"""Release files of the shape of LOINC and SNOMED CT, with content that is all made up: inventions about tea."""

from __future__ import annotations

import csv
import zipfile
from collections.abc import Iterable, Sequence
from pathlib import Path

Cells = Sequence[object]

EDITION = "http://snomed.info/sct/900000000000207008/version/20300131"
CORE = "900000000000207008"
IS_A, SITE = "116680003", "363698007"
FSN, SYNONYM, DEFINITION = "900000000000003001", "900000000000013009", "900000000000550004"
PRIMITIVE, DEFINED = "900000000000074008", "900000000000073002"
US, GB = "900000000000509007", "900000000000508004"
PREFERRED, ACCEPTABLE = "900000000000548007", "900000000000549004"
ROOT, TEA, GREEN, BLACK, OLD, LEAF, FAVOURITES = (f"9{n}0000010{n}" for n in range(1, 8))


def _columns(names: str) -> list[str]:
    return names.split()


def zipped(folder: Path, name: str = "") -> Path:
    """The folder as a zip beside it."""
    path = folder.with_name((name or folder.name) + ".zip")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                archive.write(file, f"{folder.name}/{file.relative_to(folder).as_posix()}")
    return path


# ---- LOINC -----------------------------------------------------------------------------------------------

TERM_COLUMNS = _columns(
    "LOINC_NUM COMPONENT PROPERTY TIME_ASPCT SYSTEM SCALE_TYP METHOD_TYP CLASS VersionLastChanged CHNG_TYPE "
    "DefinitionDescription STATUS CONSUMER_NAME CLASSTYPE SHORTNAME ORDER_OBS LONG_COMMON_NAME DisplayName"
)
TERMS: list[Cells] = [
    ("1-1", "Tannin", "MCnc", "Pt", "Tea", "Qn", "", "TEA", "9.1", "ADD", "How much tannin\nis in a cup.", "ACTIVE"),
    ("2-2", "Tannin", "PrThr", "Pt", "Tea", "Ord", "Taste", "TEA", "9.1", "ADD", "", "DISCOURAGED"),
    ("3-3", "Colour", "Type", "Pt", "Cup", "Nom", "", "TEA", "9.1", "DEL", "", "DEPRECATED"),
]
NAMES: list[Cells] = [
    ("Tannin, tea", "1", "Tannin Tea-mCnc", "Both", "Tannin [Mass/volume] in Tea", "Tannin (Tea)"),
    ("", "1", "Tannin Tea Ql", "Both", 'Tannin [Presence] in Tea by "Taste"', ""),
    ("", "1", "Colour Cup", "Both", "Colour of Cup", ""),
]


def loinc(folder: Path, more: int = 0) -> Path:
    """Loinc_9.1 as a folder; `more` terms besides the three, each with a parent."""
    release = folder / "Loinc_9.1"
    blank = "MCnc Pt Tea Qn - LEAF 9.1 ADD - ACTIVE - 1".replace("-", "").split(" ")
    extra: list[Cells] = [
        (f"{n}-0", f"Leaf {n}", *blank, f"Leaf{n}", "Both", f"Leaf number {n} [Mass/volume] in Tea", "")
        for n in range(1000, 1000 + more)
    ]
    terms = [(*term, *names) for term, names in zip(TERMS, NAMES, strict=True)]
    _csv(release / "LoincTable/Loinc.csv", TERM_COLUMNS, [*terms, *extra])
    accessory = release / "AccessoryFiles"
    _csv(
        accessory / "PartFile/Part.csv",
        ("PartNumber", "PartTypeName", "PartName", "PartDisplayName", "Status"),
        [("LP10-1", "COMPONENT", "Tannin", "Tannin, any", "ACTIVE"), ("LP20-2", "SYSTEM", "Tea", "Tea", "DEPRECATED")],
    )
    _csv(
        accessory / "PartFile/LoincPartLink_Primary.csv",
        ("LoincNumber", "LongCommonName", "PartNumber", "PartName", "PartTypeName", "LinkTypeName", "Property"),
        [
            ("1-1", "", "LP10-1", "Tannin", "COMPONENT", "Primary", "http://loinc.org/property/COMPONENT"),
            ("2-2", "", "LP10-1", "Tannin", "COMPONENT", "Primary", "http://loinc.org/property/COMPONENT"),
            ("77-7", "", "LP10-1", "Tannin", "COMPONENT", "Primary", "http://loinc.org/property/COMPONENT"),
        ],
    )
    _csv(
        accessory / "ComponentHierarchyBySystem/ComponentHierarchyBySystem.csv",
        ("PATH_TO_ROOT", "SEQUENCE", "IMMEDIATE_PARENT", "CODE", "CODE_TEXT"),
        [
            ("", "1", "", "LP1-0", "Everything about tea"),
            ("LP1-0", "1", "LP1-0", "LP10-1", "Tannin"),
            ("LP1-0.LP10-1", "1", "LP10-1", "1-1", "Tannin Tea-mCnc"),
            ("LP1-0.LP10-1", "2", "LP10-1", "2-2", "Tannin Tea Ql"),
            *((f"LP1-0.LP10-1.{n}", "3", "LP10-1", row[0], "") for n, row in enumerate(extra)),
        ],
    )
    _csv(
        accessory / "AnswerFile/AnswerList.csv",
        (
            "AnswerListId",
            "AnswerListName",
            "AnswerListOID",
            "ExtDefinedYN",
            "AnswerStringId",
            "SequenceNumber",
            "DisplayText",
        ),
        [
            ("LL1-1", "How bitter", "1.2.3", "N", "LA9-9", "1", "Not at all"),
            ("LL1-1", "How bitter", "1.2.3", "N", "LA1-1", "2", "Very"),
            ("LL2-2", "Defined elsewhere", "", "Y", "", "", ""),
        ],
    )
    _csv(
        accessory / "AnswerFile/LoincAnswerListLink.csv",
        ("LoincNumber", "LongCommonName", "AnswerListId", "AnswerListName", "AnswerListLinkType"),
        [("2-2", "", "LL1-1", "How bitter", "NORMATIVE")],
    )
    _csv(accessory / "ConsumerName/ConsumerName.csv", ("LoincNumber", "ConsumerName"), [("2-2", "Is it bitter?")])
    for language, text in (("frFR18", "Tanin dans le thé"), ("deDE15", "Gerbstoff im Tee")):
        _csv(
            accessory / f"LinguisticVariants/{language}LinguisticVariant.csv",
            (
                "LOINC_NUM",
                "COMPONENT",
                "PROPERTY",
                "TIME_ASPCT",
                "SYSTEM",
                "SCALE_TYP",
                "METHOD_TYP",
                "LONG_COMMON_NAME",
            ),
            [("1-1", "Tanin", "MCnc", "Pt", "Thé", "Qn", "", text)],
        )
    return release


def _csv(path: Path, columns: Cells, rows: Iterable[Cells]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, quoting=csv.QUOTE_ALL)
        writer.writerow(columns)
        writer.writerows(rows)


# ---- SNOMED CT -------------------------------------------------------------------------------------------

_CONCEPT = ["id", "effectiveTime", "active", "moduleId", "definitionStatusId"]
_DESCRIPTION = _columns("id effectiveTime active moduleId conceptId languageCode typeId term caseSignificanceId")
_RELATIONSHIP = _columns(
    "id effectiveTime active moduleId sourceId destinationId relationshipGroup typeId characteristicTypeId modifierId"
)
_LANGUAGE = ["id", "effectiveTime", "active", "moduleId", "refsetId", "referencedComponentId", "acceptabilityId"]
_SIMPLE = ["id", "effectiveTime", "active", "moduleId", "refsetId", "referencedComponentId"]
_VALUES = _columns(
    "id effectiveTime active moduleId sourceId value relationshipGroup typeId characteristicTypeId modifierId"
)


def snomed(folder: Path, more: int = 0) -> Path:
    """An RF2 release of 2030-01-31 as a folder; `more` teas besides the six."""
    release = folder / "SnomedCT_Madeup_PRODUCTION_20300131T120000Z"
    terminology, content = release / "Snapshot/Terminology", release / "Snapshot/Refset/Content"
    extra = [f"{9_000_001 + n}" for n in range(more)]
    known = [(ROOT, 1), (TEA, 1), (GREEN, 1), (BLACK, 1), (OLD, 0), (LEAF, 1), (FAVOURITES, 1)]
    concepts = [(code, "20300131", on, CORE, DEFINED if code == GREEN else PRIMITIVE) for code, on in known]
    concepts += [(code, "20300131", 1, CORE, PRIMITIVE) for code in extra]
    _tsv(terminology / "sct2_Concept_Snapshot_INT_20300131.txt", _CONCEPT, sorted(concepts))
    names: list[tuple[str, str, str, str]] = [  # concept, type, term, where it is preferred
        (ROOT, FSN, "Tea world (tea)", "US GB"),
        (ROOT, SYNONYM, "Tea world", "US GB"),
        (TEA, FSN, "Tea (drink)", "US GB"),
        (TEA, SYNONYM, "Brew", ""),
        (TEA, SYNONYM, "Tea", "US GB"),
        (GREEN, FSN, "Green tea of a gray color (drink)", "US GB"),
        (GREEN, SYNONYM, "Green tea of a grey colour", "GB"),
        (GREEN, SYNONYM, "Green tea of a gray color", "US"),
        (BLACK, FSN, "Black tea (drink)", "US GB"),
        (OLD, FSN, "Tea of yesterday (drink)", "US GB"),
        (LEAF, SYNONYM, "Leaf", "US GB"),
        (FAVOURITES, SYNONYM, "Favourite teas", "US GB"),
        *((code, SYNONYM, f"Tea number {code}", "US GB") for code in extra),
    ]
    ids = [str(8_000_001_013 + 1000 * n) for n in range(len(names))]
    descriptions = [
        (id_, "20300131", 1, CORE, code, "en", type_, term, "900000000000448009")
        for id_, (code, type_, term, _) in zip(ids, names, strict=True)
    ]
    descriptions.append(("8999999019", "20300131", 0, CORE, TEA, "en", SYNONYM, "Withdrawn name", ""))
    _tsv(terminology / "sct2_Description_Snapshot-en_INT_20300131.txt", _DESCRIPTION, descriptions)
    defined = [("8999999901", "20300131", 1, CORE, TEA, "en", DEFINITION, "What is drunk at five.", "")]
    _tsv(terminology / "sct2_TextDefinition_Snapshot-en_INT_20300131.txt", _DESCRIPTION, defined)
    languages = [
        (f"{refset}-{id_}", "20300131", 1, CORE, refset, id_, PREFERRED if name in where.split() else ACCEPTABLE)
        for id_, (_, _, _, where) in zip(ids, names, strict=True)
        for name, refset in (("US", US), ("GB", GB))
    ]
    _tsv(release / "Snapshot/Refset/Language/der2_cRefset_LanguageSnapshot-en_INT_20300131.txt", _LANGUAGE, languages)
    edges = [(TEA, ROOT, IS_A, 1), (GREEN, TEA, IS_A, 1), (BLACK, TEA, IS_A, 1), (LEAF, ROOT, IS_A, 1)]
    edges += [
        (FAVOURITES, ROOT, IS_A, 1),
        (GREEN, LEAF, SITE, 1),
        (OLD, TEA, IS_A, 0),
        *((c, TEA, IS_A, 1) for c in extra),
    ]
    relationships = [
        (str(7_000_001_022 + 1000 * n), "20300131", on, CORE, source, target, 0, type_, "900000000000011006", "")
        for n, (source, target, type_, on) in enumerate(edges)
    ]
    _tsv(terminology / "sct2_Relationship_Snapshot_INT_20300131.txt", _RELATIONSHIP, relationships)
    values = [("6000001027", "20300131", 1, CORE, GREEN, "#80", 0, "1142135004", "", "")]
    _tsv(terminology / "sct2_RelationshipConcreteValues_Snapshot_INT_20300131.txt", _VALUES, values)
    members = [("m-1", "20300131", 1, CORE, FAVOURITES, GREEN), ("m-2", "20300131", 0, CORE, FAVOURITES, BLACK)]
    _tsv(content / "der2_Refset_SimpleSnapshot_INT_20300131.txt", _SIMPLE, members)
    _tsv(release / "Full/Terminology/sct2_Concept_Full_INT_20300131.txt", _CONCEPT, [])
    return release


def _tsv(path: Path, columns: Cells, rows: Iterable[Cells]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = ("\t".join(map(str, row)) + "\r\n" for row in [columns, *rows])
    path.write_text("".join(lines), encoding="utf-8", newline="")
