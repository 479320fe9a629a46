"""Judging a filter in Python agrees with MongoDB, for every operator and shape that `compile` uses."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pymongo import MongoClient
from pymongo.collection import Collection

from fhir_server.search.compile import compile
from fhir_server.search.memory import matches
from tests.search import samples
from tests.search.finder import envelope, query

Json = dict[str, Any]

KEYS = st.sampled_from(["a", "ab", "ab~c\t", "ab~cd\tCD", "b", "ü", "\U0001f600", "ab~c.d\t"])
NUMBERS = st.one_of(st.integers(-2, 2), st.sampled_from([0.5, -1.5, float("inf"), float("-inf")]))
SCALARS = st.one_of(st.none(), KEYS, NUMBERS)
RANGES = st.fixed_dictionaries({"k": KEYS, "lo": NUMBERS, "hi": NUMBERS})
DOCUMENTS = st.fixed_dictionaries(
    {},
    optional={
        "k": st.lists(KEYS, max_size=3),
        "r": st.lists(RANGES, max_size=2),
        "u": st.integers(-2, 2),
        "s": st.dictionaries(st.sampled_from(["x", "y"]), SCALARS),
        "d": st.just(True),
    },
)
LIMITS = st.dictionaries(st.sampled_from(["$gte", "$gt", "$lte", "$lt"]), NUMBERS, min_size=1, max_size=2)
TEXT_LIMITS = st.dictionaries(st.sampled_from(["$gte", "$lt"]), KEYS, min_size=1)
SIMPLE = st.one_of(
    st.builds(lambda key: {"k": key}, KEYS),
    st.builds(lambda keys: {"k": {"$in": keys}}, st.lists(KEYS, max_size=3)),
    st.builds(lambda limits: {"k": {"$elemMatch": limits}}, TEXT_LIMITS),
    st.builds(lambda pattern: {"k": {"$regex": pattern}}, st.sampled_from(["^ab~[^\\t]*d", "^ab~[^\\t]*c\\.d", "^b"])),
    st.builds(
        lambda key, low, high: {"r": {"$elemMatch": {"k": key, "lo": low, "hi": high}}},
        st.one_of(KEYS, st.builds(lambda keys: {"$in": keys}, st.lists(KEYS, max_size=2))),
        LIMITS,
        LIMITS,
    ),
    st.builds(
        lambda key, limits: {"r": {"$elemMatch": {"$and": [{"k": key}, {"$nor": [{"lo": limits}]}]}}}, KEYS, LIMITS
    ),
    st.builds(lambda keys: {"r.k": {"$in": keys}}, st.lists(KEYS, max_size=2)),
    st.builds(lambda limits: {"u": limits}, LIMITS),
    st.just({"d": None}),
    st.builds(lambda yes: {"s.x": {"$exists": yes}}, st.booleans()),
    st.builds(lambda value: {"s.x": value}, SCALARS),
    st.just({"s.x": {"$ne": None}}),
    st.builds(lambda value: {"s.x": {"$gt": value}}, st.one_of(KEYS, NUMBERS)),
    st.builds(lambda value: {"s.y": {"$not": {"$gte": value}}}, st.one_of(KEYS, NUMBERS)),
    st.builds(lambda ids: {"_id": {"$nin": ids}}, st.lists(st.integers(0, 3), max_size=2)),
)
FILTERS = st.recursive(
    SIMPLE,
    lambda inner: st.builds(
        lambda operator, parts: {operator: parts},
        st.sampled_from(["$and", "$or", "$nor"]),
        st.lists(inner, min_size=1, max_size=3),
    ),
    max_leaves=4,
)


@pytest.fixture(scope="module")
def collection(mongo_uri: str, database: str) -> Iterator[Collection[Json]]:
    with MongoClient[Json](mongo_uri) as client:
        yield client[f"{database}_memory"]["resource"]


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(documents=st.lists(DOCUMENTS, min_size=1, max_size=4), filters=st.lists(FILTERS, min_size=1, max_size=8))
def test_agrees_with_mongodb(collection: Collection[Json], documents: list[Json], filters: list[Json]) -> None:
    stored = [{**document, "_id": number} for number, document in enumerate(documents)]
    collection.delete_many({})
    collection.insert_many(stored)
    for filter in filters:
        expected = {document["_id"] for document in collection.find(filter)}
        assert {document["_id"] for document in stored if matches(filter, document)} == expected, filter


def test_agrees_with_mongodb_on_every_parameter(collection: Collection[Json]) -> None:
    """One resource for each leaf of each parameter, and the searches for it."""
    collection.delete_many({})
    documents: list[Json] = []
    asked: set[str] = set()
    for number, (field, leaf) in enumerate(samples.every()):
        if number % 7:
            continue  # a seventh of them tells the same
        documents.append(envelope({**samples.resource(field, leaf), "id": str(number)}))
        right, other = samples.searches(field, leaf)
        name = f"{field.parameter.resource_type}?{field.parameter.code}"
        asked |= {f"{name}={value}" for value in (*right, other)} | {f"{name}:missing=true"}
    collection.insert_many(documents)
    for search in sorted(asked):
        filter = compile(query(search)).filter
        type_ = {"ty": search.partition("?")[0]}
        expected = {document["_id"] for document in collection.find({"$and": [type_, filter]}, {"_id": 1})}
        assert {d["_id"] for d in documents if d["ty"] == type_["ty"] and matches(filter, d)} == expected, search


def test_other_operators_are_not_guessed() -> None:
    with pytest.raises(KeyError):
        matches({"k": {"$where": "x"}}, {"k": ["a"]})
