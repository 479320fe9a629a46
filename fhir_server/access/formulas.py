"""Conditions on stored documents put together, with what is always and never so worked out at once."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

Document = dict[str, Any]
Formula = Document | bool  # a MongoDB condition, or True (everything) or False (nothing)


def all_of(formulas: Iterable[Formula]) -> Formula:
    """What fits all of them."""
    parts: list[Document] = []
    for one in formulas:
        if one is False:
            return False
        if one is not True and one not in parts:
            parts.append(one)
    if not parts:
        return True
    return parts[0] if len(parts) == 1 else {"$and": parts}


def any_of(formulas: Iterable[Formula]) -> Formula:
    """What fits any of them."""
    parts: list[Document] = []
    for one in formulas:
        if one is True:
            return True
        if one is not False and one not in parts:
            parts.append(one)
    if not parts:
        return False
    return parts[0] if len(parts) == 1 else {"$or": parts}


def none_of(formulas: Iterable[Formula]) -> Formula:
    """What fits none of them."""
    parts = [one for one in formulas if one is not False]
    if any(one is True for one in parts):
        return False
    return {"$nor": parts} if parts else True


def among(keys: Iterable[str]) -> Formula:
    """What has any of these search keys."""
    listed = list(dict.fromkeys(keys))
    return {"k": {"$in": listed}} if listed else False
