"""What a topic includes with a focus, looked up with the subscriber's own rights.

https://hl7.org/fhir/R5/subscriptiontopic-definitions.html#SubscriptionTopic.notificationShape
"""

from __future__ import annotations

from functools import lru_cache

from fhir_server.access import Principal
from fhir_server.search import include
from fhir_server.search.extract import extract
from fhir_server.search.parse import parse
from fhir_server.search.query import Query
from fhir_server.storage.repository import Repository
from fhir_server.storage.stored import Stored
from subscriptions.topic import Shape, Topic

MAX_INCLUDED = 100  # resources with one focus
MAX_STEPS = 4  # of :iterate


class Shapes:
    """The resources that come along with a focus."""

    def __init__(self, repository: Repository, base_url: str) -> None:
        self._repository = repository
        self._base_url = base_url

    async def included(self, topic: Topic | None, focus: Stored, principal: Principal) -> list[Stored]:
        """Current resources that the topic includes with this version and that the principal may read, each once.

        A deletion brings nothing. At most MAX_INCLUDED: what is beyond the focus is never promised.
        """
        shapes = [one for one in topic.shapes if one.type == focus.type] if topic is not None else []
        if not shapes or focus.deleted:
            return []
        focus.keys = list(extract(focus.resource(), base_url=self._base_url).document().get("k", ()))
        found: dict[str, Stored] = {}
        for shape in shapes:
            query = _query(shape, self._base_url)
            level = [focus]
            for step in range(MAX_STEPS):
                fresh = await self._step(query, level, principal, again=step > 0)
                level = [one for one in fresh if one.key not in found and one.key != focus.key]
                found.update((one.key, one) for one in level)
                if not level or len(found) >= MAX_INCLUDED:
                    break
        return list(found.values())[:MAX_INCLUDED]

    async def _step(self, query: Query, rows: list[Stored], principal: Principal, *, again: bool) -> list[Stored]:
        """What these rows refer to and what refers to them; `again` only as far as it is said to be iterated."""
        forward = [one for one in query.includes if one.iterate or not again]
        backward = [one for one in query.revincludes if one.iterate or not again]
        found: list[Stored] = []
        wanted = include.wanted(forward, rows)
        ids = list(wanted.ids)[:MAX_INCLUDED]
        find = self._repository.find
        if ids:
            order = {key: place for place, key in enumerate(ids)}
            rows_ = await find(principal, {"_id": {"$in": ids}}, limit=len(ids), keys=True, action="r")
            found += sorted(rows_, key=lambda one: order[one.key])
        if wanted.canonicals:
            filter = include.canonical_filter(wanted.canonicals)
            found += await find(principal, filter, limit=MAX_INCLUDED, keys=True, action="r")
        for filter in include.referring_filters(backward, rows):
            found += await find(principal, filter, sort=[("_id", 1)], limit=MAX_INCLUDED, keys=True)
        return found


@lru_cache(1024)
def _query(shape: Shape, base_url: str) -> Query:
    """The includes of a shape as a search has them; a topic with others was not accepted."""
    pairs = [("_include", one) for one in shape.include] + [("_revinclude", one) for one in shape.reverse_include]
    return parse(shape.type, [_named(name, value) for name, value in pairs], base_url=base_url)


def _named(name: str, value: str) -> tuple[str, str]:
    """ "iterate:Patient:link" and "_include:iterate=Patient:link" are spelled as a search parameter's modifier."""
    value = value.rpartition("=")[2]
    if value.startswith("iterate:"):
        return f"{name}:iterate", value.removeprefix("iterate:")
    return name, value
