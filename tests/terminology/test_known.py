"""Codes that are judged by their form, or by a table."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_server.outcomes import NotSupported, TooCostly
from fhir_server.terminology.effort import Effort
from fhir_server.terminology.known import known
from fhir_server.terminology.resources import Filter
from fhir_server.terminology.system import Want

UCUM, LANGUAGES, MEDIA = "http://unitsofmeasure.org", "urn:ietf:bcp:47", "urn:ietf:bcp:13"
COUNTRIES, CURRENCIES, PARTS = "urn:iso:std:iso:3166", "urn:iso:std:iso:4217", "urn:iso:std:iso:3166:-2"

RIGHT = {
    UCUM: ["mm[Hg]", "10*3/uL", "{beats}/min", "[pH]", "dB", "Cel", "1", "kg/m2", "{score}"],
    LANGUAGES: ["en", "nl-BE", "zh-Hans-CN", "sl-rozaj", "de-CH-1996", "x-private", "i-klingon", "es-419"],
    MEDIA: ["text/plain", "application/fhir+json; charset=utf-8", "image/*", "audio/basic"],
    COUNTRIES: ["NL", "NLD", "528", "US"],
    CURRENCIES: ["EUR", "USD"],
    PARTS: ["US-CA", "NL-NH", "GB-ENG"],
    "urn:iso:std:iso:11073:10101": ["150456"],
    "https://www.iana.org/time-zones": ["Europe/Amsterdam"],
}
WRONG = {
    UCUM: ["mmHg", "beats per minute", "kg/", "", "{x} y", "[ph]"],
    LANGUAGES: ["", "e", "english language", "nl_BE", "en-"],
    MEDIA: ["", "text", "text/", "text/plain;", "a b/c"],
    COUNTRIES: ["XX", "nl", "Netherlands", "999"],
    CURRENCIES: ["EURO", "eur"],
    PARTS: ["XX-CA", "US", "US-"],
    "urn:iso:std:iso:11073:10101": ["MDC_ECG"],
    "https://www.iana.org/time-zones": ["Amsterdam"],
}


def cases(table: dict[str, list[str]]) -> list[tuple[str, str]]:
    return [(url, code) for url, codes in table.items() for code in codes]


@pytest.mark.parametrize(("url", "code"), cases(RIGHT))
async def test_right(url: str, code: str) -> None:
    system = known(url)
    assert system is not None
    assert code in await system.many([code])
    assert await system.fitting([code], (), Effort()) == {code}


@pytest.mark.parametrize(("url", "code"), cases(WRONG))
async def test_wrong(url: str, code: str) -> None:
    system = known(url)
    assert system is not None
    assert not await system.many([code])


@given(st.text(max_size=40))
async def test_any_text_is_judged(code: str) -> None:
    for url in RIGHT:
        system = known(url)
        assert system is not None
        assert set(await system.many([code])) <= {code}


async def test_units_are_not_listed() -> None:
    system = known(UCUM)
    assert system is not None
    with pytest.raises(TooCostly):
        await system.select((), Effort(), Want())
    assert await system.fitting(["cm", "g", "[in_i]"], [Filter("canonical", "=", "m")], Effort()) == {"cm", "[in_i]"}
    assert await system.fitting(["cm", "g"], [Filter("code", "regex", ".m")], Effort()) == {"cm"}
    with pytest.raises(NotSupported):
        await system.fitting(["cm"], [Filter("dimension", "=", "L")], Effort())


def test_what_is_not_known() -> None:
    assert known("http://example.org/none") is None
