"""A resource becomes its search keys: one walk over the JSON, compiled once for each resource type.

The paths of all parameters of a type form one tree; its nodes are closures that look only at what is there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from fhir_server.definitions import RESOURCE_TYPES, compartments, type_definition
from fhir_server.outcomes import TooLarge
from fhir_server.search.canonical import url_number
from fhir_server.search.fields import DATE_SLOT, NAME_SLOT, Field, fields, unsearched
from fhir_server.search.keys import MAX_KEY, OPEN_LOW, SUBSCRIBER, SUBSCRIBER_EXTENSION, Draft, Index, Sink, fit
from fhir_server.search.paths import Hop
from fhir_server.search.presence import Writer, writer
from fhir_server.search.registry import find, kept, parameters, type_number
from fhir_server.search.text import text_words
from fhir_server.search.types import INDEXERS, composite, special
from fhir_server.search.types.string import phonetic
from fhir_server.search.types.values import Visit

Json = dict[str, Any]

MAX_KEYS = 50_000  # of one resource; a larger CodeSystem or Group is refused, never half indexed

# Types whose patient-and-code searches are hot get a key for the pair: (parameter of the reference, of the code).
PAIRS = {"Observation": ("subject", "code")}
# What a sort slot holds in a resource without a value, so that every resource of the type is in its index.
_ABSENT: dict[str, Any] = {DATE_SLOT: OPEN_LOW, NAME_SLOT: ""}


def extract(resource: Json, *, base_url: str = "") -> Index:
    """The keys, ranges and sort scalars of a valid resource; absolute references below `base_url` count as local.

    Raises TooLarge (413) when there are more than MAX_KEYS.
    """
    plan = _plan(resource["resourceType"])
    draft = Draft(base_url + "/" if base_url else "\0")
    contained = [one for one in resource.get("contained", ()) if one]
    draft.kinds = {one.get("id", ""): one["resourceType"] for one in contained}
    plan.visit(resource, draft)
    for finish in plan.finish:
        finish(resource, draft)
    if len(draft.keys) + len(draft.ranges) > MAX_KEYS:
        raise TooLarge(f"The resource has more than {MAX_KEYS} searchable values.")
    keys = [plan.number, *(key if len(key) <= MAX_KEY else fit(key) for key in draft.keys)]
    ranges = [{"k": key, "lo": low, "hi": high} for key, low, high in draft.ranges]
    index = Index(keys, ranges, {**plan.absent, **draft.sort}, plan.presence.write(draft), point=draft.point)
    index.words = text_words(plan.number, resource)
    index.contained = [_contained(one, base_url, draft) for one in contained]
    return index


def _contained(resource: Json, base_url: str, container: Draft) -> Json:
    """The index of a contained resource, which is searched by `_contained` and by chains.

    `p` are the numbers of the container's parameters that refer to it.
    """
    found = extract({key: value for key, value in resource.items() if key != "contained"}, base_url=base_url)
    id_ = resource.get("id", "")
    own: Json = {"_id": f"{resource['resourceType']}/{id_}", "k": found.keys}
    if found.ranges:
        own["r"] = found.ranges
    if referred := container.inside.get(id_):
        own["p"] = sorted(set(referred))
    return own


@dataclass(frozen=True, slots=True)
class _Plan:
    number: str
    visit: Visit
    finish: tuple[Callable[[Json, Draft], None], ...]
    absent: Json
    presence: Writer


@dataclass(slots=True)
class _Node:
    visits: list[Visit] = field(default_factory=list)
    children: dict[Hop, _Node] = field(default_factory=dict)


@kept
def _plan(resource_type: str) -> _Plan:
    root = _Node()
    used = [f for f in (*fields(resource_type).values(), *unsearched(resource_type)) if f.own]
    for one in used:
        _plant(root, one)
    slots = {name for f in used for name in (f.ascending, f.descending) if name in _ABSENT}
    return _Plan(
        number=type_number(resource_type),
        visit=_compile(root),
        finish=tuple(_finishers(resource_type)),
        absent={name: _ABSENT[name] for name in sorted(slots)},
        presence=writer(resource_type),
    )


def _plant(root: _Node, one: Field) -> None:
    """Put the visitors of a parameter at the ends of its paths."""
    ascending, descending = (one.ascending, one.descending) if one.sorts else ("", "")
    sink = Sink(one.parameter.number, ascending, descending if descending != ascending else "")
    indexers = INDEXERS[one.parameter.type]
    for leaf in one.leaves:
        # A choice may have types that its search type cannot find, such as the text of a date.
        indexer = phonetic if one.parameter.code == "phonetic" else indexers.get(leaf.type)
        if indexer is None or leaf.type == "TrueUnlessFalse":
            continue
        node = root
        for hop in leaf.path:
            node = node.children.setdefault(hop, _Node())
        node.visits.append(indexer(sink, leaf))


def _compile(node: _Node) -> Visit:
    """One closure for everything below a node."""
    by_name: dict[str, list[Visit]] = {}
    for hop, child in node.children.items():
        by_name.setdefault(hop.name, []).append(_entering(hop, _compile(child)))
    handlers = {name: _together(visits) for name, visits in by_name.items()}
    if not handlers:
        return _together(node.visits)
    own, get = tuple(node.visits), handlers.get

    def visit(value: Any, draft: Draft) -> None:
        for each in own:
            each(value, draft)
        for name, inner in value.items():
            handler = get(name)
            if handler is not None and inner is not None:
                handler(inner, draft)

    return visit


def _together(visits: list[Visit]) -> Visit:
    if len(visits) == 1:
        return visits[0]
    every = tuple(visits)

    def visit(value: Any, draft: Draft) -> None:
        for each in every:
            each(value, draft)

    return visit


def _entering(hop: Hop, inside: Visit) -> Visit:
    """From the property's JSON to each of its values that the hop lets through."""
    if hop.where is not None:
        inside = _only(*hop.where, inside)
    if not hop.many:
        return inside

    def each(values: Any, draft: Draft) -> None:
        for value in values[:1] if hop.first else values:
            if value is not None:
                inside(value, draft)

    return each


