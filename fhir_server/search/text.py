"""`_text` searches the narrative, `_content` everything readable: https://hl7.org/fhir/R4/search.html#content.

A word is stored once for each: `1l1"fever` of the narrative, `1l1'fever` of the content; the number is the type's.
"""

from __future__ import annotations

from typing import Any

from fhir_server.outcomes import NotSupported
from fhir_server.search.criteria import either
from fhir_server.search.keys import Criterion
from fhir_server.search.query import Both, Condition, Except, Filter
from fhir_server.search.registry import type_number
from fhir_server.search.scope import Scope
from fhir_server.search.text_expression import And, Expression, Not, Or, Prefix, Word, content, narrative, parse, words

NARRATIVE, CONTENT = '"', "'"
MAX_WORDS = 5000  # of one resource; a longer text is not found by all of its words


def text_words(number: str, resource: dict[str, Any]) -> list[str]:
    """The index words of a resource of the type with this number."""
    told = words(narrative(resource)) if "text" in resource else frozenset[str]()
    every = told.union(*map(words, content(resource)))
    if len(every) > MAX_WORDS:
        every = frozenset(sorted(every)[:MAX_WORDS])
        told &= every
    # In one order, so that a resource has the same words whoever indexes it.
    return sorted([f"{number}{NARRATIVE}{word}" for word in told] + [f"{number}{CONTENT}{word}" for word in every])


def text(scope: Scope, name: str, value: str) -> Filter:
    """The filter of `_text=…` or `_content=…`."""
    if ":" in name:
        raise NotSupported(f"Parameter '{name.partition(':')[0]}' takes no modifier.")
    mark = NARRATIVE if name == "_text" else CONTENT
    expression = parse(value, name)
    conditions = [_condition(expression, type_number(one) + mark) for one in scope.types]
    return Filter(name, value, either(conditions))


def _condition(expression: Expression, opening: str) -> Condition:
    match expression:
        case Word(word):
            return Criterion(words=(opening + word,))
        case Prefix(beginning):
            return Criterion(word_beginnings=(opening + beginning,))
        case And(parts):
            return Both(tuple(_condition(part, opening) for part in parts))
        case Or(parts):
            return either([_condition(part, opening) for part in parts])
        case Not(part):
            # The type's own key keeps the exception within the type.
            return Both((Criterion(keys=(opening[:-1],)), Except(_condition(part, opening))))
