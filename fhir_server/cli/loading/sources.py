"""The files to load, and what is in them."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import IO, Any

from fhir_server.json import decode

LINES = (".ndjson", ".jsonl")
SUFFIXES = (".json", *LINES)
# Others refer to these by criteria ("Practitioner?identifier=…"), so they have to be there first.
FIRST = ("hospital", "practitioner", "organization", "location")
_GZIP = b"\x1f\x8b"


@dataclass(frozen=True)
class Source:
    """One file: a Bundle or a resource in JSON, or NDJSON; plain or compressed by gzip."""

    path: Path

    @cached_property
    def size(self) -> int:
        """Bytes on disk."""
        return self.path.stat().st_size

    @property
    def in_lines(self) -> bool:
        return _suffix(self.path) in LINES

    @property
    def comes_first(self) -> bool:
        return self.path.name.lower().startswith(FIRST)

    def fingerprint(self, *options: object) -> str:
        """What tells this file with these options from another, or from itself once it is changed."""
        state = self.path.stat()
        told = (str(self.path.resolve()), state.st_size, state.st_mtime_ns, *options)
        return hashlib.sha256(repr(told).encode()).hexdigest()[:32]

    def document(self) -> Any:
        """The JSON of the whole file. Raises InvalidJson, OSError, EOFError."""
        with self._open() as (content, _):
            return decode(content.read())

    def lines(self) -> Iterator[tuple[int, bytes, int]]:
        """Each line that is not blank: its number from 0, its bytes, and how far on disk the file is read."""
        with self._open() as (content, raw):
            for number, line in enumerate(content):
                if not line.isspace():
                    yield number, line, raw.tell()

    @contextmanager
    def _open(self) -> Iterator[tuple[IO[bytes], IO[bytes]]]:
        with open(self.path, "rb") as raw:
            compressed = raw.read(2) == _GZIP
            raw.seek(0)
            if compressed:
                with gzip.GzipFile(fileobj=raw) as content:
                    yield content, raw  # type: ignore[misc]
            else:
                yield raw, raw


def find_sources(paths: Iterable[Path]) -> list[Source]:
    """The files named, and all files with a known ending below the directories named, each once.

    Raises FileNotFoundError.
    """
    found: dict[Path, Source] = {}
    for path in paths:
        inside = sorted(p for p in path.rglob("*") if p.is_file() and _suffix(p) in SUFFIXES) if path.is_dir() else None
        if inside is None and not path.is_file():
            raise FileNotFoundError(path)
        for each in [path] if inside is None else inside:
            found.setdefault(each.resolve(), Source(each))
    return list(found.values())


def _suffix(path: Path) -> str:
    name = path.with_suffix("") if path.suffix.lower() == ".gz" else path
    return name.suffix.lower()
