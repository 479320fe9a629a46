"""A SNOMED CT release in RF2 (its Snapshot, in a zip or folder) → concepts.

Rows of descriptions and relationships refer to concepts by id; what must be known of all of them at once is kept in
arrays of numbers, some 20 bytes a concept. https://hl7.org/fhir/R4/snomedct.html
"""

from __future__ import annotations

import re
from array import array
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

from fhir_server.storage.concepts import ConceptRow, Designation
from fhir_server.terminology.loaders.files import BadRelease, File, Files
from fhir_server.terminology.loaders.release import Options, Part, Release, Rows
from fhir_server.terminology.loaders.table import tab_separated

Json = dict[str, Any]

SYSTEM = "http://snomed.info/sct"
IS_A = "116680003"
FULLY_SPECIFIED_NAME = "900000000000003001"
SYNONYM = "900000000000013009"
TEXT_DEFINITION = "900000000000550004"
PREFERRED = "900000000000548007"
SUFFICIENTLY_DEFINED = "900000000000073002"
CORE, MODEL = "900000000000207008", "900000000000012004"  # the modules of the International edition
DIALECTS = {900000000000509007: "en-US", 900000000000508004: "en-GB"}  # language reference sets; others by their text

_CONCEPTS = r"x?sct2_concept_(.*)snapshot_.*\.txt"
_DESCRIPTIONS = r"x?sct2_(description|textdefinition)_.*snapshot.*\.txt"
_RELATIONSHIPS = r"x?sct2_relationship_(.*)snapshot_.*\.txt"
_VALUES = r"x?sct2_relationshipconcretevalues_(.*)snapshot_.*\.txt"
_LANGUAGES = r"x?der2_crefset_language.*snapshot.*\.txt"
_MEMBERS = r"x?der2_refset_.*snapshot.*\.txt"
_DATE = re.compile(r"_(\d{8})(?:T\d+Z)?\.txt$", re.IGNORECASE)
_ID = re.compile(r"[1-9]\d{5,17}")
_BLOCK = 1_000_000_000  # order numbers for each file
_NO_RANK = 255


def is_one(files: Files) -> bool:
    """Whether this is an RF2 release."""
    return not files.alone and bool(files.find(_CONCEPTS))


def open(files: Files, options: Options) -> Release:
    """The release; raises BadRelease for one without descriptions or relationships."""
    concepts, descriptions = files.find(_CONCEPTS), files.find(_DESCRIPTIONS)
    relationships = files.find(_RELATIONSHIPS)
    for what, found in (("sct2_Description", descriptions), ("sct2_Relationship", relationships)):
        if not found:
            raise BadRelease(f"{files.path} has no {what} file of a snapshot.")
    names = _Names(concepts, files.find(_LANGUAGES), descriptions, options.language)
    parts = [
        *(Part(file, partial(_concepts, place, file)) for place, file in enumerate(concepts)),
        *(Part(file, partial(_descriptions, names, file)) for file in descriptions),
        *(Part(file, partial(_relationships, names, file)) for file in relationships),
        *(Part(file, partial(_values, names, file)) for file in files.find(_VALUES)),
        *(Part(file, partial(_members, names, file)) for file in files.find(_MEMBERS)),
    ]
    return Release(_resource(options.version or _version(concepts)), tuple(parts))


def _version(concepts: Sequence[File]) -> str:
    """The URI of the edition: the module with the most concepts beside the International ones, and the latest date."""
    dates = [match[1] for match in (_DATE.search(file.name) for file in concepts) if match]
    if not dates:
        raise BadRelease("The date of the release is not to be seen from the file names; say it with --version.")
    modules = Counter(module for file in concepts for _, (module,) in tab_separated(file, ["moduleId"]))
    own = [(count, module) for module, count in modules.items() if module not in (CORE, MODEL)]
    national = own and not all("_INT_" in file.base.upper() for file in concepts)
    return f"{SYSTEM}/{max(own)[1] if national else CORE}/version/{max(dates)}"


