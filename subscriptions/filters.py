"""What a subscriber narrows a topic by: three spellings, one meaning, and only what the topic allows.

https://hl7.org/fhir/uv/subscriptions-backport/STU1.1/StructureDefinition-backport-filter-criteria.html ·
https://hl7.org/fhir/R5/subscription-definitions.html#Subscription.filterBy
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property, lru_cache
from urllib.parse import parse_qsl
from weakref import WeakValueDictionary

from fhir_server.definitions import RESOURCE_TYPES
from fhir_server.outcomes import FhirError, Unprocessable
from fhir_server.search.registry import parameters
from fhir_server.search.types.values import prefix, split
from subscriptions.condition import SILENT, Criteria, criteria
from subscriptions.subscription import FilterBy
from subscriptions.topic import Topic, Trigger
from subscriptions.view import View

RANGED = ("date", "number", "quantity")
_TYPED = re.compile(r"([A-Z][A-Za-z]*)([.?])(.*)", re.DOTALL)


class Condition:
    """A filter against a topic; get them by `compile_filter`, so that equal ones are one object, judged once a change.

    `by_type` are its criteria for each of the topic's types that it concerns; it says nothing of the others.
    """

    def __init__(self, by_type: Mapping[str, Criteria], types: frozenset[str]) -> None:
        self.by_type = by_type
        self.types = types  # of the topic

    @cached_property
    def keys(self) -> frozenset[str] | None:
        """At least one of these is in `View.keys` of whatever passes; None: it cannot be looked up by keys."""
        every = [self.keys_of(one) for one in self.types]
        known = [keys for keys in every if keys is not None]
        return frozenset().union(*known) if len(known) == len(every) else None

    def keys_of(self, type_: str) -> frozenset[str] | None:
        """The same for changes of one type alone: None also where the filter does not concern it."""
        found = self.by_type.get(type_)
        return found.keys if found is not None else None

    def matches(self, view: View) -> bool:
        """Whether the change passes: by the present version, for a deletion by the one before."""
        found = self.by_type.get(view.type)
        if found is None:
            return True
        if found not in view.verdicts:
            view.verdicts[found] = found.holds(view.document)
        return view.verdicts[found]


_known: WeakValueDictionary[tuple[object, ...], Condition] = WeakValueDictionary()


def parse_filter(text: str, topic: Topic) -> FilterBy:
    """`patient=…`, `Encounter.patient=…` or `Encounter?patient=…`; raises Unprocessable (422) for anything else."""
    spelled = _TYPED.fullmatch(text.strip())
    type_, rest = (spelled[1], spelled[3]) if spelled else ("", text.strip().removeprefix("?"))
    _check_type(topic, type_)
    pairs = _pairs(rest)
    if not pairs or not all(name and value for name, value in pairs):
        raise Unprocessable("A filter has the form [Type?]parameter[:modifier]=value.")
    return FilterBy(type_, rest)


def compile_filter(topic: Topic, one: FilterBy, base_url: str) -> Condition:
    """The filter, ready to be judged; raises Unprocessable (422) for what the topic does not allow, or no search.

    A filter without a type concerns those of the topic's types that it is allowed for.
    """
    _check_type(topic, one.type)
    allowed: dict[str, Criteria] = {}
    refused: list[FhirError] = []
    for type_ in [one.type] if one.type else sorted(topic.types):
        try:
            for name, value in _pairs(one.criteria):
                _check(topic, type_, name, value)
        except Unprocessable as error:
            refused.append(error)
            continue
        allowed[type_] = criteria(type_, one.criteria, base_url)
    if not allowed:
        raise refused[0]
    return _condition(topic, allowed)


def compile_criteria(text: str, base_url: str) -> Topic:
    """The topic that R4's own criteria stand for: "Observation?code=…", at each create and update that fits.

    Raises Unprocessable (422) when it is no search on one type that a resource alone answers.
    https://hl7.org/fhir/R4/subscription-definitions.html#Subscription.criteria
    """
    type_, question, query = text.strip().partition("?")
    if type_ not in RESOURCE_TYPES:
        raise Unprocessable("The criteria are neither a topic's URL nor a search on a resource type.", code="value")
    if type_ in SILENT:
        raise Unprocessable(f"Nothing is told of {type_}: {SILENT[type_]}.", code="not-supported")
    if question and query:
        criteria(type_, query, base_url)
    return _implicit(type_, query)


def conditions(topic: Topic, filters: Iterable[FilterBy], base_url: str) -> tuple[Condition, ...]:
    """All that a subscription to the topic is judged by besides the topic: its filters, or R4's own criteria."""
    if topic.criteria:
        (trigger,) = topic.triggers
        if not trigger.current:
            return ()
        return (_condition(topic, {trigger.type: criteria(trigger.type, trigger.current, base_url)}),)
    return tuple(dict.fromkeys(compile_filter(topic, one, base_url) for one in filters))


def _condition(topic: Topic, by_type: Mapping[str, Criteria]) -> Condition:
    key = topic.types, tuple(by_type.items())
    found = _known.get(key)
    if found is None:
        found = _known[key] = Condition(by_type, topic.types)
    return found


@lru_cache(16_384)
def _implicit(type_: str, query: str) -> Topic:
    trigger = Trigger(type_, ("create", "update"), current=query)
    return Topic(f"{type_}?{query}", f"Search on {type_}", (trigger,), criteria=True)


def _check_type(topic: Topic, type_: str) -> None:
    if type_ and type_ not in topic.types:
        about = ", ".join(sorted(topic.types))
        raise Unprocessable(f"The topic is about {about}, not about what the filter names.", code="value")


def _pairs(text: str) -> list[tuple[str, str]]:
    try:
        return parse_qsl(text, keep_blank_values=True, errors="strict")
    except (UnicodeDecodeError, ValueError):
        raise Unprocessable("A filter is percent-encoded UTF-8.") from None


def _check(topic: Topic, type_: str, name: str, value: str) -> None:
    """Raise Unprocessable (422) unless the topic allows the parameter on the type, with its modifier and comparator."""
    code, _, modifier = name.partition(":")
    allowed = [one for one in topic.filters if one.parameter == code and one.type in ("", type_)]
    if not allowed:
        there = ", ".join(sorted({one.parameter for one in topic.filters if one.type in ("", type_)})) or "nothing"
        raise Unprocessable(
            f"The topic does not allow to filter {type_} by '{code[:64]}'; it allows: {there}.", code="not-supported"
        )
    if modifier and not any(_coded(modifier) in one.modifiers for one in allowed):
        raise Unprocessable(
            f"The topic does not allow modifier ':{modifier[:64]}' for '{code[:64]}'.", code="not-supported"
        )
    for comparator in () if modifier == "missing" else _comparators(type_, code, value):
        if not any(comparator in (one.comparators or ("eq",)) for one in allowed):
            raise Unprocessable(
                f"The topic does not allow comparator '{comparator}' for '{code[:64]}'.", code="not-supported"
            )


def _comparators(type_: str, code: str, value: str) -> Iterator[str]:
    parameter = parameters(type_).get(code)
    if parameter is not None and parameter.type in RANGED:
        yield from (prefix(one)[0] for one in split(value, ","))


def _coded(modifier: str) -> str:
    """As a topic writes it: https://hl7.org/fhir/R5/valueset-search-modifier-code.html"""
    return "type" if modifier in RESOURCE_TYPES else modifier
