"""What a topic is: when a change fires it, what subscribers may filter by, what comes along with a notification.

https://hl7.org/fhir/R5/subscriptiontopic.html
"""

from __future__ import annotations

from dataclasses import dataclass

from fhir_server.change import Interaction


@dataclass(frozen=True, slots=True)
class Trigger:
    """A resource trigger of a topic, or an event trigger as far as it is one.

    `previous` and `current` are search criteria on the type ("status=in-progress"), empty when there are none; with
    `require_both` both must hold, else one suffices. `fhirpath` is evaluated on the current version, with %previous
    and %current.
    """

    type: str
    interactions: tuple[Interaction, ...] = ("create", "update", "delete")
    previous: str = ""
    current: str = ""
    require_both: bool = False
    passes_create: bool = True  # resultForCreate: whether a create counts as fitting `previous`
    passes_delete: bool = True  # resultForDelete: whether a deletion counts as fitting `current`
    fhirpath: str = ""
    event: tuple[str, str] = ("", "")  # system and code of an event trigger


@dataclass(frozen=True, slots=True)
class CanFilterBy:
    """A filter that a topic allows: a search parameter of a type, with the comparators and modifiers allowed."""

    parameter: str
    type: str = ""  # "" is any type of the topic's
    definition: str = ""
    comparators: tuple[str, ...] = ()
    modifiers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Shape:
    """What is included with a focus of the type, as search's _include and _revinclude would."""

    type: str
    include: tuple[str, ...] = ()
    reverse_include: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Topic:
    """An accepted topic. `criteria` marks the one that an R4 criterion stands for, which is not listed."""

    url: str
    title: str
    triggers: tuple[Trigger, ...]
    filters: tuple[CanFilterBy, ...] = ()
    shapes: tuple[Shape, ...] = ()
    version: str = ""
    description: str = ""
    criteria: bool = False

    @property
    def types(self) -> frozenset[str]:
        """The resource types whose changes may fire it."""
        return frozenset(trigger.type for trigger in self.triggers)
