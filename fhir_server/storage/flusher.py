"""Group commit: units that come at the same time share one transaction, and each learns its own fate.

Nothing is answered before the transaction is durable (majority, journal). A unit that lost a race is
taken out and told so; the others of its flush go on. See docs/decisions/0007-group-commit.md.
"""

from __future__ import annotations

import asyncio
import secrets
from collections import Counter, deque
from collections.abc import Sequence
from typing import Any, Protocol

import structlog
from pymongo import InsertOne, ReplaceOne, UpdateOne
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.errors import BulkWriteError, DuplicateKeyError, OperationFailure, PyMongoError
from pymongo.read_concern import ReadConcern

from fhir_server.outcomes import FhirError, Unavailable
from fhir_server.storage.clock import Clock
from fhir_server.storage.database import DURABLE, Database
from fhir_server.storage.generation import DEFINING, advance, advance_access
from fhir_server.storage.opening import is_any_sealed, open_all
from fhir_server.storage.protection import seal_earlier
from fhir_server.storage.reader import PROJECTION
from fhir_server.storage.stored import Stored, from_document
from fhir_server.storage.unit_of_work import Lost, UnitOfWork, Write

log = structlog.get_logger(__name__)

Document = dict[str, Any]
_SNAPSHOT = ReadConcern("snapshot")
_DUPLICATE = 11000
FLUSH_WRITES = 400  # writes of several units in one flush; a larger unit flushes alone
PATIENCE = 30.0  # seconds to wait for a database that went away in the middle of a commit
CONTENDED = 5.0  # seconds for which a flush gives way to other processes: one of them may be slow, or wait for a disk


class Companion(Protocol):
    """Whose word a flush needs: that what it stores is found by the present parameters (storage/parameters.py)."""

    observed: str  # the resource type whose writes it wants to see
    writing: asyncio.Lock  # held while a transaction is open

    @property
    def fresh(self) -> bool:
        """Whether its knowledge counts at this moment."""

    async def renew(self) -> None:
        """Return when it is fresh."""

    async def declare(self, session: AsyncClientSession, writes: list[Write]) -> None:
        """Add what follows from these writes of the observed type to their transaction."""

    async def refresh(self) -> None:
        """Know what is in the database by now."""


class Trail(Protocol):
    """Keeps the units' audit entries, in the transaction of their writes (fhir_server/audit/writes.py)."""

    async def write(self, session: AsyncClientSession, units: Sequence[UnitOfWork]) -> None:
        """Add them; what an attempt that was given up had added is as if it had never been."""

    def committed(self) -> None:
        """What was added last is durable."""


class _Contended(Exception):
    """The flush met another process's write (or a stale base): read again, drop the losers, repeat."""


