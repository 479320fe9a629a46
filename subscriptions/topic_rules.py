"""Who may write a topic, and which: a Basic that stands for a SubscriptionTopic is an administrator's.

An active one is accepted, and then fires, or is refused (422) with every reason; a draft may say what it likes.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager

from fhir_server.context import Context
from fhir_server.definitions import RESOURCE_TYPES
from fhir_server.outcomes import Conflict, Forbidden, Issue, Unprocessable
from fhir_server.registry import rule
from fhir_server.search import custom, registry
from fhir_server.search.registry import SearchParameter
from fhir_server.storage.unit_of_work import UnitOfWork, Write
from subscriptions.topic_basic import is_topic, status_of, url_of
from subscriptions.topic_check import accept
from subscriptions.topics import MARKER, stored_topics

STATUSES = ("draft", "active", "retired", "unknown")


@rule("Basic")
async def topics_are_sound(ctx: Context, write: Write, unit: UnitOfWork) -> None:
    """Administrators only (403); an active topic can be honoured (422) and is the only one of its URL (409)."""
    base = write.base.resource() if write.base is not None and not write.base.deleted else None
    if not is_topic(base) and not is_topic(write.resource):
        return
    if not ctx.principal.is_administrator:
        raise Forbidden("Topics are written by administrators.")
    # Whoever asks for topics next reads them anew.
    if all(id_ != MARKER for id_, _ in unit.markers):
        unit.markers.append((MARKER, {"of": uuid.uuid4().hex}))
    if write.resource is None or not is_topic(write.resource):
        return
    status = status_of(write.resource)
    if status not in STATUSES:
        raise Unprocessable(
            f"A topic says its status ({', '.join(STATUSES)}) in its modifierExtension.",
            expression=["Basic.modifierExtension"],
            code="required",
        )
    if status == "active":
        with _with_parameters_of(unit):
            accept(write.resource, ctx.base_url)
        await _check_url(ctx, write, unit)


async def _check_url(ctx: Context, write: Write, unit: UnitOfWork) -> None:
    """Two administrators at the very same moment are not kept apart: then the first by id counts (topics.py)."""
    assert write.resource is not None
    url = url_of(write.resource)
    pending = {one.key: one.resource for one in unit.writes.values() if one.type == "Basic"}
    there = {one.key: one.resource() async for one in stored_topics(ctx.repository, ctx.base_url)}
    for key, basic in {**there, **pending}.items():
        if key == write.key or basic is None or not is_topic(basic):
            continue
        if status_of(basic) == "active" and url_of(basic) == url:
            issue = Issue("duplicate", "There is an active topic with this url.", ("Basic.extension",))
            raise Conflict(issues=[issue])


@contextmanager
def _with_parameters_of(unit: UnitOfWork) -> Iterator[None]:
    """As if the search parameters that come in the same transaction were there: a guide brings both."""
    written = [one.resource for one in unit.writes.values() if one.type == "SearchParameter" and one.resource]
    brought = [found for one in written if (found := custom.read(one)) is not None]
    if not brought:
        yield
        return
    known = [one for name in RESOURCE_TYPES for one in registry.parameters(name).values() if one.custom]
    new: list[SearchParameter] = [one.parameter(type_) for one in brought for type_ in one.types()]
    with registry.trial([*known, *new]):
        yield
