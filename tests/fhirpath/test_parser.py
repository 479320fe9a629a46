"""The parser: what is written from a tree is read as that tree, and nothing makes it fail otherwise than it may."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_server.fhirpath import MAX_DEPTH, MAX_LENGTH, Environment, FhirPathError, Node, compile, root
from fhir_server.fhirpath.dates import Moment, literal
from fhir_server.fhirpath.operators import BUILDERS
from fhir_server.fhirpath.parser import parse
from fhir_server.fhirpath.quantities import Quantity
from fhir_server.fhirpath.syntax import (
    Binary,
    Constant,
    Empty,
    Function,
    Index,
    Literal,
    Member,
    Polarity,
    Special,
    Syntax,
    TypeTest,
)


def quoted(text: str, mark: str) -> str:
    escaped = "".join(f"\\{c}" if c in "\\'`" else f"\\u{ord(c):04x}" if ord(c) < 32 else c for c in text)
    return f"{mark}{escaped}{mark}"


def written(syntax: Syntax | None) -> str:
    """An expression with this tree, all of it in parentheses."""
    match syntax:
        case Literal(bool() as value):
            return "true" if value else "false"
        case Literal(str() as value):
            return quoted(value, "'")
        case Literal(Quantity() as value):
            return f"({value})"
        case Literal(Moment() as value):
            time_only = "T" if value.kind == "DateTime" and len(value.parts) < 4 else ""
            return f"@{'T' if value.kind == 'Time' else ''}{value}{time_only}"
        case Literal(value):
            return f"({value})"
        case Empty():
            return "{}"
        case Constant(name):
            return f"%{quoted(name, '`')}"
        case Special(name):
            return f"${name}"
        case Member(before, name):
            return (f"({written(before)})." if before else "") + quoted(name, "`")
        case Function(before, name, arguments):
            return (f"({written(before)})." if before else "") + f"{name}({', '.join(map(written, arguments))})"
        case Index(before, index):
            return f"({written(before)})[{written(index)}]"
        case Polarity(operator, operand):
            return f"({operator}({written(operand)}))"
        case Binary(operator, left, right):
            return f"(({written(left)}) {operator} ({written(right)}))"
        case TypeTest(operator, operand, type_):
            return f"(({written(operand)}) {operator} {type_})"
    raise AssertionError(syntax)


texts = st.text(st.characters(exclude_categories=["Cs"], max_codepoint=0xFFFF), min_size=1, max_size=8)
names = st.sampled_from(["name", "given", "value", "as", "is", "contains", "in", "where", "div", "day"])
numbers = st.integers(0, 2**31 - 1) | st.decimals(0, 10**6, places=2)
moments = st.sampled_from(["2020", "2020-02", "2020-02-29", "2020T", "2020-02-29T10:30Z", "T10", "T10:30:00.5"])
quantities = st.builds(Quantity.of, numbers, st.sampled_from(["mg", "1", "m/s2"])) | st.builds(
    lambda number: Quantity.of(number, "day", calendar=True), numbers
)
leaves: st.SearchStrategy[Syntax] = st.one_of(
    st.builds(Literal, st.booleans() | texts | numbers | quantities | moments.map(literal)),
    st.builds(Empty),
    st.builds(Constant, texts),
    st.builds(Special, st.sampled_from(["this", "index", "total"])),
    st.builds(Member, st.none(), texts),
)


def larger(part: st.SearchStrategy[Syntax]) -> st.SearchStrategy[Syntax]:
    return st.one_of(
        st.builds(Member, part, names),
        st.builds(Function, st.none() | part, names.filter("div".__ne__), st.lists(part, max_size=3).map(tuple)),
        st.builds(Index, part, part),
        st.builds(Polarity, st.sampled_from("+-"), part),
        st.builds(Binary, st.sampled_from(sorted(BUILDERS)), part, part),
        st.builds(TypeTest, st.sampled_from(["is", "as"]), part, st.sampled_from(["Patient", "System.String"])),
    )


@given(st.recursive(leaves, larger, max_leaves=12))
def test_what_is_written_is_read(syntax: Syntax) -> None:
    assert parse(written(syntax)) == syntax


WORDS = """
name given ( ) [ ] . , | = != ~ < >= + - * / & div mod and or implies in contains is as true {} $this %resource 1 1.5
'a' @2020 @T10 Patient String where( exists() first() iif( ofType( `x` // /* */ day ' @ $ % } {
"""
words = st.sampled_from(WORDS.split())


@given(st.lists(words, max_size=12).map(" ".join) | st.text(max_size=30))
def test_anything_else_is_refused_as_such(expression: str) -> None:
    patient: dict[str, Any] = {"resourceType": "Patient", "name": [{"given": ["Secret"]}], "active": True}
    message = ""
    try:
        compile(expression).evaluate(root(patient), Environment(limit=1000))
    except FhirPathError as error:
        message = str(error)
    assert "Secret" not in message


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.decimals(allow_nan=False, allow_infinity=False)
    | st.text(max_size=3),
    lambda part: (
        st.lists(part, max_size=3)
        | st.dictionaries(st.sampled_from(["name", "given", "_given", "value", "url", "resourceType", "id"]), part)
    ),
    max_leaves=8,
)
EXPRESSIONS = [
    "name.given",
    "descendants().count()",
    "name.given.where($this = 'a')",
    "name ~ name.first()",
    "descendants().distinct().count()",
    "birthDate < today()",
    "name.given.first() > 'a'",
    "name.exists() and active.not()",
    "extension('a').value",
    "generalPractitioner.resolve()",
    "contained.where('#' + id in %resource.descendants().reference).empty()",
]


@given(
    st.dictionaries(st.sampled_from(["name", "active", "birthDate", "extension", "contained", "_active"]), json_values),
    st.sampled_from(EXPRESSIONS),
)
def test_a_resource_of_any_shape(resource: dict[str, Any], expression: str) -> None:
    try:
        found = compile(expression).evaluate(root({"resourceType": "Patient", **resource}))
    except FhirPathError:
        return
    assert all(isinstance(node, Node) and isinstance(node.path, str) for node in found)


def test_limits() -> None:
    compile(".".join(["name"] * (MAX_DEPTH - 1)))
    for expression in (
        "x" * (MAX_LENGTH + 1),
        "(" * 2000 + "1" + ")" * 2000,
        ".".join(["name"] * 1000),
        " + ".join(["1"] * 1000),
        "-" * 1000 + "1",
        "a[" * 500 + "1" + "]" * 500,
    ):
        with pytest.raises(FhirPathError):
            compile(expression)


@pytest.mark.parametrize(
    "expression",
    [
        "'12345678901234567890'.toChars().aggregate($total.combine($total), 1).count()",
        "'12345678901234567890'.toChars().aggregate($total & $total, 'abcdefghijklmnop').length()",
        "%many.where(%many.where(%many.where($this = 'x').exists()).exists())",
        "'1'.repeat($this & '1')",
        "'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa'.toChars().aggregate($total.replace('a', 'aaaa'), 'a').length()",
    ],
)
def test_effort_is_bounded(expression: str) -> None:
    environment = Environment(limit=50_000, variables={"many": list(range(200))})
    with pytest.raises(FhirPathError):
        compile(expression).evaluate([], environment)


def test_numbers_that_do_not_end() -> None:
    resource = {"resourceType": "Observation", "valueQuantity": {"value": Decimal("1E+999999")}}
    for expression in ("value.value.toString()", "value.value.floor()", "value.value * value.value", "value > 1 '1'"):
        try:
            found = compile(expression).evaluate(root(resource))
        except FhirPathError:
            continue
        assert len(str([node.value for node in found])) < 1000


def test_compiled_once() -> None:
    assert compile("Patient.name.given") is compile("Patient.name.given")
