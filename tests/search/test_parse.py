"""The parser: whatever comes, a Query or a refusal (400) that names the parameter; nothing lands in an operator."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_server.outcomes import FhirError, Invalid, NotSupported
from fhir_server.search.compile import compile
from fhir_server.search.keys import Criterion
from fhir_server.search.parse import MAX_PARAMETERS, conditional, parse
from fhir_server.search.query import Both, Condition, Either, Except, Presence
from fhir_server.search.registry import parameters
from fhir_server.search.scope import MAX_VALUES
from fhir_server.search.types.values import split, unescape
from tests.search.finder import BASE, attempt, query

TYPES = ["Patient", "Observation", "Encounter", "ValueSet", "RiskAssessment"]
CODES = sorted({code for name in TYPES for code in parameters(name)} | {"_has", "_list", "_count", "_sort", "_type"})
MODIFIERS = [
    "",
    ":exact",
    ":missing",
    ":not",
    ":contains",
    ":Patient",
    ":identifier",
    ":below",
    ":above",
    ":text",
    ":$in",
]
PIECES = st.sampled_from(
    [*"|,\\$.:-/ ~=%", "eq", "ge", "ap", "2020-02-03", "T10:00", "Z", "+01:00", "1e5", "9" * 30, "true", "$where", "Ä"]
)
TEXT = st.one_of(st.text(max_size=30), st.lists(PIECES, max_size=8).map("".join))
NAMES = st.one_of(st.tuples(st.sampled_from(CODES), st.sampled_from(MODIFIERS)).map("".join), st.text(max_size=12))
OPERATORS = {
    *(
        "$and",
        "$or",
        "$nor",
        "$in",
        "$nin",
        "$elemMatch",
        "$gte",
        "$gt",
        "$lte",
        "$lt",
        "$ne",
        "$not",
        "$exists",
        "$regex",
    )
}
NAMED = {"k", "r", "r.k", "lo", "hi", "_id", "u", "t", "ty", "d", "f", "w", "g", "c", "$geoWithin"}


@given(st.sampled_from([*TYPES, None]), st.lists(st.tuples(NAMES, TEXT), max_size=4), st.booleans())
def test_a_query_or_a_refusal(resource_type: str | None, pairs: list[tuple[str, str]], lenient: bool) -> None:
    found = attempt(lambda: parse(resource_type, pairs, base_url=BASE, lenient=lenient))
    if isinstance(found, FhirError):
        assert found.status == 400
        assert found.issues[0].diagnostics
        return
    if not any(looked_up(one.condition) for one in found.filters):
        check_operators(compile(found).filter)
    assert found.canonical() == parse(resource_type, pairs, base_url=BASE, lenient=lenient).canonical()


@given(TEXT)
def test_a_criterion_or_a_refusal(text: str) -> None:
    found = attempt(lambda: conditional("Patient", text, BASE))
    assert not isinstance(found, FhirError) or found.status == 400


@given(st.lists(st.text(max_size=8), min_size=1, max_size=5))
def test_escaping_is_undone(parts: list[str]) -> None:
    escaped = [part.replace("\\", "\\\\").replace(",", "\\,") for part in parts]
    assert [unescape(part) for part in split(",".join(escaped), ",")] == parts


def looked_up(condition: Condition) -> bool:
    """Whether something has to be looked up before it can be compiled."""
    if isinstance(condition, Both | Either):
        return any(looked_up(part) for part in condition.parts)
    if isinstance(condition, Except):
        return looked_up(condition.part)
    return not isinstance(condition, Criterion | Presence)


def check_operators(filter: Any) -> None:
    """Only our own operators and field names: a caller's text is never a key."""
    if isinstance(filter, dict):
        for name, inner in filter.items():
            assert name in OPERATORS or name in NAMED or name.startswith("s."), name
            check_operators(inner)
    elif isinstance(filter, list):
        for inner in filter:
            check_operators(inner)


def test_the_check_of_operators_can_fail() -> None:
    with pytest.raises(AssertionError):
        check_operators({"$and": [{"k": {"$where": "x"}}]})


