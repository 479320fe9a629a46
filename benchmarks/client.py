"""A small HTTP/1.1 client for one server: keep-alive, one request at a time, a few microseconds each.

https://www.rfc-editor.org/rfc/rfc9112
"""

from __future__ import annotations

import asyncio
import re
from time import perf_counter
from typing import Any

import msgspec

from benchmarks.target import Target

_length = re.compile(rb"\r\ncontent-length:[ \t]*(\d+)", re.IGNORECASE)
_chunked = re.compile(rb"\r\ntransfer-encoding:[^\r]*chunked", re.IGNORECASE)
_close = re.compile(rb"\r\nconnection:[ \t]*close", re.IGNORECASE)
HEAD_LIMIT = 64 * 1024


class Answer:
    """One response: its status, the bytes of its head and its content."""

    __slots__ = ("body", "head", "status")

    def __init__(self, status: int, head: bytes, body: bytes) -> None:
        self.status, self.head, self.body = status, head, body

    def header(self, name: str) -> str | None:
        """The first value of a header, or None."""
        found = re.search(rb"\r\n%b:[ \t]*([^\r]*)" % re.escape(name.encode()), self.head, re.IGNORECASE)
        return found[1].decode("latin-1").strip() if found else None

    def json(self) -> Any:
        """The decoded content; msgspec.DecodeError when it is not JSON."""
        return msgspec.json.decode(self.body)


class Connection(asyncio.Protocol):
    """One keep-alive connection; `exchange` opens it again when the server has closed it."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self.started = 0.0  # perf_counter() of the request under way
        self._transport: asyncio.Transport | None = None
        self._answer: asyncio.Future[Answer] | None = None
        self._received = bytearray()
        self._start = 0  # where the body starts, 0 before the head is complete
        self._length = -1  # of the body; -1 chunked, -2 up to the end of the connection
        self._status = 0

    async def exchange(self, request: bytes) -> Answer:
        """The answer to one request; ConnectionError when the connection ends first, TimeoutError from abort()."""
        if self._transport is None:
            await asyncio.get_running_loop().create_connection(lambda: self, self.target.address, self.target.port)
        self._answer = asyncio.get_running_loop().create_future()
        self.started = perf_counter()
        assert self._transport is not None
        self._transport.write(request)
        try:
            return await self._answer
        finally:
            self._answer = None

    def abort_if_older(self, seconds: float) -> None:
        """Fail the request under way with TimeoutError when it started more than `seconds` ago."""
        if self._answer and not self._answer.done() and perf_counter() - self.started > seconds:
            self._fail(TimeoutError(f"no answer within {seconds:g} s"))

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()
            self._transport = None

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]
        self._reset()

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        if self._start and self._length == -2:
            self._complete(bytes(self._received[self._start :]))
        elif self._answer and not self._answer.done():
            self._answer.set_exception(ConnectionError("the connection ended before the answer"))

    def data_received(self, data: bytes) -> None:
        self._received += data
        try:
            if not self._start and not self._read_head():
                return
            body = self._read_body()
        except ValueError:
            self._fail(ConnectionError("the answer is not HTTP"))
            return
        if body is not None:
            self._complete(body)

    def _read_head(self) -> bool:
        end = self._received.find(b"\r\n\r\n")
        if end < 0:
            if len(self._received) > HEAD_LIMIT:
                raise ValueError
            return False
        if not self._received.startswith(b"HTTP/1."):
            raise ValueError
        self._status = int(self._received[9:12])
        if self._status < 200:  # 100 Continue and its like announce the real answer
            del self._received[: end + 4]
            return self._read_head() if self._received else False
        self._start = end + 4
        length = _length.search(self._received, 0, end)
        if length:
            self._length = int(length[1])
        elif self._status in (204, 304):
            self._length = 0
        else:
            self._length = -1 if _chunked.search(self._received, 0, end) else -2
        return True

    def _read_body(self) -> bytes | None:
        if self._length >= 0:
            end = self._start + self._length
            return bytes(self._received[self._start : end]) if len(self._received) >= end else None
        if self._length == -1 and self._received.endswith(b"\r\n\r\n"):
            return dechunk(self._received, self._start)
        return None

    def _complete(self, body: bytes) -> None:
        head = bytes(self._received[: self._start - 2])
        answer, self._answer = self._answer, None
        self._reset()
        if _close.search(head):
            self.close()
        if answer and not answer.done():
            answer.set_result(Answer(self._status, head, body))

    def _fail(self, error: Exception) -> None:
        if self._answer and not self._answer.done():
            self._answer.set_exception(error)
        self.close()

    def _reset(self) -> None:
        self._received.clear()
        self._start, self._length = 0, -1


def dechunk(data: bytes | bytearray, start: int) -> bytes | None:
    """The content of a chunked body that starts at `start`, or None while its end is missing."""
    parts: list[bytes] = []
    while True:
        line = data.find(b"\r\n", start)
        if line < 0:
            return None
        size = int(bytes(data[start:line]).split(b";")[0], 16)
        if size == 0:
            return b"".join(parts)
        start = line + 2 + size + 2
        if len(data) < start:
            return None
        parts.append(bytes(data[line + 2 : line + 2 + size]))
