"""Which subscriptions a change fires, and whether each subscriber may see what it is about."""

from __future__ import annotations

from typing import Any

import structlog
from pymongo.errors import PyMongoError

from fhir_server import json
from fhir_server.access import Principal
from fhir_server.access.compartment import BINARY
from fhir_server.access.visibility import condition, is_open_to
from fhir_server.outcomes import Unavailable
from fhir_server.storage.history import History
from subscriptions.index import Entry, Index
from subscriptions.rights import Rights
from subscriptions.trigger import fires
from subscriptions.view import View

log = structlog.get_logger(__name__)

Json = dict[str, Any]


class Matcher:
    """Judges changes for all entries of the index. Principals are made once for all changes until `forget`."""

    def __init__(self, index: Index, rights: Rights, history: History) -> None:
        self._index = index
        self._rights = rights
        self._history = history
        self._principals: dict[bytes, Principal | None] = {}
        self.ended: set[str] = set()  # subscriptions that fired and whose subscriber may do nothing any more

    def forget(self) -> None:
        """Ask for everybody's rights anew."""
        self._principals.clear()
        self.ended.clear()

    async def receivers(self, view: View) -> list[Entry]:
        """The entries to which the change is an event. Raises PyMongoError and Unavailable, and never anything else."""
        found = []
        seen: dict[int, bool] = {}
        for entry in self._index.candidates(view.type, lambda: view.keys):
            if not _fits(entry, view):
                continue
            if entry.owner is None:
                found.append(entry)
                continue
            principal = await self._principal(entry, entry.owner)
            if principal is None:
                self.ended.add(entry.id)
                continue
            if id(principal) not in seen:
                seen[id(principal)] = await self._may_see(principal, view)
            if seen[id(principal)]:
                found.append(entry)
        return found

    async def _principal(self, entry: Entry, owner: Json) -> Principal | None:
        key = json.encode(owner)
        if key not in self._principals:
            try:
                self._principals[key] = await self._rights.again(owner)
            except (PyMongoError, Unavailable):
                raise
            except Exception as error:  # one subscriber's trouble must not keep events from all others
                log.error("a subscriber's rights are not known", id=entry.id, exception=type(error).__name__)
                self._principals[key] = None
        return self._principals[key]

    async def _may_see(self, principal: Principal, view: View) -> bool:
        """Whether the version may be read, of a deletion the one before. When it is delivered, it is asked again."""
        if principal.is_open:
            return True
        allowed = condition(principal, view.type, "r")
        if allowed is None:
            return False
        if view.type == BINARY:
            return await self._history.is_open(principal, view.change.after, "r")
        return not allowed or (bool(view.document) and is_open_to(principal, "r", view.document))


def _fits(entry: Entry, view: View) -> bool:
    """Whether the change is one that the entry wants. What cannot be judged is none: nobody else must wait for it."""
    change = view.change
    if change.interaction not in entry.interactions or (entry.end and change.at >= entry.end):
        return False
    if entry.topic is None:
        return True
    try:
        return all(one.matches(view) for one in entry.conditions) and fires(entry.topic, view)
    except Exception as error:
        log.error("a change cannot be judged", id=entry.id, type=change.type, exception=type(error).__name__)
        return False
