"""ElementDefinitions as a tree: a list of paths and slice names in, the same list with new ids out.

https://hl7.org/fhir/R4/elementdefinition.html#id · https://hl7.org/fhir/R4/elementdefinition.html#path
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from copy import deepcopy
from dataclasses import dataclass, field, replace

from fhir_server.json import Json
from fhir_server.validation.snapshot.errors import SnapshotError

CHOICE = "[x]"
_SLICE_NAME = re.compile(r":[^.]*")

Step = tuple[str, str]  # last part of the path, slice name or ""


@dataclass(slots=True)
class Node:
    """An element with its children, in order, and its slices; reslices (a/b) stand in the same list as a."""

    name: str
    slice: str = ""
    element: Json = field(default_factory=dict)
    children: list[Node] = field(default_factory=list)
    slices: list[Node] = field(default_factory=list)

    def copy(self) -> Node:
        """The same elements in lists of their own: elements are never changed in place."""
        children, slices = ([node.copy() for node in nodes] for nodes in (self.children, self.slices))
        return replace(self, children=children, slices=slices)

    def child(self, name: str) -> Node | None:
        """The child of this name, without its slices' constraints."""
        return next((node for node in self.children if node.name == name), None)

    def named_slice(self, name: str) -> Node | None:
        """The slice of this name."""
        return next((node for node in self.slices if node.slice == name), None)

    def elements(self, parent_id: str = "", parent_path: str = "") -> Iterator[Json]:
        """The elements, parents first, slices after what they slice, with id and path written anew.

        A node without an element only holds the others: some published snapshots have a slice and not what it slices.
        """
        path = f"{parent_path}.{self.name}" if parent_path else self.name
        id_ = f"{parent_id}.{self.name}" if parent_id else self.name
        if self.slice:
            id_ = f"{id_}:{self.slice}"
        if self.element:
            yield deepcopy({**self.element, "id": id_, "path": path})
        for child in self.children:
            yield from child.elements(id_, path)
        for one in self.slices:
            yield from one.elements(parent_id, parent_path)


def parse(elements: Iterable[Json]) -> Node:
    """The tree of a snapshot or differential; where a differential leaves out parents they are empty nodes.

    Ids say to which slice an element belongs; it is the slice last mentioned for elements without id, and for all
    when some id contradicts its path or slice name.
    Raises SnapshotError for an element without path, outside of the root, or that is there twice.
    """
    found = list(elements)
    for element in found:
        if not element.get("path"):
            raise SnapshotError("an element has no path", element.get("id", ""))
    if not found:
        raise SnapshotError("there are no elements", "")
    root = Node(found[0]["path"].partition(".")[0])
    by_id = all(_is_consistent(element) for element in found)
    steps: tuple[Step, ...] = ()
    for element in found:
        steps = _steps(element, steps, by_id)
        (name, _), *below = steps
        if root.name != name:
            raise SnapshotError("is not below the first element", element["path"])
        node = _reach(root, below)
        if node.element:
            raise SnapshotError("is there twice; slices need a sliceName", element.get("id") or element["path"])
        node.element = element
    return root


def _reach(root: Node, steps: Iterable[Step]) -> Node:
    node = root
    for name, slice_ in steps:
        child = node.child(name)
        if child is None:
            child = Node(name)
            node.children.append(child)
        node = child
        if slice_:
            sliced = child.named_slice(slice_)
            if sliced is None:
                sliced = Node(name, slice_)
                child.slices.append(sliced)
            node = sliced
    return node


def _steps(element: Json, previous: tuple[Step, ...], by_id: bool) -> tuple[Step, ...]:
    names = element["path"].split(".")
    own = element.get("sliceName", "")
    if by_id and "id" in element:
        steps = [(name, slice_) for name, _, slice_ in (part.partition(":") for part in element["id"].split("."))]
        return (*steps[:-1], (steps[-1][0], own or steps[-1][1]))
    above: list[Step] = []
    for index, name in enumerate(names[:-1]):
        inside = index < len(previous) and previous[:index] == tuple(above) and previous[index][0] == name
        above.append(previous[index] if inside else (name, ""))
    return (*above, (names[-1], own))


def _is_consistent(element: Json) -> bool:
    """Whether its id, if any, spells its path and slice name.

    A shortcut (valueQuantity) may be spelled as the choice it is of (value[x]).
    """
    if "id" not in element:
        return True
    names = element["path"].split(".")
    parts = _SLICE_NAME.sub("", element["id"]).split(".")
    named = element["id"].rpartition(".")[2].partition(":")[2]
    return (
        len(parts) == len(names)
        and named in ("", element.get("sliceName", named))
        and all(
            part == name or (part.endswith(CHOICE) and name.startswith(part.removesuffix(CHOICE)))
            for part, name in zip(parts, names, strict=True)
        )
    )
