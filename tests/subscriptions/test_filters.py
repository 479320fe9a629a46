"""Point 3: what a topic may be filtered by, in three spellings; R4's own criteria."""

from __future__ import annotations

import gc
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_server.outcomes import FhirError
from fhir_server.search import registry
from subscriptions import condition, filters
from subscriptions.condition import Criteria, coarseness, criteria
from subscriptions.filters import Condition, compile_criteria, compile_filter, conditions, parse_filter
from subscriptions.subscription import FilterBy
from subscriptions.topic import CanFilterBy, Topic, Trigger
from subscriptions.trigger import fires
from tests.subscriptions.topic_samples import BASE, Json, custom_parameters, view

VISITS = Topic(
    "http://t.test/visits",
    "Visits",
    (Trigger("Encounter"), Trigger("Task")),
    (
        CanFilterBy("patient"),
        CanFilterBy("status", "Encounter", modifiers=("not",)),
        CanFilterBy("length", "Encounter", comparators=("gt", "lt")),
        CanFilterBy("date", "Encounter"),
        CanFilterBy("subject", "Encounter", modifiers=("type", "missing")),
        CanFilterBy("owner", "Task"),
        CanFilterBy("_id", "Encounter"),
        CanFilterBy("_tag", "Encounter"),
    ),
)


def visit(**more: object) -> Json:
    return {"resourceType": "Encounter", "status": "planned", "subject": {"reference": "Patient/1"}, **more}


def compiled(text: str, topic: Topic = VISITS) -> Condition:
    return compile_filter(topic, parse_filter(text, topic), BASE)


# ---- the three spellings -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text", ["status=planned", "Encounter.status=planned", "Encounter?status=planned", "?status=planned"]
)
def test_three_spellings_mean_the_same(text: str) -> None:
    condition = compiled(text)
    assert condition is compiled("Encounter?status=planned")
    assert condition.matches(view(None, visit()))
    assert not condition.matches(view(None, visit(status="finished")))


def test_without_a_type_it_concerns_every_type_that_has_it() -> None:
    condition = compiled("patient=Patient/1")
    assert condition.by_type.keys() == {"Encounter", "Task"}
    assert not condition.matches(view(None, {"resourceType": "Task", "for": {"reference": "Patient/2"}}))
    assert condition.matches(view(None, {"resourceType": "Task", "for": {"reference": "Patient/1"}}))
    assert condition.keys is not None
    assert condition.keys_of("Task")
    assert condition.keys == (condition.keys_of("Task") or frozenset()) | (
        condition.keys_of("Encounter") or frozenset()
    )


def test_with_a_type_it_says_nothing_of_others() -> None:
    """R5: "evaluates to true if all the conditions applicable to that resource are met"."""
    condition = compiled("Task?owner=Practitioner/1")
    assert condition.matches(view(None, visit()))
    assert not condition.matches(view(None, {"resourceType": "Task"}))
    assert condition.keys is None
    assert condition.keys_of("Encounter") is None
    assert condition.keys_of("Task")


