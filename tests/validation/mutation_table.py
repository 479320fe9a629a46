"""The mutations of cases/mutations*.yaml: what they start from, and how they are made."""

from __future__ import annotations

import copy
import json
import re
from functools import cache
from typing import Any

import yaml

from fhir_server.definitions import RESOURCE_TYPES
from fhir_server.json import decode, encode
from tests.validation.corpus import CASES, Json, sample

OURS = "https://fhir.example/StructureDefinition/"
_STEP = re.compile(r"([A-Za-z_]+)|\[(\d+)\]")


@cache
def table(name: str) -> Json:
    """The cases of one file: `bases`, `mutations` and what else it has."""
    read: Json = yaml.safe_load((CASES / f"{name}.yaml").read_text())
    return read


@cache
def bases(name: str) -> dict[str, Json]:
    """Key ("Patient/ada") → valid resource: the file's own, and those of our sample that have an id."""
    own = [decode(json.dumps(one)) for one in table(name).get("bases", [])]
    return {_key(one): one for one in [*sample(), *own]}


def _key(resource: Json) -> str:
    return "/".join([resource["resourceType"], *([resource["id"]] if "id" in resource else [])])


def mutate(resource: Json, case: Json) -> Json:
    """A copy of the resource with the changes of the case."""
    changed = copy.deepcopy(resource)
    for path in case.get("remove", []):
        container, last = _place(changed, path)
        del container[last]
    for path, value in case.get("change", {}).items():
        container, last = _place(changed, path)
        if isinstance(container, list) and last == len(container):
            container.append(value)
        else:
            container[last] = value
    return decode(encode(changed))  # type: ignore[no-any-return]


def _place(resource: Json, path: str) -> tuple[Any, Any]:
    steps: list[Any] = [name or int(index) for name, index in _STEP.findall(path)]
    at: Any = resource
    for step in steps[:-1]:
        at = at[step]
    return at, steps[-1]


@cache
def definitions(name: str) -> list[Json]:
    """The conformance resources of one file: those written out, and the profiles that are written in short."""
    short = table(name).get("profiles", {})
    listed = [*table(name).get("definitions", []), *(_profile(id_, said) for id_, said in short.items())]
    return [decode(json.dumps(one)) for one in listed]


def _profile(name: str, said: Json) -> Json:
    type_, base = said["type"], said.get("base")
    core = "http://hl7.org/fhir/StructureDefinition/"
    elements = {type_: {}, **said["elements"]}
    return {
        "resourceType": "StructureDefinition",
        "id": name,
        "url": OURS + name,
        "name": name.capitalize(),
        "status": "active",
        "kind": "resource" if type_ in RESOURCE_TYPES else "complex-type",
        "abstract": False,
        **{key: said[key] for key in ("context", "contextInvariant") if key in said},
        "type": type_,
        "baseDefinition": OURS + base if base else core + type_,
        "derivation": "constraint",
        "differential": {"element": [_element(id_, rules) for id_, rules in elements.items()]},
    }


def _element(id_: str, rules: Json) -> Json:
    """With what follows from its id: where it is, and the name of the slice."""
    slice_name = id_.rpartition(".")[2].partition(":")[2]
    named = {"sliceName": slice_name} if slice_name else {}
    return {"id": id_, "path": re.sub(r":[^.]+", "", id_), **named, **rules}
