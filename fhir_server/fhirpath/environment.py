"""What an expression is evaluated in: its constants, what it asks others, and what it may still spend.

https://hl7.org/fhirpath/N1/#environment-variables · https://hl7.org/fhir/R4/fhirpath.html#vars
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from fhir_server.fhirpath.errors import MAX_STEPS, FhirPathError, TooManySteps
from fhir_server.fhirpath.nodes import Node
from fhir_server.fhirpath.types import system_node

Items = list[Node]

CONSTANTS = {"ucum": "http://unitsofmeasure.org", "sct": "http://snomed.info/sct", "loinc": "http://loinc.org"}
_FAMILIES = {"vs-": "http://hl7.org/fhir/ValueSet/", "ext-": "http://hl7.org/fhir/StructureDefinition/"}


class Services:
    """What the engine cannot know itself: override what is available. None means unknown, and is an empty collection.

    The defaults refuse; `resolve` finds nothing beyond the contained resources and the entries of the Bundle around.
    """

    def resolve(self, reference: str, node: Node) -> Node | None:
        """The resource that a reference points to; `node` is the Reference, canonical or uri."""
        return None

    def member_of(self, node: Node, value_set: str) -> bool | None:
        """Whether a code, Coding or CodeableConcept is in the value set."""
        raise _unavailable("memberOf")

    def conforms_to(self, node: Node, profile: str) -> bool | None:
        """Whether an element conforms to the profile."""
        raise _unavailable("conformsTo")

    def html_checks(self, node: Node) -> bool | None:
        """Whether an xhtml element keeps the rules of narratives."""
        raise _unavailable("htmlChecks")

    def subsumes(self, general: Node, special: Node) -> bool | None:
        """Whether a code or Coding means all that another one means."""
        raise _unavailable("subsumes")

    def spent(self, steps: int) -> None:
        """An evaluation is over, which took so many steps: where many together must not cost too much, raise here."""


def _unavailable(name: str) -> FhirPathError:
    return FhirPathError(f"{name}() is not available here.")


@dataclass(slots=True)
class Environment:
    """Constants of an evaluation; the same may serve many.

    `resource`, `root_resource` and `context` come from the node evaluated when they are None. `variables` are
    %name → Node, list of Nodes, or System value. `limit` is the steps of one evaluation.
    """

    resource: Node | None = None
    root_resource: Node | None = None
    context: Node | None = None
    now: datetime | None = None
    variables: Mapping[str, Any] = field(default_factory=dict)
    services: Services = field(default_factory=Services)
    limit: int = MAX_STEPS

    def moment(self) -> datetime:
        """The time of the evaluation, always the same; the clock's when it is not given."""
        if self.now is None:
            self.now = datetime.now(UTC)
        return self.now


class State:
    """One evaluation on the way."""

    __slots__ = ("environment", "index", "left", "memo", "start", "total")

    def __init__(self, environment: Environment, start: Items) -> None:
        self.environment = environment
        self.start = start
        self.left = environment.limit
        self.index = 0
        self.total: Items = []
        self.memo: dict[Any, Any] = {}

    def spend(self, steps: int) -> None:
        """Raises FhirPathError when the evaluation has taken all its steps."""
        self.left -= steps
        if self.left < 0:
            raise TooManySteps("Evaluating the expression takes too long.")

    def end(self) -> None:
        """Tell the services what it took."""
        self.environment.services.spent(self.environment.limit - self.left)

    def made(self, value: Any) -> Any:
        """The value of an operation; a string costs by its length, so that what an evaluation holds is bounded too."""
        if type(value) is str:
            self.spend(len(value) >> 6)
        return value

    def each(self, items: Items) -> Iterator[Items]:
        """Each item as the context of an argument, with its $index."""
        outside = self.index
        try:
            for index, item in enumerate(items):
                self.index = index
                self.left -= 1
                if self.left < 0:
                    self.spend(0)
                yield [item]
        finally:
            self.index = outside

    def constant(self, name: str) -> Items:
        """The value of %name; raises FhirPathError when there is none."""
        environment = self.environment
        match name:
            case "context":
                return self.start if environment.context is None else [environment.context]
            case "resource":
                return self._around(environment.resource, "resource")
            case "rootResource":
                return self._around(environment.root_resource, "container")
        if name in environment.variables:
            value = environment.variables[name]
            listed = value if isinstance(value, list) else [value]
            return [each if isinstance(each, Node) else system_node(each) for each in listed]
        text = fixed(name)
        if text is None:
            raise FhirPathError("The expression uses a constant that is not defined.")
        return [system_node(text)]

    def _around(self, given: Node | None, which: str) -> Items:
        if given is not None:
            return [given]
        return [getattr(self.start[0], which)] if self.start else []


def fixed(name: str) -> str | None:
    """The value of a constant that is the same everywhere: %ucum, %`vs-NAME`; None for others."""
    for prefix, base in _FAMILIES.items():
        if name.startswith(prefix):
            return base + name.removeprefix(prefix)
    return CONSTANTS.get(name)
