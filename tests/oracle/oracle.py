"""Searches over all resources in plain Python: no database, no key, only the text of R4 and the house rules.

https://hl7.org/fhir/R4/search.html
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass, field

from fhir_server.definitions import RESOURCE_TYPES, SearchParameter, compartments
from tests.oracle.expressions import Json
from tests.oracle.links import Link, listed
from tests.oracle.parameters import parameters_of, select, targets
from tests.oracle.query import CONTROLS, NotASearch, is_type, name_of, split
from tests.oracle.values import SEARCHABLE, Place, aspect, test, values

BASE = "http://localhost/fhir"
Pairs = Iterable[tuple[str, str]]


@dataclass
class Index:
    """What one parameter finds in all resources of a type, by key: value → resources, and those with any value."""

    values: dict[Hashable, set[str]] = field(default_factory=lambda: defaultdict(set))
    present: set[str] = field(default_factory=set)


class Oracle:
    """Answers for `resources`, by key "Type/id", of a server at `bases` (its own URL first).

    Contained resources are held with keys like "Claim/1#coverage": chains reach them, answers never name them.
    """

    def __init__(self, resources: Mapping[str, Json], *bases: str, chain_into_contained: bool = True) -> None:
        self.bases = tuple(base.rstrip("/") for base in bases or (BASE,))
        self.by_type: dict[str, dict[str, Json]] = defaultdict(dict)
        self._indexes: dict[tuple[str, str, str], Index] = {}
        self._urls: dict[str, set[str]] = defaultdict(set)
        self.unsure: set[str] = set()  # keys with a value that the text leaves to the server: never compared
        for key, resource in resources.items():
            self.by_type[resource["resourceType"]][key] = resource
            if _has_samples(resource):
                self.unsure.add(key)
            if isinstance(resource.get("url"), str):
                self._urls[resource["url"]].add(key)
            for inside in resource.get("contained", ()) if chain_into_contained else ():
                self.by_type[inside["resourceType"]][f"{key}#{inside.get('id')}"] = inside

    def search(self, path: str, pairs: Pairs) -> set[str]:
        """The keys that match; `path` is "Type", "" for all types, or "Patient/1/Type" and "Patient/1/*".

        NotASearch when the query is not one, or asks for what is left out.
        """
        pairs = list(pairs)
        *compartment, last = path.split("/")
        asked = {name for key, value in pairs if key == "_type" for name in value.split(",")}
        types = {last} if is_type(last) else asked or set(self.by_type)
        found: set[str] = set()
        for type_name in types:
            found |= self._of_type(type_name, "/".join(compartment), pairs)
        return found

    def _of_type(self, type_name: str, focus: str, pairs: Pairs) -> set[str]:
        found = {key for key in self.by_type[type_name] if "#" not in key}
        if focus:
            found &= self.members(focus, type_name)
        for name, value in pairs:
            if name.partition(":")[0] not in CONTROLS:
                found &= self.matching(type_name, name, value)
        return found

    def members(self, focus: str, type_name: str) -> set[str]:
        """The resources of a type in the compartment of `focus` ("Patient/1")."""
        codes = compartments()[focus.partition("/")[0]].get(type_name, ())
        found = {focus} & self.by_type[type_name].keys() if "{def}" in codes else set()
        for code in codes:
            if code != "{def}":
                found |= self.referring(type_name, parameters_of(type_name)[code], {focus})
        return found

    def matching(self, type_name: str, text: str, value: str) -> set[str]:
        """The resources of a type, contained ones too, that meet one criterion `text=value`."""
        if text.startswith("_has:"):
            return self._has(type_name, text, value)
        name = name_of(text)
        if name.code == "_list":
            lists = [self.by_type["List"].get(f"List/{each}", {}) for each in value.split(",")]
            return self.by_type[type_name].keys() & {key for each in lists for key in listed(each, self.bases)}
        parameter = self.parameter(type_name, name.code)
        if name.rest:
            return self._chain(type_name, parameter, name.modifier, name.rest, value)
        if name.modifier == "missing":
            if parameter.type in ("composite", "special") or value not in ("true", "false"):
                raise NotASearch(":missing is true or false, and not for a composite")
            present = self.index(type_name, parameter).present
            return present if value == "false" else self.by_type[type_name].keys() - present
        index = self.index(type_name, parameter, aspect(parameter, name.modifier))
        tests = [test(parameter, name.modifier, each, self.bases) for each in split(value, ",")]
        hits = [keys for held, keys in index.values.items() if any(one(held) for one in tests)]
        found = set().union(*hits)
        return self.by_type[type_name].keys() - found if name.modifier == "not" else found

    def parameter(self, type_name: str, code: str) -> SearchParameter:
        """The parameter of a type; NotASearch when it has none of this name."""
        if code not in parameters_of(type_name):
            raise NotASearch(f"{type_name} has no parameter {code}")
        return parameters_of(type_name)[code]

    def index(self, type_name: str, parameter: SearchParameter, kind: str = "") -> Index:
        """What a parameter finds in the resources of a type, in the aspect `kind`; made once."""
        kind = kind or parameter.type
        key = (type_name, parameter.code, kind)
        if key not in self._indexes:
            self._indexes[key] = self._indexed(type_name, parameter, kind)
        return self._indexes[key]

    def _indexed(self, type_name: str, parameter: SearchParameter, kind: str) -> Index:
        index, searchable = Index(), SEARCHABLE.get(parameter.type)
        for key, resource in self.by_type[type_name].items():
            place = Place(resource, key, self.bases)
            for node in select(parameter, resource):
                if searchable is None or node.type in searchable:
                    index.present.add(key)
                for value in values(kind, parameter, node, place):
                    index.values[value].add(key)
        return index

    def _chain(self, type_name: str, parameter: SearchParameter, modifier: str, rest: str, value: str) -> set[str]:
        """Resources that refer to one which meets `rest=value`, of whatever target type has such a parameter."""
        if parameter.type != "reference" or (modifier and modifier not in targets(parameter)):
            raise NotASearch(f"a chain through {parameter.code}:{modifier}")
        met: set[str] = set()
        refused = []
        types = {modifier} if modifier else targets(parameter)
        for each in types:
            try:
                met |= self.matching(each, rest, value)
            except NotASearch as error:  # another target may well have such a parameter
                refused.append(error)
        if len(refused) == len(types):
            raise NotASearch(f"no target of {parameter.code} has a parameter {rest}") from refused[0]
        return self.referring(type_name, parameter, met)

    def _has(self, type_name: str, text: str, value: str) -> set[str]:
        """Resources referred to by one of another type that meets the rest of the name."""
        _, source, code, rest = text.split(":", 3)
        if not is_type(source):
            raise NotASearch(f"_has of {source}")
        parameter = self.parameter(source, code)
        if parameter.type != "reference" or type_name not in targets(parameter):
            raise NotASearch(f"{source}:{code} does not refer to {type_name}")
        met = {key for key in self.matching(source, rest, value) if "#" not in key}
        return self.referred(source, parameter, met) & self.by_type[type_name].keys()

    def referring(self, type_name: str, parameter: SearchParameter, keys: set[str]) -> set[str]:
        """The resources of a type whose parameter refers to one of `keys`."""
        index = self.index(type_name, parameter)
        return set().union(*(held for link, held in index.values.items() if not keys.isdisjoint(self.followed(link))))

    def referred(self, type_name: str, parameter: SearchParameter, keys: set[str]) -> set[str]:
        """The resources that those of `keys` (of one type) refer to by a parameter."""
        index = self.index(type_name, parameter)
        return set().union(*(self.followed(link) for link, held in index.values.items() if not keys.isdisjoint(held)))

    def followed(self, link: Hashable) -> set[str]:
        """The resources that a link leads to: the one it names, or those with the canonical URL."""
        assert isinstance(link, Link)
        if link.nested:
            return set()
        if link.local:
            return {link.local}
        found = self._urls.get(link.url, set()) if link.canonical else set()
        return {key for key in found if link.version in ("", self.by_type[key.split("/")[0]][key].get("version"))}

    def targets_exist(self, keys: Iterable[str]) -> set[str]:
        """Those of the keys that are resources here, contained ones left out."""
        return {key for key in keys if "#" not in key and key in self.by_type.get(key.partition("/")[0], {})}

    @property
    def types(self) -> frozenset[str]:
        """The types that occur."""
        return RESOURCE_TYPES & {name for name, held in self.by_type.items() if held}


def _has_samples(resource: Json) -> bool:
    """Whether an Observation has SampledData, which R4 has quantity parameters select and doesn't say how."""
    parts = [resource, *resource.get("component", ())] if resource["resourceType"] == "Observation" else []
    return any("valueSampledData" in each for each in parts)


def search(resources: Mapping[str, Json], path: str, pairs: Pairs, *bases: str) -> set[str]:
    """One search; with many over the same resources, keep an Oracle."""
    return Oracle(resources, *bases).search(path, pairs)
