"""The FHIRPath of search parameters: what is read, and what is refused rather than guessed."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_server.search.expression import (
    As,
    First,
    Name,
    Target,
    TrueUnlessFalse,
    UnsupportedExpression,
    Where,
    branches,
)
from fhir_server.search.paths import leaves
from fhir_server.search.registry import SearchParameter


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("Patient.name", [(Name("Patient"), Name("name"))]),
        ("name | alias", [(Name("name"),), (Name("alias"),)]),
        ("(Goal.target.due as date)", [(Name("Goal"), Name("target"), Name("due"), As("date"))]),
        ("Observation.value as Quantity", [(Name("Observation"), Name("value"), As("Quantity"))]),
        ("A.b.as(Age)", [(Name("A"), Name("b"), As("Age"))]),
        ("A.b.ofType(Age).code", [(Name("A"), Name("b"), As("Age"), Name("code"))]),
        ("(A.b as C).text", [(Name("A"), Name("b"), As("C"), Name("text"))]),
        ("(A.b | A.c).d", [(Name("A"), Name("b"), Name("d")), (Name("A"), Name("c"), Name("d"))]),
        ("A.t.where(system='phone')", [(Name("A"), Name("t"), Where("system", "phone"))]),
        ("A.s.where(resolve() is Patient)", [(Name("A"), Name("s"), Target("Patient"))]),
        ("A.entry[0].resource", [(Name("A"), Name("entry"), First(), Name("resource"))]),
        ("A.entry.first()", [(Name("A"), Name("entry"), First())]),
        ("A.extension('http://x').value", [(Name("A"), Name("extension"), Where("url", "http://x"), Name("value"))]),
        ("A.b.exists() and A.b != false", [(Name("A"), Name("b"), TrueUnlessFalse())]),
    ],
)
def test_read(expression: str, expected: list[tuple[object, ...]]) -> None:
    assert list(branches(expression)) == expected


@pytest.mark.parametrize(
    "expression",
    [
        "",
        "A.",
        "A.b(",
        "A.b.count()",
        "A.b[1]",
        "A.b.where(c > 1)",
        "A.b = 'c'",
        "A.b and A.c",
        "%resource.a",
        "A.b)",
        "A 'b'",
        "A.where(b=c)",
    ],
)
def test_refused(expression: str) -> None:
    with pytest.raises(UnsupportedExpression):
        branches(expression)


@given(st.text(alphabet="Aab.()|[]0'= !", max_size=20))
def test_read_or_refused(text: str) -> None:
    with suppress(UnsupportedExpression):
        assert branches(text)


def test_an_element_that_is_not_there() -> None:
    parameter = SearchParameter("Patient", "x", "token", "zzz", "Patient.surname", "http://x")
    with pytest.raises(UnsupportedExpression, match="Patient has no element surname"):
        leaves(parameter)


def test_an_extension() -> None:
    """Custom parameters reach into extensions."""
    text = "Patient.extension.where(url='http://x').value as CodeableConcept"
    (leaf,) = leaves(SearchParameter("Patient", "x", "token", "zzz", text, "http://x"))
    assert [hop.name for hop in leaf.path] == ["extension", "valueCodeableConcept"]
    assert leaf.path[0].where == ("url", "http://x")
    assert leaf.type == "CodeableConcept"
