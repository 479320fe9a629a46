"""What @on_change declares: subscriptions of the server's own, whose events are delivered to functions.

Each is an entry "hook:<name>" of sub_active with what it watches, so that whichever process leads numbers its events,
and whichever knows the function delivers them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog

from fhir_server.context import Context
from fhir_server.outcomes import FhirError
from fhir_server.registry import Hook, registry
from fhir_server.storage.repository import Repository
from subscriptions.event import Event
from subscriptions.failure import where
from subscriptions.feed import load

log = structlog.get_logger(__name__)

Json = dict[str, Any]
PREFIX = "hook:"
CHANNEL = "hook"
_PASSING = (409, 412, 429)  # what is refused now, and may be taken later
FORGOTTEN = timedelta(days=7)  # after which events of a hook that no leader knows are numbered no longer


class Hooks:
    """The declared hooks; `make_context` gives the server's own context, in which they run."""

    def __init__(
        self,
        repository: Repository,
        make_context: Callable[[], Context],
        hooks: Mapping[str, Hook] = registry.hooks,
    ) -> None:
        self._database = repository.database
        self._make_context = make_context
        self._hooks = hooks

    @property
    def ids(self) -> list[str]:
        """The entries that this process can deliver: "hook:<name>"."""
        return [PREFIX + name for name in self._hooks]

    def documents(self) -> list[Json]:
        """What sub_active says of each."""
        return [
            {
                "_id": PREFIX + name,
                "status": "active",
                "channel": CHANNEL,
                "types": list(hook.types),
                "interactions": list(hook.interactions),
            }
            for name, hook in self._hooks.items()
        ]

    async def run(self, event: Event) -> None:
        """Have the hook follow the change of the event. Raises what the function raises: it is to be called again.

        What was erased meanwhile is followed by nobody, and what the server refuses itself by nobody again: it would
        be refused for ever, and all later changes wait. KeyError for a hook that this process does not know.
        """
        hook = self._hooks[event.subscription.removeprefix(PREFIX)]
        row = {"r": event.key, "v": event.version, "u": event.at}
        change = (await load(self._database, [row])).get(f"{event.key}/{event.version}")
        if change is None:
            log.info("a change that was erased is not followed", hook=hook.name, type=event.type)
            return
        try:
            await hook.follow(self._make_context(), change)
        except FhirError as error:
            if error.status in _PASSING or error.status >= 500:
                raise
            log.error("a change was not followed", hook=hook.name, type=event.type, **where(error))


def stale(document: Json) -> bool:
    """Whether no leader has known the hook for so long that it is gone for good."""
    seen: datetime = document["seen"]
    return seen < datetime.now(UTC) - FORGOTTEN
