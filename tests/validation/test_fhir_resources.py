"""Two independent judges: what the definitions accept, the R4B models of fhir.resources accept as well.

The other way round they disagree, and cases/differential.yaml says for each kind of defect why. With
FHIR_DIFFERENTIAL=all every mutation and every Synthea resource is judged, otherwise a sample.
"""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from typing import Any

from fhir.resources.R4B import get_fhir_model_class
from hypothesis import HealthCheck, given, settings

from fhir_server.definitions import RESOURCE_TYPES
from fhir_server.json import encode
from fhir_server.validation import validate
from tests.validation.corpus import examples, needs_shared, sample, synthea
from tests.validation.mutation import mutated
from tests.validation.mutation_kinds import Mutation, mutations
from tests.validation.mutation_table import bases, mutate, table

Json = dict[str, Any]

ALL = os.environ.get("FHIR_DIFFERENTIAL") == "all"
OF_A_KIND = 10_000 if ALL else 12  # mutations that the models judge, which takes them some milliseconds each
SHARE = 1 if ALL else 8  # of the places where an example can be made wrong, one in so many
OF_A_TYPE = 20_000 if ALL else 20  # Synthea resources

# Rules of mutations.yaml that are kinds by another name.
_KINDS = ("JSON type", "choice", "empty", "primitive ", "reference target", "required ", "unknown element")

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
    except (LookupError, ValueError, TypeError, AttributeError):  # pydantic's error is a ValueError, the rest crashes
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


# ---- what we accept ----------------------------------------------------------------------------------------------


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


@needs_shared
def test_synthea() -> None:
    of_type: Counter[str] = Counter()
    refused = []
    for bundle in synthea():
        for entry in bundle["entry"]:
            resource = entry["resource"]
            of_type[resource["resourceType"]] += 1
            if of_type[resource["resourceType"]] <= OF_A_TYPE and not model_accepts(resource):
                refused.append(f"{resource['resourceType']}/{resource['id']}")
    assert refused == []
    assert of_type.total() == 18_294


# ---- what we refuse ----------------------------------------------------------------------------------------------


def _small(resources: Iterable[Json]) -> Iterator[Json]:
    """Those that are right, the smallest first, so that each kind is tried on small ones."""
    return iter(sorted((one for one in resources if not validate(one)), key=lambda one: len(encode(one))))


def _mutations(resources: Iterable[Json], share: int = 1) -> Iterator[Mutation]:
    seen: set[tuple[str, str]] = set()
    for resource in _small(resources):
        yield from mutations(resource, seen, share)


def _opinion(accepted: set[bool]) -> str:
    return "both" if len(accepted) == 2 else "accept" if True in accepted else "refuse"


def test_each_kind_of_mutation_of_our_sample_is_caught() -> None:
    assert _missed(_mutations(sample())) == []


@needs_shared
def test_each_kind_of_mutation_of_each_published_element_is_caught() -> None:
    """For each element of the definitions that an example has: every kind of defect, its code and its place."""
    assert _missed(_mutations(examples(), SHARE)) == []


def _missed(made: Iterable[Mutation]) -> list[tuple[str, str]]:
    missed = []
    for one in made:
        if (one.code, (one.expression,)) not in {(issue.code, issue.expression) for issue in validate(one.resource)}:
            missed.append((one.kind, one.element))
    return missed


def _judged(made: Iterable[Mutation]) -> dict[str, str]:
    """Kind → what the models say of mutations of that kind."""
    found: dict[str, set[bool]] = defaultdict(set)
    count: Counter[str] = Counter()
    for one in made:
        if one.resource["resourceType"] not in NO_MODEL | REDESIGNED and count[one.kind] < OF_A_KIND:
            count[one.kind] += 1
            found[one.kind].add(model_accepts(one.resource))
    return {kind: _opinion(accepted) for kind, accepted in found.items()}


@needs_shared
def test_each_kind_of_defect_that_the_models_let_through_is_named() -> None:
    expected = {kind: said["models"] for kind, said in table("differential")["kinds"].items()}
    assert _judged([*_mutations(sample()), *_mutations(examples(), SHARE)]) == expected


def test_each_rule_that_the_models_let_through_is_named() -> None:
    found: dict[str, set[bool]] = defaultdict(set)
    for case in table("mutations")["mutations"]:
        if case["issues"]:
            found[case["rule"]].add(model_accepts(mutate(bases("mutations")[case["base"]], case)))
    known = {rule: said["models"] for rule, said in table("differential")["rules"].items()}
    opinions = {rule: _opinion(accepted) for rule, accepted in found.items()}
    assert {rule: opinions[rule] for rule in known} == known
    unnamed = [rule for rule, said in opinions.items() if said != "refuse" and rule not in known]
    assert [rule for rule in unnamed if not rule.startswith(_KINDS)] == []


def test_every_disagreement_is_explained() -> None:
    for entries in (table("differential")["kinds"], table("differential")["rules"]):
        assert [name for name, said in entries.items() if (said["models"] == "refuse") == ("why" in said)] == []


def test_a_judge_that_accepts_everything_is_noticed() -> None:
    """The comparison can fail: a mutation that is none is missed."""
    right = sample()[0]
    assert _missed([Mutation("none", "Patient", right, "structure", "Patient")]) == [("none", "Patient")]
