"""fhirpy: an asynchronous service with a bearer token."""

from __future__ import annotations

from typing import Any

import pytest
from fhirpy import AsyncFHIRClient
from fhirpy.base.exceptions import AuthorizationError, ForbiddenError, ResourceNotFound

from tests.clients.backend import token
from tests.clients.keys import new_key, public
from tests.clients.office import Office
from tests.clients.world import observation

Json = dict[str, Any]


@pytest.fixture(scope="module")
def key(office: Office) -> Json:
    key = new_key("ES384")
    office.register(
        id="warehouse",
        name="Warehouse",
        kind="confidential-asymmetric",
        jwks=public(key),
        grant_types=("client_credentials",),
        scopes="system/*.cruds",
    )
    return key


def client(server: str, issuer: str, key: Json, scope: str) -> AsyncFHIRClient:
    bearer = f"Bearer {token(issuer, 'warehouse', key, scope)}"
    # count() of the library has a parameter of another server.
    return AsyncFHIRClient(server, authorization=bearer, extra_headers={"Prefer": "handling=lenient"})


async def test_search(server: str, issuer: str, key: Json) -> None:
    fhir = client(server, issuer, key, "system/Patient.rs system/Observation.rs")
    measured = fhir.resources("Observation").search(patient="ann").sort("_id").limit(2)
    assert [one["id"] async for one in measured] == ["ann-1", "ann-2", "ann-3"]  # over two pages
    weights = await fhir.resources("Observation").search(patient__Patient__name="booker").fetch_all()
    assert [one.get_by_path("valueQuantity.value") for one in weights] == [82]
    assert await fhir.resources("Patient").count() == 2
    named = await fhir.resources("Patient").search(family="Archer").first()
    assert named is not None
    assert named["id"] == "ann"


async def test_references_are_resolved(server: str, issuer: str, key: Json) -> None:
    fhir = client(server, issuer, key, "system/Patient.r system/Observation.r")
    weight = await fhir.reference("Observation", "ben-1").to_resource()
    subject = await weight["subject"].to_resource()
    assert subject["name"][0]["family"] == "Booker"


async def test_write(server: str, issuer: str, key: Json) -> None:
    fhir = client(server, issuer, key, "system/Observation.cruds")
    new = fhir.resource("Observation", **observation("", "Patient/ben", "Body height", 181, "cm"))
    await new.save()
    new["status"] = "amended"
    await new.save()
    found = await fhir.reference("Observation", new["id"]).to_resource()
    assert found["status"] == "amended"
    await found.delete()
    with pytest.raises(ResourceNotFound):
        await fhir.reference("Observation", new["id"]).to_resource()


async def test_outside_the_scope(server: str, issuer: str, key: Json) -> None:
    fhir = client(server, issuer, key, "system/Observation.rs")
    with pytest.raises(ForbiddenError):
        await fhir.resources("Patient").fetch()
    with pytest.raises(ForbiddenError):
        await fhir.resource("Observation", **observation("", "Patient/ben", "Body height", 181, "cm")).save()
    included = fhir.resources("Observation").search(patient="ben").include("Observation", "subject")
    assert {one.resource_type for one in await included.fetch()} == {"Observation"}


async def test_a_token_that_is_none(server: str) -> None:
    fhir = AsyncFHIRClient(server, authorization="Bearer made-up")
    with pytest.raises(AuthorizationError):
        await fhir.resources("Patient").fetch()
