"""A LOINC release (Loinc_2.xx as zip or folder, any of its layouts) → concepts.

The codes are the terms, the parts (LP), the answer lists (LL) and their answers (LA).
https://hl7.org/fhir/R4/loinc.html · https://terminology.hl7.org/LOINC.html
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from fhir_server.storage.concepts import ConceptRow, Designation
from fhir_server.terminology.loaders.files import BadRelease, File, Files
from fhir_server.terminology.loaders.release import Options, Part, Release, Rows
from fhir_server.terminology.loaders.table import comma_separated

Json = dict[str, Any]

SYSTEM = "http://loinc.org"
AXES = ("COMPONENT", "PROPERTY", "TIME_ASPCT", "SYSTEM", "SCALE_TYP", "METHOD_TYP")
# Columns of Loinc.csv that are properties under their own names.
PROPERTIES = (
    *AXES,
    *("CLASS", "STATUS", "CLASSTYPE", "ORDER_OBS", "VersionLastChanged", "VersionFirstReleased", "PanelType"),
    *("HL7_ATTACHMENT_STRUCTURE", "ValidHL7AttachmentRequest", "EXAMPLE_UNITS", "EXAMPLE_UCUM_UNITS"),
    *("UNITSREQUIRED", "AskAtOrderEntry", "AssociatedObservations", "CONSUMER_NAME"),
)
# Between terms, answer lists (LL) and answers (LA). The answers of a list keep their order.
_LINKS = ("answer-list", "answers-for", "answer", "LIST")
_NAMES = ("SHORTNAME", "CONSUMER_NAME", "DisplayName")
_TRANSLATED = ("LONG_COMMON_NAME", "SHORTNAME", "LinguisticVariantDisplayName")
_FULL_NAME = "FullySpecifiedName"
_TABLE = r"loinc\.csv"
_VARIANT = r"(?:LOINC_[\d.]+_)?([a-z]{2,3})_?([A-Z]{2})_?\d+_?LinguisticVariant\.csv"
_VERSION = re.compile(r"loinc[ _-]?v?(\d+\.\d+)", re.IGNORECASE)
_AXIS = re.compile(r"http://loinc\.org/property/(\w+)")
_BLOCK = 1_000_000_000  # order numbers for each file


def is_one(files: Files) -> bool:
    """Whether this is a LOINC release."""
    return not files.alone and bool(files.find(_TABLE))


def open(files: Files, options: Options) -> Release:
    """The release; raises BadRelease when what makes it LOINC is not there."""
    table = files.first(_TABLE, "LoincTable")
    assert table is not None
    version = options.version or _version(files)
    terms = frozenset(code for _, (code,) in comma_separated(table, ["LOINC_NUM"]))
    parts = [Part(table, partial(_terms, table))]
    found: list[tuple[File | None, Callable[[File], Rows]]] = [
        (
            files.first(r"(componenthierarchybysystem|(.*_)?multi-?axial_?hierarchy)\.csv", "Hierarchy"),
            partial(_hierarchy, terms),
        ),
        (files.first(r"part\.csv", "PartFile"), _parts),
        (files.first(r"loincpartlink(_primary)?\.csv", "PartFile"), partial(_part_links, terms)),
        (files.first(r"answerlist\.csv", "AnswerFile"), _answers),
        (files.first(r"loincanswerlistlink\.csv", "AnswerFile"), partial(_answer_links, terms)),
        (files.first(r"consumername\.csv", "ConsumerName"), partial(_consumer_names, terms)),
    ]
    parts += [Part(file, partial(rows, file)) for file, rows in found if file is not None]
    parts += [Part(file, partial(_variant, terms, language, file)) for file, language in _variants(files, options)]
    return Release(_resource(version), tuple(parts))


def _version(files: Files) -> str:
    """From the name of the release, or of what is in it."""
    names = [files.path.resolve().name, *(one.name for one in files.all)]
    found = next((match[1] for match in map(_VERSION.search, names) if match), "")
    if not found:
        raise BadRelease(f"The LOINC version is not to be seen from the names in {files.path}; say it with --version.")
    return found


def _resource(version: str) -> Json:
    return {
        "resourceType": "CodeSystem",
        "url": SYSTEM,
        "identifier": [{"system": "urn:ietf:rfc:3986", "value": "urn:oid:2.16.840.1.113883.6.1"}],
        "version": version,
        "name": "LOINC",
        "title": f"LOINC {version}",
        "status": "active",
        "experimental": False,
        "publisher": "Regenstrief Institute, Inc.",
        "copyright": "LOINC is copyright Regenstrief Institute, Inc. and the LOINC Committee; its license, which this "
        "notice does not replace, is at http://loinc.org/license.",
        "caseSensitive": False,
        "valueSet": f"{SYSTEM}/vs",
        "hierarchyMeaning": "is-a",
        "compositional": False,
        "versionNeeded": False,
        "content": "complete",
        "property": [
            *({"code": name, "uri": f"{SYSTEM}/property/{name}", "type": "string"} for name in PROPERTIES),
            *({"code": name, "uri": f"{SYSTEM}/property/{name}", "type": "code"} for name in _LINKS),
        ],
    }


# ---- what each file says ---------------------------------------------------------------------------------


def _terms(file: File) -> Rows:
    needed = ("LOINC_NUM", "LONG_COMMON_NAME", "STATUS")
    more = ("DefinitionDescription", *_NAMES, *PROPERTIES)
    for line, (code, display, status, definition, *rest) in comma_separated(file, needed, more):
        names = zip(_NAMES, rest[: len(_NAMES)], strict=True)
        values = zip(PROPERTIES, rest[len(_NAMES) :], strict=True)
        yield (
            line,
            ConceptRow(
                _code(code, file, line),
                display,
                definition,
                order=line,
                designations=[_named(name, text, "en") for name, text in names if text],
                properties=[(name, text) for name, text in values if text],
                inactive=status == "DEPRECATED",  # "DISCOURAGED" is not: terminology.hl7.org/LOINC.html
            ),
        )


def _parts(file: File) -> Rows:
    needed = ("PartNumber", "PartTypeName", "PartName")
    for line, (code, type_, name, shown, status) in comma_separated(file, needed, ("PartDisplayName", "Status")):
        properties = [("PartTypeName", type_), ("STATUS", status)]
        yield (
            line,
            ConceptRow(
                _code(code, file, line),
                shown or name,
                order=_BLOCK + line,
                designations=[_named("PartName", name, "en")] if shown and name != shown else (),
                properties=[one for one in properties if one[1]],
                inactive=status == "DEPRECATED",
            ),
        )


def _hierarchy(terms: frozenset[str], file: File) -> Rows:
    """Parents, also of parts that the part file, which is read next, does not tell of."""
    for line, (code, parent, text) in comma_separated(file, ("CODE", "IMMEDIATE_PARENT", "CODE_TEXT")):
        above = [parent] if parent else []
        if code in terms:
            yield line, ConceptRow(code, parents=above)
        else:
            yield line, ConceptRow(_code(code, file, line), text, order=4 * _BLOCK + line, parents=above)


def _part_links(terms: frozenset[str], file: File) -> Rows:
    """The part numbers of the six axes: a filter may name a part by its number or, as in the table, by its name."""
    needed = ("LoincNumber", "PartNumber")
    for line, (code, part, axis, type_) in comma_separated(file, needed, ("Property", "PartTypeName")):
        match = _AXIS.fullmatch(axis)
        name = match[1] if match else _AXIS_OF_TYPE.get(type_, type_)
        if code in terms and name in AXES:
            yield line, ConceptRow(code, properties=[(name, part)])


_AXIS_OF_TYPE = {"TIME": "TIME_ASPCT", "SCALE": "SCALE_TYP", "METHOD": "METHOD_TYP"}


def _answers(file: File) -> Rows:
    """Each line is one answer of one list; lists that are defined elsewhere have none."""
    needed = ("AnswerListId", "AnswerListName", "AnswerStringId", "DisplayText")
    for line, (list_, name, answer, text, oid) in comma_separated(file, needed, ("AnswerListOID",)):
        properties = [("AnswerListOID", oid)] if oid else []
        if answer:
            properties.append(("answer", answer))
            yield line, ConceptRow(answer, text, order=3 * _BLOCK + line, properties=[("LIST", list_)])
        yield line, ConceptRow(_code(list_, file, line), name, order=2 * _BLOCK + line, properties=properties)


def _answer_links(terms: frozenset[str], file: File) -> Rows:
    needed = ("LoincNumber", "AnswerListId")
    for line, (code, list_) in comma_separated(file, needed):
        if code in terms:
            yield line, ConceptRow(code, properties=[("answer-list", list_)])
            yield line, ConceptRow(list_, properties=[("answers-for", code)])


def _consumer_names(terms: frozenset[str], file: File) -> Rows:
    for line, (code, name) in comma_separated(file, ("LoincNumber", "ConsumerName")):
        if code in terms and name:
            yield line, ConceptRow(code, designations=[_named("CONSUMER_NAME", name, "en")])


def _variants(files: Files, options: Options) -> Iterator[tuple[File, str]]:
    """The files of the languages that are asked for (all, unless some are), with their language."""
    for file in files.find(_VARIANT):
        match = re.fullmatch(_VARIANT, file.base, re.IGNORECASE)
        assert match is not None
        language = f"{match[1].lower()}-{match[2].upper()}"
        if not options.languages or language in options.languages or match[1].lower() in options.languages:
            yield file, language


def _variant(terms: frozenset[str], language: str, file: File) -> Rows:
    for line, (code, *texts) in comma_separated(file, ("LOINC_NUM",), (*_TRANSLATED, *AXES)):
        names = list(zip(_TRANSLATED, texts, strict=False))
        axes = texts[len(_TRANSLATED) :]
        if axes[0]:
            names.append((_FULL_NAME, ":".join(axes).rstrip(":")))
        designations = [_named(name, text, language) for name, text in names if text]
        if code in terms and designations:
            yield line, ConceptRow(code, designations=designations)


def _named(use: str, text: str, language: str) -> Designation:
    return Designation(text, language, SYSTEM, use)


def _code(code: str, file: File, line: int) -> str:
    if not code or code != code.strip():
        raise BadRelease(f"{file.name}, line {line}: there is no code.")
    return code
