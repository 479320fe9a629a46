"""Compiled Consents against a plain second reading of them: tests/access/judge.py."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from fhir_server import json
from fhir_server.access.compartment import patient_numbers
from fhir_server.access.consents import (
    ALERT,
    BREAK_GLASS,
    REVIEW,
    Caller,
    compile_consents,
    denying,
    emergencies,
    next_change,
    panel_of,
    restriction,
)
from fhir_server.access.formulas import all_of, among, any_of
from fhir_server.access.principal import Principal
from fhir_server.access.provisions import MAX_PATIENT_WEIGHT, MAX_WEIGHT, SHARING
from fhir_server.interactions.consent import readable
from fhir_server.search.memory import matches
from tests.access import judge
from tests.access.generated import CONSENTS, ME, NAMES, resources
from tests.access.people import document

Json = dict[str, Any]

NOW = datetime(2024, 6, 15, 12, tzinfo=UTC)


# ---- compared ------------------------------------------------------------------------------------------------


def principal(*given: Json, **more: Any) -> Principal:
    rules = compile_consents(given, Caller(frozenset(NAMES)), NOW)
    return replace(Principal("me", user=ME), consents=rules, **more)


def is_denied(who: Principal, resource: Json, action: str) -> bool:
    wanted = restriction(who, resource["resourceType"], action)
    return bool(wanted) and not matches(wanted, document(resource))


def is_opened(who: Principal, resource: Json, action: str) -> bool:
    """What a Consent opens by its rule, whole shares included."""
    type_ = resource["resourceType"]
    parts = []
    for rule in who.consents:
        keys = among(f"{number}>{patient}" for number in patient_numbers(type_) for patient in rule.patients)
        parts.append(all_of((keys, rule.root.opened(type_, action))))
    opened = any_of(parts)
    return opened if isinstance(opened, bool) else matches(opened, document(resource))


def told(*asked: Any) -> str:
    return json.encode(asked).decode()


@settings(max_examples=500, deadline=None)
@given(CONSENTS, resources(), st.sampled_from("cruds"))
def test_what_is_denied_is_what_the_judge_denies(consent: Json, resource: Json, action: str) -> None:
    expected = judge.denies(consent, resource, action, NAMES, "TREAT", NOW)
    assert is_denied(principal(consent), resource, action) is expected, told(consent, resource, action)


@settings(max_examples=400, deadline=None)
@given(CONSENTS, resources(), st.sampled_from("cruds"))
def test_what_is_opened_is_what_the_judge_permits(consent: Json, resource: Json, action: str) -> None:
    expected = judge.permits(consent, resource, action, NAMES, "TREAT", NOW)
    assert is_opened(principal(consent), resource, action) is expected, told(consent, resource, action)


# ---- by hand ---------------------------------------------------------------------------------------------------


CASES = Path(__file__).parent.parent / "cases" / "access_consents.yaml"


def consent(provision: Json, patient: str = "Patient/1", policy: str = "OPTIN", **more: Any) -> Json:
    return {
        "resourceType": "Consent",
        "id": "c",
        "status": "active",
        "scope": {
            "coding": [{"system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "patient-privacy"}]
        },
        "patient": {"reference": patient},
        "policyRule": {"coding": [{"system": judge.ACT_CODE, "code": policy}]},
        "provision": provision,
        **more,
    }


def actor(target: str, role: str = "PRCP") -> Json:
    return {"role": {"coding": [{"code": role}]}, "reference": {"reference": target}}


def run(case: Mapping[str, Any]) -> None:
    """One case of the file: which actions the Consents leave open to the caller on the resource."""
    given = [
        consent(one.get("provision", {}), **{k: v for k, v in one.items() if k != "provision"})
        for one in case["consents"]
    ]
    names = frozenset(case.get("names", NAMES))
    rules = compile_consents(given, Caller(names, case.get("client", ""), case.get("purpose", "TREAT")), NOW)
    who = Principal(
        "me", user=case.get("user", ME), consents=rules, **{k: frozenset(v) for k, v in case.get("who", {}).items()}
    )
    left = "".join(one for one in "cruds" if not is_denied(who, case["resource"], one))
    assert left == case["left"]


@pytest.mark.parametrize("case", [pytest.param(one, id=one["name"]) for one in yaml.safe_load(CASES.read_text())])
def test_case(case: Json) -> None:
    run(case)


def test_the_runner_can_fail() -> None:
    wrong = {
        "consents": [{"provision": {"type": "deny"}}],
        "resource": {"resourceType": "Patient", "id": "1"},
        "left": "r",
    }
    with pytest.raises(AssertionError):
        run(wrong)


OBSERVATION = {
    "resourceType": "Observation",
    "id": "x",
    "status": "final",
    "code": {"text": "x"},
    "subject": {"reference": "Patient/1"},
}


def test_thousands_of_patients_are_one_flat_list() -> None:
    given = [consent({"type": "deny", "actor": [actor(ME)]}, f"Patient/{number}") for number in range(3000)]
    who = principal(*given)
    assert len(who.consents) == 1
    wanted = restriction(who, "Observation", "s")
    assert list(wanted) == ["k"]
    assert len(wanted["k"]["$nin"]) == 3000 * len(patient_numbers("Observation"))


def test_the_same_denial_of_a_part_is_one_condition() -> None:
    part = {"type": "deny", "securityLabel": [{"system": judge.ACT_CODE, "code": "HIV"}]}
    wanted = restriction(principal(*(consent(part, f"Patient/{number}") for number in range(100))), "Observation", "s")
    assert len(wanted["$nor"]) == 1


def test_a_denial_names_its_consent() -> None:
    who = principal(consent({"type": "deny"}, id="first"), consent({"type": "permit"}, id="second"))
    assert [name for name, _ in denying(who, "Observation", "r")] == ["Consent/first"]


def test_too_much_to_be_looked_at_is_denied() -> None:
    labels = [{"system": "urn:s", "code": str(number)} for number in range(501)]
    assert is_denied(principal(consent({"type": "deny", "securityLabel": labels})), OBSERVATION, "r")
    many = [{"type": "deny", "class": [{"system": judge.TYPES, "code": "Flag"}]}] * 101
    assert is_denied(principal(consent({"type": "permit", "provision": many})), OBSERVATION, "r")
    assert not is_opened(
        principal(consent({"type": "permit", "actor": [actor(ME)], "provision": many})), OBSERVATION, "r"
    )


def test_below_the_second_level_nothing_is_excepted() -> None:
    innermost = {"type": "permit", "actor": [actor(ME)]}
    deep = {
        "type": "deny",
        "provision": [{"type": "permit", "provision": [{"type": "deny", "provision": [innermost]}]}],
    }
    assert is_denied(principal(consent(deep)), OBSERVATION, "r")
    deep = {
        "type": "deny",
        "provision": [{"type": "deny", "provision": [{"type": "permit", "provision": [innermost]}]}],
    }
    assert is_denied(principal(consent(deep)), OBSERVATION, "r")


def test_what_is_related_is_known_by_links() -> None:
    data = [{"meaning": "related", "reference": {"reference": "Encounter/e"}}]
    given = [consent({"type": "deny", "data": data})]
    other = {**OBSERVATION, "id": "other"}
    rules = compile_consents(given, Caller(), NOW, links={"Encounter/e": ["Observation/x"]})
    who = Principal("me", user=ME, consents=rules)
    assert is_denied(who, OBSERVATION, "r")
    assert not is_denied(who, other, "r")
    assert is_denied(principal(*given), other, "r")


def test_modifier_extensions_deny_everything_and_permit_nothing() -> None:
    unknown = [{"url": "urn:whatever", "valueBoolean": True}]
    label = [{"system": "urn:s", "code": "none"}]
    assert is_denied(
        principal(consent({"type": "deny", "securityLabel": label, "modifierExtension": unknown})), OBSERVATION, "r"
    )
    assert is_denied(
        principal(consent({"type": "deny", "securityLabel": label}, modifierExtension=unknown)), OBSERVATION, "r"
    )
    permit = {"type": "permit", "actor": [actor(ME)]}
    assert not is_opened(principal(consent({**permit, "modifierExtension": unknown})), OBSERVATION, "r")
    assert not is_opened(principal(consent(permit, modifierExtension=unknown)), OBSERVATION, "r")


def test_the_audit_trail_and_consents_are_beyond_consents() -> None:
    who = principal(consent({"type": "deny"}))
    assert restriction(who, "AuditEvent", "r") == {}
    assert restriction(who, "Consent", "r") == {}


def test_the_review_of_an_emergency_is_seen_by_those_who_review() -> None:
    who = principal(consent({"type": "deny"}))
    task = {
        "resourceType": "Task",
        "id": "t",
        "status": "requested",
        "intent": "order",
        "for": {"reference": "Patient/1"},
    }
    assert is_denied(who, task, "r")
    assert not is_denied(who, {**task, "code": coded(REVIEW)}, "r")
    alert = {"resourceType": "Communication", "id": "a", "status": "completed", "subject": {"reference": "Patient/1"}}
    assert is_denied(who, alert, "r")
    assert not is_denied(who, {**alert, "category": [coded(ALERT)]}, "r")


@pytest.mark.parametrize("action", ["c", "u", "d"])
def test_nobody_writes_an_emergency_themselves(action: str) -> None:
    broken = consent({"type": "permit"}, category=[coded(BREAK_GLASS)])
    assert is_denied(Principal("me", user=ME), broken, action)
    assert not is_denied(Principal("me", user=ME), consent({"type": "permit"}), action)


# ---- shares, emergencies and times -----------------------------------------------------------------------------


def coded(code: tuple[str, str]) -> Json:
    return {"coding": [{"system": code[0], "code": code[1]}]}


def levels(*codes: str) -> Json:
    return {"action": [coded((SHARING, code)) for code in codes]}


def test_a_share_of_the_whole_record_is_in_the_panel() -> None:
    whole = {"type": "permit", "actor": [actor(ME)]}
    given = [
        consent({**whole, **levels("full")}, "Patient/full"),
        consent(whole, "Patient/limited"),
        consent({**whole, **levels("emergency")}, "Patient/both"),
        consent({**whole, **levels("full")}, "Patient/both"),
        consent({**whole, **levels("full", "emergency")}, "Patient/least"),
        consent({**whole, **levels("owner")}, "Patient/unknown"),
        consent(
            {**whole, "action": [*levels("full")["action"], coded((judge.CONSENT_ACTION, "access"))]}, "Patient/read"
        ),
        consent({"type": "permit", "actor": [actor("Practitioner/other")]}, "Patient/others"),
        consent({"type": "permit"}, "Patient/nobodys"),
        consent({**whole, "class": [{"system": judge.TYPES, "code": "Flag"}]}, "Patient/part"),
        consent({**whole, "period": {"end": "2024-06-14"}}, "Patient/over"),
        consent(whole, "Patient/inactive", status="inactive"),
        consent(
            whole,
            "Patient/research",
            scope={"coding": [{"system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "research"}]},
        ),
        consent({"type": "deny", "provision": [whole]}, "Patient/excepted", "OPTOUT"),
    ]
    expected = {
        "Patient/full": "full",
        "Patient/limited": "limited",
        "Patient/both": "full",
        "Patient/least": "emergency",
        "Patient/excepted": "limited",
    }
    assert panel_of(given, ME, NOW) == expected
    assert panel_of(given, "", NOW) == {}
    mine = [consent({"type": "permit", "actor": [actor("Organization/mine")]})]
    assert panel_of(mine, ME, NOW) == {}
    assert panel_of(mine, Caller(frozenset(NAMES)), NOW) == {"Patient/1": "limited"}


def test_a_level_limits_no_denial() -> None:
    who = principal(consent({"type": "deny", **levels("limited")}))
    assert is_denied(who, OBSERVATION, "r")
    assert is_denied(who, OBSERVATION, "u")


def broken(user: str = ME, start: str = "2024-06-15T11:45:00Z", end: str = "2024-06-15T12:15:00Z") -> Json:
    purpose = [{"system": judge.REASON, "code": "BTG"}]
    provision = {"type": "permit", "period": {"start": start, "end": end}, "actor": [actor(user, "IRCP")]}
    category = [coded(BREAK_GLASS)]
    return consent({**provision, "purpose": purpose, **levels("emergency")}, category=category)


def test_a_broken_glass_is_open_to_its_breaker_for_its_time() -> None:
    assert emergencies([broken()], ME, NOW) == {"Patient/1"}
    assert emergencies([broken()], "Practitioner/other", NOW) == frozenset()
    assert emergencies([broken()], ME, NOW + timedelta(minutes=16)) == frozenset()
    assert emergencies([{**broken(), "category": [coded((SHARING, "full"))]}], ME, NOW) == frozenset()
    assert panel_of([broken()], Caller(frozenset({ME}), purpose="BTG"), NOW) == {}


def test_what_was_compiled_holds_until_the_next_edge() -> None:
    assert next_change([broken()], NOW) == NOW + timedelta(minutes=15, seconds=1)
    assert next_change([broken(start="2024-06-15T12:01:00Z", end="2024-06-16")], NOW) == NOW + timedelta(minutes=1)
    nested = consent({"type": "deny", "provision": [{"type": "permit", "period": {"start": "2024-07-01"}}]})
    assert next_change([broken(), nested], NOW + timedelta(days=1)) == datetime(2024, 7, 1, tzinfo=UTC)
    assert next_change([consent({"type": "deny"})], NOW) is None


# ---- too much ------------------------------------------------------------------------------------------------


def wordy(number: int, codes: int, **more: Any) -> Json:
    """A Consent of Patient/1 that denies the data with so many codes."""
    codings = [{"coding": [{"system": "urn:x", "code": f"{number}-{one}"}]} for one in range(codes)]
    denial = {"type": "deny", "code": codings}
    patient = {"reference": "Patient/1"}
    return {
        "resourceType": "Consent",
        "id": f"w{number}",
        "status": "active",
        "patient": patient,
        "provision": denial,
        **more,
    }


ANYTHING = {
    "resourceType": "Observation",
    "id": "any",
    "subject": {"reference": "Patient/1"},
    "code": {"coding": [{"system": "urn:x", "code": "other"}]},
}


def test_a_consent_of_too_many_values_denies_everything() -> None:
    assert not is_denied(principal(wordy(1, MAX_WEIGHT - 1)), ANYTHING, "r")
    assert is_denied(principal(wordy(1, MAX_WEIGHT)), ANYTHING, "r")
    assert readable(wordy(1, MAX_WEIGHT - 1)) == []
    assert [issue.severity for issue in readable(wordy(1, MAX_WEIGHT))] == ["error"]


def test_so_do_too_many_consents_of_a_patient() -> None:
    each = MAX_WEIGHT - 1
    many = [wordy(number, each) for number in range(MAX_PATIENT_WEIGHT // MAX_WEIGHT + 1)]
    assert not is_denied(principal(*many[:-1]), ANYTHING, "r")
    who = principal(*many)
    assert is_denied(who, ANYTHING, "r")
    assert len(json.encode(restriction(who, "Observation", "r"))) < 1000
    # Nobody else's record is closed by that.
    assert not is_denied(who, {**ANYTHING, "subject": {"reference": "Patient/2"}}, "r")


def test_who_acts_for_a_patient_is_still_denied_by_name() -> None:
    acting = {"own": frozenset({"Patient/1"})}
    actor = [{"reference": {"reference": ME}}]
    for codes, count in ((MAX_WEIGHT + 1, 1), (MAX_WEIGHT - 10, 3)):
        by_name = [wordy(number, codes) for number in range(count)]
        assert not is_denied(principal(*by_name, **acting), ANYTHING, "r")
        for one in by_name:
            one["provision"] = {**one["provision"], "actor": actor}
        assert is_denied(principal(*by_name, **acting), ANYTHING, "r")
