"""The CapabilityStatement names every operation where it may be called, with its published definition."""

from __future__ import annotations

from typing import Any

import httpx

HL7 = "http://hl7.org/fhir/OperationDefinition"


def named(listed: list[dict[str, Any]]) -> dict[str, str]:
    return {one["name"]: one["definition"] for one in listed}


def test_the_statement_lists_the_operations(client: httpx.Client, server: str) -> None:
    rest = client.get("/metadata").json()["rest"][0]
    system = named(rest["operation"])
    assert system["versions"] == f"{HL7}/CapabilityStatement-versions"
    assert system["meta"] == f"{HL7}/Resource-meta"
    assert system["diff"] == f"{server}/OperationDefinition/diff"
    types = {one["type"]: named(one.get("operation", [])) for one in rest["resource"]}
    everywhere = {"meta", "meta-add", "meta-delete", "validate", "diff", "erase"}
    assert all(everywhere <= operations.keys() for operations in types.values())
    assert types["Patient"]["everything"] == f"{HL7}/Patient-everything"
    assert types["Encounter"]["everything"] == f"{HL7}/Encounter-everything"
    assert types["Observation"]["lastn"] == f"{HL7}/Observation-lastn"
    assert types["Composition"]["document"] == f"{HL7}/Composition-document"
    assert types["DocumentReference"]["docref"] == "http://hl7.org/fhir/us/core/OperationDefinition/docref"
    assert "everything" not in types["Observation"]
