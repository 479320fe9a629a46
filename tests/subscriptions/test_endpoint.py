"""Point 8: endpoints that others choose cannot be turned against us; every refusal comes before a connection."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import httpcore
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from fhir_server.outbound import Refused
from subscriptions import endpoint
from subscriptions.endpoint import MAX_REDIRECTS, SETTING, Guarded, check_url
from tests.smart_auth.test_fetch import certificate as certificate

CASES: dict[str, list[str]] = yaml.safe_load(
    (Path(__file__).parent.parent / "cases" / "subscription_endpoints.yaml").read_text()
)
PUBLIC = "93.184.216.34"
OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


class Names:
    """A resolver that gives each name its answers one after the other, the last one for ever."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    async def __call__(self, host: str, port: int) -> list[str]:
        self.asked.append(host)
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


class Recorder(httpcore.AsyncNetworkBackend):
    """Connections that were asked for; none is made, unless to a place on loopback that stands for the address."""

    def __init__(self, **places: int) -> None:
        self.asked: list[str] = []
        self._places = places
        self._real = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        self.asked.append(f"{host}:{port}")
        if host not in self._places:
            raise httpcore.ConnectError("nobody there")
        return await self._real.connect_tcp("127.0.0.1", self._places[host], timeout=timeout)


@dataclass
class Receiver:
    """A server on loopback that answers as it is told to, and remembers what it was asked."""

    replies: list[str]
    port: int = 0
    asked: list[bytes] = field(default_factory=list)
    names: list[str] = field(default_factory=list)  # asked for by TLS
    connections: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                size = [int(line.split(b":")[1]) for line in head.lower().split(b"\r\n") if b"content-length" in line]
                self.asked.append(head + await reader.readexactly(sum(size)))
                writer.write((self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]).encode())
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def receiver(*replies: str, tls: ssl.SSLContext | None = None) -> AsyncIterator[Receiver]:
    made = Receiver(list(replies) or [OK])
    if tls is not None:
        tls.sni_callback = lambda _, name, __: made.names.append(name)
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0, ssl=tls)
    made.port = server.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        server.close()


async def send(guarded: Guarded, url: str, **more: Any) -> int:
    options: dict[str, Any] = {"content_type": "application/fhir+json", "body": b"{}", "seconds": 60, **more}
    try:
        return await guarded.send("POST", url, **options)
    finally:
        await guarded.close()


async def refused(guarded: Guarded, url: str, **more: Any) -> str:
    with pytest.raises(Refused) as caught:
        await send(guarded, url, **more)
    return str(caught.value)


# ---- the table -----------------------------------------------------------------------------------------------------


def test_8_every_group_of_the_table_is_run() -> None:
    assert set(CASES) == {"malformed", "private", "misspelt", "never", "neighbours", "good"}


async def problems(group: str, case: str) -> list[str]:
    """What the table's promise of this case does not keep."""
    url = case if "//" in case or group in ("malformed", "private", "misspelt", "good") else "https://hooks.example/"
    found = []
    for allowed in (False, True):
        names, network = Names([case if group in ("never", "neighbours") else PUBLIC]), Recorder()
        guarded = Guarded(allow_private=allowed, resolve=names, network=network)
        says = await refused(guarded, url)  # by the guard, or because nobody is there
        connects = group == "good" or (group in ("private", "neighbours") and allowed and not url.startswith("http:"))
        if bool(network.asked) != connects:
            found.append(f"{case} connects to {network.asked} with allow_private={allowed}: {says}")
        if group in ("private", "neighbours") and not allowed and SETTING not in says:
            found.append(f"{case} does not name the setting: {says}")
        if group in ("malformed", "misspelt", "private") and (names.asked and not connects and not allowed):
            found.append(f"{case} was looked up")
    return found


@pytest.mark.parametrize(("group", "case"), [(group, case) for group, cases in CASES.items() for case in cases])
async def test_8_the_table_of_endpoints(group: str, case: str) -> None:
    assert await problems(group, case) == []


@pytest.mark.parametrize(
    ("group", "case"), [("never", PUBLIC), ("good", "https://127.0.0.1/"), ("private", "https://8.8.8.8/")]
)
async def test_8_the_table_can_fail(group: str, case: str) -> None:
    assert await problems(group, case) != []


@pytest.mark.parametrize("case", CASES["malformed"] + CASES["private"] + CASES["misspelt"])
def test_8_check_url_refuses_by_text(case: str) -> None:
    with pytest.raises(Refused):
        check_url(case)


@pytest.mark.parametrize("case", [*CASES["never"], *CASES["neighbours"]])
def test_8_check_url_refuses_literal_addresses(case: str) -> None:
    with pytest.raises(Refused):
        check_url(f"https://[{case}]/" if ":" in case else f"https://{case}/")


