"""The CapabilityStatement says what is registered, no more and no less, and fhir.resources reads it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from fhir.resources.R4B.capabilitystatement import CapabilityStatement
from fhir.resources.R4B.terminologycapabilities import TerminologyCapabilities

import fhir_server.interactions
from fhir_server.config import Settings
from fhir_server.context import Context, FhirRequest, FhirResponse
from fhir_server.definitions import RESOURCE_TYPES
from fhir_server.interactions import capabilities
from fhir_server.interactions.terminology_capabilities import Known
from fhir_server.outcomes import Invalid
from fhir_server.registry import Operation, discover, registry
from tests.rest.driver import BASE, Server


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Settings for a statement that is built anew."""
    discover(fhir_server.interactions)
    monkeypatch.setattr(capabilities, "_built", {})
    return Settings(open=True)


async def statement(settings: Settings, mode: str = "full") -> dict[str, Any]:
    return capabilities.parsed(await capabilities.text_of(settings, BASE, mode))


def of_type(found: dict[str, Any], name: str) -> dict[str, Any]:
    return next(dict(r) for r in found["rest"][0]["resource"] if r["type"] == name)


async def test_it_is_a_capability_statement(settings: Settings) -> None:
    text = await capabilities.text_of(settings, BASE)
    CapabilityStatement.model_validate_json(text)
    found = json.loads(text)
    assert found["fhirVersion"] == "4.0.1"
    assert found["implementation"]["url"] == BASE
    assert "base.invalid" not in text.decode()
    assert {r["type"] for r in found["rest"][0]["resource"]} == RESOURCE_TYPES - {"Parameters"}
    assert "no sign-in" in found["rest"][0]["security"]["description"]


async def test_interactions_are_those_registered(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = {name: handler for name, handler in registry.interactions.items() if name in ("read", "create", "bundle")}
    monkeypatch.setattr(registry, "interactions", kept)
    found = await statement(settings)
    patient = of_type(found, "Patient")
    assert [i["code"] for i in patient["interaction"]] == ["read", "create"]
    assert (patient["updateCreate"], patient["conditionalCreate"], patient["conditionalDelete"]) == (
        False,
        True,
        "not-supported",
    )
    assert "searchParam" not in patient
    assert [i["code"] for i in found["rest"][0]["interaction"]] == ["transaction", "batch"]


async def test_audit_events_are_not_altered(settings: Settings) -> None:
    audit = of_type(await statement(settings), "AuditEvent")
    assert not {"update", "patch", "delete"} & {i["code"] for i in audit["interaction"]}
    assert audit["updateCreate"] is False
    assert audit["conditionalDelete"] == "not-supported"


async def test_the_settings_show(settings: Settings) -> None:
    assert of_type(await statement(settings), "Patient")["conditionalDelete"] == "single"
    multiple = settings.model_copy(update={"multiple_delete": True})
    assert of_type(await statement(multiple), "Patient")["conditionalDelete"] == "multiple"


async def test_search_parameters_have_their_definitions(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(registry.interactions, "search-type", answer)
    found = await statement(settings)
    parameters = {p["name"]: p for p in of_type(found, "Patient")["searchParam"]}
    assert parameters["birthdate"]["type"] == "date"
    assert parameters["birthdate"]["definition"] == "http://hl7.org/fhir/SearchParameter/individual-birthdate"
    assert parameters["birthdate"]["documentation"] == "The patient's date of birth"
    assert "_lastUpdated" in parameters
    assert "Patient:general-practitioner" in of_type(found, "Patient")["searchInclude"]
    assert "Observation:subject" in of_type(found, "Patient")["searchRevInclude"]
    assert "Observation:subject" not in of_type(found, "ValueSet")["searchRevInclude"]


async def test_operations_are_those_registered(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    declared = {
        "everything": Operation("everything", answer, instances=("Patient", "Encounter")),
        "meta": Operation("meta", answer, system=True, types=("*",), instances=("*",)),
        "own": Operation("own", answer, system=True, definition="http://example.org/own", doc="Ours."),
    }
    monkeypatch.setattr(registry, "operations", declared)
    found = await statement(settings)
    named = {o["name"]: o["definition"] for o in of_type(found, "Patient")["operation"]}
    assert named == {
        "everything": "http://hl7.org/fhir/OperationDefinition/Patient-everything",
        "meta": "http://hl7.org/fhir/OperationDefinition/Resource-meta",
    }
    assert [o["name"] for o in of_type(found, "Basic")["operation"]] == ["meta"]
    assert found["rest"][0]["operation"][1] == {
        "name": "own",
        "definition": "http://example.org/own",
        "documentation": "Ours.",
    }


async def test_other_modes(settings: Settings) -> None:
    normative = await statement(settings, "normative")
    assert {r["type"] for r in normative["rest"][0]["resource"]} == capabilities.NORMATIVE


def test_terminology_is_what_is_registered(monkeypatch: pytest.MonkeyPatch) -> None:
    def built() -> dict[str, Any]:
        capabilities.terminology_text.cache_clear()
        text = capabilities.terminology_text(
            (Known("http://example.org/own", "2"), Known("http://example.org/own", "1"))
        )
        TerminologyCapabilities.model_validate_json(text)
        return dict(json.loads(text))

    names = ("expand", "validate-code", "translate", "closure")
    monkeypatch.setattr(registry, "operations", {name: Operation(name, answer) for name in names})
    found = built()
    systems = {one["uri"]: [v["code"] for v in one.get("version", [])] for one in found["codeSystem"]}
    assert systems["http://example.org/own"] == ["1", "2"]
    assert systems["http://hl7.org/fhir/observation-status"] == ["4.0.1"]
    assert "http://snomed.info/sct" not in systems
    assert {"filter", "count", "offset", "displayLanguage"} <= {p["name"] for p in found["expansion"]["parameter"]}
    assert (found["validateCode"], found["translation"]) == ({"translations": True}, {"needsMap": True})
    monkeypatch.setattr(registry, "operations", {})
    assert not {"expansion", "validateCode", "translation", "closure"} & built().keys()
    capabilities.terminology_text.cache_clear()


async def test_the_interaction_answers_and_refuses_other_modes(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def no_guides(_: Context) -> capabilities.Guides:
        return capabilities.NO_GUIDES

    monkeypatch.setattr(capabilities, "stored_guides", no_guides)  # there is no database here
    server = Server()
    await server.call("GET", "/fhir/metadata")
    assert server.context is not None
    response = await capabilities.capabilities(server.context, FhirRequest("GET", "metadata"))
    assert response.text is not None
    with pytest.raises(Invalid):
        await capabilities.capabilities(server.context, FhirRequest("GET", "metadata", [("mode", "odd")]))


async def answer(ctx: Context, request: FhirRequest) -> FhirResponse:
    return FhirResponse()
