"""A topic as R4 stores it: a Basic resource whose extensions are the elements of R5's SubscriptionTopic.

The form of the Subscriptions R5 Backport guide's 1.2 ballot; both of the URL families that it used are read.
https://hl7.org/fhir/R5/subscriptiontopic.html · docs/subscriptions-topics.md
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from fhir_server.change import Interaction
from fhir_server.outcomes import Issue, Unprocessable
from subscriptions.topic import CanFilterBy, Shape, Topic, Trigger
from subscriptions.topic_events import EVENTS, event_trigger

Json = dict[str, Any]

SYSTEM, CODE = "http://hl7.org/fhir/fhir-types", "SubscriptionTopic"
FAMILIES = (
    "http://hl7.org/fhir/5.0/StructureDefinition/extension-SubscriptionTopic.",
    "http://hl7.org/fhir/4.3/StructureDefinition/extension-SubscriptionTopic.",
)
COMPARATORS = frozenset({"eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap"})
INTERACTIONS: tuple[Interaction, ...] = ("create", "update", "delete")
_RESULTS = {"test-passes": True, "test-fails": False}
_DEFINITIONS = "http://hl7.org/fhir/StructureDefinition/"
# Parts of an element that are known, whether they are read here or only say something to people.
_PARTS = {
    "resourceTrigger": {"description", "resource", "supportedInteraction", "queryCriteria", "fhirPathCriteria"},
    "queryCriteria": {"previous", "resultForCreate", "current", "resultForDelete", "requireBoth"},
    "eventTrigger": {"description", "event", "resource"},
    "canFilterBy": {"description", "resource", "filterParameter", "filterDefinition", "comparator", "modifier"},
    "notificationShape": {"resource", "include", "revInclude"},
}


@dataclass(frozen=True, slots=True)
class Element:
    """An element of the topic: its name, its value or parts, and where it is in the Basic."""

    name: str
    value: Any
    place: str
    parts: tuple[Element, ...] = ()


@dataclass(slots=True)
class Reading:
    """The elements of a topic, and what is wrong with them."""

    elements: tuple[Element, ...]
    issues: list[Issue] = field(default_factory=list)

    def wrong(self, element: Element | str, rule: str, code: str = "invalid") -> None:
        """Note that the element, or what should be at this place, breaks a rule."""
        place = element if isinstance(element, str) else element.place
        self.issues.append(Issue(code, rule, (place,)))

    def texts(self, parts: Iterable[Element], name: str) -> tuple[str, ...]:
        """The values of all parts of this name that are text."""
        found: list[str] = []
        for part in parts:
            if part.name == name:
                if isinstance(part.value, str) and part.value:
                    found.append(part.value)
                else:
                    self.wrong(part, f"{name} is text.", "value")
        return tuple(found)

    def text(self, parts: Iterable[Element], name: str) -> str:
        """The one value of this name, "" when there is none."""
        listed = list(parts)
        found = self.texts(listed, name)
        if len(found) > 1:
            self.wrong([one for one in listed if one.name == name][1], f"{name} is given once.")
        return found[0] if found else ""


def is_topic(resource: Json | None) -> bool:
    """Whether the resource is a Basic that stands for a SubscriptionTopic."""
    if resource is None or resource.get("resourceType") != "Basic":
        return False
    codings = resource.get("code", {}).get("coding", ())
    return any(one.get("system") == SYSTEM and one.get("code") == CODE for one in codings)


def status_of(basic: Json) -> str:
    """The topic's status: draft, active, retired or unknown; "" when it says none."""
    found = [one for one in (*_elements(basic, "modifierExtension"), *_elements(basic)) if one.name == "status"]
    return found[0].value if found and isinstance(found[0].value, str) else ""


def url_of(basic: Json) -> str:
    """The topic's canonical URL, "" when it has none."""
    return next((one.value for one in _elements(basic) if one.name == "url" and isinstance(one.value, str)), "")


def elements(basic: Json, name: str) -> list[Element]:
    """The topic's elements of this name, in order."""
    return [one for one in _elements(basic) if one.name == name]


def parse_topic(basic: Json) -> Topic:
    """The topic that a Basic stands for; raises Unprocessable (422) with every rule that it breaks, and where.

    Whether this server can honour it is for `topic_check.check`. Triggers come in the order of their elements, those
    of events behind those of resources.
    """
    reading = Reading(tuple(_elements(basic)))
    for one in _elements(basic, "modifierExtension"):
        if one.name != "status":
            reading.wrong(one, "A topic with this modifier is not understood.", "not-supported")
    for one in reading.elements:
        _known(reading, one)
    url = reading.text(reading.elements, "url")
    if not url or any(character.isspace() for character in url) or "|" in url:
        reading.wrong("Basic.extension", "A topic has a url, by which subscriptions name it.", "required")
    triggers = [_resource_trigger(reading, one) for one in reading.elements if one.name == "resourceTrigger"]
    triggers += [_event_trigger(reading, one) for one in reading.elements if one.name == "eventTrigger"]
    if not triggers:
        reading.wrong("Basic.extension", "A topic has a trigger, of a resource or an event.", "required")
    topic = Topic(
        url,
        reading.text(reading.elements, "title") or reading.text(reading.elements, "name") or url,
        tuple(triggers),
        tuple(_can_filter_by(reading, one) for one in reading.elements if one.name == "canFilterBy"),
        tuple(_shape(reading, one) for one in reading.elements if one.name == "notificationShape"),
        reading.text(reading.elements, "version"),
        reading.text(reading.elements, "description"),
    )
    if reading.issues:
        raise Unprocessable("The topic is not understood.", issues=reading.issues)
    return topic