@pytest.mark.parametrize("case", CASES["good"])
def test_8_check_url_takes_what_is_good(case: str) -> None:
    assert check_url(case).scheme == "https"


@given(st.text(max_size=60) | st.from_regex(r"https?://[0-9a-fx.:\[\]@%]{1,30}(:[0-9]{1,5})?/.{0,5}", fullmatch=True))
def test_8_what_check_url_takes_has_one_reading(text: str) -> None:
    try:
        parts = check_url(text)
    except Refused:
        return
    assert parts.scheme == "https"
    assert parts.username is None
    assert text.isascii()
    try:
        address = ip_address(parts.hostname or "")
    except ValueError:
        assert not (parts.hostname or "").rstrip(".").rpartition(".")[2].isdigit()
        return
    assert address.is_global


# ---- names ---------------------------------------------------------------------------------------------------------


async def test_8_one_bad_address_among_good_ones_is_enough() -> None:
    network = Recorder()
    says = await refused(Guarded(resolve=Names([PUBLIC, "10.0.0.1"]), network=network), "https://hooks.example/")
    assert SETTING in says
    assert network.asked == []


@pytest.mark.parametrize("answer", [[], ["nonsense"]])
async def test_8_a_name_without_an_address(answer: list[str]) -> None:
    network = Recorder()
    assert "resolved" in await refused(Guarded(resolve=Names(answer), network=network), "https://hooks.example/")
    assert network.asked == []


async def test_8_a_resolver_that_fails() -> None:
    async def fail(host: str, port: int) -> list[str]:
        raise OSError

    assert "resolved" in await refused(Guarded(resolve=fail, network=Recorder()), "https://hooks.example/")


async def test_8_the_connection_goes_to_the_address_that_was_checked() -> None:
    names, network = Names([PUBLIC], ["127.0.0.1"]), Recorder()
    await refused(Guarded(resolve=names, network=network), "https://hooks.example/")
    assert (names.asked, network.asked) == (["hooks.example"], [f"{PUBLIC}:443"])


async def test_8_dns_that_changes_is_looked_up_and_checked_at_each_connection() -> None:
    names, network = Names([PUBLIC], ["169.254.169.254"]), Recorder()
    guarded = Guarded(resolve=names, network=network)
    for _ in range(3):
        with pytest.raises(Refused):
            await guarded.send("POST", "https://hooks.example/", content_type="", body=b"", seconds=60)
    assert network.asked == [f"{PUBLIC}:443"]
    assert len(names.asked) == 3


async def test_8_the_next_address_is_tried() -> None:
    network = Recorder()
    await refused(Guarded(resolve=Names([PUBLIC, "8.8.8.8"]), network=network), "https://hooks.example:8443/")
    assert network.asked == [f"{PUBLIC}:8443", "8.8.8.8:8443"]


async def test_8_tls_and_host_keep_the_name(certificate: tuple[ssl.SSLContext, ssl.SSLContext]) -> None:
    server, client = certificate
    async with receiver(tls=server) as there:
        network = Recorder(**{PUBLIC: there.port})
        guarded = Guarded(resolve=Names([PUBLIC]), network=network, tls=client)
        assert await send(guarded, "https://keys.test:8443/notify?a=1", headers=[("X-Key", "word")]) == 200
    assert there.names == ["keys.test"]
    head = there.asked[0].lower()
    assert head.startswith(b"post /notify?a=1 http/1.1\r\n")
    assert b"host: keys.test:8443\r\n" in head
    assert b"x-key: word\r\n" in head
    assert b"content-type: application/fhir+json\r\n" in head


async def test_8_a_certificate_of_another_name(certificate: tuple[ssl.SSLContext, ssl.SSLContext]) -> None:
    server, client = certificate
    async with receiver(tls=server) as there:
        guarded = Guarded(resolve=Names([PUBLIC]), network=Recorder(**{PUBLIC: there.port}), tls=client)
        assert "connection" in await refused(guarded, "https://other.test/")
        assert there.asked == []


async def test_8_environment_proxies_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    async with receiver() as proxy, receiver() as there:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        assert await send(Guarded(allow_private=True), f"http://127.0.0.1:{there.port}/") == 200
        assert (len(proxy.asked), len(there.asked)) == (0, 1)


# ---- redirects -----------------------------------------------------------------------------------------------------


def redirect(to: str, status: str = "307 Temporary Redirect") -> str:
    return f"HTTP/1.1 {status}\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n"


