"""Presence registers: a file with a declaration on top is found by discover(), no list names it."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

from fhir_server.context import Context, FhirRequest, FhirResponse
from fhir_server.outcomes import Issue

Handler = Callable[[Context, FhirRequest], Awaitable[FhirResponse]]
Check = Callable[[dict[str, Any]], list[Issue]]


@dataclass(frozen=True, slots=True)
class Operation:
    """A declared $operation: where it may be called and what runs it."""

    name: str  # without the $
    handler: Handler
    system: bool = False
    types: tuple[str, ...] = ()  # resource types of the type level; ("*",) for every type
    instances: tuple[str, ...] = ()  # resource types of the instance level; ("*",) for every type
    versions: bool = False  # also of one version: Patient/1/_history/2/$meta
    affects_state: bool = False  # POST only when true
    definition: str | None = None  # canonical URL of the OperationDefinition
    doc: str = ""


@dataclass(slots=True)
class Registry:
    """What discover() found: interactions by name, operations by name, checks by resource type."""

    interactions: dict[str, Handler] = field(default_factory=dict)
    operations: dict[str, Operation] = field(default_factory=dict)
    checks: dict[str, Check] = field(default_factory=dict)

    def handler(self, interaction: str, type_: str | None) -> Handler | None:
        """What answers the interaction: for this type (declared as "read AuditEvent"), or for any."""
        return self.interactions.get(f"{interaction} {type_}") or self.interactions.get(interaction)


registry = Registry()


def interaction(name: str) -> Callable[[Handler], Handler]:
    """Declare the handler of a RESTful interaction by its R4 code (`read`, `search-type`, …)."""

    def declare(handler: Handler) -> Handler:
        registry.interactions[name] = handler
        return handler

    return declare


def operation(name: str, **levels: Any) -> Callable[[Handler], Handler]:
    """Declare the handler of `$name`; `levels` are the fields of Operation."""

    def declare(handler: Handler) -> Handler:
        registry.operations[name] = Operation(name, handler, doc=(handler.__doc__ or "").strip(), **levels)
        return handler

    return declare


def checked(resource_type: str) -> Callable[[Check], Check]:
    """Declare what this server asks of a valid resource of the type: errors refuse it, warnings are told."""

    def declare(check: Check) -> Check:
        registry.checks[resource_type] = check
        return check

    return declare


def discover(*packages: ModuleType) -> Registry:
    """Import every module of these packages, so that their declarations take effect."""
    for package in packages:
        for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
            importlib.import_module(module.name)
    return registry
