"""The role policy of roles.toml, read and checked: a file with a mistake is refused as a whole."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from fhir_server.access.scopes import ACTIONS
from fhir_server.definitions import RESOURCE_TYPES, search_parameters
from fhir_server.outcomes import FhirError
from fhir_server.search.compile import compile
from fhir_server.search.parse import conditional

Document = dict[str, Any]

FILTERS = frozenset({"all", "own", "panel", "emergency", "limited", "told", "basic", "self", "wrote"})
_ACTIONS = re.compile(r"c?r?u?d?s?")


class PolicyError(ValueError):
    """The role policy cannot be used; the message says where and why."""


@dataclass(frozen=True, slots=True)
class Line:
    """Actions of "cruds", and filters that must all hold: names of FILTERS, or search criteria."""

    actions: str
    filters: tuple[str, ...]

    def __str__(self) -> str:
        return " ".join((self.actions, *self.filters))


@dataclass(frozen=True, slots=True)
class Role:
    """What a role may do; `given` are its lines as they are written, `types` what that comes to for each type."""

    name: str
    about: str
    given: Mapping[str, tuple[Line, ...]]
    types: Mapping[str, tuple[Line, ...]]


@dataclass(frozen=True, slots=True)
class Policy:
    """Roles, operations by the roles they are for, and what the filters need."""

    roles: Mapping[str, Role]
    groups: Mapping[str, frozenset[str]]
    operations: Mapping[str, frozenset[str]]
    confidential: tuple[tuple[str, str], ...]  # system and code
    basic: Mapping[str, str]  # type → criterion
    wrote: tuple[str, ...]
    addressed: tuple[str, ...]


def read(text: str) -> Policy:
    """The policy of a TOML text. Raises PolicyError for what is unknown, in the wrong place or cannot be searched."""
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise PolicyError(f"no TOML: {error}") from None
    _only(content, {"types", "labels", "basic", "self", "roles", "operations"}, "the policy")
    groups = {name: _types(name, types) for name, types in _table(content, "types").items()}
    if twice := [name for name in groups if name in RESOURCE_TYPES]:
        raise PolicyError(f"types.{twice[0]}: a group has no name of a type")
    roles = {name: _role(name, lines, groups) for name, lines in _table(content, "roles").items()}
    basic = dict(_table(content, "basic"))
    for type_, criterion in basic.items():
        if type_ not in RESOURCE_TYPES or not isinstance(criterion, str):
            raise PolicyError(f"basic.{type_}: a resource type and a search criterion")
        if criterion:
            _search(type_, criterion, f"basic.{type_}")
    own = _table(content, "self")
    _only(own, {"wrote", "addressed"}, "self")
    return Policy(
        MappingProxyType(roles),
        MappingProxyType(groups),
        MappingProxyType({name: _named(name, of, roles) for name, of in _table(content, "operations").items()}),
        tuple(_label(text) for text in _table(content, "labels").get("confidential", ())),
        MappingProxyType(basic),
        _parameters("wrote", own.get("wrote", [])),
        _parameters("addressed", own.get("addressed", [])),
    )


def _table(content: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = content.get(name, {})
    if not isinstance(found, dict):
        raise PolicyError(f"{name} is a table")
    return found


def _only(table: Mapping[str, Any], known: Iterable[str], where: str) -> None:
    if unknown := sorted(set(table) - set(known)):
        raise PolicyError(f"{where} has no '{unknown[0]}'")


def _types(name: str, types: Any) -> frozenset[str]:
    if not isinstance(types, list) or not all(isinstance(one, str) for one in types):
        raise PolicyError(f"types.{name} is a list of resource types")
    if unknown := sorted(set(types) - RESOURCE_TYPES):
        raise PolicyError(f"types.{name}: '{unknown[0]}' is no resource type")
    return frozenset(types)


def _role(name: str, table: Any, groups: Mapping[str, frozenset[str]]) -> Role:
    if not isinstance(table, dict) or not isinstance(table.get("about"), str):
        raise PolicyError(f"roles.{name} is a table that begins with `about`")
    given = {key: _lines(lines, f"roles.{name}.{key}") for key, lines in table.items() if key != "about"}
    _only(given, {"*", *groups, *RESOURCE_TYPES}, f"roles.{name}")
    types: dict[str, tuple[Line, ...]] = {}
    for type_ in sorted(RESOURCE_TYPES):
        lines = _of(type_, given, groups)
        for line in lines:
            for one in line.filters:
                if "=" in one:
                    _search(type_, one, f"roles.{name}.{type_}")
        if lines:
            types[type_] = lines
    return Role(name, table["about"], MappingProxyType(given), MappingProxyType(types))


def _of(type_: str, given: Mapping[str, tuple[Line, ...]], groups: Mapping[str, frozenset[str]]) -> tuple[Line, ...]:
    """The type's own lines, else those of the groups it is in, else those of all types."""
    if type_ in given:
        return given[type_]
    grouped = [line for key, lines in given.items() if type_ in groups.get(key, ()) for line in lines]
    return tuple(grouped) or given.get("*", ())


def _lines(lines: Any, where: str) -> tuple[Line, ...]:
    texts = [lines] if isinstance(lines, str) else lines
    if not isinstance(texts, list) or not all(isinstance(one, str) for one in texts):
        raise PolicyError(f"{where} is a text or a list of texts")
    return tuple(_line(text, where) for text in texts)


def _line(text: str, where: str) -> Line:
    actions, *filters = text.split()
    if not actions or not _ACTIONS.fullmatch(actions):
        raise PolicyError(f"{where}: '{actions}' are not letters of {ACTIONS}, in that order")
    if not filters:
        raise PolicyError(f"{where}: '{text}' says not on which resources")
    for one in filters:
        if one not in FILTERS and "=" not in one:
            raise PolicyError(f"{where}: there is no filter '{one}'")
    return Line(actions, tuple(filters))


def _search(type_: str, criterion: str, where: str) -> None:
    """Whether the criterion can be told from a resource's own search keys: nothing has to be looked up."""
    try:
        compile(conditional(type_, criterion, ""))
    except (FhirError, TypeError) as error:
        raise PolicyError(f"{where}: '{criterion}' cannot be searched for: {error}") from None


def _named(name: str, roles: Any, known: Mapping[str, Role]) -> frozenset[str]:
    if not isinstance(roles, list) or not set(roles) <= set(known):
        raise PolicyError(f"operations.{name} is a list of roles")
    return frozenset(roles)


def _label(text: Any) -> tuple[str, str]:
    system, bar, code = str(text).rpartition("|")
    if not bar or not code:
        raise PolicyError(f"labels.confidential: '{text}' is no system|code")
    return system, code


def _parameters(name: str, codes: Any) -> tuple[str, ...]:
    known = {one.code for one in search_parameters() if one.type == "reference"}
    if not isinstance(codes, list) or not set(codes) <= known:
        raise PolicyError(f"self.{name} is a list of search parameters of the type reference")
    return tuple(codes)