def _elements(basic: Json, where: str = "extension") -> Iterator[Element]:
    for index, extension in enumerate(basic.get(where, ())):
        url = extension.get("url", "")
        family = next((one for one in FAMILIES if url.startswith(one)), None)
        if family is not None or where == "modifierExtension":
            yield _element(extension, url.removeprefix(family or ""), f"Basic.{where}[{index}]")


def _element(extension: Json, name: str, place: str) -> Element:
    value = next((value for key, value in extension.items() if key.startswith("value")), None)
    inside = enumerate(extension.get("extension", ()))
    parts = tuple(_element(one, one.get("url", ""), f"{place}.extension[{index}]") for index, one in inside)
    return Element(name, value, place, parts)


def _known(reading: Reading, element: Element) -> None:
    """A part that is not known may be one that is misspelled; what others added to it has an absolute URL."""
    known = _PARTS.get(element.name)
    if known is None:
        return
    for part in element.parts:
        if part.name not in known and ":" not in part.name:
            reading.wrong(part, f"{element.name} has no such part.", "structure")
        _known(reading, part)


def _type(text: str) -> str:
    return text.removeprefix(_DEFINITIONS)


def _resource_trigger(reading: Reading, element: Element) -> Trigger:
    parts = element.parts
    type_ = _type(reading.text(parts, "resource"))
    if not type_:
        reading.wrong(element, "A resourceTrigger names its resource.", "required")
    interactions = reading.texts(parts, "supportedInteraction")
    if not set(interactions) <= set(INTERACTIONS):
        reading.wrong(element, "supportedInteraction is create, update or delete.", "code-invalid")
    queries = [one for one in parts if one.name == "queryCriteria"]
    if len(queries) > 1:
        reading.wrong(queries[1], "queryCriteria is given once.")
    inside = queries[0].parts if queries else ()
    both = next((one.value for one in inside if one.name == "requireBoth"), False)
    if not isinstance(both, bool):
        reading.wrong(element, "requireBoth is true or false.", "value")
    return Trigger(
        type_,
        tuple(one for one in INTERACTIONS if one in interactions) or INTERACTIONS,
        _query(reading.text(inside, "previous"), type_),
        _query(reading.text(inside, "current"), type_),
        both is True,
        _result(reading, inside, "resultForCreate", unsaid=True),
        # R5 says no default: what is no more fits no query unless the topic says so.
        _result(reading, inside, "resultForDelete", unsaid=False),
        reading.text(parts, "fhirPathCriteria"),
    )


def _query(text: str, type_: str) -> str:
    """The search without "Encounter?" in front."""
    return text.strip().removeprefix(f"{type_}?").removeprefix("?")


def _result(reading: Reading, parts: Iterable[Element], name: str, *, unsaid: bool) -> bool:
    listed = list(parts)
    text = reading.text(listed, name)
    if text and text not in _RESULTS:
        wrong = next(one for one in listed if one.name == name)
        reading.wrong(wrong, f"{name} is test-passes or test-fails.", "code-invalid")
    return _RESULTS.get(text, unsaid)


def _event_trigger(reading: Reading, element: Element) -> Trigger:
    type_ = _type(reading.text(element.parts, "resource"))
    concept = next((one.value for one in element.parts if one.name == "event"), None)
    codings = concept.get("coding", ()) if isinstance(concept, dict) else ()
    for coding in codings:
        found = event_trigger(coding.get("system", ""), coding.get("code", ""), type_)
        if found is not None:
            return found
    known = ", ".join(sorted({f"{code} ({name})" for _, code, name in EVENTS}))
    rule = f"This server has no such event of this resource. Of HL7's table 0003 it has: {known}."
    reading.wrong(element, rule, "not-supported")
    return Trigger(type_)


def _can_filter_by(reading: Reading, element: Element) -> CanFilterBy:
    parameter = reading.text(element.parts, "filterParameter")
    if not parameter:
        reading.wrong(element, "A canFilterBy names its filterParameter.", "required")
    modifiers = reading.texts(element.parts, "modifier")
    comparators = reading.texts(element.parts, "comparator")
    if not set(comparators) <= COMPARATORS:
        reading.wrong(element, "comparator is one of R5's comparators.", "code-invalid")
    return CanFilterBy(
        parameter,
        _type(reading.text(element.parts, "resource")),
        reading.text(element.parts, "filterDefinition"),
        # Before R5 there was one list for the two of them.
        tuple(dict.fromkeys((*comparators, *(one for one in modifiers if one in COMPARATORS)))),
        tuple(one for one in modifiers if one not in COMPARATORS),
    )


def _shape(reading: Reading, element: Element) -> Shape:
    type_ = _type(reading.text(element.parts, "resource"))
    if not type_:
        reading.wrong(element, "A notificationShape names its resource.", "required")
    include = tuple(one.removeprefix("_include=") for one in reading.texts(element.parts, "include"))
    reverse = tuple(one.removeprefix("_revinclude=") for one in reading.texts(element.parts, "revInclude"))
    return Shape(type_, include, reverse)