class Flusher:
    """One flush at a time per process; what arrives meanwhile forms the next one."""

    def __init__(self, database: Database, clock: Clock, *, max_pending: int) -> None:
        self._database = database
        self.clock = clock
        self._max_pending = max_pending
        self._queue: deque[tuple[UnitOfWork, asyncio.Future[None]]] = deque()
        self._runner: asyncio.Task[None] | None = None
        self.companion: Companion | None = None
        self.audit: Trail | None = None
        self.oldest_open: int | None = None  # stamp before which everything of this process is committed

    async def commit(self, unit: UnitOfWork) -> None:
        """Make the unit durable, or raise Lost and leave no trace of it."""
        if not unit.writes and not unit.markers and not unit.audit:
            return
        if len(self._queue) >= self._max_pending:
            raise Unavailable("Too many writes are waiting.", headers={"Retry-After": "1"})
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()
        self._queue.append((unit, future))
        if self._runner is None:
            self._runner = loop.create_task(self._run())
        # Once queued it is decided by the database alone: a caller that goes away does not undo it.
        await asyncio.shield(future)

    async def drain(self) -> None:
        """Wait until everything accepted so far has been decided."""
        while self._runner is not None:
            await asyncio.wait([self._runner])

    async def _run(self) -> None:
        try:
            while self._queue:
                batch = self._take()
                try:
                    await self._flush(batch)
                except Exception as error:
                    _reject(batch, error)
                except BaseException:
                    _reject(batch, Unavailable("The server is stopping."))
                    raise
        finally:
            self._runner = None

    def _take(self) -> list[tuple[UnitOfWork, asyncio.Future[None]]]:
        """The next flush: units in order of arrival, at most one write per resource and guard."""
        batch: list[tuple[UnitOfWork, asyncio.Future[None]]] = []
        later: deque[tuple[UnitOfWork, asyncio.Future[None]]] = deque()
        taken: set[str] = set()
        writes = 0
        while self._queue:
            unit, future = self._queue.popleft()
            names = unit.writes.keys() | unit.guards.keys()
            full = bool(batch) and writes + len(unit.writes) > FLUSH_WRITES
            if full or not taken.isdisjoint(names):
                later.append((unit, future))
            else:
                batch.append((unit, future))
                writes += len(unit.writes)
            # Later units of a resource wait behind earlier ones, taken or not.
            taken |= names
            if full:
                break
        later.extend(self._queue)
        self._queue = later
        return batch

    async def _flush(self, batch: list[tuple[UnitOfWork, asyncio.Future[None]]]) -> None:
        conflicts, began = 0, asyncio.get_running_loop().time()
        while batch:
            try:
                if owners := {write.owner for unit, _ in batch for write in unit.writes.values() if write.owner}:
                    await self._fetch_keys(batch, owners)
                await self._attempt_with(self.companion, batch)
                for _, future in batch:
                    if not future.done():
                        future.set_result(None)
                return
            except _Contended:
                conflicts += 1
                batch = await self._drop_losers(batch)
                if conflicts >= 2 and len(batch) > 1:
                    # A hot resource must not stall the others: from here one by one.
                    for single in batch:
                        await self._alone(single)
                    return
                if conflicts > 20 and asyncio.get_running_loop().time() - began > CONTENDED:
                    raise Unavailable("A resource is written too often.", headers={"Retry-After": "1"}) from None
                await asyncio.sleep(min(0.002 * conflicts * secrets.randbelow(8), 0.05))
            finally:
                self.oldest_open = None

    async def _fetch_keys(self, batch: list[tuple[UnitOfWork, asyncio.Future[None]]], owners: set[str]) -> None:
        """Give what is sensitive the keys of now; without them only the units that need them fail."""
        try:
            keys = await self._database.keyring.current(owners)
        except Exception as error:
            kept = [one for one in batch if not any(write.owner for write in one[0].writes.values())]
            _reject([one for one in batch if one not in kept], error)
            batch[:] = kept
            return
        for unit, _ in batch:
            for write in unit.writes.values():
                if write.owner:
                    write.lock = keys[write.owner]

    async def _alone(self, single: tuple[UnitOfWork, asyncio.Future[None]]) -> None:
        try:
            await self._flush([single])
        except Exception as error:
            _reject([single], error)

    async def _attempt_with(
        self, companion: Companion | None, batch: list[tuple[UnitOfWork, asyncio.Future[None]]]
    ) -> None:
        if companion is None:
            if batch:
                await self._attempt([unit for unit, _ in batch])
            return
        if not companion.fresh:
            await companion.renew()
        async with companion.writing:
            _renew(batch)
            units = [unit for unit, _ in batch]
            if units:
                await self._attempt(units)
        if any(write.type == companion.observed for unit in units for write in unit.writes.values()):
            try:
                await companion.refresh()
            except Exception as error:  # it is stored all the same, and followed later
                log.warning("search parameters not followed", exception=type(error).__name__)

    async def _attempt(self, units: list[UnitOfWork]) -> None:
        """One transaction over all units; _Contended when any write or guard was not as expected."""
        writes = [write for unit in units for write in unit.writes.values()]
        nonce = secrets.token_hex(8)
        self.oldest_open = self.clock.updated()
        for write in writes:
            write.seal(self.clock.updated, self.clock.creation)
        async with self._database.client.start_session() as session:
            await session.start_transaction(read_concern=_SNAPSHOT, write_concern=DURABLE)
            try:
                await self._send(session, units, writes, nonce)
                if self.companion is not None and not self.companion.fresh:
                    raise _Contended
            except (DuplicateKeyError, BulkWriteError, OperationFailure) as error:
                await _abort(session)
                if _is_contention(error):
                    raise _Contended from None
                raise
            except BaseException:
                await _abort(session)
                raise
            await self._commit(session, writes, nonce)
        if self.audit is not None:
            self.audit.committed()

    async def _send(
        self, session: AsyncClientSession, units: list[UnitOfWork], writes: list[Write], nonce: str
    ) -> None:
        database = self._database
        new = [write.envelope() for write in writes if write.base is None]
        changed = [
            # The creation stamp, too: an erased resource that was made again counts its versions from 1.
            # The index is named, because planning took more time than writing.
            ReplaceOne(
                {"_id": write.key, "v": write.base.version, "t": write.base.created}, write.envelope(), hint="_id_"
            )
            for write in writes
            if write.base is not None
        ]
        if new:
            await database.resource.insert_many(new, session=session)
        if changed:
            result = await database.resource.bulk_write(changed, ordered=False, session=session)
            if result.matched_count != len(changed):
                await _abort(session)
                raise _Contended
        if writes:
            await database.version.insert_many([write.history(nonce) for write in writes], session=session)
        await self._check_bases(session, writes)
        if sealed := [write for write in writes if write.lock is not None]:
            await self._account(session, sealed)
        guards = [guard for unit in units for guard in unit.guards.values()]
        if guards:
            operations: list[InsertOne[Document] | UpdateOne] = [
                UpdateOne({"_id": guard.id, "n": guard.seen}, {"$inc": {"n": 1}, "$set": {"at": self.clock.now()}})
                if guard.seen
                else InsertOne({"_id": guard.id, "n": 1, "at": self.clock.now()})
                for guard in guards
            ]
            done = await database.guards.bulk_write(operations, ordered=False, session=session)
            if done.matched_count + done.inserted_count != len(guards):
                await _abort(session)
                raise _Contended
        types = {write.type for write in writes}
        if not types.isdisjoint(DEFINING):
            await advance(database, session)
        await advance_access(database, types, session)
        if self.companion is not None:
            observed = [write for write in writes if write.type == self.companion.observed]
            if observed:
                await self.companion.declare(session, observed)
        for id_, marker in (marker for unit in units for marker in unit.markers):
            await database.markers.replace_one({"_id": id_}, marker, upsert=True, session=session)
        if self.audit is not None:
            await self.audit.write(session, units)

    async def _check_bases(self, session: AsyncClientSession, writes: list[Write]) -> None:
        """Nothing that was made from a text comes to be once the key of that text is destroyed."""
        locks = {write.base.lock for write in writes if write.base is not None and write.resource is not None} - {""}
        if locks and await self._database.keyring.is_any_destroyed(session, locks):
            await _abort(session)
            raise _Contended

    async def _account(self, session: AsyncClientSession, sealed: list[Write]) -> None:
        """Hold the keys in use until the commit, and leave nothing of these resources in clear."""
        seals = Counter(write.lock.id for write in sealed if write.lock is not None)
        for write in sealed:
            if write.base is not None and not write.base.sealed and write.lock is not None:
                seals[write.lock.id] += await seal_earlier(self._database, session, write)
        if not await self._database.keyring.use(session, seals):
            await _abort(session)
            raise _Contended

    async def _commit(self, session: AsyncClientSession, writes: list[Write], nonce: str) -> None:
        """Commit; when the answer is lost, ask again and finally look for our own nonce."""
        deadline = asyncio.get_running_loop().time() + PATIENCE
        while True:
            try:
                await session.commit_transaction()
                return
            except PyMongoError as error:
                if error.has_error_label("UnknownTransactionCommitResult"):
                    if asyncio.get_running_loop().time() < deadline:
                        await asyncio.sleep(0.1)
                        continue
                    raise
                if await self._committed(writes, nonce):
                    return
                if error.has_error_label("TransientTransactionError"):
                    raise _Contended from None
                raise

    async def _committed(self, writes: list[Write], nonce: str) -> bool:
        if not writes:
            return False
        first = writes[0]
        found = await self._database.version.find_one({"_id": f"{first.key}/{first.version}"}, {"n": 1})
        return found is not None and found["n"] == nonce

    async def _drop_losers(
        self, batch: list[tuple[UnitOfWork, asyncio.Future[None]]]
    ) -> list[tuple[UnitOfWork, asyncio.Future[None]]]:
        """Read what is there now, tell the losers, and put the rest on top of it."""
        keys = [key for unit, _ in batch for key in unit.writes]
        guards = [key for unit, _ in batch for key in unit.guards]
        current: dict[str, Stored] = {}
        documents = await self._database.resource.find({"_id": {"$in": keys}}, PROJECTION).to_list()
        if is_any_sealed(documents):
            await open_all(self._database, documents)
        for document in documents:
            current[document["_id"]] = from_document(document)
        counters: dict[str, int] = {}
        if guards:
            async for document in self._database.guards.find({"_id": {"$in": guards}}):
                counters[document["_id"]] = document["n"]
        alive = []
        for unit, future in batch:
            lost = _rebase(unit, current, counters)
            if lost is None:
                alive.append((unit, future))
            elif not future.done():
                future.set_exception(lost)
                future.exception()
        return alive


