"""Presence registers: a file with a declaration on top is found by discover(), no list names it."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

from fhir_server.access.principal import Principal
from fhir_server.change import Change
from fhir_server.context import Context, FhirRequest, FhirResponse
from fhir_server.outcomes import Issue
from fhir_server.storage.unit_of_work import UnitOfWork, Write

Handler = Callable[[Context, FhirRequest], Awaitable[FhirResponse]]
Check = Callable[[dict[str, Any]], list[Issue]]
Rule = Callable[[Context, Write, UnitOfWork], Awaitable[None]]
Follower = Callable[[Context, Change], Awaitable[None]]
Job = Callable[[Context], Awaitable[None]]
Withhold = Callable[[Principal, dict[str, Any], dict[str, Any] | None], dict[str, Any]]
Teller = Callable[[Context], Awaitable[dict[str, Any]]]


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


@dataclass(frozen=True, slots=True)
class Hook:
    """What is to happen, sooner or later and at least once, after every change of these types."""

    name: str  # the function's, with its module: what is kept of its progress goes by it
    types: tuple[str, ...]
    interactions: tuple[str, ...]
    follow: Follower


@dataclass(frozen=True, slots=True)
class Scheduled:
    """What is done again and again, by one process at a time."""

    name: str  # the function's, with its module: when it is due goes by it
    seconds: float  # from the end of one run to the next
    run: Job


@dataclass(slots=True)
class Registry:
    """What discover() found: interactions, operations, hooks and jobs by name; the others by resource type."""

    interactions: dict[str, Handler] = field(default_factory=dict)
    operations: dict[str, Operation] = field(default_factory=dict)
    checks: dict[str, Check] = field(default_factory=dict)
    rules: dict[str, dict[str, Rule]] = field(default_factory=dict)  # by type and name
    hooks: dict[str, Hook] = field(default_factory=dict)
    tellers: dict[str, Teller] = field(default_factory=dict)
    jobs: dict[str, Scheduled] = field(default_factory=dict)
    withheld: dict[str, Withhold] = field(default_factory=dict)

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


def rule(*types: str) -> Callable[[Rule], Rule]:
    """Declare what holds for every write of these types, by whichever door: plain, patch, Bundle or operation.

    The rule sees the Write before it is stored (`base` is what was there, `resource` what will be, None for a
    deletion) and the unit it belongs to. It raises a FhirError to refuse, may change `resource`, and may add to the
    unit what is to be committed with it.
    """

    def declare(function: Rule) -> Rule:
        for type_ in types:
            registry.rules.setdefault(type_, {})[f"{function.__module__}.{function.__name__}"] = function
        return function

    return declare


def withheld(resource_type: str) -> Callable[[Withhold], Withhold]:
    """Declare what of an earlier version of the type somebody is not shown, for what the resource says today.

    The function gets who asks, that version and the current one (None once it is deleted), and answers what to show.
    """

    def declare(function: Withhold) -> Withhold:
        registry.withheld[resource_type] = function
        return function

    return declare


def told(resource_type: str) -> Callable[[Teller], Teller]:
    """Declare what the CapabilityStatement says besides of the type: elements of its entry in `rest.resource`.

    Lists that are there already are continued.
    """

    def declare(teller: Teller) -> Teller:
        registry.tellers[resource_type] = teller
        return teller

    return declare


def on_change(
    *types: str, interactions: tuple[str, ...] = ("create", "update", "delete")
) -> Callable[[Follower], Follower]:
    """Declare what follows every change of these types once it is committed: in order, at least once, by one process.

    The function is called with the server's own context; when it fails it is called again, later. What it writes must
    bear repetition.
    """

    def declare(function: Follower) -> Follower:
        name = f"{function.__module__}.{function.__name__}"
        registry.hooks[name] = Hook(name, types, interactions, function)
        return function

    return declare


def scheduled(*, seconds: float) -> Callable[[Job], Job]:
    """Declare what is done every so many seconds while any server runs, by one process at a time.

    The function is called with the server's own context. When its process dies, another goes on within half a minute;
    when it fails it is called again at the next turn. It must bear repetition, and end within twenty seconds.
    """

    def declare(function: Job) -> Job:
        name = f"{function.__module__}.{function.__name__}"
        registry.jobs[name] = Scheduled(name, seconds, function)
        return function

    return declare


def discover(*packages: ModuleType) -> Registry:
    """Import every module of these packages, so that their declarations take effect."""
    for package in packages:
        for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
            importlib.import_module(module.name)
    return registry
