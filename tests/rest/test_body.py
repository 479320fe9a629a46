"""Bodies: packed ones within their limit, and any bytes decoded or refused."""

from __future__ import annotations

import gzip
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_server.outcomes import Malformed, TooLarge, UnsupportedMedia
from fhir_server.rest.body import decode_binary, decode_body, gunzip


@given(st.binary(max_size=2000))
def test_gzip_comes_back(data: bytes) -> None:
    assert gunzip(gzip.compress(data), 2000) == data


@given(st.binary(max_size=300))
def test_any_bytes_are_unpacked_or_refused(data: bytes) -> None:
    with suppress(Malformed, TooLarge):
        assert len(gunzip(data, 1000)) <= 1000


@pytest.mark.parametrize("cut", [1, 8, 20])
def test_half_a_gzip_is_refused(cut: int) -> None:
    with pytest.raises(Malformed):
        gunzip(gzip.compress(b"x" * 100)[:-cut], 1000)


def test_a_gzip_may_not_grow_beyond_the_limit() -> None:
    with pytest.raises(TooLarge):
        gunzip(gzip.compress(b"x" * 1001), 1000)


@given(st.binary(max_size=200), st.sampled_from(["application/fhir+json", "application/json", "text/xml", ""]))
def test_any_bytes_are_an_object_or_refused(data: bytes, media: str) -> None:
    with suppress(Malformed, UnsupportedMedia):
        assert isinstance(decode_body(data, media, "POST"), dict)


@given(st.binary(max_size=200))
def test_content_of_a_binary_stays_as_it_is(data: bytes) -> None:
    assert decode_binary(data, "application/json") in (data, {"resourceType": "Binary"})
