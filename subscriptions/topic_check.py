"""Whether this server can honour a topic: what it accepts is to fire whenever it says so."""

from __future__ import annotations

from collections.abc import Iterator

from fhir_server.definitions import RESOURCE_TYPES
from fhir_server.fhirpath import FhirPathError, root
from fhir_server.fhirpath import compile as compile_path
from fhir_server.fhirpath.environment import fixed
from fhir_server.fhirpath.syntax import Constant, Function
from fhir_server.outcomes import FhirError, Issue, Unprocessable
from fhir_server.search.controls import read
from fhir_server.search.criteria import parameter
from fhir_server.search.general import PARAMETERS
from fhir_server.search.query import Query
from fhir_server.search.scope import Unknown
from subscriptions.condition import SILENT, criteria
from subscriptions.topic import CanFilterBy, Shape, Topic, Trigger
from subscriptions.topic_basic import Json, elements, parse_topic
from subscriptions.trigger import can_fire, environment

_CONSTANTS = {"previous", "current", "context", "resource", "rootResource"}
# They ask what is not in the resource.
_ELSEWHERE = {"resolve", "memberOf", "conformsTo", "subsumes", "subsumedBy", "htmlChecks"}


def accept(basic: Json, base_url: str) -> Topic:
    """The topic of a Basic that this server offers; raises Unprocessable (422) with every reason against it."""
    topic = parse_topic(basic)
    issues = [*_triggers(basic, topic, base_url), *_filters(basic, topic), *_shapes(basic, topic)]
    if issues:
        raise Unprocessable("The server cannot honour the topic.", issues=issues)
    return topic


def _triggers(basic: Json, topic: Topic, base_url: str) -> Iterator[Issue]:
    places = [one.place for name in ("resourceTrigger", "eventTrigger") for one in elements(basic, name)]
    for place, trigger in zip(places, topic.triggers, strict=True):
        if trigger.type not in RESOURCE_TYPES:
            yield Issue("not-supported", "A trigger's resource is a type of R4, no profile.", (place,))
            continue
        if trigger.type in SILENT:
            yield Issue("not-supported", f"No topic is about {trigger.type}: {SILENT[trigger.type]}.", (place,))
        for text in (trigger.previous, trigger.current):
            yield from _query(trigger.type, text, base_url, place)
        if not can_fire(trigger):
            yield Issue("invalid", "No change could ever fire the trigger.", (place,))
        yield from _path(trigger, place)


def _query(type_: str, text: str, base_url: str, place: str) -> Iterator[Issue]:
    if text:
        try:
            criteria(type_, text, base_url)
        except FhirError as error:
            yield from (Issue(one.code, one.diagnostics, (place,)) for one in error.issues)


def _path(trigger: Trigger, place: str) -> Iterator[Issue]:
    """The expression compiles, names only what there is, and can be evaluated on a resource with nothing in it."""
    if not trigger.fhirpath:
        return
    try:
        expression = compile_path(trigger.fhirpath)
        for part in expression.syntax.walk():
            if isinstance(part, Constant) and part.name not in _CONSTANTS and fixed(part.name) is None:
                yield Issue("invalid", "fhirPathCriteria knows %previous and %current, not what it uses.", (place,))
                return
            if isinstance(part, Function) and part.name in _ELSEWHERE:
                rule = f"fhirPathCriteria cannot use {part.name}(): it asks for more than the resource."
                yield Issue("not-supported", rule, (place,))
                return
        empty = root({"resourceType": trigger.type})
        expression.evaluate(empty, environment(empty, empty, 0))
    except FhirPathError as error:
        yield Issue("invalid", f"fhirPathCriteria: {error}", (place,))


def _filters(basic: Json, topic: Topic) -> Iterator[Issue]:
    places = [one.place for one in elements(basic, "canFilterBy")]
    for place, one in zip(places, topic.filters, strict=True):
        if one.type and one.type not in topic.types:
            yield Issue("invalid", "A filter's resource is one that the topic is about.", (place,))
        elif not any(_has(type_, one) for type_ in ([one.type] if one.type else topic.types)):
            rule = f"There is no search parameter '{one.parameter[:64]}' that a resource by itself answers."
            yield Issue("not-supported", rule, (place,))


def _has(type_: str, one: CanFilterBy) -> bool:
    if type_ not in RESOURCE_TYPES:
        return True  # told already
    if one.parameter in PARAMETERS:
        return one.parameter != "_list"
    try:
        parameter(type_, one.parameter, alone=True)
    except Unknown as unknown:
        return unknown.error.code == "incomplete"
    return True


def _shapes(basic: Json, topic: Topic) -> Iterator[Issue]:
    places = [one.place for one in elements(basic, "notificationShape")]
    for place, shape in zip(places, topic.shapes, strict=True):
        if shape.type not in topic.types:
            yield Issue("invalid", "A shape's resource is one that the topic is about.", (place,))
        yield from _includes(shape, place)


def _includes(shape: Shape, place: str) -> Iterator[Issue]:
    named = [("_include", one) for one in shape.include] + [("_revinclude", one) for one in shape.reverse_include]
    for name, text in named:
        again = text.startswith("iterate:")
        if name == "_include" and not again and text.partition(":")[0] != shape.type:
            yield Issue("invalid", f"An include begins with {shape.type}:, the resource of its shape.", (place,))
            continue
        try:
            read(Query((shape.type,)), f"{name}:iterate" if again else name, text.removeprefix("iterate:"), 1)
        except FhirError as error:
            if error.issues[0].code != "incomplete":
                yield from (Issue(one.code, one.diagnostics, (place,)) for one in error.issues)
