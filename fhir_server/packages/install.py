"""A package's resources written like everyone's: through the dispatcher, checked, versioned and with their history.

The record comes first, then the resources in transactions that note what they wrote, then the record as installed.
Whatever ends an installation in between, the next one of the same package finishes it.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from secrets import token_hex
from typing import Any, TypeVar

from fhir_server.context import Context
from fhir_server.definitions.package import Package, digest
from fhir_server.interactions.content import identify
from fhir_server.outcomes import BusinessRule, Conflict, Issue, NotFound, Unprocessable
from fhir_server.packages import dependencies
from fhir_server.packages.plan import Ownership, Placement, chosen, place, state_of
from fhir_server.packages.records import INSTALLED, INSTALLING, REMOVING, Dependency, Owned, Record, Records, marker
from fhir_server.packages.report import Refusal, Report
from fhir_server.packages.writing import Overtaken, batches, by_structure, content, delete, relink, store
from fhir_server.storage.database import Database
from fhir_server.storage.stored import Stored

Json = dict[str, Any]
Answer = TypeVar("Answer")

ATTEMPTS = 20  # when others write the same at the same time


async def install_file(
    ctx: Context,
    database: Database,
    path: Path,
    *,
    examples: bool = False,
    strict: bool = False,
    repair: bool = False,
) -> Report:
    """Install the package in a .tgz or a folder; one that is installed already is not even unpacked.

    Options and errors as of `install`, and errors of `Package.from_file`.
    """
    if not repair:
        every = await Records(database).all()
        made = digest(path)
        for record in every:
            if _is_done(record, made, examples):
                return _already(record, every)
    package = Package.from_folder(path) if path.is_dir() else Package.from_file(path)
    return await install(ctx, database, package, examples=examples, strict=strict, repair=repair)


async def install(
    ctx: Context,
    database: Database,
    package: Package,
    *,
    examples: bool = False,
    strict: bool = False,
    repair: bool = False,
) -> Report:
    """Store what the package defines, and answer what became of it.

    With `examples` its examples, too. A resource that is refused is reported and left out; with `strict` nothing is
    installed then. `repair` looks at a package that is installed already, and writes again what was changed since.
    Raises Unprocessable (422, strict), BusinessRule (422) for an older version than the one that is installed, and
    Conflict (409) when others write the same resources all the time.
    """
    records = Records(database)

    async def attempt() -> Report:
        every = await records.all()
        before = next((one for one in every if one.name == package.name), None)
        if before is not None and not repair and _is_done(before, package.digest, examples):
            return _already(before, every)
        _refuse_older(before, package)
        with_examples = examples or (before is not None and before.examples)  # they stay, and are updated
        return await _Installation(ctx, records, package, before, every, with_examples, strict).run()

    return await _again(attempt)


async def remove(ctx: Context, database: Database, name: str) -> int:
    """Delete what only this package brought, and forget it; answers how many resources that were.

    Raises NotFound (404), BusinessRule (422) while another installed package depends on it, and Conflict (409).
    """
    records = Records(database)

    async def attempt() -> int:
        every = await records.all()
        record = next((one for one in every if one.name == name), None)
        if record is None:
            raise NotFound(f"No package {name[:128]} is installed.")
        users = sorted(one.name for one in every if name in {needed.name for needed in one.dependencies})
        if users:
            raise BusinessRule(f"{', '.join(users)} depends on {name}; remove that first.")
        leaving = replace(record, state=REMOVING, mark=token_hex(8))
        if not await records.put(leaving, record):
            raise Overtaken
        counts = await delete(ctx, record.resources, Ownership.of(name, every))
        if not await records.forget(leaving):
            raise Overtaken
        await records.settle(name)
        return counts.total()

    return await _again(attempt)


async def _again(attempt: Callable[[], Awaitable[Answer]]) -> Answer:
    """What the attempt answers, made again when it was overtaken."""
    for _ in range(ATTEMPTS):
        try:
            return await attempt()
        except Overtaken:
            await asyncio.sleep(random.uniform(0, 0.2))  # two that meet do not meet again
    raise Conflict("Others write the package's resources at the same time; try again.")


def _is_done(record: Record, digest: str, examples: bool) -> bool:
    return record.state == INSTALLED and record.digest == digest and (record.examples or not examples)


def _already(record: Record, every: Sequence[Record]) -> Report:
    wanted = {one.name: one.version for one in record.dependencies}
    needs = dependencies.needs(wanted, every)
    return Report(record.name, record.version, record.title, already=True, needs=needs)


def _refuse_older(before: Record | None, package: Package) -> None:
    if before is not None and before.state == INSTALLED and _order(package.version) < _order(before.version):
        raise BusinessRule(
            f"{package.name} {before.version} is installed, which is newer than {package.version}; "
            "remove it first if you want the older one."
        )


def _order(version: str) -> tuple[tuple[tuple[int, str], ...], bool, str]:
    """1.10.0 is newer than 1.9.0, and 2.0.0 than 2.0.0-ballot: https://semver.org/#spec-item-11"""
    numbers, _, label = version.partition("+")[0].partition("-")
    parts = tuple((int(one), "") if one.isdecimal() else (-1, one) for one in numbers.split("."))
    return parts, not label, label