def _resource(version: str) -> Json:
    return {
        "resourceType": "CodeSystem",
        "url": SYSTEM,
        "identifier": [{"system": "urn:ietf:rfc:3986", "value": "urn:oid:2.16.840.1.113883.6.96"}],
        "version": version,
        "name": "SNOMED_CT",
        "title": "SNOMED CT",
        "status": "active",
        "experimental": False,
        "publisher": "SNOMED International",
        "copyright": "SNOMED CT is copyright SNOMED International; its use needs a license of theirs or of a national "
        "release centre: https://www.snomed.org.",
        "caseSensitive": False,
        "valueSet": f"{SYSTEM}?fhir_vs",
        "hierarchyMeaning": "is-a",
        "compositional": False,
        "versionNeeded": False,
        "content": "complete",
        "property": [
            {"code": "inactive", "uri": "http://snomed.info/field/Concept.active", "type": "boolean"},
            {"code": "sufficientlyDefined", "type": "boolean"},
            {"code": "moduleId", "uri": "http://snomed.info/field/Concept.moduleId", "type": "code"},
        ],
    }


class _Names:
    """Which descriptions are preferred where, and which one of each concept is its display."""

    def __init__(
        self, concepts: Sequence[File], languages: Sequence[File], descriptions: Sequence[File], language: str
    ) -> None:
        self._concepts = array("q")
        for file in concepts:
            self._concepts.extend(_id(code, file, line) for line, (code,) in tab_separated(file, ["id"]))
        self._concepts = _sorted(self._concepts)
        self._preferred = _preferred(languages)
        self._refsets = sorted(
            self._preferred, key=lambda one: (list(DIALECTS).index(one) if one in DIALECTS else 9, one)
        )
        self._language = language.lower()
        self._display = array("q", bytes(8 * len(self._concepts)))
        self._rank = bytearray([_NO_RANK]) * len(self._concepts)
        for file in descriptions:
            for line, row in tab_separated(file, _DESCRIPTION):
                self._consider(file, line, *row)

    def knows(self, code: str) -> bool:
        """Whether there is such a concept."""
        return code.isdecimal() and self._place(int(code)) is not None

    def preferred_in(self, description: int) -> list[int]:
        """The language reference sets that prefer this description."""
        return [refset for refset in self._refsets if _has(self._preferred[refset], description)]

    @property
    def language(self) -> str:
        """The language of the displays, without its region."""
        return self._language.partition("-")[0] or "en"

    def is_display(self, concept: int, description: int) -> bool:
        place = self._place(concept)
        return place is not None and self._display[place] == description

    def _consider(
        self, file: File, line: int, id_: str, active: str, concept: str, language: str, type_: str, _: str
    ) -> None:
        description, place = _id(id_, file, line), self._place(_id(concept, file, line))
        if place is None or active != "1" or type_ == TEXT_DEFINITION:
            return
        rank = self._rank_of(description, language, type_)
        if rank < self._rank[place]:
            self._rank[place], self._display[place] = rank, description

    def _rank_of(self, description: int, language: str, type_: str) -> int:
        """Smaller is better: preferred synonyms, fully specified names, any other; the language before all."""
        refsets = self.preferred_in(description)
        if type_ == SYNONYM and refsets:
            rank = min(self._refsets.index(refsets[0]), 60)
        else:
            rank = 61 if type_ == FULLY_SPECIFIED_NAME else 62
        wanted, _, region = self._language.partition("-")
        if region and rank < 61 and self._language in (DIALECTS.get(one, "").lower() for one in refsets):
            return 0
        return rank + 1 + (0 if not wanted or language.lower() == wanted else 100)

    def _place(self, concept: int) -> int | None:
        place = bisect_left(self._concepts, concept)
        return place if place < len(self._concepts) and self._concepts[place] == concept else None