def test_conditional() -> None:
    one = conditional("Patient", "identifier=http%3A%2F%2Fa%7Cb&_format=json", BASE)
    assert one.canonical() == conditional("Patient", "Patient?identifier=http://a|b", BASE).canonical()
    assert conditional("Patient", "?gender=male&family=a", BASE).canonical() == (
        conditional("Patient", "family=a&gender=male", BASE).canonical()
    )
    assert conditional("Patient", "gender=male,female", BASE).canonical() == (
        conditional("Patient", "gender=female,male", BASE).canonical()
    )
    for text, error in [
        ("", Invalid),
        ("_count=1", Invalid),
        ("_sort=name", Invalid),
        ("name", Invalid),
        ("x=1", Invalid),
    ]:
        with pytest.raises(error):
            conditional("Patient", text, BASE)
    assert conditional("Patient", "_has:Observation:patient:code=1", BASE).filters[0].text == "1"


def test_controls() -> None:
    found = query(
        "Observation?_count=5000&_sort=-date,status&_total=accurate&_summary=data&_elements=status,code"
        "&_include=Observation:patient&_include=Observation:subject:Group&_revinclude=Provenance:target&_cursor=abc"
        "&code=a&_format=json"
    )
    assert (found.count, found.total, found.summary, found.elements) == (1000, "accurate", "data", ("status", "code"))
    assert [(one.code, one.field, one.descending) for one in found.sort] == [
        ("date", "s.d", True),
        ("status", "s.1m7", False),
    ]
    assert [(one.source, one.parameters[0].code, one.target) for one in (*found.includes, *found.revincludes)] == [
        ("Observation", "patient", ""),
        ("Observation", "subject", "Group"),
        ("Provenance", "target", ""),
    ]
    assert found.cursor == "abc"
    assert ("_format", "json") not in found.used
    assert not found.only_count
    assert query("Observation?_summary=count").only_count
    assert query("Observation?_count=0").only_count
    assert query("Observation?_summary=false").summary is None
    assert [(one.field, one.descending) for one in query("Observation?_sort=_id,-_lastUpdated").sort] == [
        ("_id", False),
        ("u", True),
    ]
    assert [one.field for one in query("Patient?_sort=family,name,birthdate").sort] == ["s.n", "s.n", "s.d"]


def test_what_cannot_be_sorted_by() -> None:
    for search in ("Location?_sort=near", "Observation?_sort=code-value-quantity"):
        with pytest.raises(NotSupported, match="Sorting by"):
            query(search)


def test_limits() -> None:
    with pytest.raises(Invalid, match="up to 200 parameters"):
        parse("Patient", [("gender", "male")] * (MAX_PARAMETERS + 1), base_url=BASE)
    with pytest.raises(Invalid, match="up to 1000 values"):
        query("Patient?gender=" + ",".join(str(i) for i in range(MAX_VALUES + 1)))
    with pytest.raises(Invalid, match="too many values"):
        query("?_id=" + ",".join(str(i) for i in range(100)))
    with pytest.raises(Invalid, match="too long"):
        query("Patient?name=" + "a" * 200)
    with pytest.raises(Invalid, match="up to 500 names"):
        query("Patient?_elements=" + ",".join(f"e{i}" for i in range(501)))


def test_a_search_as_a_whole_asks_for_so_much() -> None:
    """However it is spread over parameters, types, chains and `_filter`."""
    many = ",".join(f"v{i}" for i in range(1000))
    query(f"Patient?name={many}")
    query("Patient?" + "&".join([f"identifier={many}"] * 5))
    for search in (
        f"Patient?name={many}&given={many}&family={many}",
        "Patient?" + "&".join([f"identifier={many}"] * 11),
        "Patient?" + "&".join([f"general-practitioner:Practitioner.name={many}"] * 3),
        f"Patient?_list={many}&_has:Observation:patient:code=1",
        "Patient?name:contains=" + ",".join(f"v{i}" for i in range(101)),
        "?_profile:below=" + ",".join(f"http://p/{i}" for i in range(20)),
        "?_content=" + " or ".join(f"w{i}" for i in range(100)),
    ):
        with pytest.raises(Invalid, match="too many values"):
            query(search)
    with pytest.raises(Invalid, match="too many comparisons for so many resource types"):
        query("?_filter=" + " or ".join(["_tag eq x"] * 50))


def test_a_condition_is_utf_8() -> None:
    with pytest.raises(Invalid, match="UTF-8"):
        conditional("Patient", "identifier=a%ff", BASE)


def test_values_are_not_repeated() -> None:
    """What was searched for may be a name or a date of birth: a refusal names the parameter only."""
    for search in ("Patient?birthdate=secret", "Patient?general-practitioner=secret secret", "Patient?name:x=secret"):
        with pytest.raises(FhirError) as refusal:
            query(search)
        assert "secret" not in str(refusal.value)
