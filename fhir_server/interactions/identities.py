"""Who is who in a transaction: ids for new resources, the resources that criteria name.

Afterwards no request of the Bundle is conditional any more; what was decided holds by version and guard.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterable
from typing import Any

from fhir_server import api, auditing
from fhir_server.context import Context
from fhir_server.criterion import Criterion
from fhir_server.interactions.create import existing
from fhir_server.interactions.entries import Entry
from fhir_server.interactions.permit import permit
from fhir_server.interactions.references import Targets
from fhir_server.interactions.urls import is_id, route
from fhir_server.outcomes import FhirError, Invalid, MultipleMatches, NotFound
from fhir_server.search.extract import extract
from fhir_server.storage.stored import Stored
from fhir_server.storage.unit_of_work import UnitOfWork, Write

Json = dict[str, Any]
SEARCHES = 16  # criteria searched at once


class Identities:
    """The decisions of one attempt: criteria searched once, and the Bundle's own effects over them."""

    def __init__(self, ctx: Context, unit: UnitOfWork) -> None:
        self._ctx = ctx
        self._unit = unit
        self._criteria: dict[tuple[str, str], Criterion] = {}
        self._pending: dict[str, Write] = {}
        self._unforeseen: list[tuple[Entry, str]] = []
        self.targets = Targets()
        self.deleted: list[tuple[Entry, str]] = []  # "Type/id" of what conditional deletions fit

    async def decide(self, entries: list[Entry]) -> None:
        """Route every entry and settle which resource it is about; failures name their entry."""
        for entry in entries:
            with_path(entry, route, entry.request)
            with_path(entry, permit, self._ctx.principal, entry.request)
        conditional = [entry for entry in entries if with_path(entry, _criterion, entry)]
        for entry in conditional:
            with_path(entry, self._note, entry.request.type, _criterion(entry))
        await self.search(len(entries))
        await self._prefetch(entries)
        for entry in entries:
            with_path(entry, self._decide, entry, bool(conditional))
        for entry, key in self.deleted:
            try:
                await api.admit(self._ctx, self._unit.writes[key], self._unit)
                auditing.of_write(self._ctx, self._unit, self._unit.writes[key])
            except FhirError as error:
                raise error.at(entry.path) from None

    def _note(self, type_: str, text: str) -> None:
        if (type_, text) not in self._criteria:
            ctx = self._ctx
            self._criteria[type_, text] = Criterion.of(type_, text, base_url=ctx.base_url)

    async def search(self, room: int) -> None:
        """Read the guards, then search every criterion not searched yet; `room` covers the Bundle's own effects."""
        fresh = [criterion for criterion in self._criteria.values() if criterion.seen < 0]
        if not fresh:
            return
        guards = await self._ctx.repository.guards(criterion.guard_id for criterion in fresh)
        gate = asyncio.Semaphore(SEARCHES)

        async def search(criterion: Criterion) -> None:
            criterion.seen = guards.get(criterion.guard_id, 0)
            async with gate:
                await criterion.search(self._ctx.repository, self._ctx.principal, limit=2 + room)

        await asyncio.gather(*(search(criterion) for criterion in fresh))

    async def _prefetch(self, entries: list[Entry]) -> None:
        """The current versions of all resources named by id, in one query."""
        keys = [f"{r.type}/{r.id}" for r in (e.request for e in entries) if r.id and r.interaction in _BY_ID]
        if keys:
            found = await self._ctx.repository.read_many(self._ctx.principal, keys)
            self._unit.known.update({key: found.get(key) for key in keys})

    def _decide(self, entry: Entry, conditional: bool) -> None:
        request = entry.request
        match request.interaction:
            case "create":
                self._create(entry)
            case "update" if request.id is None:
                self._conditional_update(entry)
            case "patch" if request.id is None:
                self._aim(entry, self._one(entry))
            case "delete" if request.id is None:
                self._conditional_delete(entry)
            case "operation" | "bundle":
                raise Invalid("Operations cannot stand within a transaction yet.", code="not-supported")
        if request.interaction not in ("create", "update", "patch", "delete") or entry.response is not None:
            return
        id_ = request.assigned_id or request.id
        if id_ and entry.full_url:
            self.targets.add(entry.full_url, f"{request.type}/{id_}")
        if id_ and request.interaction != "patch":
            if conditional:
                self._foresee(entry, id_)
            else:
                self._unforeseen.append((entry, id_))  # a conditional reference may ask for it yet

    def _create(self, entry: Entry) -> None:
        request = entry.request
        if text := _criterion(entry):
            found = self._criteria[request.type or "", text].match(self._pending)
            if found.stored is not None:
                entry.response = existing(request, found.stored)
                if entry.full_url:
                    self.targets.add(entry.full_url, found.stored.key)
                return
            assert found.guard is not None
            self._unit.guards[found.guard.id] = found.guard
            request.if_none_exist = None
        request.assigned_id = str(uuid.uuid4())

    def _conditional_update(self, entry: Entry) -> None:
        request = entry.request
        found = self._criteria[request.type or "", _criterion(entry) or ""].match(self._pending)
        given = request.body.get("id") if isinstance(request.body, dict) else None
        if found.stored is not None:
            if given not in (None, found.stored.id):
                raise Invalid("The id of the body is not that of the resource that fits.")
            self._aim(entry, found.stored)
            return
        if given is not None and not (isinstance(given, str) and is_id(given)):
            raise Invalid("The id of the body is not a FHIR id.")
        assert found.guard is not None
        self._unit.guards[found.guard.id] = found.guard
        id_ = given or str(uuid.uuid4())
        request.assigned_id = None if given else id_
        request.id, request.path, request.query = id_, f"{request.type}/{id_}", []
        request.if_none_match = "*"

    def _one(self, entry: Entry) -> Stored:
        found = self._criteria[entry.request.type or "", _criterion(entry) or ""].match(self._pending)
        if found.stored is None:
            raise NotFound("No resource fits the condition.")
        return found.stored

    def _conditional_delete(self, entry: Entry) -> None:
        found = self._criteria[entry.request.type or "", _criterion(entry) or ""].all(self._pending)
        if len(found) > 1 and not self._ctx.settings.multiple_delete:
            raise MultipleMatches("The condition fits more than one resource.")
        entry.response = api.nothing()
        for stored in found:
            write = Write("DELETE", stored.type, stored.id, None, stored, exact=True)
            self._pending[write.key] = write
            self._unit.add(write)
            self.deleted.append((entry, write.key))

    def _aim(self, entry: Entry, stored: Stored) -> None:
        """Point a conditional request at the resource that fits, as it is now."""
        request = entry.request
        if stored.content is not None:
            raise Invalid("The condition fits a resource that this Bundle itself creates or changes.")
        request.id, request.path, request.query = stored.id, stored.key, []
        request.if_match = request.if_match or f'W/"{stored.version}"'
        self._unit.known[stored.key] = stored

    def _foresee(self, entry: Entry, id_: str) -> None:
        """Let later criteria of the Bundle see this entry's effect."""
        request = entry.request
        assert request.type
        body = request.body if isinstance(request.body, dict) and request.interaction != "delete" else None
        write = Write(request.method, request.type, id_, body)
        if body is not None:
            try:
                write.index = extract(body, base_url=self._ctx.base_url).document()
            except (TypeError, ValueError, AttributeError, LookupError):
                return  # not validated yet: its own update or create says what is wrong, and undoes the whole
        self._pending[write.key] = write

    async def resolve_references(self, references: Iterable[tuple[Entry, str]]) -> dict[str, str]:
        """`Type?criterion` → "Type/id" for every conditional reference; one that fits none or several fails (412)."""
        listed = list(references)
        while self._unforeseen:
            self._foresee(*self._unforeseen.pop())
        for entry, reference in listed:
            type_, _, text = reference.partition("?")
            with_path(entry, self._note, type_, text)
        await self.search(len(self._pending))
        resolved: dict[str, str] = {}
        for entry, reference in listed:
            if reference in resolved:
                continue
            type_, _, text = reference.partition("?")
            found = with_path(entry, self._criteria[type_, text].match, self._pending)
            if found.stored is None:
                raise FhirError(
                    f"A conditional reference to {type_} fits no resource.",
                    expression=[entry.path],
                    status=412,
                    code="not-found",
                )
            resolved[reference] = found.stored.key
        return resolved


_BY_ID = frozenset({"update", "patch", "delete", "read"})


def _criterion(entry: Entry) -> str | None:
    """The criterion of a conditional entry; None for all others."""
    request = entry.request
    if request.interaction == "create":
        return request.if_none_exist
    if request.interaction in ("update", "patch", "delete") and request.id is None:
        return api.criterion_of(request)
    return None


def with_path(entry: Entry, step: Any, *arguments: Any) -> Any:
    """Run a step; a FhirError of it names the entry."""
    try:
        return step(*arguments)
    except FhirError as error:
        raise error.at(entry.path) from None
