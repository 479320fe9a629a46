"""The reader of operation input: whatever comes, it is understood or refused, and by name."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fhir_server.context import FhirRequest
from fhir_server.definitions import OperationParameter, operations
from fhir_server.operations.input import Input, published, read
from fhir_server.outcomes import FhirError

Json = dict[str, Any]

PARAMETERS = (
    OperationParameter("flag", "in", type="boolean"),
    OperationParameter("many", "in", max=None, type="code"),
    OperationParameter("number", "in", type="integer"),
    OperationParameter("when", "in", type="instant"),
    OperationParameter("day", "in", type="date"),
    OperationParameter("coding", "in", max=None, type="Coding"),
    OperationParameter("labels", "in", type="Meta"),
    OperationParameter("resource", "in", type="Resource"),
)


def call(query: list[tuple[str, str]] | None = None, body: Any = None, **options: Any) -> Input:
    return read(FhirRequest("POST", "$op", query=query or [], body=body, operation="op"), PARAMETERS, **options)


def parameters(*listed: Json) -> Json:
    return {"resourceType": "Parameters", "parameter": list(listed)}


def test_query_and_body_together() -> None:
    body = parameters({"name": "flag", "valueBoolean": True}, {"name": "many", "valueCode": "c"})
    found = call([("many", "a"), ("many", "b"), ("_format", "json")], body)
    assert (found.one("flag"), found.all("many"), found.one("day")) == (True, ["a", "b", "c"], None)


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("flag", "true", True),
        ("number", "12", 12),
        ("number", "-7", -7),
        ("when", "2020-01-01T00:00:00Z", "2020-01-01T00:00:00Z"),
        ("when", "2020", "2020"),
        ("day", "2020-02", "2020-02"),
        ("coding", "http://loinc.org|1-1", {"system": "http://loinc.org", "code": "1-1"}),
        ("coding", "1-1", {"code": "1-1"}),
    ],
)
def test_texts(name: str, text: str, value: Any) -> None:
    assert call([(name, text)]).one(name) == value


@pytest.mark.parametrize(
    ("part", "value"),
    [
        ({"name": "day", "valueDate": "2020"}, "2020"),
        ({"name": "day", "valueString": "2020"}, "2020"),
        ({"name": "number", "valueInteger": 3}, 3),
        ({"name": "number", "valueString": "3"}, 3),
        ({"name": "labels", "valueMeta": {"tag": [{"code": "x"}]}}, {"tag": [{"code": "x"}]}),
        ({"name": "resource", "resource": {"anything": 1}}, {"anything": 1}),
    ],
)
def test_parts(part: Json, value: Any) -> None:
    assert call(body=parameters(part)).one(part["name"]) == value


def test_a_bare_resource_is_the_parameter_of_that_name() -> None:
    assert call(body={"resourceType": "Patient"}).one("resource") == {"resourceType": "Patient"}


def test_search_parameters() -> None:
    found = call([("code", "x")], parameters({"name": "subject", "valueString": "Patient/1"}), search=True)
    assert found.search == [("code", "x"), ("subject", "Patient/1")]
    assert found.pairs() == found.search


@pytest.mark.parametrize(
    ("query", "body", "said"),
    [
        ([("flog", "true")], None, "Near it are: flag"),
        ([("flag", "yes")], None, "'flag'"),
        ([("flag", "true"), ("flag", "true")], None, "'flag' once"),
        ([("number", "1.5")], None, "'number'"),
        ([("when", "yesterday")], None, "'when'"),
        ([("day", "2020-02-30")], None, "'day'"),
        ([("labels", "x")], None, "'labels'"),
        ([("resource", "x")], None, "'resource'"),
        ([], parameters({"name": "labels", "valueCoding": {"code": "x"}}), "'labels'"),
        ([], parameters({"name": "flag", "valueInteger": 1}), "'flag'"),
        ([], parameters({"name": "flag"}), "'flag'"),
        ([], parameters({"name": "resource", "valueString": "x"}), "'resource'"),
        ([], parameters({"valueString": "x"}), "name"),
        ([], parameters({"name": "labels", "valueMeta": {"tag": 1}}), ""),
        ([], {"resourceType": "Parameters", "parameter": {}}, "list"),
        ([], [1], "Parameters"),
        ([], {}, "Parameters"),
    ],
)
def test_refusals(query: list[tuple[str, str]], body: Any, said: str) -> None:
    with pytest.raises(FhirError) as refusal:
        call(query, body)
    assert refusal.value.status == 400
    assert said in str(refusal.value)


def test_published_definitions() -> None:
    assert {p.name for p in published("everything", "Encounter")} == {"_since", "_type", "_count"}
    assert {p.name for p in published("meta-add", "Patient")} == {"meta"}
    assert published("versions", None) == ()
    assert published("no-such", "Patient") == ()
    assert all(p.use == "in" for o in operations() for p in published(o.code, (o.resource or ("",))[0]))


_scalar = st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=8), st.sampled_from(["flag", "day"]))
_keys = ["name", "valueString", "valueDate", "valueMeta", "valueInteger", "resource", "part", "tag", "x"]
_objects = partial(st.dictionaries, st.sampled_from(_keys), max_size=4)
_json = st.recursive(_scalar, lambda inner: st.lists(inner, max_size=3) | _objects(inner), max_leaves=8)


@settings(max_examples=400, deadline=None)
@given(
    query=st.lists(st.tuples(st.sampled_from([p.name for p in PARAMETERS]), st.text(max_size=12)), max_size=3),
    body=st.one_of(st.none(), _json, st.builds(lambda p: {"resourceType": "Parameters", "parameter": p}, _json)),
    search=st.booleans(),
)
def test_anything_is_understood_or_refused(query: list[tuple[str, str]], body: Any, search: bool) -> None:
    statuses: set[int] = set()
    # Any other exception, or any other status, is a mistake of ours.
    with suppress(FhirError):
        try:
            found = call(query, body, search=search)
        except FhirError as refusal:
            statuses.add(refusal.status)
            raise
        assert isinstance(found, Input)
    assert statuses <= {400}
