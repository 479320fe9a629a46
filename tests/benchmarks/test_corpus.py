"""The resources that are sent are R4, of a realistic size, and the same for the same seed."""

import json

import pytest
from fhir.resources.R4B import get_fhir_model_class

from benchmarks.corpus import MAKERS, SYSTEM, TYPES, VARIANTS, Corpus, Refs
from benchmarks.imports import generated

REFS = Refs("Patient/p1", "Encounter/e1", "Practitioner/d1")


@pytest.mark.parametrize("kind", MAKERS)
def test_every_variant_is_a_resource(kind: str) -> None:
    corpus, model = Corpus(1), get_fhir_model_class(kind)
    for serial in range(VARIANTS):
        model.model_validate_json(corpus.body(kind, serial, REFS))


@pytest.mark.parametrize("kind", TYPES)
def test_sizes_are_realistic(kind: str) -> None:
    size = len(Corpus(1).body(kind, 7, REFS))
    assert 2000 < size < 4000 if kind == "Patient" else 700 < size < 1600


@pytest.mark.parametrize("kind", MAKERS)
def test_deterministic_by_seed(kind: str) -> None:
    bodies = [Corpus(1).body(kind, serial, REFS) for serial in range(20)]
    assert bodies == [Corpus(1).body(kind, serial, REFS) for serial in range(20)]
    assert bodies != [Corpus(2).body(kind, serial, REFS) for serial in range(20)]
    assert b"@" not in b"".join(bodies).replace(b"@mail.example", b"").replace(b"@clinic.example", b"")


def test_id_and_serial_are_filled_in() -> None:
    found = json.loads(Corpus(1).body("Patient", 12, REFS, "abc"))
    assert found["id"] == "abc"
    assert {"system": SYSTEM, "value": "MRN-1-12"}.items() <= found["identifier"][0].items()


def test_generated_bundles_are_closed_transactions() -> None:
    for sent in generated(Corpus(1), 6):
        bundle = json.loads(sent.body)
        urls = {entry["fullUrl"] for entry in bundle["entry"]}
        assert len(urls) == len(bundle["entry"]) == len(sent.types)
        assert bundle["type"] == "transaction"
        for entry in bundle["entry"]:
            subject = entry["resource"].get("subject", {"reference": entry["fullUrl"]})
            assert subject["reference"] in urls
