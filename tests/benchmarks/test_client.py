"""The client reads answers however they arrive."""

import asyncio
from itertools import pairwise
from typing import cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.client import Answer, Connection, dechunk
from benchmarks.target import Target

TARGET = Target("127.0.0.1", 1, "127.0.0.1", "/fhir")


class Wire:
    """The end of a connection that the test writes to."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self.aborted = False

    def write(self, data: bytes) -> None:
        self.sent.append(data)

    def abort(self) -> None:
        self.aborted = True


async def exchange(pieces: list[bytes], ends: bool = False) -> Answer:
    connection, wire = Connection(TARGET), Wire()
    connection.connection_made(cast(asyncio.BaseTransport, wire))
    answer = asyncio.ensure_future(connection.exchange(b"GET"))
    await asyncio.sleep(0)
    assert wire.sent == [b"GET"]
    for piece in pieces:
        connection.data_received(piece)
    if ends:
        connection.connection_lost(None)
    return await answer


def chunked(body: bytes, sizes: list[int]) -> bytes:
    out, start = b"", 0
    for size in [*sizes, len(body)]:
        part = body[start : start + size]
        if part:
            out += b"%x;ext=1\r\n%b\r\n" % (len(part), part)
        start += size
    return out + b"0\r\n\r\n"


@settings(deadline=None)  # how long one takes is the machine's
@given(
    body=st.binary(max_size=300),
    status=st.sampled_from([200, 201, 404]),
    way=st.sampled_from(["length", "chunked", "close"]),
    sizes=st.lists(st.integers(1, 50), max_size=5),
    cuts=st.lists(st.integers(0, 600), max_size=6),
    early=st.booleans(),
)
def test_an_answer_in_any_pieces(
    body: bytes, status: int, way: str, sizes: list[int], cuts: list[int], early: bool
) -> None:
    head = b"HTTP/1.1 %d Fine\r\nLocation: Patient/1\r\n" % status
    whole = b"HTTP/1.1 100 Continue\r\n\r\n" * early + head
    match way:
        case "length":
            whole += b"content-LENGTH: %d\r\n\r\n%b" % (len(body), body)
        case "chunked":
            whole += b"Transfer-Encoding: chunked\r\n\r\n" + chunked(body, sizes)
        case _:
            whole += b"\r\n" + body
    marks = sorted({0, len(whole), *(cut % len(whole) for cut in cuts)})
    pieces = [whole[a:b] for a, b in pairwise(marks)]
    answer = asyncio.run(exchange(pieces, ends=way == "close"))
    assert (answer.status, answer.body, answer.header("location")) == (status, body, "Patient/1")


def test_dechunk_waits_for_the_end() -> None:
    assert dechunk(b"3\r\nabc\r\n0\r\n\r\n", 0) == b"abc"
    assert dechunk(b"5\r\nab\r\n", 0) is None


async def test_no_content_has_no_body() -> None:
    assert (await exchange([b"HTTP/1.1 204 No Content\r\nETag: x\r\n\r\n"])).body == b""


@pytest.mark.parametrize("noise", [b"SSH-2.0\r\n\r\n", b"HTTP/1.1 abc\r\n\r\n", b"x" * 70_000])
async def test_what_is_not_http_breaks_the_connection(noise: bytes) -> None:
    with pytest.raises(ConnectionError, match="not HTTP"):
        await exchange([noise])


async def test_an_end_before_the_answer() -> None:
    with pytest.raises(ConnectionError, match="ended"):
        await exchange([b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc"], ends=True)


async def test_an_old_request_is_given_up() -> None:
    connection = Connection(TARGET)
    connection.connection_made(cast(asyncio.BaseTransport, Wire()))
    answer = asyncio.ensure_future(connection.exchange(b"GET"))
    await asyncio.sleep(0)
    connection.abort_if_older(3600)
    assert not answer.done()
    connection.abort_if_older(-1)
    with pytest.raises(TimeoutError):
        await answer
