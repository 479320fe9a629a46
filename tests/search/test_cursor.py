"""Cursors are opaque, signed and bound to one query."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_server.outcomes import Invalid
from fhir_server.search.cursor import Position, decode, encode
from tests.search.finder import attempt

SECRET = b"0123456789abcdef0123456789abcdef"
VALUES = st.lists(
    st.one_of(st.none(), st.integers(-(2**62), 2**62), st.text(), st.floats(allow_nan=False, allow_infinity=False))
)
POSITIONS = st.builds(Position, VALUES.map(tuple), st.lists(st.text()).map(tuple), st.booleans())


@given(POSITIONS, st.text())
def test_there_and_back(position: Position, binding: str) -> None:
    text = encode(position, binding, SECRET)
    assert text.isascii()
    assert not set(text) & set("=&+/ ")
    assert decode(text, binding, SECRET) == position


@given(POSITIONS, st.integers(0), st.sampled_from("AZaz09-_"))
def test_a_changed_cursor_is_refused(position: Position, where: int, letter: str) -> None:
    text = encode(position, "q", SECRET)
    where %= len(text)
    changed = text[:where] + letter + text[where + 1 :]
    answer = attempt(lambda: decode(changed, "q", SECRET))
    # The last letter may have bits that mean nothing.
    if changed == text or (where == len(text) - 1 and isinstance(answer, Position)):
        assert answer == position
    else:
        assert isinstance(answer, Invalid)


@given(st.one_of(st.text(), st.binary().map(lambda data: data.hex())))
def test_nonsense_is_refused(text: str) -> None:
    with pytest.raises(Invalid, match="_cursor"):
        decode(text, "q", SECRET)


def test_another_query_or_server() -> None:
    text = encode(Position((1,)), "Patient?name=a", SECRET)
    with pytest.raises(Invalid):
        decode(text, "Patient?name=b", SECRET)
    with pytest.raises(Invalid):
        decode(text, "Patient?name=a", b"another secret of another server")
