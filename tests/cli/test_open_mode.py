"""Open mode: loopback only, said loudly, and nothing that would make a client try to sign in."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.cli.here import here
from tests.cli.serving import Serving, serving

WELL_KNOWN = (
    "/.well-known/smart-configuration",
    "/fhir/.well-known/smart-configuration",
    "/.well-known/openid-configuration",
    "/.well-known/oauth-authorization-server",
)
AUTH = ("authorize", "token", "introspect", "revoke", "register", "userinfo", "jwks", "login", "apps")
PUBLIC = ("/", "/docs", "/docs/Patient", "/openapi.json", "/health", "/health/live", "/health/ready", "/metrics")


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    with serving(tmp_path_factory.mktemp("open"), "--open", FHIR_OPEN="false") as server:
        yield server


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Serving, Path]]:
    """A server that wants to see a token, with its guide."""
    data_dir = tmp_path_factory.mktemp("closed")
    with serving(data_dir, FHIR_OPEN="false") as server:
        yield server, data_dir


def root(server: Serving) -> str:
    return server.base.removesuffix("/fhir")


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "fhir.example"])
@pytest.mark.parametrize("way", ["option", "variable"])
def test_it_listens_on_loopback_only(tmp_path: Path, host: str, way: str) -> None:
    option, variables = (["--open"], {}) if way == "option" else ([], {"FHIR_OPEN": "true"})
    ended = here("serve", *option, "--host", host, "--data-dir", tmp_path, **variables)
    assert ended.returncode == 1
    assert "no sign-in" in ended.stderr
    assert f"listens on loopback only, not on {host}" in ended.stderr
    assert not list(tmp_path.iterdir())


def test_it_is_said_loudly(opened: Serving) -> None:
    assert "NO SIGN-IN (open mode)" in opened.banner
    page = httpx.get(f"{root(opened)}/").text
    assert "Open mode: there is no sign-in." in page


@pytest.mark.parametrize("path", WELL_KNOWN)
def test_it_offers_no_sign_in(opened: Serving, path: str) -> None:
    assert httpx.get(root(opened) + path).status_code == 404


@pytest.mark.parametrize("name", AUTH)
def test_it_has_no_endpoints_of_sign_in(opened: Serving, name: str) -> None:
    for method in ("GET", "POST"):
        assert httpx.request(method, f"{root(opened)}/auth/{name}").status_code == 404


def test_its_statement_names_none(opened: Serving) -> None:
    security = httpx.get(f"{opened.base}/metadata").json()["rest"][0]["security"]
    assert security == {"cors": False, "description": security["description"]}
    assert "no sign-in" in security["description"]
    described = httpx.get(f"{root(opened)}/openapi.json").json()
    assert "securitySchemes" not in described["components"]
    assert "security" not in described


def test_with_sign_in_the_statement_and_the_discovery_agree(closed: tuple[Serving, Path]) -> None:
    server, _ = closed
    smart = httpx.get(f"{server.base}/.well-known/smart-configuration").json()
    security = httpx.get(f"{server.base}/metadata").json()["rest"][0]["security"]
    (uris,) = (one["extension"] for one in security["extension"] if one["url"].endswith("/oauth-uris"))
    assert {one["url"]: one["valueUri"] for one in uris} == {
        "authorize": smart["authorization_endpoint"],
        "token": smart["token_endpoint"],
        "introspect": smart["introspection_endpoint"],
        "revoke": smart["revocation_endpoint"],
        "manage": smart["management_endpoint"],
    }


@pytest.mark.parametrize("path", [*PUBLIC, "/ig/", "/fhir/metadata", *WELL_KNOWN])
def test_what_strangers_may_see(closed: tuple[Serving, Path], path: str) -> None:
    assert httpx.get(root(closed[0]) + path, follow_redirects=True).status_code == 200


def test_strangers_are_not_told_how_much_there_is(closed: tuple[Serving, Path]) -> None:
    server, data_dir = closed
    made = here("token", "--data-dir", data_dir, "--scope", "system/*.cruds")
    headers = {"Authorization": f"Bearer {made.stdout.strip()}", "Content-Type": "application/fhir+json"}
    for number in range(3):
        patient = {"resourceType": "Patient", "id": f"secret-{number}", "name": [{"family": "Zzyzx"}]}
        assert httpx.put(f"{server.base}/Patient/secret-{number}", json=patient, headers=headers).status_code == 201
    page = httpx.get(f"{root(server)}/").text
    assert "In this server" not in page
    assert "resources of" not in page
    assert "Sign-in" in page
    for path in PUBLIC:
        text = httpx.get(root(server) + path).text
        assert "secret-" not in text
        assert "Zzyzx" not in text, path


def test_a_stranger_gets_401_whatever_is_asked(closed: tuple[Serving, Path]) -> None:
    for path in ("Patient", "Patient/1", "Nothing", "_history", "", "Patient/1/$everything", "AuditEvent"):
        answer = httpx.get(f"{closed[0].base}/{path}")
        assert answer.status_code == 401, path
        assert answer.headers["www-authenticate"].startswith("Bearer")
