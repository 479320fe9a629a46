"""Two independent judges: what the definitions accept, the R4B models of fhir.resources accept as well."""

from __future__ import annotations

from typing import Any

import pytest
from fhir.resources.R4B import get_fhir_model_class
from hypothesis import HealthCheck, given, settings

from fhir_server.definitions import RESOURCE_TYPES
from fhir_server.json import encode
from fhir_server.validation import validate
from tests.validation.corpus import examples, needs_shared, sample
from tests.validation.mutation import mutated

Json = dict[str, Any]

# Types of R4 that R4B dropped or renamed, so that there is no model of them …
NO_MODEL = {
    "EffectEvidenceSynthesis",
    "MedicinalProduct",
    "MedicinalProductAuthorization",
    "MedicinalProductContraindication",
    "MedicinalProductIndication",
    "MedicinalProductIngredient",
    "MedicinalProductInteraction",
    "MedicinalProductManufactured",
    "MedicinalProductPackaged",
    "MedicinalProductPharmaceutical",
    "MedicinalProductUndesirableEffect",
    "RiskEvidenceSynthesis",
    "SubstanceNucleicAcid",
    "SubstancePolymer",
    "SubstanceProtein",
    "SubstanceReferenceInformation",
    "SubstanceSourceMaterial",
    "SubstanceSpecification",
}
# … and those that R4B redesigned.
REDESIGNED = {"Evidence"}


def model_accepts(resource: Json) -> bool:
    try:
        get_fhir_model_class(resource["resourceType"]).model_validate_json(encode(resource))
    except ValueError:  # pydantic's ValidationError is one
        return False
    return True


def test_types_without_a_model_are_those_named() -> None:
    missing = set()
    for name in RESOURCE_TYPES:
        try:
            get_fhir_model_class(name)
        except (KeyError, LookupError, ValueError):
            missing.add(name)
    assert missing == NO_MODEL


def test_sample() -> None:
    assert all(model_accepts(resource) for resource in sample())


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(mutated())
def test_mutations(resource: Json) -> None:
    if not validate(resource):
        assert model_accepts(resource)


@needs_shared
def test_published_examples() -> None:
    judged = [e for e in examples() if e["resourceType"] not in NO_MODEL | REDESIGNED and not validate(e)]
    assert len(judged) > 700
    assert [f"{e['resourceType']}/{e['id']}" for e in judged if not model_accepts(e)] == []


LET_THROUGH: dict[str, Json] = {
    "a code outside its required value set": {"resourceType": "Patient", "gender": "robot"},
    "a string for a boolean": {"resourceType": "Patient", "active": "true"},
    "an empty array": {"resourceType": "Patient", "name": []},
    "a broken invariant": {"resourceType": "Bundle", "type": "collection", "total": 1},
    "a reference to a type that is no target": {
        "resourceType": "Patient",
        "managingOrganization": {"reference": "Patient/1"},
    },
    "a script": {
        "resourceType": "Patient",
        "text": {"status": "generated", "div": "<div xmlns='http://www.w3.org/1999/xhtml'><script>a()</script></div>"},
    },
}


@pytest.mark.parametrize("defect", LET_THROUGH)
def test_defects_that_the_models_let_through_are_caught(defect: str) -> None:
    assert model_accepts(LET_THROUGH[defect])
    assert validate(LET_THROUGH[defect])
