"""Point 1: resource triggers by tests/cases/subscription_triggers.yaml, event triggers, FHIRPath criteria."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from fhir_server.outcomes import FhirError
from subscriptions.topic import Topic, Trigger
from subscriptions.topic_basic import parse_topic
from subscriptions.topic_check import accept
from subscriptions.topic_events import EVENTS, SYSTEM
from subscriptions.trigger import can_fire, fires
from tests.subscriptions.topic_samples import BASE, Json, basic, part, query, view

CASES: list[Json] = yaml.safe_load((Path(__file__).parents[1] / "cases" / "subscription_triggers.yaml").read_text())


def topic_of(trigger: dict[str, Any]) -> Topic:
    parts = [part("resource", "http://hl7.org/fhir/StructureDefinition/Encounter")]
    parts += [part("supportedInteraction", one) for one in trigger.get("interactions", ())]
    if asked := {name: value for name, value in trigger.items() if name not in ("interactions", "fhirpath")}:
        parts.append(query(**asked))
    if "fhirpath" in trigger:
        parts.append(part("fhirPathCriteria", trigger["fhirpath"]))
    return accept(basic(trigger=parts), BASE)


def encounter(status: str) -> Json | None:
    return None if status == "none" else {"resourceType": "Encounter", "status": status}


def failures(cases: list[Json]) -> list[str]:
    found = []
    for case in cases:
        topic = topic_of(case["trigger"])
        for expected, steps in ((True, case["fires"]), (False, case.get("not", ()))):
            for step in steps:
                before, after = (encounter(one) for one in step.split(" → "))
                if fires(topic, view(before, after)) is not expected:
                    found.append(f"{case['trigger']}: {step}")
    return found


def test_triggers_fire_as_r5_says() -> None:
    assert failures(CASES) == []


def test_the_runner_can_fail() -> None:
    assert failures([{"trigger": {"current": "status=finished"}, "fires": ["none → planned"]}])
    assert failures([{"trigger": {}, "fires": [], "not": ["none → planned"]}])


def test_another_type_does_not_fire_and_is_not_even_read() -> None:
    change = view(None, {"resourceType": "Patient"})
    assert not fires(topic_of({}), change)
    assert {"after", "before", "after_document", "keys"}.isdisjoint(vars(change))


def test_what_the_type_and_interaction_decide_reads_nothing() -> None:
    change = view(None, {"resourceType": "Encounter", "status": "planned"})
    assert fires(topic_of({"interactions": ["create"]}), change)
    assert not fires(topic_of({"interactions": ["delete"], "fhirpath": "true"}), change)
    assert {"after", "before", "after_document"}.isdisjoint(vars(change))


def test_a_topic_is_judged_once_for_a_change() -> None:
    change = view(None, {"resourceType": "Encounter", "status": "planned"})
    topic = topic_of({"current": "status=planned"})
    assert fires(topic, change)
    assert fires(topic, change)
    assert len(change.verdicts) == 1


def test_an_expression_that_fails_does_not_fire() -> None:
    topic = Topic("http://t.test/x", "", (Trigger("Encounter", fhirpath="%nothing.exists()"),))
    assert not fires(topic, view(None, {"resourceType": "Encounter"}))
    endless = "1.repeat($this + 1).exists()"
    topic = Topic("http://t.test/y", "", (Trigger("Encounter", fhirpath=endless),))
    assert not fires(topic, view(None, {"resourceType": "Encounter"}))


def test_a_search_parameter_that_has_gone_does_not_fire_nor_raise() -> None:
    topic = Topic("http://t.test/z", "", (Trigger("Encounter", current="no-such=1"),))
    assert not fires(topic, view(None, {"resourceType": "Encounter"}))


@pytest.mark.parametrize(
    ("trigger", "possible"),
    [
        (Trigger("Encounter", ("delete",), current="status=finished", passes_delete=False), False),
        (Trigger("Encounter", ("delete",), current="status=finished"), True),
        (Trigger("Encounter", ("create",), previous="status=finished", passes_create=False), False),
        (Trigger("Encounter", ("create",), "a=1", "b=1", False, False, False), True),
        (Trigger("Encounter", ("create",), "a=1", "b=1", True, False, False), False),
        (Trigger("Encounter", ("create", "update"), "a=1", "b=1", True, False, False), True),
    ],
)
def test_what_can_never_fire_is_known(trigger: Trigger, possible: bool) -> None:
    assert can_fire(trigger) is possible


# ---- events ------------------------------------------------------------------------------------------

EXAMPLES: dict[str, tuple[Json | None, Json | None]] = {
    "A01": (None, {"status": "in-progress"}),
    "A03": ({"status": "in-progress"}, {"status": "finished"}),
    "A04": ({"status": "planned"}, {"status": "arrived"}),
    "A05": (None, {"status": "planned"}),
    "A11": ({"status": "planned"}, {"status": "cancelled"}),
    "A28": (None, {}),
    "A29": ({}, None),
    "A31": ({}, {}),
    "S12": ({"status": "proposed"}, {"status": "booked"}),
    "S14": ({"status": "booked"}, {"status": "booked"}),
    "S15": ({"status": "booked"}, {"status": "cancelled"}),
    "S17": ({"status": "booked"}, None),
    "S26": ({"status": "booked"}, {"status": "noshow"}),
    "R01": (None, {"status": "final"}),
    "T02": (None, {"status": "current"}),
    "T11": ({"status": "current"}, {"status": "entered-in-error"}),
}


def event_topic(code: str, type_: str, system: str = SYSTEM) -> Json:
    parts = [part("event", {"coding": [{"system": system, "code": code}]}), part("resource", type_)]
    family = "http://hl7.org/fhir/5.0/StructureDefinition/extension-SubscriptionTopic."
    return basic(part(f"{family}eventTrigger", parts), trigger=[])


@pytest.mark.parametrize(("type_", "code"), [(type_, code) for type_, code, _ in EVENTS])
def test_every_event_fires_and_nothing_else_of_the_resource(type_: str, code: str) -> None:
    topic = accept(event_topic(code, type_), BASE)
    assert topic.triggers[0].event == (SYSTEM, code)
    before, after = ({"resourceType": type_, **one} if one is not None else None for one in EXAMPLES[code])
    assert fires(topic, view(before, after))
    shown = before or after
    assert shown is not None
    still = {"resourceType": type_, "status": "unknown"}
    others = {view(still, None), view(None, still)} if code == "A31" else {view(still, still)}
    assert not any(fires(topic, one) for one in others)


@pytest.mark.parametrize(("code", "type_", "system"), [("A99", "Encounter", SYSTEM), ("A01", "Patient", SYSTEM)])
def test_an_event_that_is_not_known_is_refused(code: str, type_: str, system: str) -> None:
    with pytest.raises(FhirError) as refused:
        parse_topic(event_topic(code, type_, system))
    assert refused.value.status == 422
    assert "A01" in refused.value.issues[0].diagnostics
    assert refused.value.issues[0].expression == ("Basic.extension[1]",)
