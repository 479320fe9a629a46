"""Tokens of an outside server: a stand-in on loopback signs them, or is asked, and checks what it is asked."""

from __future__ import annotations

import base64
import hmac
import json
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs

import pytest
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey
from structlog.testing import capture_logs

from fhir_server.access.principal import Principal
from fhir_server.config import Settings
from smart_auth import jwks
from smart_auth.changes import seconds
from smart_auth.external import KEPT, External
from smart_auth.users import User
from tests.smart_auth.process import BASE, Process, process

Json = dict[str, Any]
ISSUER = "https://login.hospital.example"
KEYS: dict[str, Any] = {
    "rs": RSAKey.generate_key(2048, {"kid": "rs", "use": "sig"}),
    "es256": ECKey.generate_key("P-256", {"kid": "es256"}),
    "es384": ECKey.generate_key("P-384", {"kid": "es384", "alg": "ES384"}),
    "later": RSAKey.generate_key(2048, {"kid": "later"}),
    "enc": RSAKey.generate_key(2048, {"kid": "enc", "use": "enc"}),
}
STRANGER = RSAKey.generate_key(2048, {"kid": "rs"})


class StandIn(ThreadingHTTPServer):
    """The outside authorization server."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.published = ["rs", "es256", "es384", "enc"]
        self.tokens: dict[str, Json] = {}
        self.asked: list[str] = []
        self.wrong: list[str] = []
        self.answer: tuple[int, bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    server: StandIn

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        if self.path != "/jwks" or self.headers.get("Authorization"):
            self.server.wrong.append(self.path)
        keys = [KEYS[name].as_dict(private=False) for name in self.server.published]
        self._say(*(self.server.answer or (200, json.dumps({"keys": keys}).encode())))

    def do_POST(self) -> None:
        self.server.asked.append(self.path)
        form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        basic = base64.b64encode(b"fhir:a secret").decode()
        right = (
            self.path == "/introspect"
            and self.headers.get("Authorization") == f"Basic {basic}"
            and self.headers.get("Content-Type") == "application/x-www-form-urlencoded"
            and set(form) == {"token", "token_type_hint"}
        )
        if not right:
            self.server.wrong.append(self.path)
        claims = self.server.tokens.get(form["token"][0], {"active": False})
        self._say(*(self.server.answer or (200, json.dumps(claims).encode())))

    def _say(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def outside() -> Iterator[StandIn]:
    with StandIn() as made:
        thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield made
        made.shutdown()
        thread.join()
    assert not made.wrong


def settings(outside: StandIn, **more: Any) -> Settings:
    given = {
        "external_issuer": ISSUER,
        "external_jwks_uri": f"{outside.url}/jwks",
        "external_introspection_url": f"{outside.url}/introspect",
        "external_client_id": "fhir",
        "external_client_secret": "a secret",
    }
    return Settings(**{**given, **more})


Start = Callable[..., Any]


@pytest.fixture
async def start(mongo_uri: str, database: str, outside: StandIn) -> AsyncIterator[Start]:
    """Starts a process that takes tokens of the stand-in."""
    async with AsyncExitStack() as stack:

        async def begin(role: str = "doctor", **more: Any) -> Process:
            external = External.configured(settings(outside, **more), BASE)
            made = await stack.enter_async_context(process(mongo_uri, database, external=external, role=role))
            await made.database.system["auth_user"].delete_many({})
            return made

        yield begin


def claims(**more: Any) -> Json:
    now = int(time.time())
    given = {
        "iss": ISSUER,
        "aud": BASE,
        "exp": now + 300,
        "iat": now,
        "sub": "u-1",
        "client_id": "their-app",
        "scope": "openid user/*.rs patient/*.rs",
        "fhirUser": "Practitioner/1",
        "patient": "9",
    }
    return {name: value for name, value in {**given, **more}.items() if value is not None}


def signed(key: str = "rs", algorithm: str = "RS256", header: Json | None = None, **more: Any) -> str:
    head = {"alg": algorithm, "kid": key, "typ": "at+jwt", **(header or {})}
    head = {name: value for name, value in head.items() if value is not None}
    return jwt.encode(head, claims(**more), KEYS[key], algorithms=[algorithm])


async def principal(here: Process, token: str) -> Principal:
    return await here.authenticator.authenticate(f"Bearer {token}".encode(), {})


async def status(here: Process, token: str) -> int:
    return await here.status(f"Bearer {token}".encode())


@pytest.mark.parametrize(
    ("key", "algorithm"), [("rs", "RS256"), ("rs", "RS384"), ("es256", "ES256"), ("es384", "ES384")]
)
async def test_a_signed_token_is_its_users(start: Start, key: str, algorithm: str) -> None:
    here = await start()
    made = await principal(here, signed(key, algorithm))
    assert (made.name, made.client, made.user) == (f"{ISSUER} u-1", "their-app", "Practitioner/1")
    assert (made.roles, made.patient) == (("doctor",), "Patient/9")
    assert sorted(map(str, made.scopes)) == ["patient/*.rs", "user/*.rs"]


NOW = int(time.time())
REFUSED: dict[str, Json] = {
    "of another issuer": {"iss": "https://elsewhere.example"},
    "of an issuer that begins alike": {"iss": ISSUER + "/"},
    "without an issuer": {"iss": None},
    "for another audience": {"aud": "https://other.example/fhir"},
    "for several others": {"aud": ["their-app", BASE + "/Patient"]},
    "for no audience": {"aud": None},
    "with an audience that is a number": {"aud": 7},
    "that has expired": {"exp": NOW - 1},
    "without an end": {"exp": None},
    "with an end that is text": {"exp": str(NOW + 300)},
    "with an end that is true": {"exp": True},
    "with an end beyond all time": {"exp": 10**15},
    "that has not begun": {"nbf": NOW + 30_000},
    "of tomorrow": {"iat": NOW + 86_400},
    "with a beginning that is text": {"nbf": "now"},
    "of a user elsewhere": {"fhirUser": "https://elsewhere.example/fhir/Practitioner/1"},
    "of a user who is a device": {"fhirUser": "Device/1"},
    "of a user who is a number": {"fhirUser": 1},
    "of a user who is a path": {"fhirUser": "Practitioner/1/_history/1"},
    "of nobody": {"sub": None, "client_id": None},
    "of a person without a subject": {"sub": None},
}


@pytest.mark.parametrize("name", REFUSED)
async def test_a_signed_token_is_refused(start: Start, name: str) -> None:
    here = await start()
    assert await status(here, signed(**REFUSED[name])) == 401


@pytest.mark.parametrize(
    "header",
    [
        {"typ": "dpop+jwt"},
        {"typ": "JWS"},
        {"kid": None},
        {"kid": ""},
        {"kid": "enc"},
        {"kid": "es256"},
        {"kid": "unknown"},
        {"jku": "http://127.0.0.1/jwks"},
        {"jwk": KEYS["rs"].as_dict(private=False)},
        {"x5u": "http://127.0.0.1/"},
    ],
)
async def test_a_header_that_leads_elsewhere_is_refused(start: Start, header: Json) -> None:
    here = await start()
    assert await status(here, signed(header=header)) == 401


def signed_anyhow(header: Json) -> str:
    """What a library would refuse to sign."""
    text = unsigned({"alg": "RS256", "kid": "rs", **header})
    return f"{text}.{encoded(KEYS['rs'].private_key.sign(text.encode(), PKCS1v15(), SHA256()))}"


def unsigned(header: Json) -> str:
    return f"{encoded(json.dumps(header).encode())}.{encoded(json.dumps(claims()).encode())}"


def encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


async def test_what_must_be_understood_is_refused(start: Start) -> None:
    here = await start()
    assert await status(here, signed_anyhow({})) == 200
    assert await status(here, signed_anyhow({"crit": ["exp"], "exp": 1})) == 401
    assert await status(here, signed_anyhow({"b64": False})) == 401
    assert await status(here, signed_anyhow({"zip": "DEF"})) == 401


async def test_signatures_are_checked(start: Start) -> None:
    here = await start()
    head, payload, signature = signed().split(".")
    other = encoded(json.dumps(claims(patient="8")).encode())
    assert await status(here, f"{head}.{other}.{signature}") == 401
    assert await status(here, f"{head}.{payload}.{signature[:-8]}AAAAAAAA") == 401
    assert await status(here, f"{head}.{payload}.") == 401
    assert await status(here, f"{head}.{payload}.{signature}") == 200
    forged = jwt.encode({"alg": "RS256", "kid": "rs"}, claims(), STRANGER)
    assert await status(here, forged) == 401


async def test_other_algorithms_are_refused(start: Start) -> None:
    here = await start()
    public = KEYS["rs"].as_pem(private=False)
    head = unsigned({"alg": "HS256", "kid": "rs"})
    assert await status(here, f"{head}.{encoded(hmac.digest(public, head.encode(), 'sha256'))}") == 401
    assert await status(here, unsigned({"alg": "none", "kid": "rs"}) + ".") == 401
    assert await status(here, unsigned({"alg": "none", "kid": "rs"}) + ".AAAA") == 401
    assert await status(here, jwt.encode({"alg": "RS512", "kid": "rs"}, claims(), KEYS["rs"], ["RS512"])) == 401
    assert await status(here, signed("es384", "ES384", {"kid": "es256"})) == 401


@pytest.mark.parametrize(
    ("more", "scopes"),
    [
        ({"scope": None, "scp": ["user/Patient.rs", "openid"]}, ["user/Patient.rs"]),
        ({"scope": None, "scp": "user/Patient.rs"}, ["user/Patient.rs"]),
        ({"scope": "user/Patient.r", "scp": ["user/*.cruds"]}, ["user/Patient.r"]),
        ({"scope": {"user/*.rs": True}}, []),
        ({"scope": None}, []),
        ({"scope": None, "scp": ["user/*.rs system/*.rs", 7]}, []),
        ({"scope": "system/*.cruds user/Patient.rs"}, ["user/Patient.rs"]),
        ({"scope": "user/*.rs patient/*.rs", "patient": None}, ["user/*.rs"]),
        ({"scope": "user/*.rs patient/*.rs", "patient": "../9"}, ["user/*.rs"]),
        ({"scope": "user/*.rs patient/*.rs", "patient": ["9"]}, ["user/*.rs"]),
        ({"scope": "user/*.rs patient/*.rs", "patient": "Practitioner/9"}, ["user/*.rs"]),
        ({"scope": "patient/*.rs", "patient": "Patient/9"}, ["patient/*.rs"]),
        ({"scope": "user/Patient.rs", "roles": ["super-administrator"], "permissions": ["*"]}, ["user/Patient.rs"]),
    ],
)
async def test_what_is_not_understood_never_widens(start: Start, more: Json, scopes: list[str]) -> None:
    here = await start()
    made = await principal(here, signed(**more))
    assert sorted(map(str, made.scopes)) == scopes
    assert made.roles == ("doctor",)


async def test_a_service_has_system_scopes_and_a_person_has_none(start: Start) -> None:
    here = await start()
    service: Json = {"fhirUser": None, "patient": None, "sub": "their-service", "client_id": "their-service"}
    made = await principal(here, signed(scope="system/Patient.rs", **service))
    assert (made.user, made.client, made.name) == ("", "their-service", f"{ISSUER} their-service")
    assert [str(scope) for scope in made.scopes] == ["system/Patient.rs"]
    made = await principal(here, signed(scope="system/*.cruds openid", fhirUser=None, patient=None))
    assert made.scopes == ()
    assert made.user
    assert not made.is_administrator


@pytest.mark.parametrize("more", [{"patient": "9"}, {"fhirUser": "Patient/9"}, {"scope": "openid system/*.rs"}])
async def test_what_is_about_a_person_has_no_system_scope(outside: StandIn, more: Json) -> None:
    external = External(settings(outside), BASE)
    found = await external.find(signed(**{"scope": "system/*.rs", "fhirUser": None, "patient": None, **more}))
    assert found is not None
    assert "system/" not in found.live.grant.scopes
    assert found.subject == "u-1"


@pytest.mark.parametrize(
    ("user", "roles"),
    [
        ("Patient/9", ("patient",)),
        ("RelatedPerson/1", ("proxy",)),
        ("Practitioner/1", ()),
        (f"{BASE}/Patient/9", ("patient",)),
        (None, ()),
    ],
)
async def test_without_an_account_the_role_follows_from_the_person(
    start: Start, user: str | None, roles: tuple[str, ...]
) -> None:
    here = await start(role="")
    assert (await principal(here, signed(fhirUser=user))).roles == roles


async def test_an_account_decides(start: Start) -> None:
    here = await start()
    await here.users.add(User("nurse", fhir_user="Practitioner/1", roles=("nurse",), identities=(f"{ISSUER} u-1",)))
    made = await principal(here, token := signed())
    assert (made.name, made.roles) == ("nurse", ("nurse",))
    assert (await principal(here, signed(fhirUser=None))).user == "Practitioner/1"
    assert await status(here, signed(fhirUser="Practitioner/2")) == 401
    await here.users.set_active("nurse", False)
    assert await status(here, token) == 401


async def test_a_new_key_is_found(start: Start, outside: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jwks, "PATIENCE", 3600.0)  # longer than any machine stalls
    here = await start()
    assert await status(here, signed()) == 200
    outside.published.append("later")
    assert await status(here, signed("later")) == 200
    assert outside.asked == ["/jwks", "/jwks"]
    assert await status(here, signed(header={"kid": "unknown"})) == 401
    assert outside.asked == ["/jwks", "/jwks"], "unknown keys are asked for only now and then"


async def test_an_opaque_token_is_asked_about(start: Start, outside: StandIn) -> None:
    here = await start()
    outside.tokens["opaque"] = {"active": True, **claims()}
    made = await principal(here, "opaque")
    assert (made.user, made.patient) == ("Practitioner/1", "Patient/9")
    assert await principal(here, "opaque") is made
    assert outside.asked == ["/introspect"], "an answer counts for a while"
    kept = here.authenticator._kept[b"Bearer opaque"]
    assert kept.until <= seconds() + KEPT
    assert await status(here, "unknown") == 401
    assert await here.status(await here.header("system/*.rs", client="")) == 200
    assert outside.asked == ["/introspect"] * 2, "our own tokens are none of its business"


@pytest.mark.parametrize(
    "more", [{"active": "true"}, {"active": 1}, {"active": False}, {"active": None}, *list(REFUSED.values())[3:7]]
)
async def test_an_answer_is_checked_as_a_token_is(start: Start, outside: StandIn, more: Json) -> None:
    here = await start()
    expected = 200 if more == {"aud": None} else 401  # whoever is asked by us may leave that out
    outside.tokens["opaque"] = {
        "active": True,
        **claims(**more),
        **({"active": more["active"]} if "active" in more else {}),
    }
    assert await status(here, "opaque") == expected


async def test_an_answer_without_an_end_counts_for_a_short_while(start: Start, outside: StandIn) -> None:
    here = await start()
    outside.tokens["opaque"] = {"active": True, **claims(exp=None)}
    assert await status(here, "opaque") == 200
    assert here.authenticator._kept[b"Bearer opaque"].until <= seconds() + KEPT
    shorter = KEPT - 5  # and long enough to be asked about on a machine that stalls
    outside.tokens["short"] = {"active": True, **claims(exp=int(time.time()) + shorter)}
    assert await status(here, "short") == 200
    assert here.authenticator._kept[b"Bearer short"].until <= seconds() + shorter


@pytest.mark.parametrize("answer", [(500, b""), (401, b"{}"), (200, b"[]"), (200, b"no"), (200, b"x" * 100_000)])
async def test_without_an_answer_it_is_503_and_no_token_is_told(
    start: Start, outside: StandIn, answer: tuple[int, bytes]
) -> None:
    here = await start()
    outside.answer = answer
    with capture_logs() as logs:
        assert await status(here, "opaque-and-secret") == 503
        assert await status(here, token := signed()) == 503
    assert "opaque-and-secret" not in str(logs)
    assert token[-20:] not in str(logs)


async def test_only_what_is_configured_is_done(start: Start, outside: StandIn) -> None:
    here = await start(external_introspection_url="")
    assert await status(here, "opaque") == 401
    assert outside.asked == []
    asked_only = await start(external_jwks_uri="")
    assert await status(asked_only, signed()) == 401
    assert outside.asked == ["/introspect"]


def test_what_does_not_suffice_is_refused_at_the_start(outside: StandIn) -> None:
    assert External.configured(Settings(), BASE) is None
    for more in (
        {"external_jwks_uri": "", "external_introspection_url": ""},
        {"external_jwks_uri": "file:///etc/passwd"},
        {"external_jwks_uri": "https://user:secret@login.example/jwks"},
        {"external_introspection_url": "login.example/introspect"},
    ):
        with pytest.raises(ValueError, match=r"outside authorization server|FHIR_EXTERNAL_ISSUER"):
            External.configured(settings(outside, **more), BASE)
