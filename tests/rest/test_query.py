"""Query strings: whatever arrives is read or refused, and what was written is what is read."""

from __future__ import annotations

from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_server.outcomes import Invalid
from fhir_server.rest.query import MAX_PAIRS, parse_pairs

text = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))
# A time with a space for its zone is mended; that is the one value that does not come back as it was.
plain = text.filter(lambda value: "T" not in value)


@given(st.lists(st.tuples(text.filter(lambda name: name not in ("", "_")), plain), max_size=20))
def test_what_was_encoded_is_what_is_read(pairs: list[tuple[str, str]]) -> None:
    assert parse_pairs(urlencode(pairs).encode()) == pairs


@given(st.binary())
def test_any_bytes_are_read_or_refused(query: bytes) -> None:
    try:
        pairs = parse_pairs(query)
    except Invalid:
        return
    assert all("\0" not in name + value for name, value in pairs)


def test_as_many_parameters_as_allowed() -> None:
    assert len(parse_pairs(b"&".join([b"a=b"] * MAX_PAIRS))) == MAX_PAIRS
    with pytest.raises(Invalid):
        parse_pairs(b"&".join([b"a=b"] * (MAX_PAIRS + 1)))
