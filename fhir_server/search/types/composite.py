r"""https://hl7.org/fhir/R4/search.html#composite: values that one element has together, joined by `$`.

An element that is there once is asked for part by part. Elements that repeat have keys of their own that hold the
parts together: `number$<a>$<b>`, or ranges under `number$<a>$<unit>`, where `<a>` is what follows the number in the
keys of the part's own search type, its `$` doubled.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

from fhir_server.outcomes import Invalid, NotSupported
from fhir_server.search.expression import UnsupportedExpression
from fhir_server.search.fields import Field, Source, fields
from fhir_server.search.keys import MAX_KEY, WIDE, Bounds, Criterion, Draft, Sink, beginning, fit, wide
from fhir_server.search.paths import Hop, Leaf, leaves
from fhir_server.search.query import Both, Condition, Either
from fhir_server.search.registry import SearchParameter, by_url, kept, parameters
from fhir_server.search.types import INDEXERS, search_type
from fhir_server.search.types.values import Settings, Visit, split

Json = dict[str, Any]
Path = tuple[Hop, ...]

# The marks of the keys that a value without modifier can ask for; the other types have ranges.
_MARKS = {"reference": ">", "string": "~", "token": "=|", "uri": "="}
_OF_RESOURCE = "%resource."
_LONGEST = MAX_KEY - 32  # a longer beginning is no longer in the key


@dataclass(frozen=True, slots=True)
class _Part:
    """One component at one place; `position` is where it stands in the search value.

    `whole` is the parameter that has the very same values, when asking for it says as much: there is one element.
    """

    position: int
    code: str
    field: Field  # under the number of the composite
    whole: Field | None
    of_resource: bool
    visits: tuple[tuple[Path, Visit], ...]

    @property
    def type(self) -> str:
        return self.field.parameter.type

    @property
    def code_alone(self) -> bool:
        """Whether only the code is kept with the other parts, and its system asked for besides."""
        return self.whole is not None and self.type == "token"

    @property
    def ranged(self) -> bool:
        return self.type not in _MARKS

    def ends(self, keys: Iterable[str]) -> list[str]:
        """What of the part's keys goes into those of the composite."""
        marks = "=" if self.code_alone else _MARKS[self.type]
        return [_end(key) for key in keys if key[3] in marks and len(key) > 4]


@dataclass(frozen=True, slots=True)
class _Place:
    """One branch of the composite's expression: where its elements are, and what they are asked for.

    The parts come in the order of the key: exact ones, texts, ranges.
    """

    number: str
    path: Path
    parts: tuple[_Part, ...]

    @property
    def apart(self) -> bool:
        """Whether the parts can be asked for one by one, so that nothing is stored."""
        return all(part.whole is not None for part in self.parts)


# ---- where ---------------------------------------------------------------------------------------------


@kept
def _places(parameter: SearchParameter) -> tuple[_Place, ...]:
    """Raises UnsupportedExpression when the parameter cannot be searched by."""
    branches = [text.strip() for text in parameter.expression.split("|")]
    own = [text for text in branches if text.partition(".")[0] == parameter.resource_type]
    found: list[_Place] = []
    for branch in own:
        owner = _same(parameter, branch) if len(own) > 1 else parameter
        elements = leaves(replace(owner, expression=branch))
        found += [_place(owner, branch, element, parameter.code) for element in elements]
    if not found or len(parameter.components) < 2:
        raise UnsupportedExpression(parameter.expression)
    return tuple(found)


def _same(parameter: SearchParameter, branch: str) -> SearchParameter:
    """The composite that has this branch for itself: what is indexed once is not indexed again."""

    def parts(one: SearchParameter) -> list[tuple[str, str]]:
        return [(_component(one, url).type, expression) for url, expression in one.components]

    every = parameters(parameter.resource_type).values()
    others = (one for one in every if one.type == "composite" and not one.custom)
    return next((one for one in others if one.expression == branch and parts(one) == parts(parameter)), parameter)


def _component(parameter: SearchParameter, url: str) -> SearchParameter:
    found = by_url(parameter.resource_type, url)
    if found is None or found.type not in INDEXERS:
        raise UnsupportedExpression(parameter.expression)
    return found


def _place(owner: SearchParameter, branch: str, element: Leaf, code: str) -> _Place:
    parts = [_part(owner, position, branch, element, code) for position in range(len(owner.components))]
    parts.sort(key=lambda part: 2 if part.ranged else part.type == "string")
    place = _Place(owner.number, element.path, tuple(parts))
    kinds = [part.type for part in parts if part.ranged or part.type == "string"]
    # Only the end of a key can be open, and a stored range has two ends.
    if not place.apart and len(kinds) > 1 and kinds != ["number", "number"]:
        raise UnsupportedExpression(owner.expression)
    return place


