"""Which scopes this server gives, and when one is within another.

https://hl7.org/fhir/smart-app-launch/scopes-and-launch-context.html
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from fhir_server.access.scopes import parse_scope

# Beside those for resources.
IDENTITY = ("openid", "fhirUser", "profile")
LAUNCH = ("launch", "launch/patient", "launch/encounter")
REFRESH = ("offline_access", "online_access")
_ORDINARY = frozenset(IDENTITY + LAUNCH + REFRESH)


def words(text: str) -> tuple[str, ...]:
    """The scopes of a space separated list, each once, in order."""
    return tuple(dict.fromkeys(word for word in text.split(" ") if word))


def is_known(scope: str) -> bool:
    """Whether this server can give the scope at all."""
    return scope in _ORDINARY or parse_scope(scope) is not None


def is_within(scope: str, allowed: Iterable[str]) -> bool:
    """Whether the scope asks for no more than one of these: `patient/Observation.r` is within `patient/*.rs`."""
    given = tuple(allowed)
    if scope in given:
        return True
    asked = parse_scope(scope)
    if asked is None:
        return False
    for one in map(parse_scope, given):
        if one is None or one.level != asked.level or one.type not in ("*", asked.type):
            continue
        if set(asked.actions) <= set(one.actions) and one.criterion in ("", asked.criterion):
            return True
    return False


def narrowed(scopes: Iterable[str], allowed: str) -> tuple[str, ...]:
    """Those of the scopes that are known and within `allowed`, a space separated list; "" allows every one."""
    limits = words(allowed)
    return tuple(one for one in dict.fromkeys(scopes) if is_known(one) and (not limits or is_within(one, limits)))


def grantable(scopes: Iterable[str], context: Mapping[str, Any], *, user: bool) -> str:
    """Those that can be honoured, separated by spaces: fail closed.

    No patient/ without a patient in context, no launch/… without what it asks for, no system/ for a `user`, and
    without one nothing that is about a user.
    """
    return " ".join(one for one in dict.fromkeys(scopes) if _can_be_honoured(one, context, user))


def _can_be_honoured(scope: str, context: Mapping[str, Any], user: bool) -> bool:
    if scope.startswith("system/"):
        return not user
    if scope.startswith("patient/") or scope == "launch/patient":
        return bool(context.get("patient"))
    if scope == "launch/encounter":
        return bool(context.get("encounter"))
    return user
