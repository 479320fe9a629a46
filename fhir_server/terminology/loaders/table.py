"""Tables with a header line: comma-separated with quotes (LOINC), or tab-separated without (RF2)."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Sequence

from fhir_server.terminology.loaders.files import BadRelease, File

Cells = list[str]
Read = Callable[[Cells], tuple[str, ...]]


def comma_separated(
    file: File, needed: Sequence[str], more: Sequence[str] = ()
) -> Iterator[tuple[int, tuple[str, ...]]]:
    """(line, the cells of the columns `needed` and then of those in `more`, which may be absent: "").

    Column names count whatever their case. Raises BadRelease with the line.
    """
    at = 0

    def lines() -> Iterator[str]:
        nonlocal at
        for number, line in file.lines():
            at = number
            yield line

    rows = csv.reader(lines(), strict=True)
    try:
        header = next(rows, [])
        read = _columns(file, header, needed, more)
        for row in rows:
            if row:
                if len(row) != len(header):
                    raise _wrong(file, at, len(header), len(row))
                yield at, read(row)
    except csv.Error as error:
        raise BadRelease(f"{file.name}, line {at}: {error}.") from None


def tab_separated(file: File, needed: Sequence[str]) -> Iterator[tuple[int, tuple[str, ...]]]:
    """(line, the cells of the columns `needed`). Raises BadRelease with the line."""
    lines = file.lines()
    header = next(lines, (1, ""))[1].rstrip("\r\n").split("\t")
    read, width = _columns(file, header, needed, ()), len(header)
    for number, line in lines:
        row = line.rstrip("\r\n").split("\t")
        if len(row) != width:
            if row == [""]:
                continue
            raise _wrong(file, number, width, len(row))
        yield number, read(row)


def _columns(file: File, header: Cells, needed: Sequence[str], more: Sequence[str]) -> Read:
    places = {name.strip().lower(): index for index, name in enumerate(header)}
    missing = [name for name in needed if name.lower() not in places]
    if missing:
        raise BadRelease(f"{file.name}, line 1: there is no column {', '.join(missing)}.")
    wanted = [places[name.lower()] for name in needed]
    if not more:
        return lambda row: tuple([row[place] for place in wanted])
    wanted += [places.get(name.lower(), -1) for name in more]
    return lambda row: tuple([row[place] if place >= 0 else "" for place in wanted])


def _wrong(file: File, line: int, width: int, found: int) -> BadRelease:
    return BadRelease(f"{file.name}, line {line}: {found} columns where the header has {width}.")
