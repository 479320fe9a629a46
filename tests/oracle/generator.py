"""Queries for every search parameter, with values drawn from the resources so that there are hits."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from itertools import cycle
from random import Random

from fhir_server.definitions import RESOURCE_TYPES, SearchParameter, compartments
from tests.oracle.crafting import Crafter
from tests.oracle.expressions import Json, Node, evaluate, parse, root
from tests.oracle.leaves import Pool
from tests.oracle.links import Link, links, listed
from tests.oracle.oracle import BASE, Oracle
from tests.oracle.parameters import parameters_of, select, targets
from tests.oracle.query import escape
from tests.oracle.synthetic import LEFT_TO_THE_SERVER, synthesize

Pair = tuple[str, str]
Query = tuple[str, list[Pair]]
TYPES = sorted(RESOURCE_TYPES - {"Parameters"})  # Parameters has no endpoint
TRIED = 400  # resources looked at for one with a value of a parameter
DEPTH = 3
UNMISSED = ("composite", "special")  # have no :missing


def complete(corpus: Mapping[str, Json], rng: Random, each: int = 3) -> dict[str, Json]:
    """The corpus with `each` synthetic resources for every type of which some parameter has no value in it.

    Where they leave a parameter without a value still, there is one more for it.
    """
    by_type: dict[str, list[Json]] = defaultdict(list)
    for resource in corpus.values():
        by_type[resource["resourceType"]].append(resource)
    wanting = [name for name in TYPES if _uncovered(name, by_type[name])]
    pool = {name: [one["id"] for one in held] for name, held in by_type.items()}
    for name in wanting:
        pool[name] = [f"{name.lower()}-s{number}" for number in range(1, each + 1)] + pool.get(name, [])[:each]
    for name in wanting:
        by_type[name] += [synthesize(name, rng, one, pool) for one in pool[name][:each]]
        for code in _uncovered(name, by_type[name]):
            by_type[name] += _favouring(name, code, rng, f"{name.lower()}-{code}".replace("_", ""), pool)[:1]
    return {f"{name}/{one['id']}": one for name, held in by_type.items() for one in held}


def _uncovered(type_name: str, resources: list[Json]) -> list[str]:
    """The codes of the parameters that have no value in any of the resources."""
    codes = set(parameters_of(type_name)) - LEFT_TO_THE_SERVER
    return sorted(code for code in codes if not any(_has_value(type_name, code, one) for one in resources))


def _favouring(type_name: str, code: str, rng: Random, identity: str, pool: Pool | None = None) -> list[Json]:
    """Synthetic resources with a value of a parameter."""
    made = (synthesize(type_name, rng, identity, pool, favour=code) for _ in range(9))
    return [each for each in made if _has_value(type_name, code, each)]


def _has_value(type_name: str, code: str, resource: Json) -> bool:
    parameter = parameters_of(type_name)[code]
    whole, nodes = root(resource), select(parameter, resource)
    parts = [parse(each.expression) for each in parameter.component]
    return any(all(evaluate(part, [node], whole) for part in parts) for node in nodes)


def generate(rng: Random, corpus: Mapping[str, Json] | Oracle, n: int, base: str = BASE) -> Iterator[Query]:
    """`n` queries as (path, pairs): every parameter of every type in turn, alone and with others.

    A path is "Type", "" for all types, or "Patient/1/Type". For types without a resource the values come from
    synthetic ones, so nothing is to be found.
    """
    oracle = corpus if isinstance(corpus, Oracle) else Oracle(corpus, base)
    maker = _Maker(rng, oracle)
    order = [(name, code) for name in TYPES for code in parameters_of(name)]
    rng.shuffle(order)
    made = 0
    for type_name, code in cycle(order):
        if made == n:
            return
        query = maker.query(type_name, parameters_of(type_name)[code])
        if query:
            made += 1
            yield query


def generate_includes(rng: Random, corpus: Mapping[str, Json] | Oracle, n: int, base: str = BASE) -> Iterator[Query]:
    """`n` queries with _include and _revinclude, of one to three resources each."""
    oracle = corpus if isinstance(corpus, Oracle) else Oracle(corpus, base)
    maker = _Maker(rng, oracle)
    types = [name for name in sorted(oracle.types) if maker.sample(name)]
    for _ in range(n):
        type_name = rng.choice(types)
        held = maker.sample(type_name)
        chosen = rng.sample(held, min(len(held), rng.choice((1, 1, 2, 3))))
        yield type_name, [("_id", ",".join(each["id"] for each in chosen)), *maker.includes(type_name)]


class _Maker:
    def __init__(self, rng: Random, oracle: Oracle) -> None:
        self.rng, self.oracle, self.crafter = rng, oracle, Crafter(rng, oracle)
        self.samples: dict[str, list[Json]] = {}
        self.holders: dict[tuple[str, str], list[Json]] = {}
        self.referrers: dict[str, list[tuple[str, SearchParameter]]] = {}

    def query(self, type_name: str, parameter: SearchParameter) -> Query | None:
        """A query with the parameter and perhaps others; None where the resources leave nothing to ask."""
        holders = self.holders_of(type_name, parameter)
        if not holders:
            missing = (f"{parameter.code}:missing", self.rng.choice(("true", "false")))
            return (type_name, [missing]) if parameter.type not in UNMISSED else None
        tried = ((each, self.criterion(each, parameter)) for each in self.rng.choices(holders, k=6))
        resource, first = next((each for each in tried if each[1]), (holders[0], None))
        if first is None:
            return None
        pairs = [first]
        while self.rng.random() < 0.35 and len(pairs) < 3:
            more = self.another(resource)
            pairs += [more] if more else []
        return self.path(resource, pairs), pairs

    def path(self, resource: Json, pairs: list[Pair]) -> str:
        """Mostly the type; sometimes all types, or a compartment."""
        type_name: str = resource["resourceType"]
        chance = self.rng.random()
        if chance < 0.3 and all(name in ("_id", "_tag", "_profile", "_security", "_source") for name, _ in pairs):
            types = self.rng.sample(sorted(self.oracle.types | {type_name}), min(3, len(self.oracle.types)))
            pairs.append(("_type", ",".join(sorted({*types, type_name}))))
            return ""
        if chance < 0.08:
            return self.compartment(resource) or type_name
        return type_name

    def compartment(self, resource: Json) -> str:
        """A compartment's path that the resource may be found by."""
        type_name = resource["resourceType"]
        name = self.rng.choice(sorted(compartments()))
        for code in compartments()[name].get(type_name, ()):
            for node in select(parameters_of(type_name)[code], resource) if code != "{def}" else ():
                link = next(links(node, "", self.oracle.bases), Link())
                if link.local.startswith(f"{name}/"):
                    return f"{link.local}/{type_name}"
        return ""

    def criterion(self, resource: Json, parameter: SearchParameter, depth: int = 1) -> Pair | None:
        """One pair that asks for a value of the resource; a chain now and then when it is a reference."""
        if self.rng.random() < 0.04 and parameter.type not in UNMISSED:
            return f"{parameter.code}:missing", self.rng.choice(("true", "false"))
        nodes = select(parameter, resource)
        if not nodes:
            return None
        node = self.rng.choice(nodes)
        if parameter.type == "reference" and depth <= DEPTH and self.rng.random() < 0.4:
            chained = self.chain(resource, parameter, node, depth)
            if chained:
                return chained
        crafted = self.crafter.write(parameter, node, resource)
        if crafted is None:
            return None
        modifier, value = crafted
        if self.rng.random() < 0.2:
            value = self.alternatives(resource["resourceType"], parameter, modifier, value)
        return f"{parameter.code}:{modifier}" if modifier else parameter.code, value

    def includes(self, type_name: str) -> list[Pair]:
        """One to three includes that bring something for some resources of the type, or for what came with them."""
        pairs: list[Pair] = []
        here = type_name
        for number in range(self.rng.choice((1, 1, 2, 3))):
            iterate = ":iterate" if number or self.rng.random() < 0.2 else ""
            forward = [each for each in parameters_of(here).values() if each.type == "reference"]
            backward = self.referrers_of(here)
            if backward and (not forward or self.rng.random() < 0.4):
                source, parameter = self.rng.choice(backward)
                target = self.rng.choice(("", f":{here}"))
                pairs.append((f"_revinclude{iterate}", f"{source}:{parameter.code}{target}"))
                here = source
            elif forward:
                parameter = self.rng.choice(forward)
                target = self.rng.choice(sorted(targets(parameter)))
                written = self.rng.choice((parameter.code, f"{parameter.code}:{target}", "*"))
                pairs.append((f"_include{iterate}", f"{here}:{written}"))
                here = target
        return pairs

    def alternatives(self, type_name: str, parameter: SearchParameter, modifier: str, value: str) -> str:
        """The value in a comma list with one drawn from another resource."""
        other = self.rng.choice(self.holders_of(type_name, parameter))
        crafted = self.crafter.write(parameter, self.rng.choice(select(parameter, other)), other)
        if crafted is None or crafted[0] != modifier:
            return (
                f"{value},{escape('never-there')}" if parameter.type in ("string", "token") and not modifier else value
            )
        return ",".join(self.rng.sample([value, crafted[1]], 2))

    def another(self, resource: Json, depth: int = 1) -> Pair | None:
        """A pair for any parameter that the resource has a value of, or for one that refers to it."""
        if self.rng.random() < 0.25:
            found = self.listing(resource) or self.reverse(resource, depth)
            if found:
                return found
        known = list(parameters_of(resource["resourceType"]).values())
        for parameter in self.rng.sample(known, len(known)):
            if select(parameter, resource):
                return self.criterion(resource, parameter, depth)
        return None

    def chain(self, resource: Json, parameter: SearchParameter, node: Node, depth: int) -> Pair | None:
        """`reference:Type.rest` through a reference of the resource to another that is there."""
        if node.type != "Reference" or not isinstance(node.value.get("reference"), str):
            return None
        own = f"{resource['resourceType']}/{resource.get('id')}"
        target = self.target(resource, next(links(node, own, self.oracle.bases)))
        if target is None or target["resourceType"] not in targets(parameter):
            return None
        rest = self.another(target, depth + 1)
        if rest is None:
            return None
        untyped = self.untyped(parameter, rest[0])
        through = parameter.code if untyped else f"{parameter.code}:{target['resourceType']}"
        return f"{through}.{rest[0]}", rest[1]

    def target(self, resource: Json, link: Link) -> Json | None:
        """The resource that a link leads to, a contained one too."""
        if "#" in link.local:
            inside = [each for each in resource.get("contained", ()) if link.local.endswith(f"#{each.get('id')}")]
            return inside[0] if inside else None
        return self.oracle.by_type.get(link.local.partition("/")[0], {}).get(link.local)

    def untyped(self, parameter: SearchParameter, rest: str) -> bool:
        """Whether a chain may do without the target's type: there is one, or `rest` means the same for all."""
        if len(targets(parameter)) == 1:
            return self.rng.random() < 0.8
        code = rest.partition(":")[0]
        kinds = {parameters_of(each)[code].type for each in targets(parameter) if code in parameters_of(each)}
        return not code.startswith("_") and len(kinds) == 1 and self.rng.random() < 0.3

    def reverse(self, resource: Json, depth: int) -> Pair | None:
        """`_has` of a resource that refers to this one."""
        type_name = resource["resourceType"]
        own = f"{type_name}/{resource.get('id')}"
        able = self.referrers_of(type_name) if depth <= DEPTH else []
        for source, parameter in self.rng.sample(able, min(len(able), 8)):
            found = self.oracle.index(source, parameter).values.get(Link(local=own), set())
            keys = sorted(key for key in found if "#" not in key)
            if keys:
                rest = self.another(self.oracle.by_type[source][self.rng.choice(keys)], depth + 1)
                return (f"_has:{source}:{parameter.code}:{rest[0]}", rest[1]) if rest else None
        return None

    def listing(self, resource: Json) -> Pair | None:
        """`_list` of a List that has the resource."""
        own = f"{resource['resourceType']}/{resource.get('id')}"
        lists = [key for key, each in self.oracle.by_type.get("List", {}).items() if own in listed(each, ())]
        return ("_list", self.rng.choice(lists).partition("/")[2]) if lists else None

    def referrers_of(self, type_name: str) -> list[tuple[str, SearchParameter]]:
        """The parameters by which resources here refer to some of a type."""
        if type_name not in self.referrers:
            self.referrers[type_name] = [
                (source, parameter)
                for source in sorted(self.oracle.types)
                for parameter in parameters_of(source).values()
                if parameter.type == "reference" and type_name in targets(parameter)
                if any(link.local.startswith(f"{type_name}/") for link in self.oracle.index(source, parameter).values)  # type: ignore[attr-defined]
            ]
        return self.referrers[type_name]

    def holders_of(self, type_name: str, parameter: SearchParameter) -> list[Json]:
        """Some resources of a type with a value of the parameter, synthetic ones where none has any."""
        key = (type_name, parameter.code)
        if key not in self.holders:
            holders = [each for each in self.sample(type_name) if _has_value(*key, each)][:50]
            self.holders[key] = holders or _favouring(type_name, parameter.code, self.rng, "made")
        return self.holders[key]

    def sample(self, type_name: str) -> list[Json]:
        """Some resources of a type."""
        if type_name not in self.samples:
            held = self.oracle.by_type.get(type_name, {})
            there = [resource for key, resource in held.items() if "#" not in key]
            self.samples[type_name] = self.rng.sample(there, min(TRIED, len(there)))
        return self.samples[type_name]
