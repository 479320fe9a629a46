"""What is sealed opens to the same text, in its own place, under its own key, and nowhere else."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from fhir_server.encryption.seal import NONCE, seal, unseal
from fhir_server.encryption.sealing import Sealer
from fhir_server.encryption.words import without_words

CIPHER, OTHER = AESGCM(b"k" * 32), AESGCM(b"o" * 32)
TEXT = st.text(max_size=300)
PLACE = st.from_regex(r"[A-Z][a-z]{2,10}/[A-Za-z0-9.-]{1,20}/[1-9][0-9]{0,3}", fullmatch=True)


@given(TEXT, PLACE)
def test_what_is_sealed_opens_to_the_same_text(text: str, place: str) -> None:
    sealed = seal(CIPHER, place, text)
    assert unseal(CIPHER, place, sealed) == text
    assert seal(CIPHER, place, text) != sealed
    assert len(sealed) == NONCE + len(text.encode()) + 16


@given(TEXT, PLACE, st.integers(0, 10**6), st.integers(1, 255))
def test_what_is_altered_never_opens(text: str, place: str, at: int, by: int) -> None:
    sealed = bytearray(seal(CIPHER, place, text))
    sealed[at % len(sealed)] ^= by
    with pytest.raises(ValueError, match="altered"):
        unseal(CIPHER, place, bytes(sealed))


@given(TEXT, PLACE, PLACE)
def test_what_is_moved_never_opens(text: str, place: str, other: str) -> None:
    sealed = seal(CIPHER, place, text)
    for wrong in {other, f"{place}0", place.replace("/", "/x", 1)} - {place}:
        with pytest.raises(ValueError, match="altered"):
            unseal(CIPHER, wrong, sealed)


@given(TEXT, PLACE, st.integers(0, 40))
def test_another_key_and_a_part_never_open(text: str, place: str, length: int) -> None:
    sealed = seal(CIPHER, place, text)
    with pytest.raises(ValueError, match="altered"):
        unseal(OTHER, place, sealed)
    with pytest.raises(ValueError):  # noqa: PT011 - shorter than a nonce, the library itself says so
        unseal(CIPHER, place, sealed[: min(length, len(sealed) - 1)])


@given(st.binary(min_size=32, max_size=32), st.text(max_size=30), st.text(max_size=30))
def test_a_wrapped_key_opens_under_its_own_name_only(key: bytes, name: str, other: str) -> None:
    master = Sealer([b"m" * 32])
    wrapped = master.seal(key, name.encode())
    assert master.open(wrapped, name.encode()) == key
    if name != other:
        with pytest.raises(ValueError, match="altered"):
            master.open(wrapped, other.encode())


def test_without_words_nothing_is_left_that_people_wrote() -> None:
    said = {
        "resourceType": "Communication",
        "id": "1",
        "meta": {"lastUpdated": "2026-01-01T00:00:00Z"},
        "text": {"status": "generated", "div": "<div>secret</div>"},
        "status": "completed",
        "extension": [{"url": "http://x/flag", "valueString": "secret"}, {"url": "http://x/y", "valueCode": "PH"}],
        "category": [{"coding": [{"system": "http://x", "code": "chat", "display": "secret"}], "text": "secret"}],
        "sender": {"reference": "Practitioner/1", "display": "secret"},
        "payload": [
            {"contentString": "secret"},
            {"contentAttachment": {"contentType": "text/plain", "data": "secret", "url": "secret", "title": "secret"}},
            {"contentReference": {"reference": "DocumentReference/1"}},
        ],
        "note": [{"text": "secret"}],
    }
    left = without_words(said)
    assert "secret" not in str(left)
    assert left["payload"] == [{}, {}, {"contentReference": {"reference": "DocumentReference/1"}}]
    assert left["extension"] == [{"url": "http://x/flag"}, {"url": "http://x/y", "valueCode": "PH"}]
    assert left["category"][0]["coding"] == [{"system": "http://x", "code": "chat"}]
    assert (left["sender"], left["status"]) == ({"reference": "Practitioner/1"}, "completed")
