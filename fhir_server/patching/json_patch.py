"""JSON Patch: a list of add, remove, replace, move, copy and test, applied all or none.

https://www.rfc-editor.org/rfc/rfc6902 · https://hl7.org/fhir/R4/http.html#patch
"""

from __future__ import annotations

import copy
from typing import Any

from jsonpatch import JsonPatch, JsonPatchException, JsonPatchTestFailed
from jsonpointer import JsonPointer, JsonPointerException

from fhir_server import json
from fhir_server.outcomes import Invalid, Issue, TooLarge, Unprocessable
from fhir_server.patching.shape import deeper_than, drop_empty, has_empty

Json = dict[str, Any]

MAX_COPIED_BYTES = 6 * 1024 * 1024  # copying a document into itself doubles it each time
_TOO_DEEP = f"The patch nests elements deeper than {json.MAX_DEPTH} levels."
_NEEDS = {
    "add": ("path", "value"),
    "remove": ("path",),
    "replace": ("path", "value"),
    "move": ("from", "path"),
    "copy": ("from", "path"),
    "test": ("path", "value"),
}


def apply(resource: Json, operations: Any) -> Json:
    """The resource with the operations applied in order; the input stays as it is.

    Raises Invalid (400) when the patch itself is wrong, with every operation that is; Unprocessable
    (422) when an operation does not fit the resource, fails its test, or would change type or id.
    Each issue's expression is `operation[n]`, n counted from 0.
    A list or object that the operations emptied is left out of the result: FHIR JSON has no empty ones.
    """
    _check(operations)
    try:
        patched = _run(copy.deepcopy(resource), operations)
    except RecursionError:
        raise Unprocessable(_TOO_DEEP) from None
    if deeper_than(patched, json.MAX_DEPTH):
        raise Unprocessable(_TOO_DEEP)
    if not any(has_empty(operation.get("value")) for operation in operations):
        drop_empty(patched)
    return patched


def _run(resource: Json, operations: list[Json]) -> Json:
    identity = {name: resource.get(name) for name in ("resourceType", "id")}
    patched: Any = resource
    budget = MAX_COPIED_BYTES
    for index, operation in enumerate(operations):
        budget -= _copied(patched, operation)
        if budget < 0:
            raise TooLarge(f"The patch copies more than {MAX_COPIED_BYTES} bytes.", expression=_at(index))
        patched = _step(patched, operation, index)
        if not isinstance(patched, dict):
            raise Unprocessable("The patch leaves no resource.", expression=_at(index))
        for name, value in identity.items():
            if patched.get(name) != value:
                raise Unprocessable(f"A patch cannot change {name}.", expression=_at(index))
    return dict(patched)


def _step(document: Any, operation: Json, index: int) -> Any:
    try:
        return JsonPatch([operation]).apply(document, in_place=True)
    except JsonPatchTestFailed:
        raise Unprocessable("The test failed: the element is not as expected.", expression=_at(index)) from None
    # What the library says of these may quote the resource, which is the patient's and stays out of messages.
    except (JsonPatchException, JsonPointerException, LookupError, TypeError, ValueError):
        message = f"The {operation['op']} does not fit the resource: its path or from leads nowhere."
        raise Unprocessable(message, expression=_at(index)) from None


def _check(operations: Any) -> None:
    if not isinstance(operations, list):
        raise Invalid("A JSON Patch is a list of operations.")
    issues = [
        Issue("invalid", problem, _at(index))
        for index, operation in enumerate(operations)
        for problem in _problems(operation)
    ]
    if issues:
        raise Invalid(issues=issues)


def _problems(operation: Any) -> list[str]:
    """What is wrong with one operation, whatever the resource."""
    if not isinstance(operation, dict):
        return ["A JSON Patch operation is an object."]
    needs = _NEEDS.get(operation["op"]) if isinstance(operation.get("op"), str) else None
    if needs is None:
        return [f"op is one of {', '.join(_NEEDS)}."]
    problems = [f"The {operation['op']} has no {name}." for name in needs if name not in operation]
    for name in ("path", "from"):
        if name in needs and name in operation and not _is_pointer(operation[name]):
            problems.append(f"{name} is not a JSON Pointer.")
    return problems


def _is_pointer(value: Any) -> bool:
    try:
        JsonPointer(value)
    except (JsonPointerException, TypeError, AttributeError):
        return False
    return True


def _copied(document: Any, operation: Json) -> int:
    """How many bytes of JSON this operation will copy."""
    if operation["op"] != "copy":
        return 0
    return len(json.encode(JsonPointer(operation["from"]).resolve(document, None)))


def _at(index: int) -> tuple[str]:
    return (f"operation[{index}]",)
