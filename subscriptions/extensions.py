"""The extensions by which the backport guide says in R4 what R5's Subscription says in elements.

https://hl7.org/fhir/uv/subscriptions-backport/STU1.1/StructureDefinition-backport-subscription.html
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from fhir_server.outcomes import Issue

Json = dict[str, Any]

BACKPORT = "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/"
FILTER = BACKPORT + "backport-filter-criteria"
CONTENT = BACKPORT + "backport-payload-content"
CHANNEL_TYPE = BACKPORT + "backport-channel-type"
HEARTBEAT = BACKPORT + "backport-heartbeat-period"
TIMEOUT = BACKPORT + "backport-timeout"
MAX_COUNT = BACKPORT + "backport-max-count"
OURS = "http://fhir-server.example/ig/CodeSystem/subscription-channel"  # codes of channels that R4 does not have

# Where each may stand, under which name its value comes, and whether there may be several.
_PLACES: dict[str, tuple[str, str, bool]] = {
    FILTER: ("Subscription.criteria", "valueString", True),
    CONTENT: ("Subscription.channel.payload", "valueCode", False),
    CHANNEL_TYPE: ("Subscription.channel.type", "valueCoding", False),
    HEARTBEAT: ("Subscription.channel", "valueUnsignedInt", False),
    TIMEOUT: ("Subscription.channel", "valueUnsignedInt", False),
    MAX_COUNT: ("Subscription.channel", "valuePositiveInt", False),
}
_TYPES = {"valueString": str, "valueCode": str, "valueCoding": dict, "valueUnsignedInt": int, "valuePositiveInt": int}
_R5 = re.compile(r"http://hl7\.org/fhir/(?:4\.3|[5-9]\.\d)/StructureDefinition/extension-Subscription\.([A-Za-z0-9.]+)")
# What the backport guide has no word for, so that nothing is said twice: the rest of R5 belongs into its extensions.
_HARMLESS = frozenset({"identifier", "name", "managingEntity"})


class Extensions:
    """Those of a Subscription, by URL; `issues` says what cannot be understood and must not be passed over."""

    def __init__(self, resource: Json) -> None:
        self._values: dict[str, list[Any]] = {}
        self.issues: list[Issue] = []
        for place, one, modifies in _walk(resource, "Subscription"):
            if modifies:
                self._refuse("extension", "The server does not know this modifier extension.", place)
            elif isinstance(url := one.get("url"), str):
                self._take(url, one, place)

    def one(self, url: str) -> Any:
        """Its value; None without it."""
        return self._values.get(url, [None])[0]

    def all(self, url: str) -> list[Any]:
        """Its values, in order."""
        return self._values.get(url, [])

    def _take(self, url: str, one: Json, place: str) -> None:
        name = url.rpartition("/")[2]
        if (found := _R5.fullmatch(url)) and found[1] not in _HARMLESS:
            text = f"R4 subscriptions are written with the backport guide's extensions, not with R5's '{found[1]}'."
            self._refuse("not-supported", text, place)
        elif url.startswith(BACKPORT) and url in _PLACES:
            where, value, several = _PLACES[url]
            given = one.get(value)
            if place != where:
                self._refuse("extension", f"Extension {name} stands on {where}.", place)
            elif not isinstance(given, _TYPES[value]) or isinstance(given, bool):
                self._refuse("value", f"Extension {name} has a {value}.", place)
            elif url in self._values and not several:
                self._refuse("structure", f"Extension {name} is given more than once.", place)
            else:
                self._values.setdefault(url, []).append(given)

    def _refuse(self, code: str, text: str, place: str) -> None:
        self.issues.append(Issue(code, text, (place,)))


def _walk(node: Any, place: str) -> Iterator[tuple[str, Json, bool]]:
    """Each extension with the element it stands on, and whether it modifies that; contained resources are others'."""
    if isinstance(node, list):
        for item in node:
            yield from _walk(item, place)
    if not isinstance(node, dict):
        return
    for name, value in node.items():
        if name in ("extension", "modifierExtension"):
            for one in value if isinstance(value, list) else ():
                if isinstance(one, dict):
                    yield place, one, name == "modifierExtension"
        elif name != "contained":
            yield from _walk(value, f"{place}.{name.removeprefix('_')}")
