"""A backend service in plain HTTP: https://hl7.org/fhir/smart-app-launch/backend-services.html"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from time import time
from typing import Any

import httpx
import pytest

from tests.clients.backend import ask_token, token
from tests.clients.keys import assertion, new_key, public
from tests.clients.office import Office
from tests.clients.pages import Pages

Json = dict[str, Any]
SCOPE = "system/Observation.rs system/Patient.r"


@pytest.fixture(scope="module", params=["jwks", "jwks_uri"])
def service(request: pytest.FixtureRequest, office: Office, pages: Pages, private_key: Json) -> str:
    """The id of a registered service, which gave its keys or says where they are."""
    id_ = f"registry-{request.param}-{private_key['alg'].lower()}".replace("_", "-")
    where = pages.publish(f"/{id_}.json", public(private_key), cache_control="max-age=600")
    keys = {"jwks": public(private_key)} if request.param == "jwks" else {"jwks_uri": where}
    office.register(
        id=id_,
        name="Registry",
        kind="confidential-asymmetric",
        grant_types=("client_credentials",),
        scopes="system/*.rs",
        **keys,
    )
    return id_


def test_token(issuer: str, service: str, private_key: Json) -> None:
    answer = ask_token(issuer, service, private_key, SCOPE)
    assert answer.status_code == 200, answer.text
    assert answer.headers["cache-control"] == "no-store"
    told = answer.json()
    assert told["token_type"].lower() == "bearer"
    assert 0 < told["expires_in"] <= 300
    assert told["scope"].split() == SCOPE.split()
    assert "refresh_token" not in told
    assert "id_token" not in told
    assert "patient" not in told


def test_use(server: str, issuer: str, service: str, private_key: Json) -> None:
    headers = {"Authorization": f"Bearer {token(issuer, service, private_key, SCOPE)}"}
    with httpx.Client(base_url=server, headers=headers) as fhir:
        found = fhir.get("/Observation").json()
        assert {entry["resource"]["id"] for entry in found["entry"]} == {"ann-1", "ann-2", "ann-3", "ben-1"}
        assert fhir.get("/Patient/ben").status_code == 200
        assert fhir.get("/Patient").status_code == 403  # s was not asked for
        assert fhir.get("/Encounter").status_code == 403
        assert fhir.delete("/Observation/ann-1").status_code == 403
        assert fhir.get("/Observation/ann-1").status_code == 200


def test_only_registered_scopes(issuer: str, service: str, private_key: Json) -> None:
    answer = ask_token(issuer, service, private_key, "system/Observation.cruds")
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_scope")


def test_an_assertion_counts_once(issuer: str, service: str, private_key: Json) -> None:
    """Also when it is sent many times at the same moment."""
    same = assertion(private_key, service, f"{issuer}/auth/token")
    with ThreadPoolExecutor(8) as threads:
        asked = [
            threads.submit(ask_token, issuer, service, private_key, SCOPE, client_assertion=same) for _ in range(8)
        ]
        statuses = sorted(one.result().status_code for one in asked)
    assert statuses[0] == 200
    assert set(statuses[1:]) <= {400, 401}


@pytest.mark.parametrize(
    "claims",
    [
        {"exp": int(time()) - 3600},
        {"exp": int(time()) + 3600},
        {"aud": "https://elsewhere.example/token"},
        {"sub": "somebody-else"},
        {"jti": ""},
    ],
    ids=lambda claims: "-".join(claims),
)
def test_wrong_assertions(issuer: str, service: str, private_key: Json, claims: Json) -> None:
    wrong = assertion(private_key, service, f"{issuer}/auth/token", **claims)
    answer = ask_token(issuer, service, private_key, SCOPE, client_assertion=wrong)
    assert answer.status_code in (400, 401)
    assert answer.json()["error"] == "invalid_client"


def test_another_key(issuer: str, service: str, private_key: Json) -> None:
    """The right key id on the wrong key."""
    foreign = new_key(private_key["alg"]) | {"kid": private_key["kid"]}
    assert ask_token(issuer, service, foreign, SCOPE).json()["error"] == "invalid_client"


def test_published_keys_are_kept_as_long_as_their_owner_says(
    issuer: str, office: Office, pages: Pages, private_key: Json
) -> None:
    id_ = f"keeper-{private_key['alg'].lower()}"
    path = f"/{id_}.json"
    where = pages.publish(path, public(private_key), cache_control="max-age=600")
    office.register(
        id=id_,
        name="Keeper",
        kind="confidential-asymmetric",
        jwks_uri=where,
        grant_types=("client_credentials",),
        scopes=SCOPE,
    )
    for _ in range(3):
        token(issuer, id_, private_key, SCOPE)
    assert pages.visits[path] == 1
    # A key that was published in the meantime is found all the same.
    newer = new_key(private_key["alg"])
    pages.publish(path, public(private_key, newer), cache_control="max-age=600")
    token(issuer, id_, newer, SCOPE)
    assert pages.visits[path] == 2


def test_revocation(server: str, issuer: str, service: str, private_key: Json, office: Office) -> None:
    """What an administrator takes away is refused at the very next request."""
    headers = {"Authorization": f"Bearer {token(issuer, service, private_key, SCOPE)}"}
    assert httpx.get(f"{server}/Observation", headers=headers).status_code == 200
    office.do(lambda auth: auth.tokens.revoke_client(service))
    refused = httpx.get(f"{server}/Observation", headers=headers)
    assert refused.status_code == 401
    assert 'error="invalid_token"' in refused.headers["www-authenticate"]
