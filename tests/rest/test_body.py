"""Bodies: packed ones within their limit, and any bytes decoded or refused."""

from __future__ import annotations

import gzip

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_server.outcomes import FhirError, TooLarge
from fhir_server.rest.body import decode_binary, decode_body, gunzip


@given(st.binary(max_size=2000))
def test_gzip_comes_back(data: bytes) -> None:
    assert gunzip(gzip.compress(data), 2000) == data


@given(st.binary(max_size=300))
def test_any_bytes_are_unpacked_or_refused(data: bytes) -> None:
    try:
        assert len(gunzip(data, 1000)) <= 1000
    except FhirError as error:
        assert error.status in (400, 413)


@pytest.mark.parametrize("cut", [1, 8, 20])
def test_half_a_gzip_is_refused(cut: int) -> None:
    with pytest.raises(FhirError):
        gunzip(gzip.compress(b"x" * 100)[:-cut], 1000)


def test_a_gzip_may_not_grow_beyond_the_limit() -> None:
    with pytest.raises(TooLarge):
        gunzip(gzip.compress(b"x" * 1001), 1000)


@given(st.binary(max_size=200), st.sampled_from(["application/fhir+json", "application/json", "text/xml", ""]))
def test_any_bytes_are_an_object_or_refused(data: bytes, media: str) -> None:
    try:
        assert isinstance(decode_body(data, media, "POST"), dict)
    except FhirError as error:
        assert error.status in (400, 415)


@given(st.binary(max_size=200))
def test_content_of_a_binary_stays_as_it_is(data: bytes) -> None:
    assert decode_binary(data, "application/json") in (data, {"resourceType": "Binary"})