def _rebase(unit: UnitOfWork, current: dict[str, Stored], counters: dict[str, int]) -> Lost | None:
    """Put the unit's writes on the current state; the loss when one may not be moved."""
    for guard in unit.guards.values():
        if counters.get(guard.id, 0) != guard.seen:
            return Lost(guard.id)
    for key, write in unit.writes.items():
        now = current.get(key)
        if _state(now) != _state(write.base):
            if write.exact:
                return Lost(key, now)
            write.base = now
    return None


def _state(stored: Stored | None) -> tuple[int, int, bool]:
    """What tells one state of a resource from another, also when it was erased and made again, or its key destroyed."""
    return (stored.version, stored.created, stored.deleted) if stored is not None else (0, 0, False)


def _is_contention(error: PyMongoError) -> bool:
    if error.has_error_label("TransientTransactionError"):
        return not isinstance(error, ConnectionError)
    if isinstance(error, BulkWriteError):
        return any(e.get("code") == _DUPLICATE for e in (error.details or {}).get("writeErrors", []))
    return isinstance(error, DuplicateKeyError)


async def _abort(session: AsyncClientSession) -> None:
    if session.in_transaction:
        try:
            await session.abort_transaction()
        except PyMongoError as error:
            log.warning("abort failed", error=type(error).__name__)


def _renew(batch: list[tuple[UnitOfWork, asyncio.Future[None]]]) -> None:
    """Let every write be found by the parameters of now; a unit that cannot be is told so and taken out."""
    for entry in tuple(batch):
        try:
            for write in entry[0].writes.values():
                write.renew()
        except FhirError as error:
            _reject([entry], error)
            batch.remove(entry)


def _reject(batch: list[tuple[UnitOfWork, asyncio.Future[None]]], error: Exception) -> None:
    for _, future in batch:
        if not future.done():
            future.set_exception(error)
            future.exception()
