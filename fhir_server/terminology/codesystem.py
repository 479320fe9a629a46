"""A code system as it is worked with: its concepts by code, and the hierarchy among them.

https://hl7.org/fhir/R4/codesystem.html#hierarchy
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from fhir_server.outcomes import NotSupported
from fhir_server.storage.concepts import Designation, words
from fhir_server.terminology.resources import CodeSystemResource, ConceptDefinition

# https://hl7.org/fhir/R4/codesystem-concept-properties.html: by this URI or, as common usage has it, by these codes.
_PROPERTIES = "http://hl7.org/fhir/concept-properties#"
_PARENT = frozenset({"parent", "subsumedBy"})
_CHILD = frozenset({"child"})
_INACTIVE = frozenset({"inactive"})
_ABSTRACT = frozenset({"notSelectable", "abstract"})
_STATUS = frozenset({"status"})
_RETIRED = frozenset({"retired", "inactive"})  # "deprecated" discourages the use of a code and does not end it
# Under these meanings "a child of" says "is a"; unstated is read so, as R4's own code systems leave it out.
IS_A = frozenset({"", "is-a", "classified-with"})
_LISTED = frozenset({"complete", "fragment", "example"})


@dataclass(frozen=True, slots=True)
class Concept:
    """One concept; `abstract` ones stand for a group and are not meant to be chosen."""

    code: str
    display: str
    definition: str
    properties: Mapping[str, tuple[str, ...]]
    inactive: bool = False
    abstract: bool = False
    designations: tuple[Designation, ...] = ()


class CodeSystem:
    """The concepts of a code system in published order, and who is above and below whom."""

    def __init__(self, resource: CodeSystemResource) -> None:
        self.url = resource.url
        self.version = resource.version
        self.name = resource.name
        self.date = resource.date
        self.language = resource.language
        self.status = resource.status
        self.case_sensitive = resource.case_sensitive
        self.supplements = resource.supplements
        self.value_set = resource.value_set
        self.content = resource.content
        self.hierarchy_meaning = resource.hierarchy_meaning
        self._roles = {one.code: one.uri.removeprefix(_PROPERTIES) for one in resource.property}
        self._parents: dict[str, dict[str, None]] = {}
        self._children: dict[str, dict[str, None]] = {}
        self._by_fold: dict[str, list[str]] | None = None
        self._words: dict[str, tuple[str, ...]] = {}
        self.types = {one.code: one.type for one in resource.property}
        self.concepts: dict[str, Concept] = {}
        for definition, parent in _nested(resource.concept):
            self._add(definition, parent)
        self.properties = frozenset(self._roles).union(*(one.properties for one in self.concepts.values()))

    def _add(self, definition: ConceptDefinition, parent: str) -> None:
        properties: dict[str, tuple[str, ...]] = {}
        for one in definition.property:
            properties[one.code] = (*properties.get(one.code, ()), one.text())
        code = definition.code
        if parent:
            self._link(parent, code)
        for name, values in properties.items():
            for value in values:
                if self._is(name, _PARENT):
                    self._link(value, code)
                elif self._is(name, _CHILD):
                    self._link(code, value)
        if code in self.concepts:
            return  # listed again under another parent
        inactive = self._says(properties, _INACTIVE, {"true"}) or self._says(properties, _STATUS, _RETIRED)
        abstract = self._says(properties, _ABSTRACT, {"true"})
        designations = tuple(one.read() for one in definition.designation if one.value)
        self.concepts[code] = Concept(
            code, definition.display, definition.definition, properties, inactive, abstract, designations
        )

    def _is(self, name: str, role: frozenset[str]) -> bool:
        return name in role or self._roles.get(name) in role

    def _says(self, properties: Mapping[str, Sequence[str]], role: frozenset[str], words: Iterable[str]) -> bool:
        return any(word in values for name, values in properties.items() if self._is(name, role) for word in words)

    def _link(self, parent: str, child: str) -> None:
        self._children.setdefault(parent, {})[child] = None
        self._parents.setdefault(child, {})[parent] = None

    # ---- questions ---------------------------------------------------------------------------------

    @property
    def is_partial(self) -> bool:
        """Whether the code system has codes that are not listed here."""
        return self.content != "complete"

    @property
    def is_a(self) -> bool:
        """Whether its hierarchy, if it has one, says what is a kind of what, and not only what groups or parts are."""
        return self.hierarchy_meaning in IS_A or not self._children

    def check_listed(self) -> None:
        """Raise NotSupported (400) when the concepts themselves are not in the resource."""
        if self.content not in _LISTED or not self.concepts:
            raise NotSupported(f"The codes of code system {self.url} are not on this server.")

    def matching(self, code: str) -> list[str]:
        """The codes meant by what somebody typed: exactly this one, or else those that differ in case only."""
        if code in self.concepts:
            return [code]
        if self._by_fold is None:
            self._by_fold = {}
            for one in self.concepts:
                self._by_fold.setdefault(one.casefold(), []).append(one)
        return self._by_fold.get(code.casefold(), [])

    def words(self, concept: Concept) -> tuple[str, ...]:
        """The folded words of display and designations."""
        found = self._words.get(concept.code)
        if found is None:
            texts = (concept.display, *(one.value for one in concept.designations))
            found = self._words[concept.code] = tuple(word for text in texts for word in words(text))
        return found

    def parents(self, code: str) -> tuple[str, ...]:
        return tuple(self._parents.get(code, ()))

    def children(self, code: str) -> tuple[str, ...]:
        return tuple(self._children.get(code, ()))

    def descendants(self, code: str) -> list[str]:
        """The code itself and every code below it, each once, in order of the hierarchy."""
        return _closure(code, self._children)

    def ancestors(self, code: str) -> list[str]:
        """The code itself and every code above it, each once."""
        return _closure(code, self._parents)


def _nested(concepts: Iterable[ConceptDefinition], parent: str = "") -> Iterator[tuple[ConceptDefinition, str]]:
    """Every concept with the code of the one it stands in."""
    for one in concepts:
        if one.code:
            yield one, parent
        yield from _nested(one.concept, one.code or parent)


def _closure(code: str, edges: Mapping[str, dict[str, None]]) -> list[str]:
    """What can be reached, depth first; a circle in the data ends where it closes."""
    found: dict[str, None] = {}
    waiting = [code]
    while waiting:
        one = waiting.pop()
        if one not in found:
            found[one] = None
            waiting.extend(reversed(edges.get(one, {})))
    return list(found)
