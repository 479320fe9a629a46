"""The figures of several populations side by side, as Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

import msgspec

from benchmarks import report
from benchmarks.asking import Asked, Page
from benchmarks.load import Measurement

EXCESS = 20  # keys examined for each match, above which a shape is told of,
FEW = 500  # unless they are only a few


class Run(msgspec.Struct):
    """What was found out about one population."""

    patients: int
    resources: int
    shapes: list[Asked]
    mixes: list[Measurement]
    pages: list[Page]
    remarks: list[str]


def text(runs: Sequence[Run]) -> str:
    """The tables of shapes, of mixes and of pages, and what a reader must know besides."""
    parts = [_shapes(runs)]
    for run in runs:
        if run.mixes:
            parts.append(
                f"The mix, {run.patients:,} patients, {run.resources:,} resources:\n\n{report.table(run.mixes)}"
            )
    if any(run.pages for run in runs):
        parts.append(_pages(runs))
    return "\n\n".join([*parts, "\n".join(_remarks(runs)) or "Every answer was right."])


def _shapes(runs: Sequence[Run]) -> str:
    head = ["search"]
    for run in runs:
        head += [f"{run.patients:,}: median ms", "p99 ms", "cpu ms", "keys", "returned"]
    if len(runs) > 1:
        head.append("ratio")
    rows = [[name, *_cells(name, runs)] for name in dict.fromkeys(one.name for run in runs for one in run.shapes)]
    rows.append(["median of the shapes", *_medians(runs)])
    return _table([head, *rows])


def _cells(name: str, runs: Sequence[Run]) -> list[str]:
    found = [next((one for one in run.shapes if one.name == name), None) for run in runs]
    cells = [cell for one in found for cell in _figures(one)]
    if len(runs) > 1:
        first, last = found[0], found[-1]
        cells.append(_ratio(first.p50, last.p50) if first and last else "")
    return cells


def _figures(one: Asked | None) -> list[str]:
    if one is None:
        return [""] * 5
    examined = one.examined
    work = [f"{examined.keys:,.0f}", f"{examined.returned:,.1f}"] if examined else ["", ""]
    return [f"{one.p50:.2f}", f"{one.p99:.2f}", f"{one.cpu:.2f}", *work]


def _medians(runs: Sequence[Run]) -> list[str]:
    middles = [median([one.p50 for one in run.shapes] or [0.0]) for run in runs]
    cells = [cell for middle in middles for cell in (f"{middle:.2f}", "", "", "", "")]
    return [*cells, _ratio(middles[0], middles[-1])] if len(runs) > 1 else cells


def _pages(runs: Sequence[Run]) -> str:
    rows = [["patients", "walk", "first pages ms", "last page", "last pages ms", "ratio"]]
    for run in runs:
        for page in run.pages:
            ends = (f"{page.first_ms:.2f}", str(page.last), f"{page.last_ms:.2f}")
            rows.append([f"{run.patients:,}", page.search, *ends, _ratio(page.first_ms, page.last_ms)])
    return _table(rows)


def _ratio(before: float, after: float) -> str:
    return f"{after / before:.2f}" if before else ""


def _remarks(runs: Sequence[Run]) -> list[str]:
    found = []
    for run in runs:
        found += [f"{run.patients:,} patients, {remark}" for remark in run.remarks + report.remarks(run.mixes)]
        for one in run.shapes:
            trouble = [f"WRONG {count} × {reason}" for reason, count in one.wrong.items()]
            trouble += [f"failed {count} × {status}" for status, count in one.failed.items()]
            work = one.examined
            if work and work.keys > max(FEW, EXCESS * max(work.returned, 1)):
                cost = f"{work.keys:,.0f} keys, {work.documents:,.0f} documents"
                trouble.append(f"{cost} examined for {work.returned:,.1f} matches")
            found += [f"{run.patients:,} patients, {one.name}: {each}" for each in trouble]
    return found


def _table(rows: Sequence[Sequence[str]]) -> str:
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = [
        "| "
        + " | ".join(c.rjust(w) if i else c.ljust(w) for i, (c, w) in enumerate(zip(row, widths, strict=True)))
        + " |"
        for row in rows
    ]
    lines.insert(1, "|" + "|".join("-" * (w + 1) + (":" if i else "-") for i, w in enumerate(widths)) + "|")
    return "\n".join(lines)
