"""The base URL: configured, forwarded by those who are trusted, or the Host."""

from __future__ import annotations

from typing import Any

import pytest

from fhir_server.config import Settings
from fhir_server.outcomes import FhirError
from fhir_server.rest.base_url import BaseUrls

FORWARDED = {"x-forwarded-proto": "https", "x-forwarded-host": "ehr.example", "x-forwarded-prefix": "/clinic/"}
OPEN = {"open": True, "host": "127.0.0.1"}
NETWORK = {"open": True, "host": "0.0.0.0"}


def base(choices: dict[str, Any], headers: dict[str, str], client: str = "127.0.0.1") -> str:
    scope = {"scheme": "http", "client": (client, 5000), "server": ("127.0.0.1", 8080)}
    sent = {name.encode(): value.encode() for name, value in headers.items()}
    return BaseUrls(Settings(**choices)).of(scope, sent)


@pytest.mark.parametrize(
    ("choices", "headers", "expected"),
    [
        (OPEN, {"host": "localhost:8080"}, "http://localhost:8080/fhir"),
        (OPEN, {"host": "127.0.0.1:8080"}, "http://127.0.0.1:8080/fhir"),
        (OPEN, {"host": "[::1]:8080"}, "http://[::1]:8080/fhir"),
        (OPEN, {"host": "app.localhost"}, "http://app.localhost/fhir"),
        (OPEN, {}, "http://127.0.0.1:8080/fhir"),
        (NETWORK, {"host": "fhir:8080"}, "http://fhir:8080/fhir"),
        (NETWORK, {"host": "fhir_server:8080"}, "http://fhir_server:8080/fhir"),
        ({**OPEN, "base_url": "https://ehr.example/r4/"}, {"host": "localhost"}, "https://ehr.example/r4"),
        ({**OPEN, "base_url": "https://ehr.example/r4"}, {"host": "EHR.example"}, "https://ehr.example/r4"),
        # Nobody is trusted by default.
        (OPEN, {"host": "localhost", **FORWARDED}, "http://localhost/fhir"),
    ],
)
def test_base_url(choices: dict[str, Any], headers: dict[str, str], expected: str) -> None:
    assert base(choices, headers) == expected


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        (FORWARDED, "https://ehr.example/clinic/fhir"),
        ({"host": "inside:8080"}, "http://inside:8080/fhir"),
        ({**FORWARDED, "x-forwarded-port": "8443"}, "https://ehr.example:8443/clinic/fhir"),
        ({**FORWARDED, "x-forwarded-port": "443"}, "https://ehr.example/clinic/fhir"),
        # What the caller claimed comes first in a list, what the proxy itself saw comes last.
        ({**FORWARDED, "x-forwarded-host": "evil.example, ehr.example"}, "https://ehr.example/clinic/fhir"),
    ],
)
def test_a_trusted_proxy_is_believed(headers: dict[str, str], expected: str) -> None:
    choices = {**OPEN, "trusted_proxies": "10.0.0.0/8, 192.0.2.1"}
    assert base(choices, headers, client="10.1.2.3") == expected
    assert base({**choices, "base_url": "https://set.example/fhir"}, headers, "10.1.2.3") == "https://set.example/fhir"


def test_another_address_is_not_believed() -> None:
    choices = {**NETWORK, "trusted_proxies": "10.0.0.1"}
    assert base(choices, {"host": "a:1", **FORWARDED}, client="10.0.0.2") == "http://a:1/fhir"
    assert base(choices, {"host": "a:1", **FORWARDED}, client="nonsense") == "http://a:1/fhir"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"host": "evil.example"}, 421),
        ({"host": "127.0.0.1.evil.example"}, 421),
        ({"host": "a b"}, 400),
        ({"host": "a/b"}, 400),
        ({"host": 'a"b'}, 400),
        ({"host": "a@b"}, 400),
        ({"host": "localhost:999999"}, 400),
    ],
)
def test_a_host_that_is_refused(headers: dict[str, str], status: int) -> None:
    with pytest.raises(FhirError) as refused:
        base(OPEN, headers)
    assert refused.value.status == status


@pytest.mark.parametrize("bad", [{"x-forwarded-proto": "ftp"}, {"x-forwarded-prefix": "/<b>"}, {"host": "a/b"}])
def test_forwarded_nonsense_is_refused(bad: dict[str, str]) -> None:
    with pytest.raises(FhirError):
        base({**OPEN, "trusted_proxies": "127.0.0.1"}, {"host": "a", **bad})
