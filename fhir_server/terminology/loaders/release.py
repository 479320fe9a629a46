"""A release as it is stored: the CodeSystem without its concepts, and files that each say something of concepts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from fhir_server.storage.concepts import ConceptRow
from fhir_server.terminology.loaders.files import File

Json = dict[str, Any]
Rows = Iterator[tuple[int, ConceptRow]]  # with the line each comes from


@dataclass(frozen=True, slots=True)
class Options:
    """What the person who loads a release may say about it; empty: as the release has it.

    `language` (BCP 47) chooses the displays of SNOMED CT; `languages` the translations of LOINC that are loaded.
    """

    version: str = ""
    language: str = ""
    languages: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Part:
    """One file of a release; `rows` reads it from its beginning, and says the same each time."""

    file: File
    rows: Callable[[], Rows]


@dataclass(frozen=True, slots=True)
class Release:
    """`resource` is the CodeSystem without concepts, with its url and, if it has one, version."""

    resource: Json
    parts: tuple[Part, ...]
    fingerprint: str = ""  # what tells this release from another

    @property
    def size(self) -> int:
        """Bytes to read, for a progress bar."""
        return sum(part.file.size for part in self.parts)