@pytest.mark.parametrize(
    "to",
    [
        "https://169.254.169.254/latest/meta-data/",
        "https://10.0.0.1/",
        "https://[::1]/",
        "https://2130706433/",
        "https://localhost/",
        "http://other.example/",
        "file:///etc/passwd",
        "//127.0.0.1/",
        "https://user@other.example/",
    ],
)
async def test_8_redirects_into_forbidden_places_are_not_followed(
    to: str, certificate: tuple[ssl.SSLContext, ssl.SSLContext]
) -> None:
    server, client = certificate
    async with receiver(redirect(to), tls=server) as there:
        network = Recorder(**{PUBLIC: there.port})
        await refused(Guarded(resolve=Names([PUBLIC]), network=network, tls=client), "https://keys.test/")
        assert network.asked == [f"{PUBLIC}:443"]


async def test_8_a_redirect_to_a_name_that_leads_inside(certificate: tuple[ssl.SSLContext, ssl.SSLContext]) -> None:
    server, client = certificate
    async with receiver(redirect("https://inside.example/"), tls=server) as there:
        network = Recorder(**{PUBLIC: there.port})
        says = await refused(
            Guarded(resolve=Names([PUBLIC], ["192.168.0.1"]), network=network, tls=client), "https://keys.test/"
        )
        assert SETTING in says
        assert network.asked == [f"{PUBLIC}:443"]


async def test_8_credentials_are_dropped_when_the_origin_changes() -> None:
    async with receiver() as other, receiver(redirect("/second"), redirect("PLACE")) as there:
        there.replies[1] = redirect(f"http://127.0.0.1:{other.port}/third", "308 Permanent Redirect")
        headers = [("Authorization", "Bearer word"), ("X-Key", "word")]
        assert await send(Guarded(allow_private=True), f"http://127.0.0.1:{there.port}/", headers=headers) == 200
    assert [b"Bearer word" in one and b"X-Key" in one for one in there.asked] == [True, True]
    assert other.asked[0].startswith(b"POST /third ")
    assert other.asked[0].endswith(b"{}")
    assert b"word" not in other.asked[0]


@pytest.mark.parametrize("status", ["301 Moved Permanently", "302 Found", "303 See Other"])
async def test_8_redirects_that_change_the_method_are_not_followed(status: str) -> None:
    async with receiver(redirect("/second", status)) as there:
        assert await send(Guarded(allow_private=True), f"http://127.0.0.1:{there.port}/") == int(status[:3])
        assert len(there.asked) == 1


async def test_8_endless_redirects_end() -> None:
    async with receiver(redirect("/again")) as there:
        assert "too often" in await refused(Guarded(allow_private=True), f"http://127.0.0.1:{there.port}/")
        assert len(there.asked) == MAX_REDIRECTS + 1


# ---- answers -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("header", [("X-Key", "a\r\nX-Evil: 1"), ("X-Key\r\nX-Evil", "1"), ("Host", "other.example")])
async def test_8_headers_cannot_bring_others_along(header: tuple[str, str]) -> None:
    async with receiver() as there:
        await refused(Guarded(allow_private=True), f"http://127.0.0.1:{there.port}/", headers=[header])
        assert there.asked == []


async def test_8_a_body_without_an_end_is_not_waited_for() -> None:
    endless = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n11170\r\n" + "x" * 70_000 + "\r\n"
    async with receiver(endless) as there:
        assert await send(Guarded(allow_private=True), f"http://127.0.0.1:{there.port}/") == 200


@pytest.mark.parametrize("reply", ["", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n"])
async def test_8_a_slow_answer_is_given_up(reply: str) -> None:
    async with receiver(reply) as there:
        says = await refused(Guarded(allow_private=True), f"http://127.0.0.1:{there.port}/", seconds=0.2)
        assert "0.2 seconds" in says


async def test_8_a_slow_resolver_is_given_up() -> None:
    async def resolve(host: str, port: int) -> list[str]:
        await asyncio.Event().wait()
        return []

    assert "seconds" in await refused(Guarded(resolve=resolve, network=Recorder()), "https://a.example/", seconds=0.1)


async def test_8_what_is_no_http() -> None:
    async with receiver("SSH-2.0-OpenSSH\r\n\r\n") as there:
        assert "read" in await refused(Guarded(allow_private=True), f"http://127.0.0.1:{there.port}/")


async def test_8_a_connection_is_used_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoint, "IDLE_SECONDS", 600.0)
    async with receiver() as there:
        guarded = Guarded(allow_private=True)
        url = f"http://127.0.0.1:{there.port}/"
        for _ in range(3):
            assert await guarded.send("POST", url, content_type="", body=b"", seconds=60) == 200
        await guarded.close()
        assert there.connections == 1
