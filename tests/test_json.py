"""JSON as the specification wants it: digits kept, duplicates and monsters refused."""

from __future__ import annotations

import json as stdlib
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_server import json

texts = st.text(alphabet=st.characters(codec="utf-8"), max_size=8) | st.sampled_from(['"', "\\", ":", '\\"', '":"'])
values = st.recursive(
    st.none() | st.booleans() | st.integers() | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=20,
)


@given(values, st.booleans())
def test_whatever_is_well_formed_and_has_no_duplicates_is_read(value: Any, ascii_only: bool) -> None:
    assert json.decode(stdlib.dumps(value, ensure_ascii=ascii_only)) == value


@given(texts, values, values)
def test_a_duplicate_key_is_refused_wherever_it_stands(key: str, one: Any, other: Any) -> None:
    name = stdlib.dumps(key)
    doubled = f"{{{name}: {stdlib.dumps(one)}, {name}: {stdlib.dumps(other)}}}"
    with pytest.raises(json.InvalidJson, match="duplicate"):
        json.decode(f'{{"outer": [{doubled}]}}')


@pytest.mark.parametrize("digits", ["1.00", "0.000001", "-0.0", "123456789.123456789123456789", "100", "1E+5"])
def test_decimals_keep_their_digits(digits: str) -> None:
    assert json.encode(json.decode(f'{{"value":{digits}}}')) == f'{{"value":{digits}}}'.encode()
    assert isinstance(json.decode("1.0"), Decimal)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{",
        b'{"a":1,}',
        b'{"a":01}',
        b'{"a":1.}',
        b'{"a":.5}',
        b'{"a":+1}',
        b'{"a":NaN}',
        b'{"a":Infinity}',
        b"{'a':1}",
        b'{"a":"\xff"}',
        b'{"a":"\\ud800"}',
        b'{"a":1}{"b":2}',
        b"[" * 200 + b"]" * 200,
        b"[" * 100_000,
        b'{"a":' * 101 + b"1" + b"}" * 101,
    ],
)
def test_what_is_no_json_is_refused(text: bytes) -> None:
    with pytest.raises(json.InvalidJson):
        json.decode(text)
