"""What FHIR JSON may not look like, whatever its elements: empty objects and lists, nesting without end.

https://hl7.org/fhir/R4/json.html
"""

from __future__ import annotations

from typing import Any


def deeper_than(value: Any, levels: int) -> bool:
    """Whether objects and lists are nested deeper than this."""
    children = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return levels < 0 or any(deeper_than(child, levels - 1) for child in children)


def has_empty(value: Any) -> bool:
    """Whether there is an empty object or list anywhere in the value."""
    if isinstance(value, dict):
        return not value or any(has_empty(child) for child in value.values())
    if isinstance(value, list):
        return not value or any(has_empty(child) for child in value)
    return False


def drop_empty(value: Any) -> None:
    """Remove the objects and lists that hold nothing, from the leaves up.

    A list like `_given` keeps its length, with None in the place of what is gone, until it holds nothing else.
    """
    if isinstance(value, dict):
        for name, child in list(value.items()):
            drop_empty(child)
            if isinstance(child, list):
                child[:] = [None if item == {} else item for item in child] if name[:1] == "_" else _filled(child)
            if child == {} or child == [] or (name[:1] == "_" and _is_empty(child)):
                del value[name]
    elif isinstance(value, list):
        for child in value:
            drop_empty(child)


def drop_empty_at(resource: Any, location: tuple[str | int, ...]) -> None:
    """Remove what is at a location if it holds nothing, and then every object and list around it that is left so."""
    for depth in range(len(location) - 1, -1, -1):
        around, step = location[:depth], location[depth]
        container = resource
        for outer in around:
            container = container[outer]
        if not _is_empty(container[step]):
            return
        beside = isinstance(container, list) and str(around[-1]).startswith("_")
        if beside:
            container[step] = None
        else:
            del container[step]


def _is_empty(value: Any) -> bool:
    return value == {} or (isinstance(value, list) and all(item is None for item in value))


def _filled(items: list[Any]) -> list[Any]:
    return [item for item in items if item != {} and item != []]
