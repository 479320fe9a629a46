"""A SearchParameter resource becomes parameters of its base types, or says why it cannot.

Pure: what has to be stored of it is in storage/declarations.py.
https://hl7.org/fhir/R4/searchparameter.html · docs/decisions/0011-custom-search-parameters.md
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import Any

import msgspec

from fhir_server import json
from fhir_server.outcomes import Issue
from fhir_server.search.controls import CONTROLS, UNSEEN
from fhir_server.search.expression import UnsupportedExpression
from fhir_server.search.fields import custom_field
from fhir_server.search.paths import Leaf, leaves
from fhir_server.search.registry import (
    INDEXED_TYPES,
    LAST_CUSTOM,
    Restrictions,
    SearchParameter,
    by_url,
    concrete,
    find,
    number_text,
    published,
    trial,
)
from fhir_server.search.types import INDEXERS, composite

Json = dict[str, Any]

MAX_EXPRESSION = 4000  # characters
_CODE = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}", re.ASCII)
_RESERVED = {name.partition(":")[0] for name in (*CONTROLS, *UNSEEN)} | {"_has", "_filter", "_list"}
_ANY = number_text(LAST_CUSTOM)  # stands for a number that is not given yet
_RULE = (
    "a search parameter's expression is made of paths, as(T), ofType(T), where(x='y'), extension('url'), "
    "where(resolve() is T), [0], first() and |"
)


class Definition(msgspec.Struct, frozen=True, omit_defaults=True):
    """What of a SearchParameter resource decides about searches."""

    url: str
    code: str
    type: str
    base: tuple[str, ...]
    expression: str = ""
    description: str = ""
    targets: tuple[str, ...] = ()
    components: tuple[tuple[str, str], ...] = ()  # (definition URL, expression)
    one_value: bool = False
    once: bool = False
    comparators: tuple[str, ...] = ()
    modifiers: tuple[str, ...] = ()
    chains: tuple[str, ...] = ()

    def types(self) -> tuple[str, ...]:
        """The resource types that it is for."""
        return tuple(dict.fromkeys(one for base in self.base for one in concrete(base)))

    def parameter(self, resource_type: str, number: str = _ANY, *, complete: bool = True) -> SearchParameter:
        """The parameter of one of its types."""
        restrictions = Restrictions(self.one_value, self.once, self.comparators, self.modifiers, self.chains)
        return SearchParameter(
            resource_type,
            self.code,
            self.type,
            number,
            self.expression,
            self.url,
            self.targets,
            self.components,
            self.description,
            restrictions,
            complete,
        )

    def document(self) -> Json:
        """As it is stored; `Definition.of` reads it."""
        document: Json = json.decode(json.encode(self))
        return document

    @classmethod
    def of(cls, document: Json) -> Definition:
        return msgspec.convert(document, cls)


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a definition is for one resource type.

    `relation`: new | same (one of R4's once more) | conflict (R4's code with another meaning, so R4's stays) |
    unusable. `digest` is the same for equal meanings only, `keyless` says that R4's keys serve it.
    """

    relation: str
    digest: str = ""
    keyless: bool = False


def read(resource: Json) -> Definition | None:
    """The definition in a valid SearchParameter; None unless its status is active."""
    if resource.get("status") != "active":
        return None
    components = (
        (one.get("definition", ""), one.get("expression", "")) for one in resource.get("component", ()) if one
    )
    return Definition(
        url=resource.get("url", ""),
        code=resource.get("code", ""),
        type=resource.get("type", ""),
        base=tuple(filter(None, resource.get("base", ()))),
        expression=resource.get("expression", ""),
        description=resource.get("description", ""),
        targets=_codes(resource, "target"),
        components=tuple(components),
        one_value=resource.get("multipleOr") is False,
        once=resource.get("multipleAnd") is False,
        comparators=_codes(resource, "comparator"),
        modifiers=_codes(resource, "modifier"),
        chains=_codes(resource, "chain"),
    )


def _codes(resource: Json, element: str) -> tuple[str, ...]:
    return tuple(filter(None, resource.get(element, ())))  # null where there is only an extension


# ---- what is wrong with it -----------------------------------------------------------------------------


def issues(resource: Json) -> list[Issue]:
    """Errors that keep an active SearchParameter from being used, and warnings about what stays as it was."""
    definition = read(resource)
    if definition is None:
        return []
    found = list(_problems(definition))
    if found:
        return found
    for resource_type in definition.types():
        if (problem := _problem(definition, resource_type)) is not None:
            return [problem]  # the other types would say the same once more
    return [_kept(definition, one) for one in definition.types() if not _in_force(definition, one)]


def _problems(definition: Definition) -> Iterator[Issue]:
    """What is wrong whatever the resource type."""
    redeclares = all(definition.code in published(one) for one in definition.types())
    if not redeclares and (definition.code in _RESERVED or not _CODE.fullmatch(definition.code)):
        rule = "A code to search by is a letter and up to 63 letters, digits, - and _."
        yield Issue("value", rule, ("SearchParameter.code",))
    if redeclares:
        return
    if definition.type == "special":
        yield Issue("not-supported", "What a special parameter does is not computable.", ("SearchParameter.type",))
    elif not definition.expression:
        yield Issue("required", "An active search parameter needs an expression.", ("SearchParameter.expression",))
    elif len(definition.expression) > MAX_EXPRESSION:
        yield Issue(
            "too-long", f"An expression has up to {MAX_EXPRESSION} characters.", ("SearchParameter.expression",)
        )
    if definition.type == "composite" and len(definition.components) < 2:
        yield Issue("required", "A composite has two components or more.", ("SearchParameter.component",))


