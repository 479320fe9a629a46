"""`fhir-server client`: apps and backend services, on a real database."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from joserfc.jwk import ECKey

from smart_auth.clients import Client
from smart_auth.grant import Grant, new_id
from smart_auth.service import SmartAuth
from tests.cli.accounts import Accounts

BACK = "https://app.example/callback"
SCOPE = "system/*.rs"


@pytest.fixture(scope="module")
def jwks(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A JWK Set file."""
    path = tmp_path_factory.mktemp("keys") / "jwks.json"
    key = ECKey.generate_key("P-384", {"kid": "one"})
    path.write_text(json.dumps({"keys": [key.as_dict(private=False)]}))
    return str(path)


def found(accounts: Accounts, id_: str) -> Client:
    async def look(auth: SmartAuth) -> Client | None:
        return await auth.clients.get(id_)

    client = accounts.look(look)
    assert client is not None
    return client


def test_a_public_app_gets_an_id(accounts: Accounts) -> None:
    said = accounts.done("client", "add", "--name", "Growth Chart", "--redirect-uri", BACK, "--origin", BACK[:19])
    assert len(said) == 1
    client = found(accounts, said[0].removeprefix("client_id: "))
    assert (client.name, client.kind, client.redirect_uris, client.trusted) == (
        "Growth Chart",
        "public",
        (BACK,),
        False,
    )
    assert client.origins == ("https://app.example",)
    assert f"{client.id}  public  Growth Chart" in accounts.done("client", "list")


def test_an_app_with_a_secret(accounts: Accounts) -> None:
    said = accounts.done("client", "add", "office", "--secret", "--redirect-uri", BACK, "--launch-uri", BACK)
    assert said[0] == "client_id: office"
    first = said[1].removeprefix("client_secret: ")
    assert found(accounts, "office").check_secret(first)
    assert found(accounts, "office").kind == "confidential-symmetric"
    second = accounts.done("client", "secret", "office")[0].removeprefix("client_secret: ")
    assert found(accounts, "office").check_secret(second)
    assert not found(accounts, "office").check_secret(first), "the old secret ends"
    assert first not in repr(accounts.trail())


def test_a_backend_service_with_its_keys(accounts: Accounts, jwks: str) -> None:
    assert accounts.done("client", "add", "feed", "--backend", "--jwks", jwks, "--scope", SCOPE) == ["client_id: feed"]
    client = found(accounts, "feed")
    assert (client.kind, client.grant_types) == ("confidential-asymmetric", ("client_credentials",))
    assert client.scopes == SCOPE
    accounts.done("client", "add", "far", "--backend", "--jwks-uri", "https://far.example/jwks", "--scope", SCOPE)
    assert found(accounts, "far").jwks_uri == "https://far.example/jwks"


@pytest.mark.parametrize("action", ["disable", "remove"])
def test_who_is_taken_out_of_service_loses_the_tokens(accounts: Accounts, action: str) -> None:
    id_ = f"{action}-me"
    accounts.done("client", "add", id_, "--redirect-uri", BACK)

    async def issue(auth: SmartAuth) -> str:
        return (await auth.tokens.issue(Grant(new_id(), id_, user="u", scopes="user/*.rs"), seconds=600)).access

    token = accounts.look(issue)
    assert accounts.done("client", action, id_)[0].endswith("its tokens are revoked.")

    async def lasts(auth: SmartAuth) -> bool:
        return await auth.tokens.find(token) is not None

    assert not accounts.look(lasts)
    assert any(line.startswith(id_) for line in accounts.done("client", "list")) is (action == "disable")


def test_a_disabled_client_can_come_back(accounts: Accounts) -> None:
    accounts.done("client", "add", "back", "--redirect-uri", BACK)
    accounts.done("client", "disable", "back")
    assert not found(accounts, "back").active
    assert "back  public  back  (disabled)" in accounts.done("client", "list")
    assert accounts.done("client", "enable", "back") == ["back is enabled."]
    assert found(accounts, "back").active


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("add", "new"), "has a redirect URI"),
        (("add", "new", "--redirect-uri", "http://app.example/back"), ""),
        (("add", "new", "--redirect-uri", "https://app.example/#x"), ""),
        (("add", "new", "--redirect-uri", BACK, "--origin", "https://app.example/path"), "An origin is"),
        (("add", "new", "--redirect-uri", BACK, "--scope", "everything"), "no scope 'everything'"),
        (("add", "new", "--backend"), "confidential-asymmetric"),
        (("add", "new", "--backend", "--secret", "--scope", SCOPE), "confidential-asymmetric"),
        (("add", "new", "--backend", "--secret", "--jwks-uri", "https://a.example/j"), "a secret or keys"),
        (("add", "new", "--backend", "--jwks-uri", "ftp://a.example/j"), "jwks_uri is an https URL"),
        (("add", "new", "--backend", "--jwks", "/nowhere/jwks.json"), "cannot be read: No such file"),
        (("secret",), "name the client"),
        (("secret", "nobody"), "there is no client nobody"),
        (("secret", "public"), "no confidential-symmetric client"),
        (("remove", "nobody"), "there is no client nobody"),
        (("add", "public", "--redirect-uri", BACK), "There is a client with this id"),
    ],
)
def test_refusals(accounts: Accounts, arguments: tuple[str, ...], said: str) -> None:
    accounts("client", "add", "public", "--redirect-uri", BACK)
    assert said in accounts.refused("client", *arguments)
    assert not any(line.startswith("new ") for line in accounts.done("client", "list"))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("not JSON", "holds no JSON"),
        ("[]", "holds no JWK Set"),
        ("{}", "a JWK Set with keys"),
        ('{"keys":[{"kty":"EC"}]}', "Every key has a kid"),
        ('{"keys":[{"kty":"oct","k":"c2VjcmV0","kid":"1"}]}', "nothing private"),
        ('{"keys":[{"kty":"EC","d":"c2VjcmV0","kid":"1"}]}', "nothing private"),
    ],
)
def test_files_that_hold_no_public_keys(accounts: Accounts, tmp_path: Path, content: str, said: str) -> None:
    path = tmp_path / "keys.json"
    path.write_text(content)
    error = accounts.refused("client", "add", "new", "--backend", "--jwks", str(path), "--scope", SCOPE)
    assert said in error
    assert "c2VjcmV0" not in error
