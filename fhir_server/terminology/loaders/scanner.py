"""JSON read piece by piece from a stream: what is large is walked through, what is small comes as its text."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import IO

MAX_VALUE = 16 * 1024 * 1024  # bytes of one value that is kept
_PIECE = 256 * 1024
_SPACE = re.compile(rb"[ \t\r\n]*")
_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)
_SCALAR = re.compile(rb"[^\s,\]}\[{:\"]+")
# Within an object or list only brackets outside strings count; the string that is cut off at the end waits for more.
_MARK = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"|[{}\[\]]|"', re.DOTALL)


class Malformed(ValueError):
    """The text is no JSON; the message says why, without its content."""


class Scanner:
    """A position in a JSON text. `line` counts from 1."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._text = b""
        self._at = 0
        self.line = 1
        if self._fill() and self._text.startswith(b"\xef\xbb\xbf"):
            self._at = 3

    def peek(self) -> bytes:
        """The next character that is no white space; b"" at the end."""
        while True:
            match = _SPACE.match(self._text, self._at)
            assert match is not None
            self._take(match.end())
            if self._at < len(self._text):
                return self._text[self._at : self._at + 1]
            if not self._fill():
                return b""

    def members(self) -> Iterator[bytes]:
        """The name of each member of the object that begins here, in quotes; read its value before the next."""
        self._expect(b"{")
        if self.peek() == b"}":
            self._take(self._at + 1)
            return
        while True:
            if self._due() != b'"':
                raise Malformed("an object has a member without a name")
            name = self._string()
            self._expect(b":")
            yield name
            if self._next(b"}"):
                return

    def elements(self) -> Iterator[None]:
        """Once for each element of the list that begins here; read it before the next."""
        self._expect(b"[")
        if self.peek() == b"]":
            self._take(self._at + 1)
            return
        while True:
            yield None
            if self._next(b"]"):
                return

    def value(self) -> bytes:
        """The text of the value that begins here."""
        kind = self.peek()
        if kind == b'"':
            return self._string()
        if kind in (b"{", b"["):
            return b"".join(self._compound(keep=True))
        return self._scalar()

    def skip(self) -> None:
        """Pass over the value that begins here, however large."""
        if self.peek() in (b"{", b"["):
            for _ in self._compound(keep=False):
                pass
        else:
            self.value()

    # ---- pieces --------------------------------------------------------------------------------------

    def _string(self) -> bytes:
        while (match := _STRING.match(self._text, self._at)) is None:
            self._more()
        self._take(match.end())
        return match[0]

    def _scalar(self) -> bytes:
        while (match := _SCALAR.match(self._text, self._at)) is not None and match.end() == len(self._text):
            if not self._fill():
                break
        if match is None:
            raise Malformed("a value is missing")
        self._take(match.end())
        return match[0]

    def _compound(self, *, keep: bool) -> Iterator[bytes]:
        depth, size, at = 0, 0, self._at
        while True:
            match = _MARK.search(self._text, at)
            if match is None or match[0] == b'"':  # nothing more here, or a string that goes on
                end = len(self._text) if match is None else match.start()
                size += end - self._at
                yield self._text[self._at : end]
                self._take(end)
                self._more()
                at = self._at
                continue
            at = match.end()
            if match[0] in (b"{", b"["):
                depth += 1
            elif match[0] in (b"}", b"]"):
                depth -= 1
            if keep and size + at - self._at > MAX_VALUE:
                raise Malformed(f"a value is longer than {MAX_VALUE} bytes")
            if depth == 0:
                yield self._text[self._at : at]
                self._take(at)
                return

    def _due(self) -> bytes:
        if not (found := self.peek()):
            raise Malformed("the file ends in the middle")
        return found

    def _expect(self, character: bytes) -> None:
        if self._due() != character:
            raise Malformed(f"there is no {character.decode()} where one is due")
        self._take(self._at + 1)

    def _next(self, end: bytes) -> bool:
        """Past a comma or the end: whether it was the end."""
        found = self._due()
        if found not in (b",", end):
            raise Malformed(f"there is neither a comma nor {end.decode()} where one is due")
        self._take(self._at + 1)
        return found == end

    def _take(self, end: int) -> None:
        self.line += self._text.count(b"\n", self._at, end)
        self._at = end

    def _more(self) -> None:
        if len(self._text) - self._at > MAX_VALUE:
            raise Malformed(f"a value is longer than {MAX_VALUE} bytes")
        if not self._fill():
            raise Malformed("the file ends in the middle")

    def _fill(self) -> bool:
        piece = self._stream.read(max(_PIECE, len(self._text) - self._at))
        self._text = self._text[self._at :] + piece
        self._at = 0
        return bool(piece)