def _part(owner: SearchParameter, position: int, branch: str, element: Leaf, code: str) -> _Part:
    url, expression = owner.components[position]
    of_resource = expression.startswith(_OF_RESOURCE)
    start = () if of_resource else element.path
    every = leaves(replace(owner, expression=_joined(owner, branch, expression)))
    every = tuple(leaf for leaf in every if leaf.path[: len(start)] == start)
    definition = _definition(owner, url, every)
    label = f"{code} ({definition.code})"
    indexers = INDEXERS[definition.type]
    indexed = tuple(leaf for leaf in every if leaf.type in indexers)
    sink = Sink(owner.number)
    whole = fields(owner.resource_type).get(definition.code)
    if whole is not None and (set(whole.leaves) != set(every) or (element.many and not of_resource)):
        whole = None
    return _Part(
        position=position,
        code=definition.code,
        field=Field(
            parameter=replace(definition, code=label),
            leaves=indexed,
            sources=(Source(owner.number),),
            own=True,
            many=True,
            types=frozenset(leaf.type for leaf in indexed),
        ),
        whole=whole and replace(whole, parameter=replace(whole.parameter, code=label)),
        of_resource=of_resource,
        visits=tuple((leaf.path[len(start) :], indexers[leaf.type](sink, leaf)) for leaf in indexed),
    )


def _joined(owner: SearchParameter, branch: str, expression: str) -> str:
    """The component's expression from the resource on: `E` and `a | b` are `E.a | E.b`."""
    if expression.startswith(_OF_RESOURCE):
        return f"{owner.resource_type}.{expression.removeprefix(_OF_RESOURCE)}"
    return " | ".join(f"{branch}.{one.strip()}" for one in expression.split("|"))


def _definition(owner: SearchParameter, url: str, found: tuple[Leaf, ...]) -> SearchParameter:
    """The component's parameter. DocumentReference.relationship has its two exchanged, so the types decide."""
    urls = [url, *(other for other, _ in owner.components)]
    for one in (_component(owner, each) for each in urls):
        if any(leaf.type in INDEXERS[one.type] for leaf in found):
            return one
    raise UnsupportedExpression(owner.expression)


# ---- what is stored ------------------------------------------------------------------------------------


def finisher(parameter: SearchParameter) -> Callable[[Json, Draft], None] | None:
    """What writes the composite's own keys and ranges of a resource; None when there are none.

    Raises UnsupportedExpression when the parameter cannot be searched by.
    """
    own_places = tuple(one for one in _places(parameter) if one.number == parameter.number and not one.apart)
    if not own_places:
        return None

    own = tuple((place, _copies(place)) for place in own_places)

    def finish(resource: Json, draft: Draft) -> None:
        for place, copies in own:
            if copies:
                if all(copy.there(resource) for copy in copies):
                    _store(place, [copy.of(draft) for copy in copies], draft)
                continue
            for element in _values(resource, place.path):
                if found := _forms(place, element, resource, draft.base):
                    _store(place, found, draft)

    return finish


@dataclass(frozen=True, slots=True)
class _Copy:
    """A part that the walk over the resource has put into the draft already, under its own parameter's number."""

    number: str
    names: tuple[str, ...]  # properties that only this part reads

    def there(self, resource: Json) -> bool:
        return any(name in resource for name in self.names)

    def of(self, draft: Draft) -> Draft:
        found = Draft(draft.base)
        found.keys = {key: None for key in draft.keys if key.startswith(self.number)}
        found.ranges = {one: None for one in draft.ranges if one[0].startswith(self.number)}
        return found


def _copies(place: _Place) -> tuple[_Copy, ...]:
    """For parts of the resource itself; none when any has values of its own.

    A parameter may have more places than the part, such as the other types of a choice: then only one can be there.
    """
    found: list[_Copy] = []
    for part in place.parts:
        field = fields(part.field.parameter.resource_type).get(part.code)
        leaves_ = part.field.leaves
        if place.path or part.of_resource or field is None or not field.own or not set(leaves_) <= set(field.leaves):
            return ()
        if len({leaf.path[0].element for leaf in field.leaves}) != 1 or any(len(leaf.path) != 1 for leaf in leaves_):
            return ()
        found.append(_Copy(field.parameter.number, tuple(leaf.path[0].name for leaf in leaves_)))
    return tuple(found)


def _values(value: Any, path: Path) -> Iterator[Any]:
    """The values at the end of the path."""
    if not path:
        yield value
        return
    hop = path[0]
    inner = value.get(hop.name)
    if inner is None:
        return
    for one in (inner[:1] if hop.first else inner) if hop.many else (inner,):
        if one is not None and (hop.where is None or one.get(hop.where[0]) == hop.where[1]):
            yield from _values(one, path[1:])


def _forms(place: _Place, element: Any, resource: Json, base: str) -> list[Draft]:
    """The keys and ranges of each part as its own search type writes them; none when a part is missing."""
    found: list[Draft] = []
    for part in reversed(place.parts):  # the last is the rarest
        draft = Draft(base)
        for path, visit in part.visits:
            for value in _values(resource if part.of_resource else element, path):
                visit(value, draft)
        if not draft.keys and not draft.ranges:
            return []
        found.append(draft)
    return found[::-1]


