"""Elements of a resource as FHIRPath sees them: a value, its type, and where it is.

A primitive is two properties in JSON, `birthDate` and `_birthDate`: https://hl7.org/fhir/R4/json.html#primitive
"""

from __future__ import annotations

from typing import Any, NamedTuple

from fhir_server.definitions import RESOURCE_TYPES, is_primitive, type_definition, type_names

Json = dict[str, Any]
Location = tuple[str | int, ...]  # JSON properties and indexes from the resource down: ("name", 0, "given", 1)


class Node:
    """A value with its type.

    `value` is the JSON, or a System value; None for a primitive that has only an id or extensions.
    `type` is "Patient", "HumanName", "code", "Patient.contact" or "System.String".
    `companion` is the JSON beside a primitive (`_name`), if there is any.
    `parent`, `name` and `index` (None when it does not repeat) say where it is.
    """

    __slots__ = ("companion", "index", "name", "parent", "type", "value")

    def __init__(
        self,
        value: Any,
        type: str,
        companion: Json | None = None,
        parent: Node | None = None,
        name: str = "",
        index: int | None = None,
    ) -> None:
        self.value = value
        self.type = type
        self.companion = companion
        self.parent = parent
        self.name = name
        self.index = index

    @property
    def path(self) -> str:
        """Where it is, as a FHIRPath: "Patient.name[0].given[1]"; a choice is `value.ofType(Quantity)`."""
        if self.parent is None:
            return self.type
        step = elements(self.parent)[self.name]
        if step != self.name:
            step = f"{step}.ofType({self.type})"
        return f"{self.parent.path}.{step}" if self.index is None else f"{self.parent.path}.{step}[{self.index}]"

    @property
    def location(self) -> Location:
        """Where it is in the JSON of the root; a primitive without a value is where it would be."""
        if self.parent is None:
            return ()
        around = self.parent._beside if is_primitive(self.parent.type) else self.parent.location
        return (*around, self.name) if self.index is None else (*around, self.name, self.index)

    @property
    def _beside(self) -> Location:
        *around, last = self.location
        if isinstance(last, int):
            return (*around[:-1], f"_{around[-1]}", last)
        return (*around, f"_{last}")

    @property
    def resource(self) -> Node:
        """The nearest resource around it, or it itself if it is one; of a part of none, the outermost node."""
        node = self
        while node.type not in RESOURCE_TYPES and node.parent is not None:
            node = node.parent
        return node

    @property
    def container(self) -> Node:
        """The same, but for what is in a contained resource the one that contains it."""
        node = self.resource
        return node.parent if node.name == "contained" and node.parent is not None else node

    def __repr__(self) -> str:
        return f"<Node {self.type}>"


class Step(NamedTuple):
    """One JSON property that an element name may mean."""

    name: str
    companion: str
    type: str


Table = dict[str, tuple[Step, ...]]  # element name → the properties it may be; several for a choice


class _Tables(dict[str, Table]):
    """Type → its table, made when first asked for."""

    def __missing__(self, type_: str) -> Table:
        table: dict[str, list[Step]] = {}
        if type_ in type_names():
            for element in type_definition(type_).properties:
                step = Step(element.name, f"_{element.name}", element.type)
                table.setdefault(element.choice or element.name, []).append(step)
        elif type_ == "System.TypeInfo":
            table = {name: [Step(name, f"_{name}", "System.String")] for name in ("namespace", "name")}
        found = {name: tuple(steps) for name, steps in table.items()}
        # Types come from data only where they are known ones, so this does not grow without end.
        if found:
            self[type_] = found
        return found


TABLES = _Tables()


class _Orders(dict[str, tuple[dict[str, int], tuple[Step, ...]]]):
    """Type → the place of each JSON property among its steps, and the steps."""

    def __missing__(self, type_: str) -> tuple[dict[str, int], tuple[Step, ...]]:
        steps = tuple(step for several in TABLES[type_].values() for step in several)
        places = {name: place for place, step in enumerate(steps) for name in (step.name, step.companion)}
        if steps:
            self[type_] = places, steps
        return places, steps


_ORDERS = _Orders()


def elements(node: Node) -> dict[str, str]:
    """JSON property → element name, of a node's type."""
    return {step.name: name for name, steps in TABLES[node.type].items() for step in steps}


def root(resource: Json) -> Node:
    """The node of a whole resource."""
    type_ = resource.get("resourceType")
    return Node(resource, type_ if isinstance(type_, str) and type_ in RESOURCE_TYPES else "Resource")


def child(node: Node, name: str) -> list[Node]:
    """The elements of this name: `value` finds valueQuantity."""
    found: list[Node] = []
    add_child(node, name, found)
    return found


def children(node: Node) -> list[Node]:
    """All elements directly below, in the order of the definitions."""
    found: list[Node] = []
    inside = node.value if type(node.value) is dict else node.companion
    if inside:
        places, steps = _ORDERS[node.type]
        for place in sorted({places[name] for name in inside if name in places}):
            _add(node, inside, steps[place], found)
    return found


def add_child(node: Node, name: str, found: list[Node]) -> None:
    """Add the elements of this name to `found`."""
    inside = node.value if type(node.value) is dict else node.companion
    if inside:
        for step in TABLES[node.type].get(name, ()):
            if step.name in inside or step.companion in inside:
                _add(node, inside, step, found)


def has_child(node: Node, name: str) -> bool:
    """Whether there is any element of this name."""
    inside = node.value if type(node.value) is dict else node.companion
    if inside:
        for step in TABLES[node.type].get(name, ()):
            value = inside.get(step.name)
            if (value is not None and (value or type(value) not in _CONTAINERS)) or inside.get(step.companion):
                return True
    return False


_CONTAINERS = (list, dict)


def _add(node: Node, inside: Json, step: Step, found: list[Node]) -> None:
    value, companion = inside.get(step.name), inside.get(step.companion)
    if type(value) is list or type(companion) is list:
        values = value if type(value) is list else []
        companions = companion if type(companion) is list else []
        if not companions:
            for index, item in enumerate(values):
                _add_one(node, step, item, None, index, found)
            return
        for index in range(max(len(values), len(companions))):
            item = values[index] if index < len(values) else None
            beside = companions[index] if index < len(companions) else None
            _add_one(node, step, item, beside, index, found)
    else:
        _add_one(node, step, value, companion, None, found)


def _add_one(node: Node, step: Step, value: Any, companion: Any, index: int | None, found: list[Node]) -> None:
    type_ = step.type
    if type(value) is dict:
        if not value:
            return
        if type_ == "Resource":
            actual = value.get("resourceType")
            type_ = actual if isinstance(actual, str) and actual in RESOURCE_TYPES else type_
    elif value is None and not (companion and type(companion) is dict):
        return
    found.append(Node(value, type_, companion if type(companion) is dict else None, node, step.name, index))
