"""A CodeSystem resource of any size as JSON, or as NDJSON: first the resource, then a concept on each line.

https://hl7.org/fhir/R4/codesystem.html
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

import msgspec

from fhir_server.storage.concepts import ConceptRow, Designation
from fhir_server.terminology.loaders.files import BadRelease, File, Files
from fhir_server.terminology.loaders.release import Options, Part, Release, Rows
from fhir_server.terminology.loaders.scanner import Malformed, Scanner
from fhir_server.terminology.resources import ConceptProperty

Json = dict[str, Any]
Decoded = TypeVar("Decoded")

MAX_DEPTH = 100
_SUFFIXES = (".json", ".ndjson", ".jsonl")
_LOADABLE = ("complete", "fragment", "example")
_PROPERTIES = "http://hl7.org/fhir/concept-properties#"
_RETIRED = ("retired", "inactive")  # "deprecated" discourages the use of a code and does not end it


class _Use(msgspec.Struct):
    system: str = ""
    code: str = ""


class _Designation(msgspec.Struct):
    value: str = ""
    language: str = ""
    use: _Use | None = None


class _Concept(msgspec.Struct):
    code: str = ""
    display: str = ""
    definition: str = ""
    designation: list[_Designation] = []
    property: list[ConceptProperty] = []


def is_one(files: Files) -> bool:
    """Whether this is a file that may hold a CodeSystem."""
    return files.alone and _kind(files.all[0]).endswith(_SUFFIXES)


def open(files: Files, options: Options) -> Release:
    """The code system; raises BadRelease, with the line, for anything that cannot be loaded from its first byte on."""
    (file,) = files.all
    reading = _Reading(file)
    for _ in reading.rows():
        pass  # all of it is checked before any of it is stored
    resource = reading.header
    if resource.get("resourceType") != "CodeSystem":
        raise BadRelease(f"{file.name} holds no CodeSystem.")
    if not isinstance(resource.get("url"), str) or not resource["url"]:
        raise BadRelease(f"{file.name}: the CodeSystem has no url.")
    if options.version:
        resource["version"] = options.version
    content = resource.setdefault("content", "complete")
    if content not in _LOADABLE or not reading.count:
        raise BadRelease(f"{file.name}: the CodeSystem has no concepts to load (its content is {str(content)[:32]!r}).")
    roles = {one["code"]: one.get("uri", "").removeprefix(_PROPERTIES) for one in resource.get("property", [])}
    return Release(resource, (Part(file, partial(_rows, file, roles)),))


def _rows(file: File, roles: dict[str, str]) -> Rows:
    return _Reading(file, roles).rows()


def _kind(file: File) -> str:
    return file.base.lower().removesuffix(".gz")


@dataclass(slots=True)
class _Reading:
    """One pass through the file: `header` is the resource without its concepts once it is over."""

    file: File
    roles: dict[str, str] = field(default_factory=dict)  # of its properties, by their code
    header: Json = field(default_factory=dict)
    count: int = 0

    def rows(self) -> Rows:
        """What the file says, numbered: a concept follows those that stand in it."""
        with self.file.open() as stream:
            scanner = Scanner(stream)
            try:
                yield from enumerate(self._document(scanner), 1)
            except Malformed as wrong:
                raise BadRelease(f"{self.file.name}, line {scanner.line}: {wrong}.") from None

    def _document(self, scanner: Scanner) -> Iterator[ConceptRow]:
        header: list[bytes] = []
        line = scanner.line
        for name in scanner.members():
            if name == b'"concept"':
                yield from self._concepts(scanner, "", 1)
            elif name in (b'"text"', b'"contained"'):
                scanner.skip()
            else:
                header.append(name + b":" + scanner.value())
        self.header = self._decode(header, line, Json)
        in_lines = not _kind(self.file).endswith(".json")
        while scanner.peek():
            if not in_lines:
                raise Malformed("there is something after the end of the resource")
            yield from self._concept(scanner, "", 1)

    def _concepts(self, scanner: Scanner, parent: str, depth: int) -> Generator[ConceptRow, None, list[str]]:
        """The concepts of a list and all below them; returns the codes of the list."""
        if depth > MAX_DEPTH:
            raise Malformed(f"concepts stand in one another more than {MAX_DEPTH} deep")
        codes: list[str] = []
        for _ in scanner.elements():
            codes.append((yield from self._concept(scanner, parent, depth)))
        return codes

    def _concept(self, scanner: Scanner, parent: str, depth: int) -> Generator[ConceptRow, None, str]:
        """One concept and all below it; returns its code."""
        self.count += 1
        order, members, code, waiting = self.count, [], "", list[str]()
        scanner.peek()
        line = scanner.line
        for name in scanner.members():
            if name == b'"concept"':
                below = yield from self._concepts(scanner, code, depth + 1)
                if not code:  # it comes after them
                    waiting += below
                continue
            value = scanner.value()
            members.append(name + b":" + value)
            if name == b'"resourceType"':
                raise BadRelease(f"{self.file.name}, line {line}: a second resource; a file holds one CodeSystem.")
            if name == b'"code"':
                code = self._decode([b'"code":' + value], line, _Concept).code
        concept = self._decode(members, line, _Concept)
        if not concept.code:
            raise BadRelease(f"{self.file.name}, line {line}: a concept has no code.")
        yield from self._told(concept, order, parent)
        for child in waiting:
            yield ConceptRow(child, parents=[concept.code])
        return concept.code

    def _told(self, concept: _Concept, order: int, parent: str) -> Iterator[ConceptRow]:
        row = ConceptRow(concept.code, concept.display, concept.definition, order)
        row.designations = [
            Designation(one.value, one.language, *((one.use.system, one.use.code) if one.use else ()))
            for one in concept.designation
            if one.value
        ]
        parents, properties = [parent] if parent else [], []
        for one in concept.property:
            text = one.text()
            match self._role(one.code):
                case "parent" | "subsumedBy":
                    parents.append(text)
                    continue
                case "child":
                    yield ConceptRow(text, parents=[concept.code])
                    continue
                case "inactive":
                    row.inactive = text == "true"
                case "status":
                    row.inactive = row.inactive or text in _RETIRED
                case "notSelectable" | "abstract":
                    row.abstract = text == "true"
            properties.append((one.code, text))
        row.parents, row.properties = parents, properties
        yield row

    def _role(self, code: str) -> str:
        return self.roles.get(code) or code

    def _decode(self, members: list[bytes], line: int, kind: type[Decoded]) -> Decoded:
        try:
            return msgspec.json.decode(b"{" + b",".join(members) + b"}", type=kind)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise BadRelease(f"{self.file.name}, line {line}: not valid as a {_NAMES[kind]}.") from None


_NAMES: dict[object, str] = {Json: "CodeSystem", _Concept: "concept of a CodeSystem"}
