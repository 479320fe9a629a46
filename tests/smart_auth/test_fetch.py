"""Addresses that others choose cannot be turned against us: where we connect to, what we take, how long we wait."""

from __future__ import annotations

import asyncio
import datetime
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from fhir_server.outbound import Outbound
from smart_auth.fetch import SETTING, Fetcher, FetchRefused, max_age

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nCache-Control: max-age=60\r\nConnection: close\r\n\r\n{}"


@dataclass
class Site:
    """A server on loopback that says one thing, and remembers what it was asked."""

    port: int = 0
    asked: list[bytes] = field(default_factory=list)
    names: list[str] = field(default_factory=list)  # asked for by TLS


@asynccontextmanager
async def site(reply: bytes = OK, tls: ssl.SSLContext | None = None, *, stall: bool = False) -> AsyncIterator[Site]:
    made, ended = Site(), asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        made.asked.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(reply)
        await writer.drain()
        if stall:
            await ended.wait()
        writer.close()

    if tls is not None:
        tls.sni_callback = lambda _, name, __: made.names.append(name)
    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    made.port = server.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        ended.set()
        server.close()


def resolving(*addresses: str) -> Callable[[str, int], Awaitable[list[str]]]:
    async def resolve(host: str, port: int) -> list[str]:
        resolve.calls.append(host)  # type: ignore[attr-defined]
        return list(addresses)

    resolve.calls = []  # type: ignore[attr-defined]
    return resolve


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """TLS of a server called keys.test, and of a client that trusts it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "keys.test")])
    today = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(today - datetime.timedelta(days=1))
        .not_valid_after(today + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("keys.test")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path: Path = tmp_path_factory.mktemp("tls") / "server.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(path)
    client = ssl.create_default_context(cafile=str(path))
    return server, client


async def refused(fetcher: Fetcher, url: str) -> str:
    with pytest.raises(FetchRefused) as caught:
        await fetcher.get(url)
    return str(caught.value)


# ---- where to ----------------------------------------------------------------------------------------------------

NEVER = [
    "0.0.0.0",
    "0.1.2.3",
    "100.64.0.1",
    "100.100.100.200",
    "169.254.169.254",
    "169.254.0.1",
    "192.0.0.192",
    "192.0.2.1",
    "198.18.0.1",
    "224.0.0.1",
    "239.255.255.255",
    "240.0.0.1",
    "255.255.255.255",
    "168.63.129.16",
    "::",
    "fe80::1",
    "fec0::1",
    "ff02::1",
    "2001:db8::1",
    "fd00:ec2::254",
    "2001:0:4136:e378:8000:63bf:3fff:fdd2",
    "64:ff9b::a9fe:a9fe",
    "2002:a9fe:a9fe::",
    "::ffff:169.254.169.254",
    "::1.2.3.4",
]
LOCAL = [
    "127.0.0.1",
    "127.1.2.3",
    "10.0.0.1",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.1.1",
    "::1",
    "fc00::1",
    "fd12::1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "64:ff9b::7f00:1",
    "64:ff9b::c0a8:101",
    "2002:7f00:1::",
    "2002:a00:1::",
]


@pytest.mark.parametrize("address", NEVER)
@pytest.mark.parametrize("allow_local", [False, True])
async def test_11_addresses_that_are_never_fetched_from(address: str, allow_local: bool) -> None:
    fetcher = Fetcher(allow_local=allow_local, resolve=resolving(address))
    assert "never connected" in await refused(fetcher, "https://keys.example/jwks")


@pytest.mark.parametrize("address", LOCAL)
async def test_8_11_local_addresses_name_the_setting_that_allows_them(address: str) -> None:
    assert SETTING in await refused(Fetcher(resolve=resolving(address)), "https://keys.example/jwks")


@pytest.mark.parametrize(
    "url",
    [
        "https://localhost/jwks",
        "https://LOCALHOST:8443/jwks",
        "https://api.localhost/jwks",
        "https://localhost./jwks",
        "https://127.0.0.1/jwks",
        "https://[::1]/jwks",
        "https://[::ffff:127.0.0.1]/jwks",
        "https://2130706433/jwks",
        "https://0x7f.1/jwks",
        "https://0177.0.0.1/jwks",
        "http://localhost/jwks",
        "http://keys.example/jwks",
    ],
)
async def test_8_a_refused_localhost_address_names_the_setting(url: str) -> None:
    assert SETTING in await refused(Fetcher(), url)


async def test_11_one_bad_address_among_good_ones_is_enough() -> None:
    assert SETTING in await refused(Fetcher(resolve=resolving("93.184.216.34", "10.0.0.1")), "https://keys.example/")


@pytest.mark.parametrize(
    "url",
    [
        "",
        "keys.example/jwks",
        "//keys.example/jwks",
        "ftp://keys.example/jwks",
        "file:///etc/passwd",
        "gopher://keys.example/",
        "javascript:alert(1)",
        "https://",
        "https:///jwks",
        "https://user@keys.example/jwks",
        "https://user:word@keys.example/jwks",
        "https://keys.example@127.0.0.1/jwks",
        "https://keys.example/jwks#part",
        "https://keys.example\\@127.0.0.1/jwks",
        "https://keys.example/a b",
        "https://keys.example/a\r\nX-Evil: 1",
        "https://keys.example:99999/jwks",
        "https://keys.example:port/jwks",
        "https://kéys.example/jwks",
        "https://[::1/jwks",
        "https://[fe80::1%25eth0]/jwks",
        "https://keys.example,evil.example/jwks",
    ],
)
@pytest.mark.parametrize("allow_local", [False, True])
async def test_11_what_is_no_plain_https_url(url: str, allow_local: bool) -> None:
    resolve = resolving("93.184.216.34")
    await refused(Fetcher(allow_local=allow_local, resolve=resolve), url)
    assert resolve.calls == []  # type: ignore[attr-defined]


async def test_11_http_stays_on_the_own_network() -> None:
    fetcher = Fetcher(allow_local=True, resolve=resolving("93.184.216.34"))
    assert "https" in await refused(fetcher, "http://keys.example/jwks")


@pytest.mark.parametrize("answer", [(), ("nonsense",)])
async def test_11_a_name_that_cannot_be_resolved(answer: tuple[str, ...]) -> None:
    assert "resolved" in await refused(Fetcher(resolve=resolving(*answer)), "https://keys.example/jwks")


@given(st.ip_addresses())
def test_11_only_public_addresses_pass(address: object) -> None:
    try:
        Outbound(SETTING).check_address(ip_address(str(address)), "https")
    except FetchRefused:
        return
    assert ip_address(str(address)).is_global
    assert not ip_address(str(address)).is_multicast


# ---- how ---------------------------------------------------------------------------------------------------------


async def test_11_connects_to_the_address_that_was_checked(certificate: tuple[ssl.SSLContext, ssl.SSLContext]) -> None:
    server, client = certificate
    resolve = resolving("127.0.0.1")
    async with site(tls=server) as there:
        fetched = await Fetcher(allow_local=True, resolve=resolve, tls=client).get(
            f"https://keys.test:{there.port}/jwks?a=1"
        )
    assert (fetched.body, fetched.max_age) == (b"{}", 60)
    assert resolve.calls == ["keys.test"]  # type: ignore[attr-defined]
    assert there.names == ["keys.test"]
    assert there.asked[0].startswith(b"GET /jwks?a=1 HTTP/1.1\r\n")
    assert b"host: keys.test:%d\r\n" % there.port in there.asked[0].lower()
    for word in (b"cookie", b"authorization"):
        assert word not in there.asked[0].lower()


async def test_11_a_certificate_of_another_name(certificate: tuple[ssl.SSLContext, ssl.SSLContext]) -> None:
    server, client = certificate
    async with site(tls=server) as there:
        fetcher = Fetcher(allow_local=True, resolve=resolving("127.0.0.1"), tls=client)
        await refused(fetcher, f"https://other.test:{there.port}/jwks")
        assert there.asked == []


async def test_11_a_certificate_that_nobody_vouches_for(certificate: tuple[ssl.SSLContext, ssl.SSLContext]) -> None:
    async with site(tls=certificate[0]) as there:
        await refused(Fetcher(allow_local=True, resolve=resolving("127.0.0.1")), f"https://keys.test:{there.port}/jwks")
        assert there.asked == []


async def test_11_environment_proxies_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    async with site() as proxy, site() as there:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        await Fetcher(allow_local=True).get(f"http://127.0.0.1:{there.port}/jwks")
        assert (len(proxy.asked), len(there.asked)) == (0, 1)


def reply(status: str = "200 OK", headers: str = "", body: bytes = b"{}") -> bytes:
    return f"HTTP/1.1 {status}\r\n{headers}Connection: close\r\n\r\n".encode() + body


REFUSED = {
    "a redirect": (reply("302 Found", "Location: http://169.254.169.254/\r\n"), "302"),
    "a permanent redirect": (reply("308 Permanent Redirect", "Location: /other\r\n"), "308"),
    "not found": (reply("404 Not Found"), "404"),
    "no content": (reply("204 No Content", body=b""), "204"),
    "an error": (reply("500 Oops"), "500"),
    "too much, as it says": (reply(headers="Content-Length: 70000\r\n", body=b"x" * 70_000), "bytes"),
    "too much, in pieces": (
        reply(headers="Transfer-Encoding: chunked\r\n", body=b"11170\r\n" + b"x" * 70_000 + b"\r\n0\r\n\r\n"),
        "bytes",
    ),
    "too much, without a length": (reply(body=b"x" * 70_000), "bytes"),
    "a packed body": (reply(headers="Content-Encoding: gzip\r\n"), "packed"),
    "less than announced": (reply(headers="Content-Length: 10\r\n"), "read"),
    "no HTTP": (b"SSH-2.0-OpenSSH\r\n\r\n", "read"),
    "nothing": (b"", "read"),
}


@pytest.mark.parametrize("case", REFUSED)
async def test_11_answers_that_are_not_taken(case: str) -> None:
    sent, says = REFUSED[case]
    async with site(sent) as there:
        assert says in await refused(Fetcher(allow_local=True), f"http://127.0.0.1:{there.port}/jwks")
        assert len(there.asked) == 1


async def test_11_a_slow_answer_is_given_up() -> None:
    for sent in (b"", b"HTTP/1.1 200 OK\r\n", reply(headers="Content-Length: 10\r\n")):
        async with site(sent, stall=True) as there:
            fetcher = Fetcher(allow_local=True, seconds=0.2)
            assert "0.2 seconds" in await refused(fetcher, f"http://127.0.0.1:{there.port}/jwks")


async def test_11_a_slow_resolver_is_given_up() -> None:
    async def resolve(host: str, port: int) -> list[str]:
        await asyncio.Event().wait()
        return []

    assert "seconds" in await refused(Fetcher(resolve=resolve, seconds=0.1), "https://keys.example/jwks")


async def test_11_the_next_address_is_tried() -> None:
    async with site() as there:
        fetcher = Fetcher(allow_local=True, resolve=resolving("127.0.0.2", "127.0.0.1"))
        assert (await fetcher.get(f"http://keys.test:{there.port}/jwks")).body == b"{}"


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("", None),
        ("public", None),
        ("max-age=60", 60),
        ("public, max-age=60", 60),
        ("Max-Age = 60", 60),
        ('max-age="60"', 60),
        ("s-maxage=60", None),
        ("max-age=-1", None),
        ("no-store", 0),
        ("no-cache", 0),
        ("max-age=60, no-store", 0),
        ("x-no-store-x", None),
        ("max-age=99999999999999", 9999999999),
    ],
)
def test_11_cache_control(header: str, seconds: int | None) -> None:
    assert max_age(header) == seconds