REFUSED = {
    "another parameter": "class=VR",
    "of a type that has it not": "Task?status=requested",
    "a type that it is not about": "Patient?patient=1",
    "no type": "Visit?patient=1",
    "a type that it is not about, with a point": "Observation.patient=Patient/1",
    "a chain": "patient.name=x",
    "a chain with a type": "Encounter?patient.name=x",
    "a reverse chain": "_has:Observation:encounter:code=1",
    "a modifier": "status:text=x",
    "another modifier": "status:in=http://v",
    "a comparator": "length=ge30",
    "equality, where limits alone are allowed": "length=30",
    "a comparator where there are none": "date=gt2020",
    "one of two values with a comparator": "date=2020,gt2021",
    "one of two": "patient=Patient/1&class=VR",
    "a control": "_count=1",
    "an include": "_include=Encounter:patient",
    "no value": "patient=",
    "no parameter": "=Patient/1",
    "nothing": "",
    "a type alone": "Encounter?",
    "no criteria": "patient",
    "no date": "date=soon",
    "no Unicode": "patient=%ff",
    "a zero": "patient=%00",
    "too long": "patient=" + "1" * 5000,
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_the_topic_does_not_allow_is_refused(name: str) -> None:
    with pytest.raises(FhirError) as refused:
        compiled(REFUSED[name])
    assert refused.value.status == 422
    assert all(one.severity == "error" for one in refused.value.issues)


@pytest.mark.parametrize(
    "text",
    [
        "status:not=finished",
        "length=gt30",
        "length=lt30",
        "date=2020",
        "date=eq2020",
        "subject:Patient=1",
        "subject:missing=true",
        "patient=1,2",
        "patient=Patient/1&status=planned",
    ],
)
def test_what_it_allows_is_taken(text: str) -> None:
    compiled(text)


def test_no_value_is_repeated_in_a_refusal() -> None:
    for text in ("date=secret", "patient=%00secret", "class=secret", "length=gesecret", "status:exact=secret"):
        with pytest.raises(FhirError) as refused:
            compiled(text)
        assert "secret" not in str(refused.value.issues)


# ---- judging -----------------------------------------------------------------------------------------


def test_an_update_is_judged_by_what_is_now_and_a_deletion_by_what_was() -> None:
    condition = compiled("status=planned")
    assert condition.matches(view(visit(status="finished"), visit()))
    assert not condition.matches(view(visit(), visit(status="finished")))
    assert condition.matches(view(visit(), None))
    assert not condition.matches(view(visit(status="finished"), None))


def test_equal_conditions_are_one_object_judged_once(monkeypatch: pytest.MonkeyPatch) -> None:
    judged: list[str] = []
    holds = Criteria.holds
    monkeypatch.setattr(Criteria, "holds", lambda self, found: judged.append(self.text) or holds(self, found))
    same = [compiled("patient=Patient/1&status=planned"), compiled("Encounter?status=planned&patient=Patient/1")]
    assert same[0] is same[1]
    change = view(None, visit())
    assert [one.matches(change) for one in same * 3] == [True] * 6
    assert len(judged) == 1


def test_what_nobody_uses_is_forgotten() -> None:
    gc.collect()
    before = len(condition._known), len(filters._known)
    kept = [compiled(f"owner=Practitioner/{number}") for number in range(50)]
    assert len(condition._known) == before[0] + 50
    kept.clear()
    gc.collect()
    assert (len(condition._known), len(filters._known)) == before


@pytest.mark.parametrize(
    ("text", "rank"),
    [("_id=7", 0), ("patient=1", 1), ("status=planned", 2), ("status=planned&patient=1", 1), ("patient=1&_id=7", 0)],
)
def test_keys_are_those_that_tell_most(text: str, rank: int) -> None:
    keys = compiled(f"Encounter?{text}").keys_of("Encounter")
    assert keys is not None
    assert coarseness(keys)[0] == rank
    assert not keys.isdisjoint(view(None, visit()).keys)


@pytest.mark.parametrize("text", ["status:not=finished", "length=gt30", "subject:missing=false"])
def test_what_has_no_keys_is_told(text: str) -> None:
    assert compiled(text).keys is None


def test_local_references_are_known_by_either_name() -> None:
    condition = compiled(f"patient={quote(BASE)}/Patient/1")
    assert condition.matches(view(None, visit()))
    assert compiled("patient=Patient/1").matches(view(None, visit(subject={"reference": f"{BASE}/Patient/1"})))


def test_search_parameters_may_get_other_numbers_and_go(request: pytest.FixtureRequest) -> None:
    """As a process sees it when a SearchParameter is written, written again and deleted."""
    request.addfinalizer(lambda: registry.install(0, ()))
    topic = Topic("http://t.test/urgent", "", (Trigger("Encounter", current="priority=UR"),))
    urgent = {"coding": [{"code": "UR"}]}
    registry.install(100, custom_parameters())
    condition = criteria("Encounter", "priority=UR", BASE)
    assert condition.keys is None, "nothing is looked up by a number that may change"
    for generation in (101, 102, 103):
        registry.install(generation, custom_parameters(registry.FIRST_CUSTOM + generation))
        for change, expected in ((view(None, visit(priority=urgent)), True), (view(None, visit()), False)):
            assert condition.holds(change.after_document) is fires(topic, change) is expected
    registry.install(104, ())
    change = view(None, visit(priority=urgent))
    assert condition.holds(change.after_document) is fires(topic, change) is False


# ---- properties --------------------------------------------------------------------------------------

IDS = st.from_regex(r"[A-Za-z0-9\-.]{1,20}", fullmatch=True)
CODES = st.sampled_from(["planned", "arrived", "finished", "cancelled"])


def answer(text: str) -> bool | int:
    """Whether a visit passes; the status of the refusal."""
    try:
        return compiled(text).matches(view(None, visit()))
    except FhirError as error:
        return error.status


@given(text=st.text(max_size=60))
def test_any_text_is_a_filter_or_refused(text: str) -> None:
    assert answer(text) in (True, False, 422)


@given(
    name=st.sampled_from(["patient", "status", "length", "date", "subject", "_id", "_tag", "owner"]),
    modifier=st.sampled_from(["", ":not", ":missing", ":Patient", ":in", ":text"]),
    value=st.text(max_size=30),
    type_=st.sampled_from(["", "Encounter?", "Encounter.", "Task?"]),
)
def test_any_value_is_taken_or_refused(name: str, modifier: str, value: str, type_: str) -> None:
    text = f"{type_}{name}{modifier}={quote(value, safe='')}"
    assert answer(text) in (True, False, 422)


@given(wanted=IDS, actual=IDS, status=CODES, asked=st.lists(CODES, min_size=1, max_size=3))
def test_filters_say_what_the_resource_says(wanted: str, actual: str, status: str, asked: list[str]) -> None:
    change = view(None, visit(status=status, subject={"reference": f"Patient/{actual}"}))
    by_patient, by_status = compiled(f"patient=Patient/{wanted}"), compiled("status=" + ",".join(asked))
    assert by_patient.matches(change) is (wanted == actual)
    assert by_status.matches(change) is (status in asked)
    assert compiled("status:not=" + ",".join(asked)).matches(change) is (status not in asked)
    both = compiled(f"Encounter?patient=Patient/{wanted}&status={','.join(asked)}")
    assert both.matches(change) is (by_patient.matches(change) and by_status.matches(change))
    for one in (by_patient, by_status, both):
        keys = one.keys_of("Encounter")
        assert keys is not None
        assert not one.matches(change) or not keys.isdisjoint(change.keys)


# ---- R4's own criteria -------------------------------------------------------------------------------


def test_r4_criteria_are_a_topic_of_their_own() -> None:
    topic = compile_criteria("Encounter?status=planned&patient=Patient/1", BASE)
    assert topic.criteria
    assert topic is compile_criteria("Encounter?status=planned&patient=Patient/1", BASE)
    (condition,) = conditions(topic, (), BASE)
    assert condition.keys is not None
    for before, after, expected in (
        (None, visit(), True),
        (visit(status="finished"), visit(), True),
        (visit(), visit(status="finished"), False),
        (visit(), None, False),
        (None, visit(subject={"reference": "Patient/2"}), False),
        (None, {"resourceType": "Task"}, False),
    ):
        change = view(before, after)
        assert (fires(topic, change) and condition.matches(change)) is expected


def test_criteria_without_parameters_are_all_of_a_type() -> None:
    for text in ("Encounter", "Encounter?"):
        topic = compile_criteria(text, BASE)
        assert conditions(topic, (), BASE) == ()
        assert fires(topic, view(None, visit()))
        assert not fires(topic, view(visit(), None))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Visit?status=planned",
        "status=planned",
        "http://t.test/topic",
        "Encounter?colour=red",
        "Encounter?patient.name=x",
        "Encounter?_has:Observation:encounter:code=1",
        "Encounter?_include=Encounter:patient",
        "Encounter?_sort=date",
        "Encounter?_list=1",
        "Encounter?type:in=http://v",
        "Encounter?date=x",
        "Encounter?_filter=patient.name eq x",
        "AuditEvent?action=R",
    ],
)
def test_criteria_that_are_no_search_on_the_resource_itself_are_refused(text: str) -> None:
    with pytest.raises(FhirError) as refused:
        compile_criteria(text, BASE)
    assert refused.value.status == 422


def test_filters_are_anded() -> None:
    filters = [FilterBy("Encounter", "status=planned"), FilterBy("", "patient=Patient/1")]
    found = conditions(VISITS, [*filters, filters[0]], BASE)
    assert len(found) == 2
    assert all(one.matches(view(None, visit())) for one in found)
    assert not all(one.matches(view(None, visit(subject={"reference": "Patient/2"}))) for one in found)


def test_criteria_of_another_type_do_not_hold() -> None:
    found = criteria("Encounter", "status=planned", BASE)
    assert found.holds(view(None, visit()).after_document)
    assert not found.holds(view(None, {"resourceType": "Appointment", "status": "planned"}).after_document)
    assert not found.holds(None)
