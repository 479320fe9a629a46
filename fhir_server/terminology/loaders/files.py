"""The files of a release, in a zip, in a folder, or alone: found by name, read as a stream, never unpacked.

What a zip calls a file is compared and shown, never used as a path; links in a folder are not followed.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import re
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, cast

MAX_LINE = 4 * 1024 * 1024  # bytes
MAX_EXPANSION = 200  # times its size on disk that a file may have, beyond the first megabytes
_FREE = 64 * 1024 * 1024
_GZIP = b"\x1f\x8b"
_BUFFER = 1024 * 1024


class BadRelease(ValueError):
    """A release cannot be loaded; the message says why, with the file and the line where there is one."""


class Meter:
    """How far a file is read, in bytes of its `size`."""

    def __init__(self) -> None:
        self.tell: Callable[[], int] = lambda: 0


@dataclass(frozen=True, slots=True)
class File:
    """One file: its path within the release (for people and for matching) and its size in bytes, unpacked if known."""

    name: str
    size: int
    path: Path
    within: str = ""  # the entry of the zip at `path`
    meter: Meter = field(default_factory=Meter, compare=False)

    @property
    def base(self) -> str:
        """The name without folders."""
        return self.name.rpartition("/")[2]

    @contextmanager
    def open(self) -> Iterator[IO[bytes]]:
        """The content as a stream; raises BadRelease, also in the block, when it cannot be read."""
        try:
            with open(self.path, "rb") as raw:
                if self.within:
                    with zipfile.ZipFile(raw) as archive, archive.open(self.within) as content:
                        self.meter.tell = content.tell
                        yield io.BufferedReader(cast(io.RawIOBase, content), _BUFFER)
                    return
                compressed = raw.read(2) == _GZIP
                raw.seek(0)
                self.meter.tell = raw.tell
                if compressed:
                    with gzip.GzipFile(fileobj=raw) as unpacked:
                        limited = _Limited(unpacked, self._most(), self.name)
                        yield io.BufferedReader(limited, _BUFFER)
                else:
                    yield raw
        except (zipfile.BadZipFile, gzip.BadGzipFile, zlib.error, EOFError) as error:
            raise BadRelease(f"{self.name} is damaged: it cannot be unpacked ({type(error).__name__}).") from None
        except (RuntimeError, NotImplementedError):
            raise BadRelease(f"{self.name} is encrypted or packed in a way that is not supported.") from None
        finally:
            self.meter.tell = lambda: self.size

    def lines(self) -> Iterator[tuple[int, str]]:
        """Each line with its number from 1, without its end. Raises BadRelease for one that is no UTF-8 or too long."""
        with self.open() as content:
            number = 0
            while line := content.readline(MAX_LINE):
                number += 1
                if len(line) == MAX_LINE:
                    raise BadRelease(f"{self.name}, line {number}: longer than {MAX_LINE} bytes.")
                try:
                    yield number, line.decode("utf-8-sig" if number == 1 else "utf-8")
                except UnicodeDecodeError:
                    raise BadRelease(f"{self.name}, line {number}: not UTF-8.") from None

    def _most(self) -> int:
        return _FREE + MAX_EXPANSION * self.path.stat().st_size


class _Limited(io.RawIOBase):
    """A stream that ends in BadRelease beyond so many bytes."""

    def __init__(self, content: IO[bytes] | gzip.GzipFile, most: int, name: str) -> None:
        self._content, self._left, self._name = content, most, name

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: object) -> int:
        view = memoryview(cast(bytearray, buffer)).cast("B")
        data = self._content.read(len(view))
        self._left -= len(data)
        if self._left < 0:
            raise BadRelease(f"{self._name} unpacks to more than {MAX_EXPANSION} times its size.")
        view[: len(data)] = data
        return len(data)


class Files:
    """The files at `path`. Raises BadRelease and OSError."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.alone = not path.is_dir() and not zipfile.is_zipfile(path)
        self._marks: dict[str, object] = {}
        if self.alone:
            state = path.stat()
            self.all = [File(path.name, state.st_size, path)]
            self._marks[path.name] = state.st_mtime_ns
        elif path.is_dir():
            self.all = list(self._in_folder())
        else:
            self.all = list(self._in_zip())

    def find(self, pattern: str) -> list[File]:
        """The files whose name, without folders, fits the pattern, whatever the case; in order of their paths."""
        wanted = re.compile(pattern, re.IGNORECASE)
        return sorted((one for one in self.all if wanted.fullmatch(one.base)), key=lambda one: one.name)

    def first(self, pattern: str, folder: str = "") -> File | None:
        """The one file of this name, that in `folder` when there are several."""
        found = self.find(pattern)
        preferred = [one for one in found if folder.lower() in one.name.lower()]
        return next(iter(preferred or found), None)

    def fingerprint(self) -> str:
        """What tells these files from others, and from themselves once they are changed."""
        told = sorted((one.name, one.size, self._marks[one.name]) for one in self.all)
        return hashlib.sha256(repr(told).encode()).hexdigest()[:32]

    def _in_folder(self) -> Iterator[File]:
        for folder, _, names in os.walk(self.path, followlinks=False):
            for name in names:
                path = Path(folder, name)
                if path.is_symlink() or not path.is_file():
                    continue
                state = path.stat()
                inside = path.relative_to(self.path).as_posix()
                self._marks[inside] = state.st_mtime_ns
                yield File(inside, state.st_size, path)

    def _in_zip(self) -> Iterator[File]:
        try:
            with zipfile.ZipFile(self.path) as archive:
                entries = [one for one in archive.infolist() if not one.is_dir()]
        except (zipfile.BadZipFile, OSError, NotImplementedError):
            raise BadRelease(f"{self.path} is a damaged zip file.") from None
        if sum(one.file_size for one in entries) > _FREE + MAX_EXPANSION * self.path.stat().st_size:
            raise BadRelease(f"{self.path} unpacks to more than {MAX_EXPANSION} times its size.")
        for entry in entries:
            if entry.filename in self._marks:
                raise BadRelease(f"{self.path} has two files of one name.")
            self._marks[entry.filename] = entry.CRC
            yield File(entry.filename, entry.file_size, self.path, entry.filename)
