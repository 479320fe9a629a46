"""Regular expressions: the same answers as Python's, in bounded time."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_server.fhirpath import FhirPathError
from fhir_server.fhirpath.pattern import MAX_PATTERN, compile, replace

parts = st.sampled_from(
    ["a", "b", ".", "[ab]", "[^a]", "\\d", "a*", "b+?", "(a|b)", "(?:ab)?", "a{2}", "(b{1,2})", "|"]
)
patterns = st.lists(parts | st.sampled_from("^$"), max_size=6).map("".join)


@given(patterns, st.text("ab1\n", max_size=8))
def test_same_as_python(source: str, subject: str) -> None:
    pattern = compile(source)
    python = re.compile(source.replace("$", r"\Z"), re.DOTALL)
    assert pattern.search(subject) is bool(python.search(subject))
    assert pattern.fullmatch(subject) is bool(python.fullmatch(subject))


@pytest.mark.parametrize(
    ("source", "subject", "found"),
    [
        ("(a+)+$", "a" * 20_000 + "b", False),
        ("(a|a)*b", "a" * 20_000, False),
        ("(.*)(.*)(.*)x", "a" * 5_000, False),
        ("^[A-Z][A-Za-z0-9_]{0,254}$", "A" * 256, False),
        ("(?i)^abc$", "ABC", True),
        (r"\bend\b", "the end.", True),
        ("(?!urn:)^.+$", "http", True),
        ("(?<year>[0-9]{4})", "in 1999", True),
        (r"\u0041\x42", "AB", True),
        (r"^[\w-]+\z", "a-b", True),
        ("a{,2}", "a{,2}", True),
    ],
)
def test_patterns(source: str, subject: str, found: bool) -> None:
    assert compile(source).search(subject) is found


@pytest.mark.parametrize(
    "source", [*["(", ")", "a**", "[", "*", "a{3,1}", "[a&&b]", "(?>a)", "\\"], "a" * (MAX_PATTERN + 1)]
)
def test_no_patterns(source: str) -> None:
    with pytest.raises(FhirPathError):
        compile(source)


@pytest.mark.parametrize("source", ["((a{90}){90}){90}", "(" * 200 + ")" * 200])
def test_too_large(source: str) -> None:
    with pytest.raises(FhirPathError):
        compile(source).search("a")


@pytest.mark.parametrize("source", ["(a+)+$", "(?=a)(a+)+$", r"(a*)*\b"])
def test_what_pythons_matcher_does_not_get(source: str) -> None:
    with pytest.raises(FhirPathError):
        replace(source, "a" * 50, "")


@given(st.text(max_size=12))
def test_any_text(source: str) -> None:
    try:
        compile(source).search("some text 123")
        replace(source, "some text 123", "$1")
    except FhirPathError:
        return


def test_replacing() -> None:
    assert replace(r"(\w)(\w)", "abcd", "$2$1") == "badc"
    assert replace("(?<first>a)", "abc", r"\$${first}") == "$abc"
    assert replace(r"\..*", "Patient.name.given", "") == "Patient"
    with pytest.raises(FhirPathError):
        replace("a", "a", "$1")
