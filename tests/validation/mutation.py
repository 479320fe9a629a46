"""Small damage to valid resources, for hypothesis: one to three mutations of one of the sample."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

from tests.validation.corpus import sample

Json = dict[str, Any]
Step = tuple[Any, Any]  # container, key or index

VALUES: list[Any] = [
    None, True, False, 0, 1, -1, 2**31, Decimal("1.0"), Decimal("1e400"), "", " ", "a", "a b", "a\x00", "male", "final",
    "2024", "2021-02-30", "2024-01-01T00:00:00Z", "Patient/1", "Patient?a=b", "#a", "urn:uuid:1", "x/y", "en", "EUR",
    "<div xmlns='http://www.w3.org/1999/xhtml'>a</div>", [], {}, [None], [""], ["a"], [{}], [[]], {"id": "a"},
    {"text": "a"}, {"value": 1}, {"reference": "Patient/1"}, {"extension": [{"url": "u", "valueCode": "a"}]},
    [{"extension": [{"url": "u", "valueCode": "a"}]}], [None, {"id": "a"}],
    {"resourceType": "Basic", "code": {"text": "a"}},
]  # fmt: skip
NAMES = ["id", "extension", "modifierExtension", "contained", "text", "value", "valueString", "_valueString", "code"]
NAMES += ["valueQuantity", "status", "_status", "reference", "resourceType", "meta", "language", "unknown", "given", ""]


def places(value: Any) -> Iterator[Step]:
    """Every place in a JSON value, as its container and key."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in list(items):
        yield value, key
        yield from places(child)


@st.composite
def mutated(draw: st.DrawFn) -> Json:
    """A resource of the sample with one to three changes."""
    resource = copy.deepcopy(draw(st.sampled_from(sample())))
    for _ in range(draw(st.integers(1, 3))):
        container, key = draw(st.sampled_from(list(places(resource))))
        _mutate(draw, container, key)
        if not resource:
            break
    return resource


def _mutate(draw: st.DrawFn, container: Any, key: Any) -> None:
    change = draw(st.sampled_from(["replace", "remove", "add", "rename", "wrap", "unwrap", "repeat", "companion"]))
    value = container[key]
    if change == "replace":
        container[key] = copy.deepcopy(draw(st.sampled_from(VALUES)))
    elif change == "remove":
        del container[key]
    elif change == "wrap":
        container[key] = [value]
    elif change == "unwrap" and isinstance(value, list) and value:
        container[key] = value[0]
    elif change == "repeat" and isinstance(value, list):
        container[key] = copy.deepcopy(value + value)
    elif isinstance(container, dict):
        name = draw(st.sampled_from([*NAMES, *container]))
        if change == "rename":
            container[name] = container.pop(key)
        elif change == "add":
            container[name] = copy.deepcopy(draw(st.sampled_from(VALUES)))
        elif change == "companion":
            container[f"_{name}"] = copy.deepcopy(draw(st.sampled_from(VALUES)))