def _preferred(files: Sequence[File]) -> dict[int, array[int]]:
    """The ids of the preferred descriptions, sorted, by language reference set."""
    found: dict[int, array[int]] = {}
    for file in files:
        needed = ("active", "refsetId", "referencedComponentId", "acceptabilityId")
        for line, (active, refset, description, acceptability) in tab_separated(file, needed):
            if active == "1" and acceptability == PREFERRED:
                found.setdefault(_id(refset, file, line), array("q")).append(_id(description, file, line))
    return {refset: _sorted(ids) for refset, ids in found.items()}


# ---- what each file says ---------------------------------------------------------------------------------

_DESCRIPTION = ("id", "active", "conceptId", "languageCode", "typeId", "term")


def _concepts(place: int, file: File) -> Rows:
    needed = ("id", "active", "moduleId", "definitionStatusId")
    for line, (code, active, module, status) in tab_separated(file, needed):
        defined = "true" if status == SUFFICIENTLY_DEFINED else "false"
        properties = [("sufficientlyDefined", defined), ("moduleId", module)]
        order = place * _BLOCK + line
        yield line, ConceptRow(code, order=order, properties=properties, inactive=_active(active, file, line) == "0")


def _descriptions(names: _Names, file: File) -> Rows:
    for line, (id_, active, concept, language, type_, term) in tab_separated(file, _DESCRIPTION):
        if _active(active, file, line) != "1" or not names.knows(concept):
            continue
        description = int(id_)
        dialects = [DIALECTS[one] for one in names.preferred_in(description) if one in DIALECTS]
        shown = dialects[0] if len(dialects) == 1 else language  # preferred in one dialect only: that dialect's
        designation = Designation(term, shown, SYSTEM, type_)
        yield (
            line,
            ConceptRow(
                concept,
                term if names.is_display(int(concept), description) else "",
                term if type_ == TEXT_DEFINITION and language == names.language else "",
                designations=[designation],
            ),
        )


def _relationships(names: _Names, file: File) -> Rows:
    needed = ("active", "sourceId", "destinationId", "typeId")
    for line, (active, source, destination, type_) in tab_separated(file, needed):
        if _active(active, file, line) != "1" or not names.knows(source):
            continue
        if type_ == IS_A:
            yield line, ConceptRow(source, parents=[destination])
        else:
            yield line, ConceptRow(source, properties=[(type_, destination)])


def _values(names: _Names, file: File) -> Rows:
    """Numbers are written "#5", texts in quotes."""
    for line, (active, source, value, type_) in tab_separated(file, ("active", "sourceId", "value", "typeId")):
        if _active(active, file, line) == "1" and names.knows(source):
            text = value[1:] if value.startswith("#") else value.strip('"')
            yield line, ConceptRow(source, properties=[(type_, text)])


MEMBER_OF = "refset"  # the property that names the reference sets a concept is in: for ?fhir_vs=refset/ID


def _members(names: _Names, file: File) -> Rows:
    for line, (active, refset, component) in tab_separated(file, ("active", "refsetId", "referencedComponentId")):
        if _active(active, file, line) == "1" and names.knows(component):
            yield line, ConceptRow(component, properties=[(MEMBER_OF, refset)])


def _active(text: str, file: File, line: int) -> str:
    if text not in ("0", "1"):
        raise BadRelease(f"{file.name}, line {line}: active is neither 0 nor 1.")
    return text


def _id(text: str, file: File, line: int) -> int:
    if not _ID.fullmatch(text):
        raise BadRelease(f"{file.name}, line {line}: a SNOMED CT identifier has 6 to 18 digits.")
    return int(text)


def _sorted(numbers: array[int]) -> array[int]:
    in_order: Iterator[bool] = (numbers[index] <= numbers[index + 1] for index in range(len(numbers) - 1))
    return numbers if all(in_order) else array("q", sorted(numbers))


def _has(numbers: array[int], number: int) -> bool:
    place = bisect_left(numbers, number)
    return place < len(numbers) and numbers[place] == number
