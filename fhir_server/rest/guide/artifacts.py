"""The compiled guide as the pages need it: artifacts by kind, their names, and where a canonical URL leads."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from importlib.resources.abc import Traversable
from typing import Any

from fhir_server import json

Json = dict[str, Any]

TOPIC = "http://hl7.org/fhir/5.0/StructureDefinition/extension-SubscriptionTopic."

# Heading of a kind → whether an artifact is of it; in the order in which they are listed.
KINDS = (
    "Profiles",
    "Extensions",
    "Value sets",
    "Code systems",
    "Concept maps",
    "Search parameters",
    "Operations",
    "Subscription topics",
    "Questionnaires",
    "Naming systems",
    "Requirements",
    "Examples",
)
_BY_TYPE = {
    "ValueSet": "Value sets",
    "CodeSystem": "Code systems",
    "ConceptMap": "Concept maps",
    "SearchParameter": "Search parameters",
    "OperationDefinition": "Operations",
    "Basic": "Subscription topics",
    "Questionnaire": "Questionnaires",
    "NamingSystem": "Naming systems",
}


@dataclass(frozen=True)
class Artifact:
    """One resource of the guide: its JSON, and its name and description as the guide lists it."""

    resource: Json
    text: bytes
    title: str
    description: str
    example_of: str = ""  # canonical URL of the profile, when it is an example of one
    is_example: bool = False

    @property
    def type(self) -> str:
        return str(self.resource["resourceType"])

    @property
    def id(self) -> str:
        return str(self.resource["id"])

    @property
    def path(self) -> str:
        """Below /ig: "StructureDefinition/tele-case"."""
        return f"{self.type}/{self.id}"

    @property
    def url(self) -> str:
        """Its canonical URL; "" when it has none."""
        return str(self.resource.get("url") or _value(self.resource, "url", "valueUri"))

    @cached_property
    def kind(self) -> str:
        if self.is_example:
            return "Examples"
        if self.type == "StructureDefinition":
            return "Extensions" if self.resource["type"] == "Extension" else "Profiles"
        return _BY_TYPE.get(self.type, "Requirements")


@dataclass(frozen=True)
class Guide:
    """All of it. `artifacts` by type and id, `pages` name → Markdown, `titles` name → title of the page."""

    resource: Json
    artifacts: dict[tuple[str, str], Artifact]
    pages: dict[str, str]
    titles: dict[str, str]

    @cached_property
    def by_url(self) -> dict[str, Artifact]:
        return {one.url: one for one in self.artifacts.values() if one.url}

    def of_kind(self, kind: str) -> list[Artifact]:
        return sorted((one for one in self.artifacts.values() if one.kind == kind), key=lambda one: one.title.lower())

    def examples_of(self, url: str) -> list[Artifact]:
        return [one for one in self.of_kind("Examples") if one.example_of == url]


def load(package: Traversable, pages: Traversable) -> Guide:
    """Read the package and the narrative of the guide."""
    texts = dict(_texts(package))
    resources = {name: json.decode(text) for name, text in texts.items()}
    guide = next(one for one in resources.values() if one["resourceType"] == "ImplementationGuide")
    listed = {one["reference"]["reference"]: one for one in guide["definition"]["resource"]}
    found = {}
    for name, resource in resources.items():
        if resource is not guide:
            entry = listed[f"{resource['resourceType']}/{resource['id']}"]
            found[resource["resourceType"], resource["id"]] = _artifact(resource, texts[name], entry)
    titles = {page["nameUrl"].removesuffix(".html"): page["title"] for page in guide["definition"]["page"]["page"]}
    written = {one.name.removesuffix(".md"): one.read_text("utf-8") for one in pages.iterdir()}
    return Guide(guide, found, {name: written[name] for name in titles}, titles)


def _texts(package: Traversable) -> Iterator[tuple[str, bytes]]:
    for folder in (package, package / "example"):
        for one in folder.iterdir():
            if one.name.endswith(".json") and one.name != "package.json":
                yield f"{folder.name}/{one.name}", one.read_bytes()


def _artifact(resource: Json, text: bytes, entry: Json) -> Artifact:
    example_of = entry.get("exampleCanonical", "")
    title = resource.get("title") or _value(resource, "title", "valueString") or entry.get("name") or resource["id"]
    description = entry.get("description") or resource.get("description") or ""
    return Artifact(resource, text, title, description, example_of, bool(example_of or entry.get("exampleBoolean")))


def _value(resource: Json, element: str, value: str) -> str:
    """An element of a SubscriptionTopic that is written as Basic."""
    found = (one.get(value, "") for one in resource.get("extension", ()) if one["url"] == TOPIC + element)
    return next(found, "")
