"""Changes, topics and custom search parameters, for tests of topics that need no database."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import ig
from fhir_server import json
from fhir_server.change import Change
from fhir_server.search import custom, registry
from fhir_server.search.registry import SearchParameter
from fhir_server.storage.stored import Stored
from subscriptions.view import View

Json = dict[str, Any]

BASE = "http://fhir.test/fhir"
URL = "http://fhir-server.example/ig/SubscriptionTopic/"
R5 = "http://hl7.org/fhir/5.0/StructureDefinition/extension-SubscriptionTopic."
NOW = 1_770_000_000_000_000


def guide(resource_type: str) -> list[Json]:
    """What the committed guide defines of a type."""
    files = sorted((one for one in ig.package_folder().iterdir() if one.name.startswith(f"{resource_type}-")), key=str)
    return [json.decode(one.read_bytes()) for one in files]


def custom_parameters(number: int = registry.FIRST_CUSTOM) -> list[SearchParameter]:
    """The guide's search parameters, numbered from here on."""
    definitions = [found for one in guide("SearchParameter") if (found := custom.read(one)) is not None]
    pairs = [(one, type_) for one in definitions for type_ in one.types()]
    return [one.parameter(type_, registry.number_text(number + place)) for place, (one, type_) in enumerate(pairs)]


@contextmanager
def guide_parameters() -> Iterator[None]:
    """As if the guide's search parameters were installed."""
    with registry.trial(custom_parameters()):
        yield


def view(before: Json | None, after: Json | None, at: int = NOW) -> View:
    """The change from one state to the other, None for none."""
    shown = after or before
    assert shown is not None
    type_, id_ = shown["resourceType"], shown.get("id", "7")
    version = 1 if before is None else 2

    def stored(resource: Json | None, number: int) -> Stored:
        content = None if resource is None else {**resource, "id": id_}
        text = "" if content is None else json.encode(content).decode()
        return Stored(type_, id_, number, at, at, text, deleted=resource is None)

    interaction = "create" if before is None else "delete" if after is None else "update"
    earlier = None if before is None else stored(before, version - 1)
    return View(Change(type_, id_, version, interaction, at, stored(after, version), earlier), BASE)  # type: ignore[arg-type]


def part(url: str, value: Any) -> Json:
    """An extension: text becomes a string, a list its parts, a dict a CodeableConcept."""
    if isinstance(value, list):
        return {"url": url, "extension": value}
    if isinstance(value, bool):
        return {"url": url, "valueBoolean": value}
    return {"url": url, "valueCodeableConcept" if isinstance(value, dict) else "valueString": value}


def basic(
    *more: Json,
    url: str = "http://t.test/topic",
    status: str = "active",
    trigger: list[Json] | None = None,
    family: str = R5,
) -> Json:
    """A topic as a Basic, with one trigger: of Encounter unless parts are given."""
    triggers = [part(f"{family}resourceTrigger", trigger)] if trigger != [] else []
    if trigger is None:
        triggers = [part(f"{family}resourceTrigger", [part("resource", "Encounter")])]
    return {
        "resourceType": "Basic",
        "id": "t",
        "code": {"coding": [{"system": "http://hl7.org/fhir/fhir-types", "code": "SubscriptionTopic"}]},
        "modifierExtension": [{"url": f"{R5}status", "valueCode": status}],
        "extension": [part(f"{R5}url", url), *triggers, *more],
    }


def query(**parts: str | bool) -> Json:
    """A queryCriteria."""
    return part("queryCriteria", [part(name, value) for name, value in parts.items()])
