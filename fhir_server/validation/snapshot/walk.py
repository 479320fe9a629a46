"""The walk of a base snapshot and a differential together.

https://hl7.org/fhir/R4/profiling.html#snapshot · slicing: https://hl7.org/fhir/R4/profiling.html#slicing
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from fhir_server.json import Json
from fhir_server.validation.snapshot.errors import SnapshotError
from fhir_server.validation.snapshot.merge import EXTENSIONS, implicit_slicing, merged, with_base
from fhir_server.validation.snapshot.shortcuts import spelled_out
from fhir_server.validation.snapshot.tree import CHOICE, Node
from fhir_server.validation.snapshot.types import content_of, type_entry

Structure = Callable[[str, str], Node]  # canonical URL, element that asks for it → its snapshot; SnapshotError


class Walk:
    """Applies one differential to the snapshot of its base.

    `root` is the base snapshot, where content references point; `extends` allows elements that no base has
    (derivation = specialization).
    """

    def __init__(self, url: str, root: Node, structure: Structure, extends: bool) -> None:
        self._url = url
        self._root = root
        self._structure = structure
        self._extends = extends

    def constrain(self, base: Node, change: Node, where: str) -> Node:
        """`base` with what the differential says of this element and everything below; its slices are left alone."""
        node = replace(base, element=merged(base.element, change.element, self._url))
        if change.children:
            if not node.children:
                node = self._unfold(node, where)
            node.children = self._children(node, change, where)
        return node

    def _unfold(self, node: Node, where: str) -> Node:
        reference = node.element.get("contentReference")
        if reference:
            target = self._referred(reference, where)
            element = {name: value for name, value in node.element.items() if name != "contentReference"}
            return replace(
                node, element={**element, "type": target.element.get("type", [])}, children=target.copy().children
            )
        return replace(node, children=self._structure(content_of(node.element, where), where).copy().children)

    def _referred(self, reference: str, where: str) -> Node:
        url, _, path = reference.rpartition("#")
        node: Node | None = self._structure(url, where) if url else self._root
        for name in path.split(".")[1:]:
            node = node and node.child(name)
        if node is None:
            raise SnapshotError("refers to the content of an element that the base does not have", where)
        return node

    def _children(self, node: Node, change: Node, where: str) -> list[Node]:
        result = list(node.children)
        for one in spelled_out(change.children, result, in_slice=":" in where):
            inside = f"{where}.{one.name}"
            index = next((i for i, child in enumerate(result) if child.name == one.name), None)
            if index is not None:
                result[index] = self._constrain_with_slices(result[index], one, inside)
            elif self._extends:
                result.append(self._added(one, inside))
            else:
                raise SnapshotError("is not an element of the base", inside)
        return result

    def _added(self, change: Node, path: str) -> Node:
        node = self._constrain_with_slices(Node(change.name), change, path)
        return replace(node, element=with_base(node.element, path))

    def _constrain_with_slices(self, base: Node, change: Node, where: str) -> Node:
        node = self.constrain(base, change, where)
        if not change.slices:
            return node
        if "slicing" not in node.element and node.element.get("max") == "1" and _only_a_name(change):
            return self.constrain(node, change.slices[0], where)
        node.element = _sliced(node.element, base, change, where)
        node.slices = list(base.slices)
        for one in change.slices:
            self._slice(base, node.slices, one, f"{where}:{one.slice}")
        return node

    def _slice(self, base: Node, slices: list[Node], change: Node, where: str) -> None:
        for index, existing in enumerate(slices):
            if existing.slice == change.slice:
                slices[index] = self.constrain(existing, change, where)
                return
        of = change.slice.rpartition("/")[0]
        template = next((one for one in slices if one.slice == of), base) if of else base
        new = self.constrain(_new_slice(template, change), change, where)
        if "max" not in change.element:
            new.element = self._once_if_so_defined(new)
        slices.insert(_place(slices, of), new)

    def _once_if_so_defined(self, new: Node) -> Json:
        """The slice of an extension that says of itself that it is there at most once; an unknown one is left alone."""
        profiles = [url for kind in new.element.get("type", ()) for url in kind.get("profile", ())]
        if new.name not in EXTENSIONS or len(profiles) != 1:
            return new.element
        try:
            root = self._structure(profiles[0], "")
        except SnapshotError:
            return new.element
        return {**new.element, "max": "1"} if root.element.get("max") == "1" else new.element


def _only_a_name(change: Node) -> bool:
    """Whether this names the one there can be, rather than slicing it."""
    return len(change.slices) == 1 and implicit_slicing(change.name) is None


def _sliced(element: Json, base: Node, change: Node, where: str) -> Json:
    """The element that the slices are of, with its slicing; a type that must be there is the only one of its choice."""
    slicing = element.get("slicing", {})
    if not slicing.get("discriminator"):
        slicing = {**(implicit_slicing(change.name) or {}), **slicing}
    if not slicing:
        raise SnapshotError("has slices and no slicing", where)
    if change.name.endswith(CHOICE) and len(change.slices) == 1 and "slicing" not in base.element:
        only = change.slices[0]
        if only.element.get("min"):
            kinds = only.element.get("type") or _new_slice(base, only).element.get("type", [])
            element = {**element, "min": only.element["min"], "type": kinds}
        if len(element.get("type", ())) == 1:
            slicing = {**slicing, "rules": "closed"}
    return {**element, "slicing": slicing}


def _new_slice(template: Node, change: Node) -> Node:
    element = {name: value for name, value in template.element.items() if name not in ("slicing", "sliceName")}
    element |= {"sliceName": change.slice, "min": 0}
    if template.name.endswith(CHOICE):
        kind = type_entry(element, change.slice.removeprefix(template.name.removesuffix(CHOICE)))
        element |= {"type": [kind]} if kind else {}
    return Node(template.name, change.slice, element, template.copy().children)


def _place(slices: list[Node], of: str) -> int:
    """After the last slice of the same group; at the end for one that slices the element itself."""
    places = [i for i, one in enumerate(slices) if one.slice == of or one.slice.startswith(f"{of}/")] if of else []
    return places[-1] + 1 if places else len(slices)
