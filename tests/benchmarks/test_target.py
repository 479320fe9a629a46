"""Load goes to this machine only."""

import pytest

from benchmarks.target import Refused, Target, target

LOOPBACK = {"localhost": ["127.0.0.1", "::1"], "127.0.0.1": ["127.0.0.1"], "::1": ["::1"], "127.8.9.1": ["127.8.9.1"]}
ELSEWHERE = {
    "ehr.example": ["203.0.113.5"],
    "mixed.example": ["127.0.0.1", "203.0.113.5"],  # one address elsewhere is enough
    "nowhere.example": [],
    "0.0.0.0": ["0.0.0.0"],
    "metadata.example": ["169.254.169.254"],
    "::ffff:203.0.113.5": ["::ffff:203.0.113.5"],
}


@pytest.mark.parametrize("host", LOOPBACK)
def test_loopback_addresses_are_accepted(host: str) -> None:
    base = f"http://[{host}]:8080/fhir/" if ":" in host else f"http://{host}:8080/fhir/"
    assert target(base, resolve=LOOPBACK.__getitem__).address in LOOPBACK[host]


@pytest.mark.parametrize("host", ELSEWHERE)
def test_any_other_address_is_refused(host: str) -> None:
    base = f"http://[{host}]:8080/fhir" if ":" in host else f"http://{host}:8080/fhir"
    with pytest.raises(Refused, match=r"loopback"):
        target(base, resolve=ELSEWHERE.__getitem__)


@pytest.mark.parametrize(
    "base", ["https://127.0.0.1/fhir", "127.0.0.1:8080/fhir", "ftp://127.0.0.1/", "http:///fhir", ""]
)
def test_only_plain_http_urls(base: str) -> None:
    with pytest.raises(Refused, match="http://"):
        target(base, resolve=lambda _: ["127.0.0.1"])


def test_the_address_is_asked_for_once() -> None:
    answers = iter([["127.0.0.1"], ["203.0.113.5"]])
    found = target("http://rebinding.example:8080/fhir", resolve=lambda _: next(answers))
    assert (found.address, found.host, found.port) == ("127.0.0.1", "rebinding.example:8080", 8080)


def test_a_host_that_does_not_resolve_is_refused() -> None:
    def fails(host: str) -> list[str]:
        raise OSError("no such host")

    with pytest.raises(Refused, match="resolved"):
        target("http://typo.example/fhir", resolve=fails)


@pytest.mark.parametrize("line", ["no colon", "A: b\r\nC: d", "Content-Length: 3", "host: elsewhere", ": x"])
def test_headers_cannot_break_the_message(line: str) -> None:
    with pytest.raises(Refused, match="header"):
        target("http://127.0.0.1/fhir", [line])


def test_request_bytes() -> None:
    found = target("http://127.0.0.1:8080/fhir", ["Authorization: Bearer abc"])
    assert found.request("GET", "Patient/1") == (
        b"GET /fhir/Patient/1 HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nAccept: application/fhir+json\r\n"
        b"Authorization: Bearer abc\r\n\r\n"
    )
    assert found.request("POST", "", b"{}").startswith(b"POST /fhir HTTP/1.1\r\n")
    assert found.request("POST", "", b"{}").endswith(b"Content-Length: 2\r\n\r\n{}")
    assert found.request("GET", "/other?page=2").startswith(b"GET /other?page=2 HTTP/1.1\r\n")
    assert Target("127.0.0.1", 80, "127.0.0.1", "").request("POST", "", b"{}").startswith(b"POST / HTTP/1.1\r\n")
