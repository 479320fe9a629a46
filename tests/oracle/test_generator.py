"""The queries and the synthetic resources: every parameter is asked for, and what is asked can be found."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from random import Random

import pytest

from fhir_server.definitions import search_parameters
from tests.oracle import Oracle, complete, examples, generate, synthea, synthesize
from tests.oracle.generator import TYPES
from tests.oracle.parameters import parameters_of, select
from tests.oracle.units import is_plain


def codes_of(type_name: str) -> set[str]:
    """What a resource can have values of; the server gives the rest."""
    return set(parameters_of(type_name)) - {"_lastUpdated"}


@pytest.mark.parametrize("type_name", TYPES)
def test_a_synthetic_resource_has_values_for_the_parameter_it_favours(type_name: str) -> None:
    for code in codes_of(type_name):
        made = (synthesize(type_name, Random(seed), favour=code) for seed in range(9))
        assert any(select(parameters_of(type_name)[code], each) for each in made), code


def test_a_completed_corpus_has_values_for_every_parameter() -> None:
    corpus = complete({}, Random(1), each=2)
    by_type = {name: [each for each in corpus.values() if each["resourceType"] == name] for name in TYPES}
    asked = {(name, code) for name in TYPES for code in codes_of(name)}
    met = {(name, code) for name, code in asked if any(select(parameters_of(name)[code], one) for one in by_type[name])}
    assert asked == met
    assert not any("synthetic" in key for key in complete(corpus, Random(1)))


def test_every_parameter_is_asked_for_and_most_queries_find_something() -> None:
    oracle = Oracle(complete({}, Random(1), each=3))
    asked: set[tuple[str, str]] = set()
    hits = Counter[bool]()
    for path, pairs in generate(Random(2), oracle, 8000):
        asked |= {(path.rpartition("/")[2], name.partition(":")[0].partition(".")[0]) for name, _ in pairs}
        hits[bool(oracle.search(path, pairs))] += 1
    known = {(name, code) for name in TYPES for code in codes_of(name) if not code.startswith("_")}
    assert known - asked == set()
    assert "_has" in {code for _, code in asked}
    assert hits[True] > hits[False]


def test_one_seed_is_one_list_of_queries() -> None:
    corpus = complete({}, Random(1), each=1)
    assert list(generate(Random(9), corpus, 200)) == list(generate(Random(9), corpus, 200))
    assert list(generate(Random(9), corpus, 200)) != list(generate(Random(10), corpus, 200))


def test_every_published_expression_is_understood() -> None:
    resource = {name: synthesize(name, Random(0)) for name in TYPES}
    for parameter in search_parameters():
        for name in parameter.base if parameter.expression else ():
            if name in resource:
                select(parameter, resource[name])


@pytest.mark.parametrize(
    ("code", "other", "plain"),
    [
        ("mg", "kg", True),
        ("mg", "mg/dL", True),
        ("mg/dL", "g/L", False),
        ("mmol/L", "10*3/uL", False),
        ("cm", "mm", True),
        ("mm[Hg]", "kPa", False),
        ("kg/m2", "kg", True),
        ("%", "{score}", False),
    ],
)
def test_units_that_a_server_may_convert(code: str, other: str, plain: bool) -> None:
    assert is_plain(code, [code, other]) == plain


def test_the_published_corpora(shared: Path) -> None:
    corpus = examples() | synthea(bundles=2)
    assert len({key.partition("/")[0] for key in corpus}) > 130
    oracle = Oracle(corpus)
    found = [len(oracle.search(path, pairs)) for path, pairs in generate(Random(1), oracle, 300)]
    assert sum(map(bool, found)) > 100
    assert not any("urn:uuid:" in json.dumps(each, default=float) for each in synthea(bundles=1).values())
