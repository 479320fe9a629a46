"""What may be known of a sensitive resource without its key: whom it names, its labels, and how far it is.

Everything else by which searches find resources (words, dates, quantities, codes of findings, identifiers) is absent.
"""

from __future__ import annotations

from typing import Any

from fhir_server.search.fields import DATE_SLOT, NAME_SLOT, fields
from fhir_server.search.keys import OPEN_LOW, SEALED
from fhir_server.search.registry import NUMBER_WIDTH, kept

Json = dict[str, Any]

# Search parameters whose tokens stay: what the resource is labelled with, and where it is in its workflow.
_STATES = ("_security", "_tag", "_profile", "_source", "status", "intent", "priority", "active")
# Parameters that say what kind of work it is, and stay where all their codes are of our own systems, or those of R4
# by which workflows are told.
_KINDS = {
    "Communication": ("category",),
    "DocumentReference": ("category",),
    "Flag": ("category", "code"),
    "ServiceRequest": ("category",),
    "Task": ("code",),
}
_GUIDE = "http://fhir-server.example/ig/CodeSystem/"
_CATEGORY = "http://terminology.hl7.org/CodeSystem/communication-category|"
_TASK = "http://hl7.org/fhir/CodeSystem/task-code|"
_REFERRAL = "http://snomed.info/sct|3457005"
_EMPTY: Json = {DATE_SLOT: OPEN_LOW, NAME_SLOT: ""}  # so that it has its place where others are sorted


def reduced(type_: str, index: Json) -> Json:
    """The fields of the stored document that are left of these."""
    states, kinds = _numbers(type_)
    keys = index.get("k", ())
    told = {number for number in kinds if _is_ours(number, keys)}
    found: Json = {"k": [*(key for key in keys if _stays(key, states | told)), SEALED]}
    if sort := {name: value for name, value in _EMPTY.items() if name in index.get("s", ())}:
        found["s"] = sort
    return found


def _stays(key: str, tokens: frozenset[str]) -> bool:
    """The type itself, references by id, and exact tokens of these parameters."""
    mark = key[NUMBER_WIDTH : NUMBER_WIDTH + 1]
    return mark in ("", ">") or (mark in ("=", "|") and key[:NUMBER_WIDTH] in tokens)


def _is_ours(number: str, keys: list[str]) -> bool:
    """Whether all that this parameter says is from our own systems: half of it would mislead who judges by it."""
    codes = [key for key in keys if key.startswith((f"{number}=", f"{number}|"))]
    systems = [key[NUMBER_WIDTH + 1 :] for key in codes if key[NUMBER_WIDTH] == "|"]
    ours = all(one.startswith((_CATEGORY, _TASK, _GUIDE)) or one == _REFERRAL for one in systems)
    return f"{number}=" not in codes and bool(systems) and ours


@kept
def _numbers(type_: str) -> tuple[frozenset[str], frozenset[str]]:
    return _of(type_, _STATES), _of(type_, _KINDS.get(type_, ()))


def _of(type_: str, codes: tuple[str, ...]) -> frozenset[str]:
    found = (fields(type_).get(code) for code in codes)
    return frozenset(source.number for one in found if one is not None for source in one.sources)
