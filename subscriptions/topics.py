"""The topics that this server offers: active Basics that stand for a SubscriptionTopic."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import structlog

from fhir_server.access.principal import SYSTEM
from fhir_server.change import Change
from fhir_server.outcomes import FhirError
from fhir_server.search.compile import compile
from fhir_server.search.parse import parse
from fhir_server.storage.repository import Repository
from fhir_server.storage.stored import Stored
from subscriptions import topic_basic
from subscriptions.topic import Topic
from subscriptions.topic_basic import is_topic, status_of

log = structlog.get_logger(__name__)

MAX_TOPICS = 2000
MARKER = "topics"  # a document of `markers`, which every write of a topic replaces
_TOGETHER = 100  # texts that are in memory at once


class Topics:
    """Topics by URL. Two active ones of one URL are refused when written; should there be, the first by id counts.

    The engine tells `changed` what the change stream says; everybody else calls `refresh` before asking, which knows
    of every topic whose write was answered.
    """

    def __init__(self, repository: Repository, base_url: str) -> None:
        self._repository = repository
        self._base_url = base_url
        self._by_key: dict[str, Topic] = {}  # "Basic/topic-case"
        self._by_url: dict[str, Topic] = {}
        self._stamps: dict[str, int] = {}  # of what is known of each Basic that is a topic, so that none goes back
        self._mark: object = None
        self._reading = asyncio.Lock()

    async def load(self) -> None:
        """Read all topics anew; raises Unavailable (503) while the search index is being rebuilt."""
        async with self._reading:
            await self._load(await self._marker())

    async def refresh(self) -> None:
        """Read them anew if one was written since; else it costs one look."""
        if self._mark is None or await self._marker() != self._mark:
            async with self._reading:
                mark = await self._marker()
                if mark != self._mark:
                    await self._load(mark)

    async def _load(self, mark: object) -> None:
        stored = [one async for one in stored_topics(self._repository, self._base_url)]
        self._put({one.key: topic for one in stored if (topic := _accepted(one)) is not None})
        self._stamps = {one.key: one.updated for one in stored}
        self._mark = mark

    def get(self, url: str) -> Topic | None:
        """The topic with this canonical URL, also as url|version."""
        name, _, version = url.partition("|")
        found = self._by_url.get(name)
        return found if found is not None and version in ("", found.version) else None

    def list(self) -> list[Topic]:
        """All of them, by URL."""
        return [topic for _, topic in sorted(self._by_url.items())]

    async def changed(self, change: Change) -> None:
        """Follow the change of a Basic; others do not matter here."""
        if change.type != "Basic":
            return
        async with self._reading:
            topic = _accepted(change.after)
            if change.at < self._stamps.get(change.key, 0) or (topic is None and change.key not in self._by_key):
                return
            self._stamps[change.key] = change.at
            others = {key: one for key, one in self._by_key.items() if key != change.key}
            self._put(others | ({change.key: topic} if topic is not None else {}))

    def _put(self, by_key: dict[str, Topic]) -> None:
        self._by_key = by_key
        self._by_url = {topic.url: topic for _, topic in sorted(by_key.items(), reverse=True)}

    async def _marker(self) -> object:
        found = await self._repository.database.markers.find_one({"_id": MARKER})
        return found["of"] if found is not None else ""


def _accepted(stored: Stored) -> Topic | None:
    """The topic of a stored Basic; None when it is none, not active, or was let in by other rules than today's."""
    basic = None if stored.deleted else stored.resource()
    if basic is None or not is_topic(basic) or status_of(basic) != "active":
        return None
    try:
        return topic_basic.parse_topic(basic)
    except FhirError as error:
        log.warning("topic not understood", topic=stored.id, rules=[issue.diagnostics for issue in error.issues])
        return None


async def stored_topics(repository: Repository, base_url: str) -> AsyncIterator[Stored]:
    """All Basics that stand for a topic, of any status, by id."""
    code = f"{topic_basic.SYSTEM}|{topic_basic.CODE}"
    asked = compile(parse("Basic", [("code", code)], base_url=base_url))
    keys = sorted(await repository.ids(SYSTEM, asked.filter, limit=MAX_TOPICS, types=("Basic",)))
    if len(keys) == MAX_TOPICS:
        log.error("there are more topics than can be offered", most=MAX_TOPICS)
    for start in range(0, len(keys), _TOGETHER):
        found = await repository.read_many(SYSTEM, keys[start : start + _TOGETHER])
        for one in found.values():
            if not one.deleted:
                yield one
