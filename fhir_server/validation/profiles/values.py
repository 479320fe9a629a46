"""Does a value equal a fixed[x], and does it contain a pattern[x]?

https://hl7.org/fhir/R4/elementdefinition-definitions.html#ElementDefinition.fixed_x_
"""

from __future__ import annotations

from typing import Any


def equals(value: Any, fixed: Any) -> bool:
    """Exactly the same JSON; 1 and true are not."""
    if type(fixed) is dict:
        return (
            type(value) is dict
            and value.keys() == fixed.keys()
            and all(equals(value[name], fixed[name]) for name in fixed)
        )
    if type(fixed) is list:
        return (
            type(value) is list
            and len(value) == len(fixed)
            and all(equals(one, other) for one, other in zip(value, fixed, strict=True))
        )
    return bool(value == fixed) and (type(value) is bool) == (type(fixed) is bool)


def contains(value: Any, pattern: Any) -> bool:
    """Everything of the pattern is in the value; each item of a list has one that contains it."""
    if type(pattern) is dict:
        return type(value) is dict and all(name in value and contains(value[name], pattern[name]) for name in pattern)
    if type(pattern) is list:
        return type(value) is list and all(any(contains(one, wanted) for one in value) for wanted in pattern)
    return equals(value, pattern)
