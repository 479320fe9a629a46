"""What a load tells of itself while it runs, and in the end."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.table import Table

OUTCOMES = ("created", "updated", "already there", "deleted", "refused")


@dataclass(frozen=True, slots=True)
class Stored:
    """Entries that the server took, or refused: how many by type and outcome."""

    counts: Counter[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Earlier:
    """Entries of a file that an interrupted load had dealt with."""

    stored: int
    refused: int


@dataclass(frozen=True, slots=True)
class Refused:
    """An entry, or a whole file, that was not stored, and why: one sentence per issue."""

    path: Path
    label: str
    issues: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Advanced:
    """So many more bytes of a file are dealt with."""

    size: int


@dataclass(frozen=True, slots=True)
class Finished:
    """A file is done with: completely, or not because of `failure`."""

    path: Path
    failure: str = ""


Event = Stored | Earlier | Refused | Advanced | Finished


@dataclass(slots=True)
class Tally:
    """What came of a load."""

    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    earlier: int = 0
    refused: int = 0  # entries and whole files
    failures: list[str] = field(default_factory=list)
    interrupted: bool = False

    @property
    def complete(self) -> bool:
        """Whether every file was dealt with to its end."""
        return not self.failures and not self.interrupted

    def add(self, event: Event) -> None:
        match event:
            case Stored(counts):
                self.counts.update(counts)
            case Earlier(stored, refused):
                self.earlier += stored
                self.refused += refused
            case Refused():
                self.refused += 1
            case Finished(path, failure) if failure:
                self.failures.append(f"{path}: {failure}")

    @property
    def entries(self) -> int:
        return self.counts.total()


class Display:
    """A progress bar on a terminal, a line now and then elsewhere; refused entries as they come. On standard error."""

    def __init__(self, files: int, size: int) -> None:
        self._console = Console(stderr=True, highlight=False, soft_wrap=True)
        self._files, self._size = files, max(size, 1)
        self._done = self._finished = self._told = 0
        columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
        self._bar = Progress(*columns, console=self._console, disable=not self._console.is_terminal)
        self._task = self._bar.add_task("Loading", total=self._size)

    def __enter__(self) -> Display:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def show(self, event: Event, tally: Tally) -> None:
        match event:
            case Advanced(size):
                self._done += size
            case Finished(path, failure):
                self._finished += 1
                if failure:
                    self._console.print(f"[bold red]failed[/] {escape(f'{path}: {failure}')}")
            case Refused(path, label, issues):
                for issue in issues:
                    self._console.print(f"[red]refused[/] {escape(f'{path}, {label}: {issue}')}")
        text = f"{self._finished} of {self._files} files, {tally.entries:,} entries"
        self._bar.update(self._task, completed=self._done, description=text)
        tenth = 10 * self._done // self._size
        if not self._console.is_terminal and tenth > self._told:
            self._told = tenth
            self._console.print(f"{min(10 * tenth, 100)} %: {text}")


def summarize(tally: Tally, seconds: float) -> None:
    """The table by type, and a last line, on standard output."""
    console = Console(highlight=False, soft_wrap=True)
    totals = Counter[str]()
    for (_, outcome), count in tally.counts.items():
        totals[outcome] += count
    shown = [outcome for outcome in OUTCOMES if outcome != "deleted" or totals[outcome]]
    table = Table("Type", *shown, show_footer=True)
    for column, text in zip(table.columns, ["all", *(f"{totals[outcome]:,}" for outcome in shown)], strict=True):
        column.footer = text
        column.justify = "left" if text == "all" else "right"
    for type_ in sorted({type_ for type_, _ in tally.counts}):
        table.add_row(escape(type_), *(f"{tally.counts[type_, outcome]:,}" for outcome in shown))
    if tally.counts:
        console.print(table)
    if tally.earlier:
        console.print(f"{tally.earlier:,} entries were loaded before the interruption.")
    rate = f" ({tally.entries / seconds:,.0f} entries/s)" if seconds > 1 else ""
    console.print(f"{tally.entries:,} entries in {seconds:.1f} s{rate}; refused: {tally.refused:,}.")
    if not tally.complete:
        why = "was interrupted" if tally.interrupted else f"could not finish {len(tally.failures)} files"
        console.print(f"The load {why}. The same command again goes on where it stopped.")
