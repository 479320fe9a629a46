"""Expressions mean what they mean to Python, and none of them takes forever."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_server.outcomes import NotSupported, TooCostly
from fhir_server.terminology.effort import Effort
from fhir_server.terminology.pattern import MAX_PATTERN, Pattern

ATOMS = st.sampled_from(["a", "b", "7", r"\d", r"\w", r"\S", ".", "[ab]", "[^a]", "[a-c7]", r"[\d-]", r"\.", "-"])
QUANTIFIERS = st.sampled_from(["", "", "*", "+", "?", "{2}", "{1,}", "{0,2}", "*?", "{,"])


def _grown(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    sequences = st.lists(inner, min_size=1, max_size=3).map("".join)
    groups = st.lists(sequences, min_size=1, max_size=3).map("|".join)
    return st.builds("({}){}".format, groups, QUANTIFIERS) | st.builds("(?:{}){}".format, groups, QUANTIFIERS)


PIECES = st.recursive(st.builds("{}{}".format, ATOMS, QUANTIFIERS), _grown, max_leaves=6)
SOURCES = st.lists(PIECES, max_size=3).map("".join)


@given(SOURCES, st.lists(st.text("ab7.-é\n", max_size=6), min_size=1, max_size=8))
def test_it_matches_what_python_matches(source: str, texts: list[str]) -> None:
    try:
        pattern = Pattern(source)
    except NotSupported:
        assert "{," in source, source
        return
    for text in texts:
        assert pattern.matches(text, Effort()) == bool(re.fullmatch(source, text, re.ASCII)), (source, text)


@given(st.text("ab(|)[]{}*+?^$\\.0,:-&", max_size=12))
def test_any_text_is_read_like_python_does_or_refused(source: str) -> None:
    try:
        pattern = Pattern(source)
    except NotSupported:
        return
    assert pattern.matches("ab", Effort()) == bool(re.fullmatch(source, "ab", re.ASCII))


@pytest.mark.parametrize(("source", "text"), [("^a|b$", "b"), (r"\$\^", "$^"), (r"[\]^-]+", "]^-"), ("", "")])
def test_anchors_and_escapes(source: str, text: str) -> None:
    assert Pattern(source).matches(text, Effort())


@pytest.mark.parametrize(
    "source",
    [
        *("(", ")", "a)", "(a", "*", "a**", "a{2}{2}", "[a", "[]", "[b-a]", "a\\", "a{2,1}", "x{9999}"),
        *(r"(a)\1", r"\bA", "(?=a)", "(?i)a", "(?P<n>a)", r"\p{L}", "[[:alpha:]]", "a$b", "a^b", "[a&&b]"),
        *("(" * 40 + "a" + ")" * 40, "((((){9999}){9999}){9999}){9999}", "a" * (MAX_PATTERN + 1)),
        "((a{100}){100}){100}",
    ],
)
def test_what_is_not_taken(source: str) -> None:
    with pytest.raises(NotSupported):
        Pattern(source)


@pytest.mark.parametrize("source", ["(a*)*b", "(a|a)*b", "(a?){30}a{30}b", "(.*a){20}b", "((a+)+)+b"])
def test_steps_grow_with_the_text_only(source: str) -> None:
    states = 1000
    assert not Pattern(source).matches("a" * 200, Effort(200 * states))


def test_effort_ends() -> None:
    with pytest.raises(TooCostly):
        Pattern("(a*)*b").matches("a" * 1000, Effort(100))