def _problem(definition: Definition, resource_type: str) -> Issue | None:
    """What is wrong with it for one resource type."""
    if definition.code in published(resource_type):
        return None  # another meaning is a conflict, which is no error
    parameter = definition.parameter(resource_type)
    for index, (url, _) in enumerate(definition.components if definition.type == "composite" else ()):
        found = by_url(resource_type, url)
        if found is None or found.type not in INDEXERS:
            rule = f"A component is an active search parameter of {resource_type} that is no composite."
            return Issue("not-found", rule, (f"SearchParameter.component[{index}].definition",))
    try:
        places = _compile(parameter)
    except UnsupportedExpression:
        rule = f"The expression cannot be compiled for {resource_type}: {_RULE}, over elements that are there."
        return Issue("not-supported", rule, ("SearchParameter.expression",))
    if not places:
        rule = f"The expression names nothing in {resource_type} that a parameter of type {definition.type} can find."
        return Issue("value", rule, ("SearchParameter.expression",))
    return None


def _in_force(definition: Definition, resource_type: str) -> bool:
    """Whether no other parameter of this code and another meaning is there already."""
    other = find(resource_type, definition.code)
    return other is None or other.url == definition.url or digest(other) == digest(definition.parameter(resource_type))


def _kept(definition: Definition, resource_type: str) -> Issue:
    whose = "R4's own" if definition.code in published(resource_type) else "an earlier"
    text = f"{resource_type} keeps {whose} search parameter '{definition.code}': this one means something else."
    return Issue("conflict", text, ("SearchParameter.code",), severity="warning")


# ---- what it means -------------------------------------------------------------------------------------


def judge(definition: Definition, resource_type: str) -> Meaning:
    """What the definition is for a type, beside the parameters that are installed now."""
    parameter = definition.parameter(resource_type)
    core = published(resource_type).get(definition.code)
    try:
        if core is not None:
            same = core.type == parameter.type and digest(core) == digest(parameter)
            return Meaning("same" if same else "conflict")
        if any(_problems(definition)) or not _compile(parameter):
            return Meaning("unusable")
        return Meaning("new", digest(parameter), _is_keyless(parameter))
    except UnsupportedExpression:
        return Meaning("conflict" if core is not None else "unusable")


def _compile(parameter: SearchParameter) -> tuple[Leaf, ...]:
    """The places that it finds values at; none when there are none. Raises UnsupportedExpression."""
    try:
        found = leaves(parameter)
        if parameter.type == "composite":
            composite.finisher(parameter)
            return found
    except RecursionError:
        raise UnsupportedExpression(parameter.expression) from None
    if any(leaf.type == "TrueUnlessFalse" and len(leaf.path) > 1 for leaf in found):
        raise UnsupportedExpression(parameter.expression)
    known = INDEXERS[parameter.type].keys() | ({"TrueUnlessFalse"} if parameter.type == "token" else set())
    return tuple(leaf for leaf in found if leaf.type in known)


def compiles(parameter: SearchParameter) -> bool:
    """Whether its keys can be extracted, beside the parameters that are installed now."""
    try:
        return bool(_compile(parameter))
    except UnsupportedExpression:
        return False


def digest(parameter: SearchParameter) -> str:
    """64 bits of what decides about its keys, as 16 characters. Raises UnsupportedExpression."""
    meaning: list[Any] = [parameter.type]
    if parameter.type in INDEXED_TYPES and parameter.expression:
        meaning.append(sorted(json.encode(_place(leaf)).decode() for leaf in leaves(parameter)))
    else:
        meaning.append(parameter.expression)
    for url, expression in parameter.components:
        part = by_url(parameter.resource_type, url)
        meaning.append([expression, digest(part) if part is not None and part.type in INDEXED_TYPES else url])
    return blake2b(json.encode(meaning), digest_size=8).hexdigest()


def _place(leaf: Leaf) -> list[Any]:
    hops = [[hop.name, hop.many, list(hop.where or ()), hop.first] for hop in leaf.path]
    return [hops, leaf.type, leaf.target, leaf.value_set]


def _is_keyless(parameter: SearchParameter) -> bool:
    """Whether R4's own keys serve it, which all resources have."""
    if parameter.type != "composite":
        return not custom_field(parameter).own
    parts = [by_url(parameter.resource_type, url) for url, _ in parameter.components]
    return composite.finisher(parameter) is None and not any(part is None or part.custom for part in parts)


def judge_among(definition: Definition, resource_type: str, others: list[SearchParameter]) -> Meaning:
    """The same for a composite, as if these were the custom parameters."""
    with trial([replace(one, complete=True) for one in others if one.type != "composite"]):
        return judge(definition, resource_type)
