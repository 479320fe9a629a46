"""openid-client: a certified OpenID relying party that proves who it is with private_key_jwt."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Page

from tests.clients.browser import arrive, sign_in
from tests.clients.keys import new_key, public
from tests.clients.node import Refused, Script, script
from tests.clients.office import Office
from tests.clients.pages import Pages
from tests.clients.world import BEN_NAME

Json = dict[str, Any]
SCOPE = "openid fhirUser profile launch/patient offline_access patient/*.rs"


@pytest.fixture(scope="module", params=["jwks", "jwks_uri"])
def client_id(request: pytest.FixtureRequest, office: Office, pages: Pages, private_key: Json) -> str:
    """A registered relying party, which gave its keys or says where they are."""
    id_ = f"portal-{request.param}-{private_key['alg'].lower()}".replace("_", "-")
    published = pages.publish(f"/{id_}.json", public(private_key))
    keys = {"jwks": public(private_key)} if request.param == "jwks" else {"jwks_uri": published}
    office.register(id=id_, name="Portal", kind="confidential-asymmetric", redirect_uris=(pages.back,), **keys)
    return id_


@pytest.fixture
def party(client_id: str, private_key: Json, issuer: str) -> Iterator[Script]:
    with script("openid_client.mjs") as party:
        found = party("discover", issuer=issuer, client_id=client_id, jwk=private_key)
        assert found["issuer"] == issuer
        assert found["pkce"]
        assert "private_key_jwt" in found["token_endpoint_auth_methods_supported"]
        assert {"RS384", "ES384"} <= set(found["token_endpoint_auth_signing_alg_values_supported"])
        assert "RS256" in found["id_token_signing_alg_values_supported"]
        yield party


def enter(party: Script, page: Page, pages: Pages, server: str, user: str, patient: str | None = None) -> Json:
    """The tokens, their id_token's signature and claims checked by the library."""
    page.goto(party("begin", redirect_uri=pages.back, scope=SCOPE, aud=server))
    sign_in(page, user, patient=patient)
    tokens: Json = party("finish", url=arrive(page, pages.back))
    return tokens


def test_sign_in_and_use(party: Script, page: Page, pages: Pages, server: str) -> None:
    tokens = enter(party, page, pages, server, "dora", BEN_NAME)
    assert tokens["patient"] == "ben"
    assert tokens["claims"]["fhirUser"].endswith("Practitioner/dora")
    told = party("userinfo", subject=tokens["claims"]["sub"])
    assert told["fhirUser"] == tokens["claims"]["fhirUser"]
    read = party("read", url=f"{server}/Patient/ben")
    assert (read["status"], read["body"]["id"]) == (200, "ben")
    found = party("read", url=f"{server}/Observation?patient=ben")
    assert [entry["resource"]["id"] for entry in found["body"]["entry"]] == ["ben-1"]
    assert party("read", url=f"{server}/Patient/ann")["status"] == 404


def test_refresh(party: Script, page: Page, pages: Pages, server: str) -> None:
    first = enter(party, page, pages, server, "ann")
    fewer = "openid launch/patient offline_access patient/Patient.r"
    second = party("refresh", scope=fewer)
    assert second["access_token"] != first["access_token"]
    assert set(second["scope"].split()) == set(fewer.split())
    assert second["patient"] == "ann"
    assert party("read", url=f"{server}/Patient/ann")["status"] == 200
    assert party("read", url=f"{server}/Observation?patient=ann")["status"] == 403
    with pytest.raises(Refused, match="invalid_grant"):
        party("refresh", refresh_token=first["refresh_token"])
    assert party("read", url=f"{server}/Patient/ann", access_token=second["access_token"])["status"] == 401


def test_introspection_and_revocation(party: Script, page: Page, pages: Pages, server: str, client_id: str) -> None:
    tokens = enter(party, page, pages, server, "ann")
    told = party("introspect")
    assert told["active"] is True
    assert told["client_id"] == client_id
    assert told["patient"] == "ann"
    assert set(told["scope"].split()) == set(tokens["scope"].split())
    party("revoke")
    assert party("introspect") == {"active": False}
    assert party("read", url=f"{server}/Patient/ann")["status"] == 401
    # Only the access token has gone; the refresh token takes everything with it.
    party("refresh")
    assert party("read", url=f"{server}/Patient/ann")["status"] == 200
    party("revoke", token=tokens["refresh_token"])


def test_a_code_counts_once(party: Script, page: Page, pages: Pages, server: str) -> None:
    page.goto(party("begin", redirect_uri=pages.back, scope=SCOPE, aud=server))
    sign_in(page, "ann")
    address = arrive(page, pages.back)
    tokens = party("finish", url=address)
    with pytest.raises(Refused, match="invalid_grant"):
        party("finish", url=address)
    assert party("read", url=f"{server}/Patient/ann", access_token=tokens["access_token"])["status"] == 401


def test_another_key(page: Page, pages: Pages, server: str, issuer: str, client_id: str, private_key: Json) -> None:
    foreign = new_key(private_key["alg"]) | {"kid": private_key["kid"]}
    with script("openid_client.mjs") as party:
        party("discover", issuer=issuer, client_id=client_id, jwk=foreign)
        with pytest.raises(Refused, match="invalid_client"):
            enter(party, page, pages, server, "ann")


def test_as_a_service(issuer: str, server: str, office: Office, private_key: Json) -> None:
    """With assertions whose audience is the issuer (RFC 7523), as general libraries make them."""
    id_ = f"job-{private_key['alg'].lower()}"
    office.register(
        id=id_,
        name="Job",
        kind="confidential-asymmetric",
        jwks=public(private_key),
        grant_types=("client_credentials",),
        scopes="system/Patient.rs",
    )
    with script("openid_client.mjs") as party:
        party("discover", issuer=issuer, client_id=id_, jwk=private_key, plain=True)
        tokens = party("credentials", scope="system/Patient.rs")
        assert tokens["expires_in"] <= 300
        assert "refresh_token" not in tokens
        assert party("read", url=f"{server}/Patient?_count=1")["status"] == 200
        assert party("read", url=f"{server}/Observation")["status"] == 403
