"""State tables: from which state to which others, and who may take the step.

A workflow declares `TRANSITIONS: Transitions` on top of its module; "" is the state before there is a resource.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from fhir_server.access import Principal
from fhir_server.access.principal import ADMINISTRATORS
from fhir_server.outcomes import BusinessRule, Conflict, Forbidden

Steps = Mapping[str, tuple[str, ...]]  # next state → who may take the step; () is everybody who may write at all
Transitions = Mapping[str, Steps]
Json = dict[str, Any]


def step(transitions: Transitions, before: str, after: str, *, what: str, expression: str) -> tuple[str, ...]:
    """Who may take the step; a state that stays is none, and open to all who may write.

    Raises Conflict (409), naming the state that there is, when there is no such step; BusinessRule (422) when a new
    resource cannot begin so. `what` is the resource in a sentence ("referral"), `expression` the state's FHIRPath.
    """
    if before == after:
        return ()
    steps = transitions.get(before, {})
    if after in steps:
        return steps[after]
    if not before:
        began = ", ".join(steps)
        raise BusinessRule(f"A new {what} is {began}, not {after}.", expression=[expression])
    ways = f"; from there it can become {', '.join(steps)}" if steps else ", which is the end of it"
    raise Conflict(
        f"The {what} is {before} and cannot become {after}{ways}.", expression=[expression], code="business-rule"
    )


def allow(principal: Principal, who: tuple[str, ...], are: Mapping[str, bool], *, what: str) -> None:
    """Raise Forbidden (403) unless the caller is one of those who may: `are` says for each word whether they are it.

    The server itself, backend services and administrators are not bound.
    """
    if not who or is_unbound(principal) or any(are.get(word, False) for word in who):
        return
    raise Forbidden(f"Only the {' or '.join(who)} may do this to the {what}.")


def is_unbound(principal: Principal) -> bool:
    """Whether rules about who may do something leave the caller alone: the server, a service, an administrator."""
    return principal.is_open or not principal.user or not ADMINISTRATORS.isdisjoint(principal.roles)


def keep(before: Json, after: Json, names: Iterable[str], *, what: str) -> Json:
    """The new content with these elements as they were; a Reference may leave out its display.

    Raises BusinessRule (422), naming the first of them that is to be another.
    """
    for name in names:
        if not _is_same(before.get(name), after.get(name)):
            raise BusinessRule(f"{name} of a {what} stays as it is.", expression=[f"{after['resourceType']}.{name}"])
    return {**after, **{name: before[name] for name in names if name in before}}


def _is_same(one: Any, other: Any) -> bool:
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_is_same, one, other))
    if isinstance(one, dict) and isinstance(other, dict) and "reference" in one:
        return bool(one["reference"] == other.get("reference"))
    return bool(one == other)
