"""Whether a change fires a topic.

https://hl7.org/fhir/R5/subscriptiontopic-definitions.html#SubscriptionTopic.resourceTrigger
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache

import structlog

from fhir_server.fhirpath import Environment, Expression, FhirPathError, Node, root
from fhir_server.fhirpath import compile as compile_path
from fhir_server.outcomes import FhirError
from fhir_server.search import registry
from subscriptions.condition import Criteria, criteria
from subscriptions.topic import Topic, Trigger
from subscriptions.view import View

log = structlog.get_logger(__name__)

MAX_STEPS = 20_000  # of one evaluation: some ten milliseconds, for which everybody waits


@dataclass(frozen=True, slots=True)
class _Compiled:
    """A trigger ready to be judged; `broken` when it cannot be at present."""

    previous: Criteria | None = None
    current: Criteria | None = None
    path: Expression | None = None
    broken: bool = False


def fires(topic: Topic, view: View) -> bool:
    """Whether any of the topic's triggers fits the change; judged once for each topic and change."""
    if view.type not in topic.types:
        return False
    key = ("topic", topic.url, topic.version, topic.triggers)
    if key not in view.verdicts:
        view.verdicts[key] = any(_fires(one, view) for one in topic.triggers)
    return view.verdicts[key]


def can_fire(trigger: Trigger) -> bool:
    """Whether there is an interaction that could fire it at all, whatever the resource."""
    for interaction in trigger.interactions:
        tests: list[bool] = []
        if trigger.previous:
            tests.append(interaction != "create" or trigger.passes_create)
        if trigger.current:
            tests.append(interaction != "delete" or trigger.passes_delete)
        if _together(tests, trigger.require_both):
            return True
    return False


def environment(previous: Node | None, current: Node | None, at: int) -> Environment:
    """What a FHIRPath criterion is evaluated in: %previous and %current, empty where there is none."""
    variables = {"previous": [previous] if previous else [], "current": [current] if current else []}
    now = datetime.fromtimestamp(at / 1_000_000, UTC)
    return Environment(now=now, variables=variables, limit=MAX_STEPS)


def is_true(found: list[Node]) -> bool:
    """A single item that is not false: what a FHIRPath criterion has to find."""
    return len(found) == 1 and found[0].value is not False


def _fires(trigger: Trigger, view: View) -> bool:
    if trigger.type != view.type or view.change.interaction not in trigger.interactions:
        return False
    compiled = _compile(trigger, view.base_url, registry.generation())
    if compiled.broken or not _query_holds(trigger, compiled, view):
        return False
    return compiled.path is None or _path_holds(compiled.path, view)


@lru_cache(16_384)
def _compile(trigger: Trigger, base_url: str, generation: int) -> _Compiled:
    try:
        return _Compiled(
            criteria(trigger.type, trigger.previous, base_url) if trigger.previous else None,
            criteria(trigger.type, trigger.current, base_url) if trigger.current else None,
            compile_path(trigger.fhirpath) if trigger.fhirpath else None,
        )
    except (FhirError, FhirPathError) as error:
        # It was accepted: a search parameter that it needs has gone since, and may come back.
        log.error("topic cannot be judged", type=trigger.type, reason=type(error).__name__)
        return _Compiled(broken=True)


def _query_holds(trigger: Trigger, compiled: _Compiled, view: View) -> bool:
    """The two queries: where there is no version to hold one against, the topic says what counts."""
    tests: list[bool] = []
    if compiled.previous is not None:
        there = view.change.interaction != "create"
        tests.append(compiled.previous.holds(view.before_document) if there else trigger.passes_create)
    if compiled.current is not None:
        there = view.change.interaction != "delete"
        tests.append(compiled.current.holds(view.after_document) if there else trigger.passes_delete)
    return _together(tests, trigger.require_both)


def _together(tests: Iterable[bool], require_both: bool) -> bool:
    found = list(tests)
    return not found or (all(found) if require_both else any(found))


def _path_holds(path: Expression, view: View) -> bool:
    previous = root(view.before) if view.before is not None else None
    current = root(view.after) if view.after is not None else None
    focus = current or previous
    if focus is None:
        return False
    try:
        return is_true(path.evaluate(focus, environment(previous, current, view.change.at)))
    except FhirPathError as error:
        log.warning("topic's expression failed", type=view.type, reason=str(error))
        return False
