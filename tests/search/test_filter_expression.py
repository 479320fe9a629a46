"""search_filter.html: its examples, its grammar's edges, and what each operator becomes for each search type."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_server.outcomes import FhirError, Invalid, NotSupported
from fhir_server.search.filter_expression import (
    MAX_DEPTH,
    MAX_LENGTH,
    OPERATORS,
    And,
    Comparison,
    Expression,
    Not,
    Or,
    Ordinary,
    Step,
    as_parameters,
    escape,
    parse,
)
from fhir_server.search.types.values import split, unescape
from tests.search.finder import attempt


def compare(path: str, operator: str, value: str) -> Comparison:
    return Comparison(tuple(Step(name) for name in path.split(".")), operator, value)


A, B, C = (compare(name, "eq", "1") for name in "abc")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('name co "pet"', compare("name", "co", "pet")),
        (
            'given eq "peter" and birthdate ge 2014-10-10',
            And((compare("given", "eq", "peter"), compare("birthdate", "ge", "2014-10-10"))),
        ),
        ("code eq http://loinc.org|1234-5", compare("code", "eq", "http://loinc.org|1234-5")),
        ('subject.name co "pet"', compare("subject.name", "co", "pet")),
        (
            'related[type eq "has-component"].target pr true',
            Comparison((Step("related", compare("type", "eq", "has-component")), Step("target")), "pr", "true"),
        ),
        (
            "related[type eq old].target re Observation/4",
            Comparison((Step("related", compare("type", "eq", "old")), Step("target")), "re", "Observation/4"),
        ),
        (
            "subject:Patient.name sw x",
            Comparison((Step("subject", type="Patient"), Step("name")), "sw", "x"),
        ),
        ("a eq 1 or b eq 1 and c eq 1", And((Or((A, B)), C))),
        ("a eq 1 and b eq 1 or c eq 1", Or((And((A, B)), C))),
        ("a eq 1 or (b eq 1 and c eq 1)", Or((A, And((B, C))))),
        ("a eq 1 and b eq 1 and c eq 1", And((A, B, C))),
        ("not (a eq 1)", Not(A)),
        ("NOT(a eq 1)AND(b eq 1)", And((Not(A), B))),
        ("not (a eq 1 or not(b eq 1)) and c eq 1", And((Not(Or((A, Not(B)))), C))),
        ("  ( ( a  EQ\t1 ) )  ", A),
        ("not eq 1", compare("not", "eq", "1")),
        ("and eq or and or eq and", And((compare("and", "eq", "or"), compare("or", "eq", "and")))),
        (r'a eq "x \" \\ ) ] \u00e9 \n"', compare("a", "eq", 'x " \\ ) ] é \n')),
        (r"a eq x\,y(z", compare("a", "eq", r"x\,y(z")),
        ("_lastUpdated gt 2020-01-01T00:00:00+01:00", compare("_lastUpdated", "gt", "2020-01-01T00:00:00+01:00")),
        ('value-quantity gt "5|http://unitsofmeasure.org|mm[Hg]"', compare("value-quantity", "gt", "5|http://unitsofmeasure.org|mm[Hg]")),
    ],
)  # fmt: skip
def test_parse(text: str, expected: Expression) -> None:
    assert parse(text) == expected


def test_positions_are_kept() -> None:
    found = parse("a eq 1 and (b eq 2)")
    assert isinstance(found, And)
    assert [part.position for part in found.parts if isinstance(part, Comparison)] == [1, 13]


@pytest.mark.parametrize(
    ("text", "position", "problem"),
    [
        ("", 1, "expected the name of a search parameter"),
        ("   ", 4, "expected the name of a search parameter"),
        ("1a eq 1", 1, "expected the name"),
        ("a", 2, "expected a blank and an operator"),
        ("a ", 3, "expected an operator"),
        ("a is 1", 3, "expected an operator, one of ap, co"),
        ("a eq", 5, "expected a blank and a value"),
        ("a eq ", 6, "expected a value"),
        ("a eq )", 6, "expected a value"),
        ('a eq"1"', 5, "expected a blank and a value"),
        ('a eq "1', 6, "expected a string as in JSON"),
        ('a eq "\\x"', 6, "expected a string as in JSON"),
        ('a eq "\\ud800"', 6, "expected a string as in JSON"),
        ("(a eq 1", 8, "expected ')'"),
        ("a eq 1)", 7, "expected 'and', 'or' or the end"),
        ("a eq 5|x|mm[Hg] and b eq 1", 15, "a value with blanks, ')' or ']' stands in quotes"),
        ("a eq 1 b eq 1", 8, "expected 'and', 'or' or the end"),
        ("a eq 1 and", 8, "expected 'and', 'or' or the end"),
        ("a eq 1 and ", 12, "expected the name"),
        ("a[b eq 1] eq 1", 10, "expected '.' and a name behind"),
        ("a:Patient eq 1", 10, "expected '.' and a name behind"),
        ("a:Nothing.b eq 1", 3, "expected a resource type"),
        ("a[b eq 1.c eq 1", 12, "expected ']'"),
        ("a. eq 1", 3, "expected the name"),
        ("(" * 40 + "a eq 1" + ")" * 40, 34, f"more than {MAX_DEPTH} parentheses"),
        ("a eq 1 and b eq 1 or " * 40 + "a eq 1", 365, f"take turns more than {MAX_DEPTH} times"),
    ],
)
def test_what_is_wrong_and_where(text: str, position: int, problem: str) -> None:
    with pytest.raises(Invalid, match=re.escape(f"position {position}: ")) as refused:
        parse(text)
    assert problem in str(refused.value)


@pytest.mark.parametrize("text", ["a eq " + "1" * MAX_LENGTH, "a eq \ud800"])
def test_what_is_refused_as_a_whole(text: str) -> None:
    with pytest.raises(Invalid, match=r"'_filter' (takes up to 4000 characters|is not valid Unicode)"):
        parse(text)


# ---- as ordinary parameters ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Patient: given eq peter", "given:equals=peter"),
        ("Patient: given ne peter", "!given:equals=peter"),
        ('Patient: name co "a, b"', r"name:contains=a\, b"),
        ("Patient: name sw pet", "name=pet"),
        ("Patient: name ew ter", "name:ends=ter"),
        ("Patient: name pr true", "name:missing=false"),
        ("Patient: name pr false", "name:missing=true"),
        (r'Patient: name sw "a|b$c\\d"', r"name=a\|b\$c\\d"),
        ("Patient: birthdate eq 2014-10", "birthdate=2014-10"),
        ("Patient: birthdate ne 2014", "birthdate=ne2014"),
        ("Patient: birthdate sa 2014", "birthdate=sa2014"),
        ("Patient: birthdate po 2014-10", "birthdate=ge2014-10 birthdate=le2014-10"),
        ("Patient: _lastUpdated gt 2014", "_lastUpdated=gt2014"),
        ("Patient: _id eq 42", "_id=42"),
        ("Patient: gender eq male", "gender=male"),
        ("Patient: gender ne male", "gender:not=male"),
        ("Patient: active eq true", "active=true"),
        ("Observation: code eq http://loinc.org|1234-5", "code=http://loinc.org|1234-5"),
        ("Observation: code eq loinc|1234-5", "code=http://loinc.org|1234-5"),
        ("Observation: code eq loinc", "code=loinc"),
        (r'Observation: code eq "a\\|b,c$d\\e"', r"code=a\|b\,c\$d\\e"),
        ("Observation: code in http://loinc.org/vs/x", "code:in=http://loinc.org/vs/x"),
        ("Observation: code ni ValueSet/1", "code:not-in=ValueSet/1"),
        ("Observation: code ss snomed|1", "code:below=http://snomed.info/sct|1"),
        ("Observation: code sb snomed|1", "code:above=http://snomed.info/sct|1"),
        ("Observation: value-quantity le 5.4|ucum|mg", "value-quantity=le5.4|http://unitsofmeasure.org|mg"),
        ("Observation: value-quantity eq 5.4||mg", "value-quantity=5.4||mg"),
        ("Observation: code-value-quantity eq 8480-6$gt100", "code-value-quantity=8480-6$gt100"),
        ("Observation: subject re Patient/1", "subject=Patient/1"),
        ("Observation: subject ne Patient/1", "!subject=Patient/1"),
        ("Observation: patient pr false", "patient:missing=true"),
        ("Observation: subject.name sw pet", "subject.name=pet"),
        ("Observation: subject:Patient.birthdate lt 2000", "subject:Patient.birthdate=lt2000"),
        ("Observation: patient.general-practitioner.name co x", "patient.general-practitioner.name:contains=x"),
        ("Observation: subject.name pr true", "subject.name:missing=false"),
        ("Observation: subject.name pr false", "!subject.name:missing=false"),
        ("ValueSet: url eq http://a|1", r"url=http://a\|1"),
        ("ValueSet: url ss http://a", "url:below=http://a"),
        ("ValueSet: url ne http://a", "!url=http://a"),
        ("RiskAssessment: probability ge 0.8", "probability=ge0.8"),
        ("Location: near eq 1|2|3|km", r"near=1|2|3|km"),
        ("Patient: _content eq bone", "_content=bone"),
        ("Patient: _text eq bone", "_text=bone"),
        (
            "DocumentReference: relatesTo[code eq replaces].target re DocumentReference/1",
            "relationship=replaces$DocumentReference/1",
        ),
        ("Group: characteristic[code eq gender].value eq loinc|a$b", r"characteristic-value=gender$http://loinc.org|a\$b"),
    ],
)  # fmt: skip
def test_as_ordinary_parameters(text: str, expected: str) -> None:
    resource_type, _, filter_text = text.partition(": ")
    comparison = parse(filter_text)
    assert isinstance(comparison, Comparison)
    found = as_parameters(comparison, resource_type)
    assert " ".join(f"{'!' if one.negated else ''}{one.name}={one.value}" for one in found) == expected


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("Patient: gender co male", "operator 'co' is not supported for search parameter 'gender' of type token"),
        ("Patient: gender gt male", "of type token"),
        ("Patient: name gt a", "operator 'gt' is not supported for search parameter 'name' of type string"),
        ("Patient: birthdate co 2014", "operator 'co' is not supported for search parameter 'birthdate' of type date"),
        ("Patient: birthdate in 2014", "of type date"),
        ("Observation: value-quantity po 5", "of type quantity"),
        ("Observation: subject co x", "of type reference"),
        ("Observation: subject.name in x", "search parameter 'subject.name' of type string"),
        ("Observation: code-value-quantity pr true", "operator 'pr' is not supported"),
        ("Patient: name pr yes", "the value of 'pr' is either true or false"),
        ('Patient: name sw " "', "'name' has no value"),
        ("Patient: nonsense eq 1", "Patient has no search parameter 'nonsense'"),
        ("Observation: subject.nonsense eq 1", "what 'subject' refers to has no search parameter 'nonsense'"),
        ("Observation: code.name eq 1", "there is no search parameter 'code' of type reference"),
        ("List: item.context eq 1", "'context' is of several types: "),
        ("Observation: related[type eq x].target pr true", "a filter in brackets is supported for DocumentReference"),
        ("Observation: subject[active eq true].name sw x", "a filter in brackets is supported for"),
        ("Group: characteristic[code ne gender].value eq x", "is supported as characteristic[code eq …].value eq …"),
        ("Group: characteristic[code eq a or code eq b].value eq x", "is supported as characteristic[code eq …]"),
        ("Group: characteristic[code eq a].value pr true", "is supported as characteristic[code eq …]"),
    ],
)
def test_what_has_no_ordinary_parameter(text: str, error: str) -> None:
    resource_type, _, filter_text = text.partition(": ")
    comparison = parse(filter_text)
    assert isinstance(comparison, Comparison)
    with pytest.raises((Invalid, NotSupported), match=re.escape(error)) as refused:
        as_parameters(comparison, resource_type)
    assert str(refused.value).startswith("Parameter '_filter' at position 1: ")


# ---- any text ------------------------------------------------------------------------------------------

NAMES = st.sampled_from(["a", "_id", "value-quantity", "subject.name", "and", "not"])
VALUES = st.text(min_size=1, max_size=8)
COMPARISONS = st.builds(compare, NAMES, st.sampled_from(sorted(OPERATORS)), VALUES)
TREES: st.SearchStrategy[Expression] = st.recursive(
    COMPARISONS,
    lambda inner: st.one_of(
        st.builds(Not, inner),
        st.builds(And, st.lists(inner, min_size=2, max_size=3).map(tuple)),
        st.builds(Or, st.lists(inner, min_size=2, max_size=3).map(tuple)),
    ),
    max_leaves=8,
)


def written(tree: Expression) -> str:
    match tree:
        case Comparison(path, operator, value):
            return f"{'.'.join(map(str, path))} {operator} {json.dumps(value)}"
        case Not(part):
            return f"not ({written(part)})"
        case And(parts):
            return " and ".join(f"({written(part)})" for part in parts)
        case Or(parts):
            return " or ".join(f"({written(part)})" for part in parts)


def flat(tree: Expression) -> Expression:
    """The same with an And whose first part is an And as one, as it is read."""
    match tree:
        case Comparison():
            return tree
        case Not(part):
            return Not(flat(part))
    first, *rest = map(flat, tree.parts)
    kind = type(tree)
    return kind((*first.parts, *rest)) if isinstance(first, kind) else kind((first, *rest))


@given(TREES)
def test_what_is_written_is_read(tree: Expression) -> None:
    assert parse(written(tree)) == flat(tree)


TEXTS = st.one_of(
    st.text(max_size=60),
    st.lists(
        st.sampled_from(["a", "subject", "eq", "and", "or", "not", "(", ")", "[", "]", ".", ":", " ", '"', "|", "\\"]),
        max_size=40,
    ).map("".join),
)  # fmt: skip


@given(TEXTS)
def test_any_text_is_read_or_refused(text: str) -> None:
    found = attempt(lambda: parse(text))
    assert not isinstance(found, FhirError) or found.status == 400


@given(TREES, st.sampled_from(["Observation", "Patient", "Group"]))
def test_any_comparison_is_translated_or_refused(tree: Expression, resource_type: str) -> None:
    if isinstance(tree, Comparison):
        found = attempt(lambda: as_parameters(tree, resource_type))
        assert isinstance(found, FhirError) or all(isinstance(one, Ordinary) for one in found)


@given(st.text(max_size=20))
def test_an_escaped_text_is_one_value(text: str) -> None:
    for separator in ",|$":
        assert split(escape(text, "string"), separator) == [escape(text, "string")]
    assert unescape(escape(text, "string")) == text
    assert split(escape(text, "token"), ",") == [escape(text, "token")]
