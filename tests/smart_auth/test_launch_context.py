"""`$launch-context`: who may open which app for whom, and about which patient."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

import smart_auth.operations
from fhir_server.access import Principal
from fhir_server.access.principal import ANYONE, NOBODY
from fhir_server.access.scopes import resource_scopes
from fhir_server.config import Settings
from fhir_server.context import Context, FhirRequest
from fhir_server.main import Server, running
from fhir_server.outcomes import FhirError
from fhir_server.registry import discover
from smart_auth.clients import Client
from smart_auth.service import SmartAuth

Json = dict[str, Any]

DOCTOR = Principal(
    "dora",
    scopes=resource_scopes("user/*.rs"),
    client="ehr",
    user="Practitioner/1",
    roles=("doctor",),
    panel={"Patient/1": "referral", "Patient/2": "referral"},
)
APP = Principal(
    "dora", scopes=resource_scopes("patient/*.rs"), client="app", user="Practitioner/1", patient="Patient/1"
)
EHR = Principal("ehr", scopes=resource_scopes("system/*.rs"), client="ehr", roles=("system",))
PATIENT = Principal(
    "ann",
    scopes=resource_scopes("user/*.rs"),
    client="portal",
    user="Patient/1",
    roles=("patient",),
    own=frozenset({"Patient/1"}),
)
RESOURCES: list[Json] = [
    {"resourceType": "Patient", "id": "1"},
    {"resourceType": "Patient", "id": "2"},
    {
        "resourceType": "Encounter",
        "id": "e1",
        "status": "in-progress",
        "class": {"code": "AMB"},
        "subject": {"reference": "Patient/1"},
    },
    {
        "resourceType": "ImagingStudy",
        "id": "i1",
        "status": "available",
        "subject": {"reference": "Patient/1"},
    },
]


class Desk:
    """Calls the operation as somebody."""

    def __init__(self, server: Server, auth: SmartAuth) -> None:
        self._server = server
        self.auth = auth

    def context(self, principal: Principal, auth: bool = True) -> Context:
        context = self._server.context(principal=principal)
        if auth:
            context.state["auth"] = self.auth
        return context

    async def ask(self, principal: Principal, *given: tuple[str, Any], auth: bool = True) -> Json:
        context = self.context(principal, auth)
        named = {bool: "valueBoolean"}
        parameters = [{"name": name, named.get(type(value), "valueString"): value} for name, value in given]
        body = {"resourceType": "Parameters", **({"parameter": parameters} if parameters else {})}
        answer = await context.dispatch(context, FhirRequest("POST", "$launch-context", body=body))
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.resource is not None
        told = answer.resource["parameter"]
        return {one["name"]: next(value for name, value in one.items() if name != "name") for one in told}

    async def refused(self, principal: Principal, *given: tuple[str, Any], auth: bool = True) -> int:
        with pytest.raises(FhirError) as caught:
            await self.ask(principal, *given, auth=auth)
        return caught.value.status


@pytest.fixture(scope="module")
def settings(mongo_uri: str, database: str, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return Settings(mongodb_uri=mongo_uri, database=database, data_dir=tmp_path_factory.mktemp("data"))


@pytest.fixture
async def desk(settings: Settings) -> AsyncIterator[Desk]:
    discover(smart_auth.operations)
    async with running(settings) as server:
        for resource in RESOURCES:
            context = server.context()
            path = f"{resource['resourceType']}/{resource['id']}"
            await context.dispatch(context, FhirRequest("PUT", path, body=dict(resource)))
        auth = SmartAuth(settings, server.database, server.repository)
        await auth.prepare()
        for client in (
            Client("app", "App", redirect_uris=("https://a.example/cb",), launch_uri="https://a.example/launch?x=1"),
            Client("plain", "Plain", redirect_uris=("https://a.example/cb",)),
            Client("ended", "Ended", redirect_uris=("https://a.example/cb",), active=False),
        ):
            if await auth.clients.get(client.id) is None:
                await auth.clients.add(client)
        yield Desk(server, auth)


async def test_point_8_a_user_opens_an_app_about_a_patient(desk: Desk) -> None:
    told = await desk.ask(
        DOCTOR,
        ("client", "app"),
        ("patient", "Patient/1"),
        ("encounter", "e1"),
        ("fhirContext", "ImagingStudy/i1"),
        ("needPatientBanner", False),
        ("intent", "reconcile-medications"),
        ("tenant", "north"),
    )
    query = parse_qs(urlsplit(told["url"]).query)
    assert query["launch"] == [told["launch"]]
    assert query["iss"][0].endswith("/fhir")
    assert told["url"].startswith("https://a.example/launch?x=1&")
    assert await desk.auth.launches.take(told["launch"], "app", "Practitioner/2") is None
    assert await desk.auth.launches.take(told["launch"], "app", "Practitioner/1") == {
        "patient": "1",
        "encounter": "e1",
        "fhirContext": [{"reference": "ImagingStudy/i1"}],
        "need_patient_banner": False,
        "intent": "reconcile-medications",
        "tenant": "north",
    }


async def test_point_8_an_outside_ehr_opens_an_app_for_a_user_it_names(desk: Desk) -> None:
    told = await desk.ask(EHR, ("client", "plain"), ("patient", "2"), ("user", "Practitioner/7"))
    assert set(told) == {"launch", "expires"}
    assert await desk.auth.launches.take(told["launch"], "plain", "Practitioner/1") is None
    assert await desk.auth.launches.take(told["launch"], "plain", "Practitioner/7") == {"patient": "2"}
    told = await desk.ask(EHR, ("client", "plain"))
    assert await desk.auth.launches.take(told["launch"], "plain", "Practitioner/1") == {}


@pytest.mark.parametrize(
    ("principal", "status"),
    [
        (NOBODY, 401),
        (APP, 403),
        (PATIENT, 403),  # by their role
        (Principal("x", client="x", scopes=resource_scopes("system/Observation.rs"), roles=("system",)), 403),
    ],
)
async def test_who_may_not_open_apps(desk: Desk, principal: Principal, status: int) -> None:
    assert await desk.refused(principal, ("client", "app"), ("patient", "1")) == status


@pytest.mark.parametrize(
    ("given", "status"),
    [
        ([], 400),
        ([("client", "nobody")], 400),
        ([("client", "ended")], 400),
        ([("client", "app"), ("user", "Practitioner/7")], 403),
        ([("client", "app"), ("user", "Device/7")], 400),
        ([("client", "app"), ("patient", "none")], 404),
        ([("client", "app"), ("patient", "Encounter/e1")], 400),
        ([("client", "app"), ("patient", "../1")], 400),
        ([("client", "app"), ("encounter", "e1")], 400),
        ([("client", "app"), ("patient", "2"), ("encounter", "e1")], 400),
        ([("client", "app"), ("patient", "1"), ("encounter", "none")], 404),
        ([("client", "app"), ("fhirContext", "Patient/2")], 400),
        ([("client", "app"), ("fhirContext", "https://x.example/ImagingStudy/1")], 400),
        ([("client", "app"), ("fhirContext", "ImagingStudy/none")], 404),
        ([("client", "app"), ("client", "plain")], 400),
        ([("client", "app"), ("colour", "red")], 400),
    ],
)
async def test_what_is_refused(desk: Desk, given: list[tuple[str, Any]], status: int) -> None:
    assert await desk.refused(DOCTOR, *given) == status


async def test_open_mode_has_no_launches(desk: Desk) -> None:
    assert await desk.refused(ANYONE, ("client", "app"), auth=False) == 400
