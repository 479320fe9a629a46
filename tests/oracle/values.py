"""What each search type takes from a node, and when a value is what the query asks for."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from itertools import chain
from typing import Any, NamedTuple

from fhir_server.definitions import SearchParameter
from tests.oracle import dates, links, numbers, positions, text, tokens, uris
from tests.oracle.expressions import Json, Node, evaluate, parse, root
from tests.oracle.parameters import components, targets
from tests.oracle.query import NotASearch, is_type, prefixed, split, unescape

Test = Callable[[Any], bool]

# What of a node counts as a value for `:missing`: a CodeableConcept with nothing but a text is one for a token,
# but the string of an occurrence[x] is none for a date.
SEARCHABLE = {
    "date": {"date", "dateTime", "instant", "Period", "Timing"},
    "number": {"decimal", "integer", "positiveInt", "unsignedInt", "Range"},
    "quantity": {"Quantity", "Age", "Duration", "Count", "Distance", "Money", "Range"},
}


class Place(NamedTuple):
    """Where a node is: the resource, its key, and the URLs of this server."""

    resource: Json
    key: str
    bases: tuple[str, ...]


def aspect(parameter: SearchParameter, modifier: str) -> str:
    """Which of a node's values a modifier looks at."""
    if parameter.type == "token" and modifier in ("text", "of-type"):
        return modifier
    if parameter.type == "reference" and modifier == "identifier":
        return modifier
    return parameter.type


def values(kind: str, parameter: SearchParameter, node: Node, place: Place) -> Iterator[Hashable]:
    """The values of a node in the aspect `kind`."""
    match kind:
        case "string":
            return text.spoken(node) if parameter.code == "phonetic" else text.strings(node)
        case "token":
            return tokens.tokens(node)
        case "text":
            return tokens.texts(node)
        case "of-type":
            return tokens.typed_identifiers(node)
        case "date":
            return dates.spans(node)
        case "number" | "quantity":
            return numbers.amounts(node)
        case "uri":
            return uris.uris(node, place.resource)
        case "reference":
            found = links.links(node, place.key, place.bases)
            return (each for each in found if not each.nested or each.local.partition("/")[0] in targets(parameter))
        case "identifier":
            return links.identifiers(node)
        case "composite":
            return _composites(parameter, node, place)
        case "special":
            return positions.positions(node)
    raise NotASearch(f"a parameter of type {kind}")


def _composites(parameter: SearchParameter, node: Node, place: Place) -> Iterator[Hashable]:
    """One tuple per element, with the values of each component in it."""
    resource, parts = root(place.resource), []
    for part, expression in components(parameter):
        nodes = evaluate(parse(expression), [node], resource)
        parts.append(tuple(chain.from_iterable(values(part.type, part, each, place) for each in nodes)))
    if all(parts):
        yield tuple(parts)


def test(parameter: SearchParameter, modifier: str, asked: str, bases: tuple[str, ...]) -> Test:
    """The test of one alternative of a comma list; NotASearch when it cannot be one."""
    try:
        return _TESTS[parameter.type](parameter, modifier, asked, bases)
    except (ValueError, ArithmeticError) as error:
        raise NotASearch(f"{parameter.code}: {error}") from error


def _string(parameter: SearchParameter, modifier: str, asked: str, bases: tuple[str, ...]) -> Test:
    wanted = unescape(asked)
    folded = text.fold(wanted)
    if parameter.code == "phonetic" and not modifier:
        codes = {text.soundex(word) for word in folded.split()}
        return lambda value: codes <= {text.soundex(word) for word in value.folded.split()}
    match modifier:
        case "":
            return lambda value: text.starts(value, folded)
        case "exact":
            return lambda value: bool(value.raw == wanted)
        case "contains":
            return lambda value: folded in value.folded
    raise NotASearch(f":{modifier} on a string")


def _token(parameter: SearchParameter, modifier: str, asked: str, bases: tuple[str, ...]) -> Test:
    parts = [unescape(part) for part in split(asked, "|")]
    if modifier == "text":
        folded = text.fold(unescape(asked))
        return lambda value: text.starts(value, folded)
    if modifier == "of-type":
        if len(parts) != 3 or not all(parts):
            raise NotASearch(":of-type needs system|code|value")
        system, code, number = parts
        return lambda value: (value.system, value.code.casefold(), value.value) == (system, code.casefold(), number)
    if modifier not in ("", "not", "identifier") or len(parts) > 2:
        raise NotASearch(f":{modifier} on a token")
    wanted, code = (None, parts[0]) if len(parts) == 1 else (parts[0], parts[1])
    return lambda value: tokens.is_token(value, wanted, code)


def _reference(parameter: SearchParameter, modifier: str, asked: str, bases: tuple[str, ...]) -> Test:
    if modifier == "identifier":
        return _token(parameter, modifier, asked, bases)
    if modifier and not is_type(modifier):
        raise NotASearch(f":{modifier} on a reference")
    url, *version = (unescape(part) for part in split(asked, "|"))
    return links.points_to(url, "".join(version), modifier, bases)


def _date(parameter: SearchParameter, modifier: str, asked: str, bases: tuple[str, ...]) -> Test:
    prefix, written = _ordered(modifier, asked)
    wanted = dates.span(unescape(written))
    return lambda value: dates.compares(prefix, value, wanted)


def _number(parameter: SearchParameter, modifier: str, asked: str, bases: tuple[str, ...]) -> Test:
    prefix, written = _ordered(modifier, asked)
    wanted = numbers.asked(prefix, written)
    return lambda value: numbers.compares(value, wanted)


def _quantity(parameter: SearchParameter, modifier: str, asked: str, bases: tuple[str, ...]) -> Test:
    prefix, written = _ordered(modifier, asked)
    number, *unit = (unescape(part) for part in split(written, "|"))
    if len(unit) not in (0, 2):
        raise NotASearch("a quantity is number|system|code")
    system, code = unit or ("", "")
    wanted = numbers.asked(prefix, number)

    def compares(value: numbers.Amount) -> bool:
        converted = numbers.in_unit(value, system, code)
        return converted is not None and numbers.compares(converted, wanted)

    return compares


def _ordered(modifier: str, asked: str) -> tuple[str, str]:
    prefix, written = prefixed(asked)
    if modifier or prefix == "ap":
        raise NotASearch(f"{modifier or prefix} on a number, date or quantity")
    return prefix, written


def _uri(parameter: SearchParameter, modifier: str, asked: str, bases: tuple[str, ...]) -> Test:
    wanted = [unescape(part) for part in split(asked, "|")]
    return uris.test(modifier, wanted[0], "|".join(wanted[1:]))


def _composite(parameter: SearchParameter, modifier: str, asked: str, bases: tuple[str, ...]) -> Test:
    parts = split(asked, "$")
    if modifier or len(parts) != len(parameter.component):
        raise NotASearch(f"{parameter.code} has {len(parameter.component)} parts and no modifier")
    tests = [test(part, "", each, bases) for (part, _), each in zip(components(parameter), parts, strict=True)]
    return lambda value: all(any(map(one, held)) for one, held in zip(tests, value, strict=True))


def _special(parameter: SearchParameter, modifier: str, asked: str, bases: tuple[str, ...]) -> Test:
    if modifier:
        raise NotASearch("near has no modifiers")
    return positions.near(split(asked, "|"))


_TESTS: dict[str, Callable[[SearchParameter, str, str, tuple[str, ...]], Test]] = {
    "string": _string,
    "token": _token,
    "reference": _reference,
    "date": _date,
    "number": _number,
    "quantity": _quantity,
    "uri": _uri,
    "composite": _composite,
    "special": _special,
}