def _only(element: str, wanted: str, inside: Visit) -> Visit:
    def visit(value: Any, draft: Draft) -> None:
        if value.get(element) == wanted:
            inside(value, draft)

    return visit


# ---- what no single path says ------------------------------------------------------------------------


def _finishers(resource_type: str) -> Iterator[Callable[[Json, Draft], None]]:
    by_code = fields(resource_type)
    for one in (*by_code.values(), *unsearched(resource_type)):
        names = [leaf.path[0].name for leaf in one.leaves if leaf.type == "TrueUnlessFalse"]
        if names:
            yield _true_unless_false(one, names)
    if resource_type in compartments():
        yield _itself(type_number(resource_type))
    for parameter in parameters(resource_type).values():
        finish = None
        if parameter.type == "composite":
            finish = composite.finisher(parameter)
        elif parameter.type == "special" and parameter.supported:
            finish = special.finisher(parameter)
        if finish is not None:
            yield finish
    if resource_type == "Subscription":
        yield _subscribed
    if resource_type in PAIRS:
        yield _pair(resource_type, *PAIRS[resource_type])
    url = url_number(resource_type)
    if url and "version" in by_code and "version" in type_definition(resource_type).elements:
        yield _versioned(url)


def _true_unless_false(one: Field, names: Iterable[str]) -> Callable[[Json, Draft], None]:
    number, ascending = one.parameter.number, one.ascending

    def finish(resource: Json, draft: Draft) -> None:
        text = "true" if any(resource.get(name) not in (None, False) for name in names) else "false"
        draft.keys[f"{number}={text}"] = None
        if ascending:
            draft.sort[ascending] = text

    return finish


def _itself(number: str) -> Callable[[Json, Draft], None]:
    """A Patient is in its own compartment."""

    def finish(resource: Json, draft: Draft) -> None:
        if "id" in resource:
            draft.keys[f"{number}>{resource['resourceType']}/{resource['id']}"] = None

    return finish


def _subscribed(resource: Json, draft: Draft) -> None:
    """By whom a Subscription was written, which the server notes in an extension: a key for access alone."""
    for extension in resource.get("extension", ()):
        if extension.get("url") == SUBSCRIBER_EXTENSION and "reference" in extension.get("valueReference", {}):
            draft.keys[f"{SUBSCRIBER}>{extension['valueReference']['reference']}"] = None


def _versioned(number: str) -> Callable[[Json, Draft], None]:
    """A canonical resource is also found by url|version."""

    def finish(resource: Json, draft: Draft) -> None:
        if "url" in resource and "version" in resource:
            draft.keys[f"{number}={resource['url']}|{resource['version']}"] = None

    return finish


def pair_prefix(resource_type: str) -> str:
    """The beginning of the pair keys of a type, up to the reference."""
    reference, code = (find(resource_type, name) for name in PAIRS[resource_type])
    assert reference is not None
    assert code is not None
    return f"{reference.number}+{code.number}>"


def _pair(resource_type: str, reference: str, code: str) -> Callable[[Json, Draft], None]:
    by_code = fields(resource_type)
    from_reference = f"{by_code[reference].parameter.number}>"
    from_code = f"{by_code[code].parameter.number}="
    prefix = pair_prefix(resource_type)

    def finish(resource: Json, draft: Draft) -> None:
        references = [key[4:] for key in draft.keys if key.startswith(from_reference)]
        codes = [key[4:] for key in draft.keys if key.startswith(from_code)]
        for target in references:
            for one in codes:
                draft.keys[f"{prefix}{target}={one}"] = None

    return finish


def warm(resource_types: Iterable[str] = ()) -> None:
    """Compile the extractors of these types (of all, if none are named) before the first write needs them."""
    for resource_type in resource_types or RESOURCE_TYPES:
        _plan(resource_type)
