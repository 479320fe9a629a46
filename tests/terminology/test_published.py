"""What HL7 published with R4: every value set is worked out, or refused for a code system that is not here."""

from __future__ import annotations

from collections import Counter

import pytest

from fhir_server import definitions
from fhir_server.access.principal import SYSTEM
from fhir_server.definitions import codings
from fhir_server.main import Server
from fhir_server.outcomes import FhirError
from fhir_server.terminology import expand
from fhir_server.terminology.resolve import published_code_system, published_value_set
from tests.terminology.storing import BASE

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_required_bindings_have_the_codes_that_validation_uses(parts: Server) -> None:
    urls = {
        element.binding.value_set.partition("|")[0]
        for name in definitions.type_names()
        for element in definitions.type_definition(name).properties
        if element.binding is not None
    }
    outcomes: Counter[str] = Counter()
    for url in sorted(filter(None, urls)):
        try:
            expansion = await expand(parts.repository, SYSTEM, BASE, url)
        except FhirError as refusal:
            outcomes[refusal.code] += 1
            assert codings(url) is None
            continue
        outcomes["expanded"] += 1
        listed = codings(url)
        if listed is not None:
            assert set(expansion.members) == {(system, code) for system, codes in listed.items() for code in codes}
    assert outcomes["expanded"] > 400, outcomes
    assert set(outcomes) <= {"expanded", "not-supported", "not-found", "too-costly"}, outcomes


async def test_properties_mark_what_is_inactive_and_abstract() -> None:
    realm = published_code_system("http://terminology.hl7.org/CodeSystem/v3-hl7Realm")
    assert realm is not None
    assert realm.concepts["NamespaceRealms"].abstract
    assert not realm.concepts["ZZ"].abstract
    retired = [
        one
        for url in ("http://terminology.hl7.org/CodeSystem/v3-ActRelationshipType",)
        if (system := published_code_system(url)) is not None
        for one in system.concepts.values()
        if "retired" in one.properties.get("status", ())
    ]
    assert retired
    assert all(one.inactive for one in retired)


async def test_what_is_not_published_is_not_there() -> None:
    assert published_code_system("http://example.org/none") is None
    assert published_value_set("http://example.org/none") is None