@dataclass
class _Installation:
    """One attempt to install a package."""

    ctx: Context
    records: Records
    package: Package
    before: Record | None
    every: list[Record]
    examples: bool
    strict: bool
    report: Report = field(init=False)
    written: list[Owned] = field(default_factory=list)
    touched: bool = False  # whether anything was changed

    async def run(self) -> Report:
        self._begin_report()
        self._check_strict()
        ownership = Ownership.of(self.package.name, self.every)
        placements = await place(self.ctx, chosen(self.package, self.examples), ownership)
        if Ownership.of(self.package.name, await self.records.all()) != ownership:
            raise Overtaken  # what was found in place may be what another package has just brought
        begun = self._record(INSTALLING, tuple(ownership.mine.values()))
        if not await self.records.put(begun, self.before):
            raise Overtaken
        if self.before is not None and self.before.state == INSTALLED:
            await self.records.settle(self.package.name)  # of a time that is over
        self._explain_moves(placements, ownership)
        try:
            await self._store(placements)
        except Unprocessable:
            await self._take_back(begun)
            raise
        kept = {one.key for one in self.written}
        gone = [one for key, one in ownership.mine.items() if key not in kept]
        self.report.counts.update(await delete(self.ctx, gone, ownership))
        if not await self.records.put(self._record(INSTALLED, self.written), begun):
            raise Overtaken
        await self.records.settle(self.package.name)
        await self._finish_report()
        return self.report

    def _record(self, state: str, resources: Sequence[Owned]) -> Record:
        package = self.package
        needed = tuple(Dependency(name, version) for name, version in package.dependencies.items())
        return Record(
            package.name,
            package.version,
            package.digest,
            package.title,
            package.canonical,
            state,
            self.examples,
            dependencies=needed,
            resources=tuple(resources),
        )

    async def _take_back(self, begun: Record) -> None:
        """As if a strict installation had not begun, unless some of it is written."""
        if self.touched:
            return
        if self.before is None:
            await self.records.forget(begun)
        else:
            await self.records.put(self.before, begun)

    # ---- resources -------------------------------------------------------------------------------

    async def _store(self, placements: Sequence[Placement]) -> None:
        moved = {one.proper: one.key for one in placements if one.key not in ("", one.proper)}
        for batch in batches(placements, self.ctx.settings.max_bundle_entries):
            stored = await self.ctx.repository.read_many(self.ctx.principal, (one.key for one in batch if one.key))
            entries: dict[str, Json] = {}
            for one in batch:
                if entry := self._entry(one, stored.get(one.key), moved):
                    entries[one.key] = entry
            ctx = self.ctx if batch[0].item.role == "example" else by_structure(self.ctx)
            await self._write(ctx, {one.key: one for one in batch}, entries, stored)

    def _entry(self, one: Placement, there: Stored | None, moved: dict[str, str]) -> Json | None:
        """How to store it; None when there is nothing to write."""
        if not one.key:
            self._refuse(one, ("Other resources have its id, and the one that it would get instead.",))
            return None
        if one.shared:
            self._count(one, "shared")
            return None
        if state_of(there) != one.version:
            raise Overtaken
        resource = identify(one.item.resource(), one.key.partition("/")[2])
        if moved:
            relink(resource, moved)
        if there is not None and not there.deleted and content(there.resource()) == content(resource):
            self._count(one, "unchanged")
            return None
        condition = {"ifMatch": f'W/"{one.version}"'} if one.version else {"ifNoneMatch": "*"}
        return {"resource": resource, "request": {"method": "PUT", "url": one.key, **condition}}

    async def _write(
        self, ctx: Context, placed: dict[str, Placement], entries: dict[str, Json], stored: dict[str, Stored]
    ) -> None:
        """Store one transaction's worth; with `strict` all of it or nothing."""
        self._check_strict()
        refused = await store(
            ctx, entries, lambda keys: marker(self.package.name, [placed[key].owned for key in keys]), self.strict
        )
        for key, reasons in refused.items():
            self._refuse(placed[key], reasons)
            if self.before is not None and key in stored and not stored[key].deleted:
                # What an earlier version of the package brought stays, and stays the package's.
                self.written += [owned for owned in self.before.resources if owned.key == key]
        self._check_strict()
        for key in entries:
            if key not in refused:
                self._count(placed[key], "updated" if placed[key].version else "created")
                self.touched = True

    def _count(self, one: Placement, outcome: str) -> None:
        self.report.counts[one.item.type, outcome] += 1
        self.written.append(one.owned)

    def _refuse(self, one: Placement, reasons: tuple[str, ...]) -> None:
        self.report.counts[one.item.type, "refused"] += 1
        self.report.refused.append(Refusal(one.item.path, reasons))

    def _check_strict(self) -> None:
        if self.strict and self.report.refused:
            issues = [Issue("invalid", f"{one.path}: {why}") for one in self.report.refused for why in one.reasons]
            raise Unprocessable(issues=issues)

    # ---- the report ------------------------------------------------------------------------------

    def _begin_report(self) -> None:
        package, before = self.package, self.before
        self.report = report = Report(package.name, package.version, package.title)
        report.before = before.version if before is not None and before.version != package.version else ""
        report.refused = [Refusal(path, (why,)) for path, why in package.problems]
        roles = Counter(one.role for one in package.items)
        report.left_out = Counter({"example": 0 if self.examples else roles["example"], "other": roles["other"]})

    def _explain_moves(self, placements: Sequence[Placement], ownership: Ownership) -> None:
        for one in placements:
            if one.key in ("", one.proper):
                continue
            other = ownership.others.get(one.key if one.shared else one.proper)
            why = f"{other} has the same" if one.shared else f"{other} has that id" if other else "that id is taken"
            self.report.moved.append((one.proper, one.key, why if one.item.id else "it has no id"))

    async def _finish_report(self) -> None:
        every = [*(one for one in self.every if one.name != self.package.name), self._record(INSTALLED, ())]
        self.report.needs = dependencies.needs(self.package.dependencies, every)
        defining = [one for one in self.package.items if one.role == "conformance"]
        self.report.unknown = await dependencies.unknown(self.ctx, defining)
        mine = {one.key for one in self.written}
        coverage = await self.ctx.repository.parameters.coverage()
        self.report.search = Counter(one.state for one in coverage if one.resource in mine)
