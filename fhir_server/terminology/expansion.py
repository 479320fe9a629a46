"""`$expand`: what is asked of an expansion, and what it answers.

https://hl7.org/fhir/R4/valueset-operation-expand.html · https://hl7.org/fhir/R4/valueset.html#expansion
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from fhir_server.storage.concepts import Designation

Json = dict[str, Any]

TOO_COSTLY = "http://hl7.org/fhir/StructureDefinition/valueset-toocostly"
_LANGUAGES = "urn:ietf:bcp:47"
UNCLOSED = "http://hl7.org/fhir/StructureDefinition/valueset-unclosed"


@dataclass(frozen=True, slots=True)
class ExpandRequest:
    """The parameters of `$expand`, by the same names.

    `count` None asks for everything (up to MAX_CODES). The three `…_version` are canonicals "system|version";
    `exclude_nested` changes nothing: our expansions are flat.
    """

    filter: str = ""
    offset: int = 0
    count: int | None = None
    active_only: bool | None = None
    include_designations: bool = False
    designation: tuple[str, ...] = ()  # tokens "system|code" of uses or languages ("urn:ietf:bcp:47|nl")
    include_definition: bool = False
    display_language: str = ""
    exclude_nested: bool | None = None
    exclude_not_for_ui: bool | None = None
    exclude_post_coordinated: bool | None = None
    exclude_system: tuple[str, ...] = ()
    system_version: tuple[str, ...] = ()
    check_system_version: tuple[str, ...] = ()
    force_system_version: tuple[str, ...] = ()
    date: str = ""
    value_set_version: str = ""
    limited: bool = False  # limitedExpansion: a part instead of too-costly


@dataclass(frozen=True, slots=True)
class Member:
    """One code of a value set; `abstract` ones are in it for grouping and searching, not to be chosen."""

    system: str
    code: str
    display: str = ""
    abstract: bool = False
    inactive: bool = False
    designations: tuple[Designation, ...] = ()

    def to_fhir(self, designations: Iterable[Designation] = ()) -> Json:
        """As ValueSet.expansion.contains."""
        made: Json = {"system": self.system} if self.system else {}
        if self.abstract:
            made["abstract"] = True
        if self.inactive:
            made["inactive"] = True
        made["code"] = self.code
        if self.display:
            made["display"] = self.display
        if listed := [designation_to_fhir(one) for one in designations]:
            made["designation"] = listed
        return made


Members = dict[tuple[str, str], Member]


@dataclass(slots=True)
class Expansion:
    """The codes of a value set by (system, code), in order of its definition: all, or the page that was asked for.

    `partial` are the code systems that were asked for as a whole (or by filter) and are here only in part, `used` the
    canonicals "url|version" of the code systems whose content was used; `limited` says that codes are missing.
    """

    members: Members = field(default_factory=dict)
    partial: dict[str, None] = field(default_factory=dict)
    used: dict[str, None] = field(default_factory=dict)
    total: int = 0
    limited: bool = False
    request: ExpandRequest = field(default_factory=ExpandRequest)
    resource: Json = field(default_factory=dict)  # the value set

    def to_fhir(self, *, identifier: str, timestamp: str) -> Json:
        """The ValueSet with this expansion, its definition left out unless `includeDefinition` asked for it."""
        left_out = {"expansion", "text"} | (set() if self.request.include_definition else {"compose"})
        resource = {name: value for name, value in self.resource.items() if name not in left_out}
        expansion: Json = {"identifier": identifier, "timestamp": timestamp}
        if marks := self._marks():
            expansion["extension"] = marks
        expansion["total"] = self.total
        if self.request.offset or self.request.count is not None:
            expansion["offset"] = self.request.offset
        if parameters := self.parameters():
            expansion["parameter"] = parameters
        if self.members:
            expansion["contains"] = [self._contained(one) for one in self.members.values()]
        return {**resource, "expansion": expansion}

    def _marks(self) -> list[Json]:
        urls = ([TOO_COSTLY] if self.limited else []) + ([UNCLOSED] if self.partial else [])
        return [{"url": url, "valueBoolean": True} for url in urls]

    def parameters(self) -> list[Json]:
        """ValueSet.expansion.parameter: what was asked for, and which code systems were used."""
        asked = self.request
        named: list[tuple[str, str, Any]] = [
            ("filter", "valueString", asked.filter or None),
            ("offset", "valueInteger", asked.offset or None),
            ("count", "valueInteger", asked.count),
            ("date", "valueDateTime", asked.date or None),
            ("activeOnly", "valueBoolean", asked.active_only),
            ("includeDesignations", "valueBoolean", asked.include_designations or None),
            ("includeDefinition", "valueBoolean", asked.include_definition or None),
            ("displayLanguage", "valueCode", asked.display_language or None),
            ("excludeNested", "valueBoolean", None if asked.exclude_nested is None else True),
            ("excludeNotForUI", "valueBoolean", asked.exclude_not_for_ui),
            ("excludePostCoordinated", "valueBoolean", asked.exclude_post_coordinated),
            ("limitedExpansion", "valueBoolean", asked.limited or None),
            *(("designation", "valueString", one) for one in asked.designation),
            *(("exclude-system", "valueUri", one) for one in asked.exclude_system),
            *(("system-version", "valueUri", one) for one in asked.system_version),
            *(("check-system-version", "valueUri", one) for one in asked.check_system_version),
            *(("force-system-version", "valueUri", one) for one in asked.force_system_version),
            *(("used-codesystem", "valueUri", one) for one in self.used),
        ]
        return [{"name": name, kind: value} for name, kind, value in named if value is not None]

    def _contained(self, member: Member) -> Json:
        asked = self.request
        display = in_language(member.display, member.designations, asked.display_language)
        shown: Iterable[Designation] = ()
        if asked.designation:
            shown = [one for one in member.designations if any(is_meant(one, token) for token in asked.designation)]
        elif asked.include_designations:
            shown = member.designations
        return replace(member, display=display).to_fhir(shown)


def in_language(display: str, designations: Iterable[Designation], language: str) -> str:
    """The display in this language ("nl-BE", else "nl"), or as it is."""
    wanted = language.partition(",")[0].partition(";")[0].strip().casefold()
    if wanted:
        listed = [(one.language.casefold(), one.value) for one in designations if one.language]
        for fits in (wanted, wanted.partition("-")[0]):
            for name, value in listed:
                if name == fits or name.startswith(f"{fits}-"):
                    return value
    return display


def is_meant(one: Designation, token: str) -> bool:
    """Whether a token of the parameter `designation` means this one: by its language or its use."""
    system, separator, code = token.rpartition("|")
    if not separator:
        return code in ("*", one.language, one.use_code)
    return one.language == code if system == _LANGUAGES else (one.use_system, one.use_code) == (system, code)


def designation_to_fhir(one: Designation) -> Json:
    made: Json = {"language": one.language} if one.language else {}
    if one.use_code:
        made["use"] = {"system": one.use_system, "code": one.use_code} if one.use_system else {"code": one.use_code}
    return {**made, "value": one.value}
