"""`valueQuantity` in a differential: what it says of `value[x]`, spelled out.

https://hl7.org/fhir/R4/profiling.html#slicing · where the page leaves it open, as HL7's own snapshots have it.
"""

from __future__ import annotations

from dataclasses import replace

from fhir_server.json import Json
from fhir_server.validation.snapshot.tree import CHOICE, Node
from fhir_server.validation.snapshot.types import type_entry


def spelled_out(changes: list[Node], children: list[Node], in_slice: bool) -> list[Node]:
    """`changes` of the elements `children`, with each shortcut as a slice of its choice (`value[x]:valueQuantity`).

    `in_slice`: the parent is a slice or inside of one.
    """
    names = {child.name for child in children}
    result: list[Node] = []
    shortcuts: dict[str, list[Node]] = {}
    for change in changes:
        choice = None if change.name in names else _choice_of(change.name, children)
        if choice is None:
            result.append(change)
        else:
            shortcuts.setdefault(choice, []).append(change)
    for choice, found in shortcuts.items():
        said = next((index for index, one in enumerate(result) if one.name == choice), None)
        if said is not None:
            result[said] = replace(result[said], slices=[*result[said].slices, *_slices(found, choice)])
        elif len(found) == 1 and not found[0].slices:
            base = next(child for child in children if child.name == choice)
            result.append(_alone(found[0], base, in_slice))
        else:
            result.append(Node(choice, slices=_slices(found, choice)))
    return result


def _slices(shortcuts: list[Node], choice: str) -> list[Node]:
    """The slices that they are; one with a slice name says so itself."""
    found = [named for one in shortcuts for named in (one.slices or [replace(one, slice=one.name)])]
    return [replace(one, name=choice) for one in found]


def _alone(change: Node, choice: Node, in_slice: bool) -> Node:
    """A shortcut that is all that is said of its choice: in slices, and for the only type, it is the choice itself."""
    if "slicing" not in choice.element and (in_slice or len(choice.element.get("type", ())) == 1):
        return replace(change, name=choice.name, element={"type": [_named(choice, change.name)], **change.element})
    return Node(choice.name, slices=_slices([change], choice.name))


def _choice_of(name: str, children: list[Node]) -> str | None:
    return next((child.name for child in children if child.name.endswith(CHOICE) and _named(child, name)), None)


def _named(choice: Node, name: str) -> Json | None:
    stem = choice.name.removesuffix(CHOICE)
    return type_entry(choice.element, name.removeprefix(stem)) if name.startswith(stem) else None
