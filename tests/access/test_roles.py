"""The role policy: what the file says, what it may not say, and what comes of it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from fhir_server import json
from fhir_server.access import roles
from fhir_server.access.compartment import SHARED
from fhir_server.access.consents import FOR_OFFICERS, compile_consents
from fhir_server.access.policy import PolicyError, read
from fhir_server.access.principal import SYSTEM, Principal
from fhir_server.access.provisions import SHARING, Caller
from fhir_server.definitions import RESOURCE_TYPES
from ig import package_folder
from tests.access.people import caller, document, may
from tests.access.policy_table import table

Json = dict[str, Any]
ROOT = Path(__file__).parent.parent.parent
CASES = yaml.safe_load((ROOT / "tests" / "cases" / "access_roles.yaml").read_text())
ROLES = {
    *("doctor", "nurse", "specialist", "paramedic", "receptionist", "pharmacist", "laboratory-technician"),
    *("administrator", "super-administrator", "privacy-officer", "patient", "proxy", "observer", "system"),
}


def run(case: Json) -> None:
    assert may(caller(case["who"]), case["resource"]) == case["may"]


@pytest.mark.parametrize("case", [pytest.param(one, id=one["name"]) for one in CASES])
def test_case(case: Json) -> None:
    run(case)


def test_the_runner_can_fail() -> None:
    with pytest.raises(AssertionError):
        run({"who": {"roles": ["doctor"]}, "resource": {"resourceType": "Patient", "id": "1"}, "may": "cruds"})


def test_every_role_has_a_case() -> None:
    tested = {role for case in CASES for role in case["who"].get("roles", ())}
    assert tested >= ROLES - {"system"}


# ---- the file -------------------------------------------------------------------------------------------------


def test_the_roles_are_all_there() -> None:
    assert set(roles.policy().roles) == ROLES


def test_every_type_is_in_one_group() -> None:
    counted = Counter(type_ for types in roles.policy().groups.values() for type_ in types)
    assert set(counted) == RESOURCE_TYPES
    assert [type_ for type_, count in counted.items() if count > 1] == []


def test_shared_is_what_the_compartments_take_for_shared() -> None:
    assert roles.policy().groups["shared"] == SHARED


def test_the_guide_shows_the_policy() -> None:
    text = (ROOT / "docs" / "access.md").read_text()
    found = re.search(r"<!-- roles.toml -->\n(.*?)\n<!-- end -->", text, re.DOTALL)
    assert found is not None
    assert found[1] == table(roles.policy()), "print it anew: python -m tests.access.policy_table"


WRONG = {
    "no TOML": "roles = [",
    "the policy has no 'rules'": "[rules]",
    "'Patints' is no resource type": "[types]\npeople = ['Patints']",
    "a group has no name of a type": "[types]\nPatient = ['Patient']",
    "roles.doctor has no 'Patints'": "[roles.doctor]\nabout = ''\nPatints = 'r all'",
    "is a table that begins with `about`": "[roles.doctor]\nPatient = 'r all'",
    "'rc' are not letters of cruds": "[roles.doctor]\nabout = ''\nPatient = 'rc all'",
    "'rw' are not letters of cruds": "[roles.doctor]\nabout = ''\nPatient = 'rw all'",
    "says not on which resources": "[roles.doctor]\nabout = ''\nPatient = 'r'",
    "there is no filter 'some'": "[roles.doctor]\nabout = ''\nPatient = 'r some'",
    "'colour=red' cannot be searched for": "[roles.doctor]\nabout = ''\nPatient = 'r colour=red'",
    "'organization.name=x' cannot be searched for": "[roles.doctor]\nabout = ''\nPatient = 'r organization.name=x'",
    "'code:in=http://x' cannot be searched for": "[roles.doctor]\nabout = ''\nObservation = 'r code:in=http://x'",
    "roles.doctor.Patient is a text": "[roles.doctor]\nabout = ''\nPatient = 3",
    "basic.Patints": "[basic]\nPatints = ''",
    "basic.Patient: 'x=y' cannot be searched for": "[basic]\nPatient = 'x=y'",
    "self has no 'read'": "[self]\nread = []",
    "self.wrote is a list of search parameters": "[self]\nwrote = ['penman']",
    "operations.erase is a list of roles": "[operations]\nerase = ['wizard']",
    "is no system|code": "[labels]\nconfidential = ['R']",
}


@pytest.mark.parametrize(("message", "text"), WRONG.items())
def test_a_mistake_is_refused_by_name(message: str, text: str) -> None:
    with pytest.raises(PolicyError, match=re.escape(message)):
        read(text)


def test_the_nearest_line_counts() -> None:
    text = "[types]\nfew = ['Flag', 'Goal']\n[roles.one]\nabout = ''\n'*' = 'r all'\nfew = 'c all'\nFlag = 'd all'"
    types = read(text).roles["one"].types
    assert [str(*types[name]) for name in ("Flag", "Goal", "Patient")] == ["d all", "c all", "r all"]


@pytest.fixture
def own_file(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "roles.toml"
    roles.install(ROOT / "fhir_server" / "access" / "roles.toml")


def test_another_file_may_be_installed(own_file: Path) -> None:
    own_file.write_text(
        "[roles.doctor]\nabout = 'Reads one label.'\nPatient = 'r limited'\n[labels]\nconfidential = ['urn:s|x']"
    )
    roles.install(own_file)
    labelled = {"resourceType": "Patient", "id": "1", "meta": {"security": [{"system": "urn:s", "code": "x"}]}}
    assert may(caller({"roles": ["doctor"]}), labelled) == ""
    assert may(caller({"roles": ["doctor"]}), {"resourceType": "Patient", "id": "1"}) == "r"


def test_a_file_with_a_mistake_changes_nothing(own_file: Path) -> None:
    own_file.write_text("[roles.doctor]")
    with pytest.raises(PolicyError):
        roles.install(own_file)
    with pytest.raises(PolicyError):
        roles.install(own_file.parent / "nowhere.toml")
    assert set(roles.policy().roles) == ROLES


# ---- operations -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("operation", "who", "expected"),
    [
        ("erase", {"roles": ["administrator"]}, True),
        ("erase", {"roles": ["doctor"]}, False),
        ("erase", {"user": "", "client": "service"}, False),
        ("reindex", {"user": "", "client": "service", "scopes": "system/*.rs"}, True),
        ("reindex", {"user": "", "client": "service"}, False),
        ("reindex", {"user": ""}, False),
        ("break-glass", {"roles": ["paramedic"]}, True),
        ("break-glass", {"roles": ["patient"], "user": "Patient/1"}, False),
        ("break-glass", {"roles": ["administrator"]}, False),
        ("everything", {"roles": []}, True),
    ],
)
def test_operations_ask_for_roles(operation: str, who: Json, expected: bool) -> None:
    assert roles.may_run(caller(who), operation) is expected


def test_who_may_do_everything_runs_everything() -> None:
    assert roles.may_run(SYSTEM, "erase")


def test_the_privacy_officer_is_found_by_the_code_that_break_glass_writes() -> None:
    lines = [str(line) for line in roles.policy().roles["privacy-officer"].types["Task"]]
    assert any("|".join(FOR_OFFICERS) in line for line in lines)


# ---- shares of a part -------------------------------------------------------------------------------------------


def share(**criteria: Any) -> Principal:
    actor = {"role": {"coding": [{"code": "PRCP"}]}, "reference": {"reference": "Practitioner/me"}}
    consent = {
        "resourceType": "Consent",
        "id": "s",
        "status": "active",
        "patient": {"reference": "Patient/1"},
        "provision": {"type": "permit", "actor": [actor], **criteria},
    }
    rules = compile_consents([consent], Caller(frozenset({"Practitioner/me"})))
    return caller({"roles": ["specialist"], "consents": rules})


def test_one_record_is_shared_to_be_read() -> None:
    who = share(
        data=[{"meaning": "instance", "reference": {"reference": "Condition/c"}}],
        action=[{"coding": [{"system": "http://terminology.hl7.org/CodeSystem/consentaction", "code": "access"}]}],
    )
    shared = {"resourceType": "Condition", "id": "c", "subject": {"reference": "Patient/1"}}
    assert may(who, shared) == "rs"
    assert may(who, {**shared, "id": "other"}) == ""
    assert may(who, {**shared, "subject": {"reference": "Patient/2"}}) == ""


def test_a_share_without_a_level_opens_nothing_confidential() -> None:
    who = share(**{"class": [{"system": "http://hl7.org/fhir/resource-types", "code": "Condition"}]})
    shared = {"resourceType": "Condition", "id": "c", "subject": {"reference": "Patient/1"}}
    label = {"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "R"}
    assert may(who, shared) == "rs"
    assert may(who, {**shared, "meta": {"security": [label]}}) == ""
    assert may(who, {"resourceType": "Goal", "id": "g", "subject": {"reference": "Patient/1"}}) == ""


@pytest.mark.parametrize(
    ("level", "plain", "restricted", "flag"),
    [
        ("full", "crus", "crus", "crus"),
        ("limited", "rs", "", "rs"),
        ("emergency", "", "", "rs"),
        ("owner", "", "", ""),  # no such level
    ],
)
def test_the_guides_levels_of_sharing(level: str, plain: str, restricted: str, flag: str) -> None:
    who = share(
        action=[{"coding": [{"system": SHARING, "code": level}]}],
        **{"class": [{"system": "http://hl7.org/fhir/resource-types", "code": type_} for type_ in ("Goal", "Flag")]},
    )
    goal = {"resourceType": "Goal", "id": "g", "subject": {"reference": "Patient/1"}}
    sensitive = {"system": "http://fhir-server.example/ig/CodeSystem/record-label", "code": "sensitive"}
    assert may(who, goal) == plain
    assert may(who, {**goal, "meta": {"security": [sensitive]}}) == restricted
    assert may(who, {**goal, "resourceType": "Flag"}) == flag
    assert may(who, {**goal, "resourceType": "Condition"}) == ""


def test_the_guides_shared_record_is_opened() -> None:
    consent = json.decode((package_folder() / "example" / "Consent-example-consent.json").read_bytes())
    record = json.decode((package_folder() / "example" / "DocumentReference-example-record.json").read_bytes())
    names = frozenset({"Practitioner/example-specialist"})
    rules = compile_consents([consent], Caller(names, purpose="TREAT"), datetime(2025, 6, 1, tzinfo=UTC))
    who = caller({"roles": ["specialist"], "consents": rules})
    assert may(who, record) == "rs"
    assert may(who, {**record, "id": "another"}) == ""
    assert may(caller({"roles": ["specialist"]}), record) == ""


def test_a_role_without_any_patient_finds_nothing_and_is_not_refused() -> None:
    who = caller({"roles": ["specialist"]})
    assert roles.condition(who, "specialist", "Condition", "s") is not None
    assert roles.condition(who, "specialist", "Condition", "d") is None
    assert document({"resourceType": "Patient", "id": "1"})["_id"] == "Patient/1"
