"""What a search asks of the database, in one figure: so that no request costs the others their turn."""

from __future__ import annotations

from fhir_server.search.keys import Criterion
from fhir_server.search.query import Both, Chain, Condition, Either, Except, Has, Known

MAX_COST = 10_000  # of one search: exact values count 1
SPAN = 5  # a range or a beginning, which the index has in one place
LOOK_UP = 10  # a query of its own
PATTERN = 100  # reads all keys of its parameter


def cost(condition: Condition) -> int:
    """How much it asks for, in exact values over all resource types; nothing is counted twice."""
    match condition:
        case Criterion():
            return _of_criterion(condition)
        case Both(parts) | Either(parts):
            return sum(map(cost, parts))
        case Except(part):
            return cost(part)
        case Chain() | Has():
            return LOOK_UP + sum(cost(one.condition) for one in condition.query.filters)
        case Known():
            return len(condition.sets)
    return LOOK_UP


def _of_criterion(one: Criterion) -> int:
    exact = (one.keys, one.ids, one.range_keys, one.sets, one.words)
    spans = (one.between, one.bounds, one.updated, one.word_beginnings, one.circles)
    return sum(map(len, exact)) + SPAN * sum(map(len, spans)) + PATTERN * len(one.patterns)
