"""Point 1: a topic is read from its Basic, or refused (422) with every rule that it breaks and where."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from fhir_server import json
from fhir_server.outcomes import FhirError
from fhir_server.search import registry
from subscriptions.topic import CanFilterBy, Shape, Trigger
from subscriptions.topic_basic import is_topic, parse_topic, status_of, url_of
from subscriptions.topic_check import accept
from subscriptions.topic_events import EVENTS
from subscriptions.trigger import fires
from tests.subscriptions.topic_samples import BASE, R5, Json, basic, guide_parameters, part, query, view

R4B = "http://hl7.org/fhir/4.3/StructureDefinition/extension-SubscriptionTopic."
PATIENT = part("filterParameter", "patient")


def filtered(*parts: Json) -> Json:
    return part(f"{R5}canFilterBy", list(parts))


def shaped(*parts: Json) -> Json:
    return part(f"{R5}notificationShape", list(parts))


def trigger(*parts: Json) -> list[Json]:
    return [part("resource", "Encounter"), *parts]


@pytest.mark.parametrize("family", [R5, R4B])
def test_the_form_of_the_ballot_is_read(family: str) -> None:
    made = basic(
        part(f"{R5}version", "1.0"),
        part(f"{R5}title", "Ended"),
        part(f"{R5}date", "2019-01-01"),
        part(f"{family}canFilterBy", [part("resource", "Encounter"), PATIENT]),
        part(
            f"{family}canFilterBy", [part("filterParameter", "length"), part("modifier", "gt"), part("modifier", "not")]
        ),
        part(f"{family}notificationShape", [part("resource", "Encounter"), part("include", "Encounter:patient")]),
        trigger=[
            part("description", "Ended"),
            part("resource", "http://hl7.org/fhir/StructureDefinition/Encounter"),
            part("supportedInteraction", "create"),
            part("supportedInteraction", "update"),
            query(
                previous="status:not=finished",
                resultForCreate="test-passes",
                current="status=finished",
                resultForDelete="test-fails",
                requireBoth=True,
            ),
        ],
        family=family,
    )
    topic = accept(made, BASE)
    ended = Trigger("Encounter", ("create", "update"), "status:not=finished", "status=finished", True, True, False)
    assert topic.triggers == (ended,)
    assert topic.filters == (CanFilterBy("patient", "Encounter"), CanFilterBy("length", "", "", ("gt",), ("not",)))
    assert topic.shapes == (Shape("Encounter", ("Encounter:patient",)),)
    assert (topic.url, topic.title, topic.version) == ("http://t.test/topic", "Ended", "1.0")
    assert (is_topic(made), status_of(made), url_of(made)) == (True, "active", "http://t.test/topic")


def test_another_basic_is_no_topic() -> None:
    assert not is_topic(None)
    assert not is_topic({"resourceType": "Basic", "code": {"text": "SubscriptionTopic"}})
    assert not is_topic({"resourceType": "Basic", "code": {"coding": [{"code": "SubscriptionTopic"}]}})


REFUSED: dict[str, tuple[Json, str, str]] = {
    "no url": (basic(url=""), "Basic.extension", "url"),
    "a url with a version": (basic(url="http://t.test|1"), "Basic.extension", "url"),
    "no trigger": (basic(trigger=[]), "Basic.extension", "trigger"),
    "no resource": (basic(trigger=[part("description", "?")]), "Basic.extension[1]", "resource"),
    "an interaction": (basic(trigger=trigger(part("supportedInteraction", "read"))), "Basic.extension[1]", "create"),
    "a part": (basic(trigger=trigger(part("queryCritera", "?"))), "Basic.extension[1].extension[1]", "no such part"),
    "a part of a part": (
        basic(trigger=trigger(query(currrent="status=finished"))),
        "Basic.extension[1].extension[1].extension[0]",
        "no such part",
    ),
    "a result": (
        basic(trigger=trigger(query(previous="status=planned", resultForCreate="pass"))),
        "Basic.extension[1].extension[1].extension[1]",
        "test-passes",
    ),
    "two queries": (basic(trigger=trigger(query(), query())), "Basic.extension[1].extension[2]", "once"),
    "a modifier that nobody knows": (
        basic() | {"modifierExtension": [part("http://t.test/not", True)]},
        "Basic.modifierExtension[0]",
        "not understood",
    ),
    "a comparator": (basic(filtered(PATIENT, part("comparator", "like"))), "Basic.extension[2]", "comparator"),
    "a filter without a name": (basic(filtered(part("resource", "Encounter"))), "Basic.extension[2]", "Parameter"),
    # What is understood, and cannot be honoured.
    "a profile": (basic(trigger=[part("resource", "http://t.test/Visit")]), "Basic.extension[1]", "type of R4"),
    "the audit trail": (basic(trigger=[part("resource", "AuditEvent")]), "Basic.extension[1]", "AuditEvent"),
    "subscriptions": (basic(trigger=[part("resource", "Subscription")]), "Basic.extension[1]", "Subscription"),
    "an unknown parameter": (basic(trigger=trigger(query(current="colour=red"))), "Basic.extension[1]", "colour"),
    "a chain": (basic(trigger=trigger(query(current="patient.name=x"))), "Basic.extension[1]", "resource itself"),
    "a value set": (basic(trigger=trigger(query(current="type:in=http://v"))), "Basic.extension[1]", "resource itself"),
    "a reverse chain": (
        basic(trigger=trigger(query(previous="_has:Observation:encounter:code=1"))),
        "Basic.extension[1]",
        "resource itself",
    ),
    "what shapes results": (basic(trigger=trigger(query(current="_count=1"))), "Basic.extension[1]", "_count"),
    "never": (
        basic(trigger=trigger(part("supportedInteraction", "delete"), query(current="status=finished"))),
        "Basic.extension[1]",
        "ever fire",
    ),
    "a broken expression": (
        basic(trigger=trigger(part("fhirPathCriteria", "a and"))),
        "Basic.extension[1]",
        "fhirPath",
    ),
    "an unknown constant": (
        basic(trigger=trigger(part("fhirPathCriteria", "%now"))),
        "Basic.extension[1]",
        "%previous",
    ),
    "a look-up": (
        basic(trigger=trigger(part("fhirPathCriteria", "subject.resolve().active"))),
        "Basic.extension[1]",
        "resolve()",
    ),
    "a filter that is no parameter": (
        basic(filtered(part("filterParameter", "author.given"))),
        "Basic.extension[2]",
        "no",
    ),
    "a filter by a list": (basic(filtered(part("filterParameter", "_list"))), "Basic.extension[2]", "_list"),
    "a filter of another type": (
        basic(filtered(part("resource", "Patient"), part("filterParameter", "name"))),
        "Basic.extension[2]",
        "about",
    ),
    "a shape of another type": (basic(shaped(part("resource", "Patient"))), "Basic.extension[2]", "about"),
    "an include of another type": (
        basic(shaped(part("resource", "Encounter"), part("include", "Patient:link"))),
        "Basic.extension[2]",
        "Encounter:",
    ),
    "an include of no reference": (
        basic(shaped(part("resource", "Encounter"), part("include", "Encounter:status"))),
        "Basic.extension[2]",
        "reference",
    ),
    "an include with more": (
        basic(shaped(part("resource", "Encounter"), part("include", "Encounter:patient&iterate=Patient.link"))),
        "Basic.extension[2]",
        "reference",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_it_is_refused_with_the_rule_and_the_place(name: str) -> None:
    made, place, rule = REFUSED[name]
    with pytest.raises(FhirError) as refused:
        accept(made, BASE)
    assert refused.value.status == 422
    assert any(place in one.expression and rule in one.diagnostics for one in refused.value.issues), (
        refused.value.issues
    )


def test_every_reason_is_told_at_once() -> None:
    with pytest.raises(FhirError) as refused:
        parse_topic(basic(filtered(part("comparator", "x")), url="", trigger=[part("supportedInteraction", "x")]))
    assert len(refused.value.issues) >= 4


def test_what_is_refused_is_accepted_without_the_fault() -> None:
    """The refusals are not of something else in them."""
    accept(basic(), BASE)
    accept(basic(filtered(PATIENT), shaped(part("resource", "Encounter"))), BASE)
    accept(basic(trigger=trigger(query(current="status=finished"), part("fhirPathCriteria", "status = 'x'"))), BASE)


def test_parameters_that_are_being_indexed_count_already() -> None:
    made = basic(trigger=trigger(query(current="priority=UR")))
    with pytest.raises(FhirError):
        accept(made, BASE)
    with guide_parameters():
        accept(made, BASE)
        known = registry.parameters("Encounter")["priority"]
        with registry.trial([replace(known, complete=False)]):
            accept(made, BASE)


def test_the_example_of_the_documentation_is_accepted() -> None:
    page = (Path(__file__).parents[2] / "docs" / "subscriptions-topics.md").read_text()
    made = json.decode(page.partition("```json\n")[2].partition("```")[0])
    topic = accept(made, BASE)
    visit = {"resourceType": "Encounter", "status": "finished", "priority": {"coding": [{"code": "UR"}]}}
    assert fires(topic, view({**visit, "status": "in-progress"}, visit))
    assert not fires(topic, view(None, {**visit, "priority": {"coding": [{"code": "R"}]}}))
    for _, code, _ in EVENTS:
        assert re.search(rf"\b{code}\b.* of ", page), code