def _store(place: _Place, found: list[Draft], draft: Draft) -> None:
    heads = [place.number]
    ranges: list[dict[tuple[str, float, float], None]] = []
    for part, forms in zip(place.parts, found, strict=True):
        if part.ranged:
            ranges.append(forms.ranges)
        else:
            ends = part.ends(forms.keys)
            heads = [f"{head}${end}" for head in heads for end in ends]
    for head in heads:
        if not ranges:
            draft.keys[fit(head)] = None
        elif len(ranges) == 1:
            for key, low, high in ranges[0]:
                is_wide = key[3:4] == WIDE
                narrow = key[:3] + key[4:] if is_wide else key
                _store_range(draft, fit(f"{head}${_end(narrow)}"), low, high, is_wide=is_wide)
        else:
            # From one number to the other. What ends before it starts is no segment and is not found.
            for (_, low, _), (_, _, high) in product(*ranges):
                if low <= high:
                    _store_range(draft, fit(f"{head}$"), low, high, is_wide=low != high)


def _store_range(draft: Draft, key: str, low: float, high: float, *, is_wide: bool) -> None:
    draft.ranges[(wide(key) if is_wide else key, low, high)] = None


def _end(key: str) -> str:
    """What is behind the number, such that a single `$` behind it begins the next part."""
    return fit(key)[3:].replace("$", "$$")


# ---- what is asked -------------------------------------------------------------------------------------


def condition(parameter: SearchParameter, modifier: str, value: str, settings: Settings) -> Condition:
    """What one value asks for; raises as `criteria` does."""
    every: list[Condition] = []
    for together in criteria(parameter, modifier, value, settings):
        every.append(together[0] if len(together) == 1 else Both(together))
    return every[0] if len(every) == 1 else Either(tuple(every))


def criteria(parameter: SearchParameter, modifier: str, value: str, settings: Settings) -> list[tuple[Criterion, ...]]:
    """What one value (without commas, escapes still in) asks for: alternatives, in each of which all must hold.

    Raises Invalid for a value of another form and NotSupported for a modifier ("Modifiers are not used on composite
    parameters") or for `system|` where only a whole code can be looked up.
    """
    if modifier:
        raise NotSupported(
            f"Modifier ':{modifier[:64]}' is not supported for search parameter '{parameter.code}' of type composite."
        )
    places = _places(parameter)
    texts = split(value, "$")
    if len(texts) != len(parameter.components) or not all(texts):
        form = "$".join(part.code for part in sorted(places[0].parts, key=lambda part: part.position))
        raise Invalid(f"The value of search parameter '{parameter.code}' is not a composite: {form}.")
    return [_asked(parameter, place, texts, settings) for place in places]


def _asked(parameter: SearchParameter, place: _Place, texts: list[str], settings: Settings) -> tuple[Criterion, ...]:
    """All of these must hold for a resource to have such an element."""
    if place.apart:
        return tuple(_criterion(part.whole or part.field, texts[part.position], settings) for part in place.parts)
    heads, openings = [place.number], list[str]()
    ranges: list[tuple[Bounds, ...]] = []
    besides: list[Criterion] = []
    for part in place.parts:
        text = texts[part.position]
        alone = split(text, "|")[-1] if part.code_alone else text
        if part.whole is not None and alone != text:
            besides.append(_criterion(part.whole, text, settings))
        asked = _criterion(part.field, alone, settings) if alone else None
        if asked is None or (asked.between and part is not place.parts[-1]):
            raise NotSupported(f"Search parameter '{parameter.code}' needs a code behind the system of '{part.code}'.")
        if part.ranged:
            ranges.append(asked.bounds)
        else:
            openings = [f"{head}${_end(first)}" for head in heads for first, _ in asked.between]
            heads = [f"{head}${_end(key)}" for head in heads for key in asked.keys]
    if any(len(opening) > _LONGEST for opening in openings):
        raise Invalid(f"The value of search parameter '{parameter.code}' is too long.")
    return (_fused(heads, openings, ranges), *besides)


def _criterion(field: Field, text: str, settings: Settings) -> Criterion:
    return search_type(field.parameter.type).criterion(field, "", text, settings)


def _fused(heads: list[str], openings: list[str], ranges: list[tuple[Bounds, ...]]) -> Criterion:
    match ranges:
        case []:
            return Criterion(keys=tuple(map(fit, heads)), between=tuple(map(beginning, openings)))
        case [single]:
            bounds = [replace(one, key=fit(f"{head}${_end(one.key)}")) for head in heads for one in single]
        case _:
            bounds = [_segment(fit(f"{head}$"), *ends) for head in heads for ends in product(*ranges)]
    return Criterion(bounds=tuple(bounds))


def _segment(key: str, start: Bounds, end: Bounds) -> Bounds:
    """A stored range that starts within the one and ends within the other."""
    (low_from, low_to), (high_from, high_to) = _limits(start), _limits(end)
    return Bounds(key, 0.0, low_from, low_to, high_from, high_to)


def _limits(point: Bounds) -> tuple[float | None, float | None]:
    """What the limits of both its ends say of a single number."""
    at_least = [limit for limit in (point.low_from, point.high_from) if limit is not None]
    at_most = [limit for limit in (point.low_to, point.high_to) if limit is not None]
    return max(at_least, default=None), min(at_most, default=None)
