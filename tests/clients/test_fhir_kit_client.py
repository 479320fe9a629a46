"""fhir-kit-client: a backend service in JavaScript."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.clients.keys import public
from tests.clients.node import Refused, Script, script
from tests.clients.office import Office
from tests.clients.world import observation

Json = dict[str, Any]


@pytest.fixture
def service(office: Office, server: str, private_key: Json) -> Iterator[tuple[Script, str]]:
    """The script, which has found the server's endpoints, and its client_id."""
    id_ = f"laboratory-{private_key['alg'].lower()}"
    if office.do(lambda auth: auth.clients.get(id_)) is None:
        office.register(
            id=id_,
            name="Laboratory",
            kind="confidential-asymmetric",
            jwks=public(private_key),
            grant_types=("client_credentials",),
            scopes="system/Observation.cruds system/Patient.rs",
        )
    with script("fhir_kit_client.mjs") as kit:
        issuer = server.removesuffix("/fhir")
        found = kit("discover", baseUrl=server)
        assert found == {"authorizeUrl": f"{issuer}/auth/authorize", "tokenUrl": f"{issuer}/auth/token"}
        yield kit, id_


def signed_in(service: tuple[Script, str], key: Json, scope: str) -> Script:
    kit, id_ = service
    answer = kit("sign_in", client_id=id_, jwk=key, scope=scope)
    assert answer["status"] == 200, answer
    assert answer["scope"] == scope
    return kit


def status(kit: Script, step: str, **argument: Any) -> int:
    """With which status a step is refused."""
    with pytest.raises(Refused) as refused:
        kit(step, **argument)
    return int(refused.value.told["status"])


def test_read_and_search(service: tuple[Script, str], private_key: Json) -> None:
    kit = signed_in(service, private_key, "system/Patient.rs system/Observation.rs")
    assert kit("read", resourceType="Patient", id="ann")["name"][0]["family"] == "Archer"
    query = {"patient": "ann", "_sort": "_id", "_count": 2}
    assert kit("pages", resourceType="Observation", searchParams=query) == [["ann-1", "ann-2"], ["ann-3"]]
    found = kit("search", resourceType="Observation", searchParams={"subject:Patient.family": "booker"})
    assert [entry["resource"]["id"] for entry in found["entry"]] == ["ben-1"]


def test_write(service: tuple[Script, str], private_key: Json) -> None:
    kit = signed_in(service, private_key, "system/Observation.cruds")
    new = kit("create", resourceType="Observation", body=observation("x", "Patient/ben", "Heart rate", 70, "/min"))
    changed = kit("update", resourceType="Observation", id=new["id"], body=new | {"status": "amended"})
    assert (changed["meta"]["versionId"], changed["status"]) == ("2", "amended")
    gone = {"request": {"method": "DELETE", "url": f"Observation/{new['id']}"}}
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": [gone]}
    assert kit("transaction", body=bundle)["type"] == "transaction-response"
    assert status(kit, "read", resourceType="Observation", id=new["id"]) == 410


def test_outside_the_scope(service: tuple[Script, str], private_key: Json) -> None:
    kit = signed_in(service, private_key, "system/Observation.rs")
    assert status(kit, "read", resourceType="Patient", id="ann") == 403
    body = observation("y", "Patient/ben", "Heart rate", 70, "/min")
    assert status(kit, "create", resourceType="Observation", body=body) == 403


def test_without_a_token(service: tuple[Script, str]) -> None:
    kit, _ = service
    assert status(kit, "read", resourceType="Patient", id="ann") == 401
