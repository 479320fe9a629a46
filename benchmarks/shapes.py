"""The searches that are measured at scale: each shape makes queries from resources that are really there.

https://hl7.org/fhir/R4/search.html
"""

from __future__ import annotations

import random
import re
from collections import defaultdict
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode

from benchmarks.vocabulary import UCUM

Json = dict[str, Any]
PAGE = "20"
TRIES = 30  # resources that are looked at for a value before a shape gives up
WINDOW = timedelta(seconds=1)
GROUPS = ("mix", "walks", "chains", "totals")
_WORDS = re.compile(r"\w+")


class Missing(Exception):
    """The data has no value for a shape."""


class Sample:
    """Resources of some patients, to take values from; choices are the dice's.

    `updated` is when the first and the last resource of the server were written.
    """

    def __init__(
        self, resources: Iterable[Json], dice: random.Random, updated: tuple[datetime, datetime] | None = None
    ) -> None:
        self.dice, self.updated = dice, updated
        self._by_type: dict[str, list[Json]] = defaultdict(list)
        self._by_key: dict[str, Json] = {}
        for resource in resources:
            self._by_type[resource["resourceType"]].append(resource)
            self._by_key[f"{resource['resourceType']}/{resource['id']}"] = resource

    def any(self, type_: str, *elements: str) -> Json:
        """A resource of the type that has these elements; Missing when none is found."""
        among = self._by_type[type_]
        for _ in range(TRIES if among else 0):
            found = self.dice.choice(among)
            if all(found.get(element) for element in elements):
                return found
        raise Missing(type_)

    def target(self, resource: Json, element: str) -> Json:
        """What the resource refers to by an element; Missing when that is not in the sample."""
        try:
            return self._by_key[reference(resource, element)]
        except KeyError:
            raise Missing(element) from None


class Shape(NamedTuple):
    """A kind of search: what it is called, the group it is in, its query from a sample, and whether it must match."""

    name: str
    group: str
    query: Callable[[Sample], str]
    matches: bool = True


def url(path: str, *pairs: tuple[str, str], page: bool = True) -> str:
    asked = [*pairs, ("_count", PAGE)] if page else [*pairs]
    return f"{path}?{urlencode(asked, quote_via=quote, safe=':,/')}"


# ---- values ------------------------------------------------------------------------------------------


def reference(resource: Json, element: str) -> str:
    found = resource.get(element)
    return str(found["reference"]) if found and "/" in found.get("reference", "") else ""


def patient(resource: Json) -> str:
    found = reference(resource, "subject") or reference(resource, "patient")
    if not found:
        raise Missing("patient")
    return found


def token(concept: Json) -> str:
    coding = concept["coding"][0]
    return f"{coding['system']}|{coding['code']}"


def day(text: str, days: int = 0) -> str:
    return (datetime.fromisoformat(text) + timedelta(days=days)).strftime("%Y-%m-%d")


def around(text: str, days: int) -> tuple[tuple[str, str], tuple[str, str]]:
    """The limits of a stretch of days about a time."""
    return ("date", f"ge{day(text, -days // 2)}"), ("date", f"lt{day(text, days - days // 2)}")


def name(found: Json) -> Json:
    official: Json = found["name"][0]
    return official


def more_than(quantity: Json, part: float = 1.0) -> str:
    """Above a part of what was measured, so that it is among the matches."""
    return f"gt{float(quantity['value']) * part - 0.01:.2f}|{UCUM}|{quantity['code']}"


# ---- shapes ------------------------------------------------------------------------------------------


def by_id(sample: Sample) -> str:
    return url("Observation", ("_id", sample.any("Observation")["id"]))


def identifier(sample: Sample) -> str:
    found = sample.any("Patient", "identifier")["identifier"][0]
    return url("Patient", ("identifier", f"{found['system']}|{found['value']}"))


def name_prefix(sample: Sample) -> str:
    return url("Patient", ("name", name(sample.any("Patient"))["family"][:4]))


def name_birthdate(sample: Sample) -> str:
    found = sample.any("Patient", "birthDate")
    return url("Patient", ("name", name(found)["family"]), ("birthdate", found["birthDate"]))


def gender_sort(sample: Sample) -> str:
    return url("Patient", ("gender", sample.any("Patient")["gender"]), ("_sort", "birthdate"))


def sort_name(sample: Sample) -> str:
    return url("Patient", ("birthdate", f"ge{sample.any('Patient', 'birthDate')['birthDate']}"), ("_sort", "name"))


def patient_code(sample: Sample) -> str:
    found = sample.any("Observation")
    return url("Observation", ("patient", patient(found)), ("code", token(found["code"])))


def patient_code_date(sample: Sample) -> str:
    found = sample.any("Observation", "effectiveDateTime")
    since = ("date", f"ge{day(found['effectiveDateTime'])}")
    return url("Observation", ("patient", patient(found)), ("code", token(found["code"])), since)


def code_date(sample: Sample) -> str:
    found = sample.any("Observation", "effectiveDateTime")
    return url("Observation", ("code", token(found["code"])), *around(found["effectiveDateTime"], 60))


def combo_code(sample: Sample) -> str:
    found = sample.any("Observation")
    return url("Observation", ("combo-code", token(found["code"])), ("patient", patient(found)))


def category_date(sample: Sample) -> str:
    found = sample.any("Observation", "category", "effectiveDateTime")
    dates = around(found["effectiveDateTime"], 30)
    return url("Observation", ("category", token(found["category"][0])), *dates, ("_sort", "-date"))


def quantity(sample: Sample) -> str:
    found = sample.any("Observation", "valueQuantity")
    return url("Observation", ("value-quantity", more_than(found["valueQuantity"])))


def code_quantity(sample: Sample) -> str:
    found = sample.any("Observation", "valueQuantity")
    pair = f"{token(found['code'])}${more_than(found['valueQuantity'])}"
    return url("Observation", ("code-value-quantity", pair))


def encounters(sample: Sample) -> str:
    found = sample.any("Encounter", "period")
    return url("Encounter", ("patient", patient(found)), *around(found["period"]["start"], 365))


def conditions(sample: Sample) -> str:
    return url("Condition", ("code", token(sample.any("Condition")["code"])))


def medications(sample: Sample) -> str:
    found = sample.any("MedicationRequest")
    return url("MedicationRequest", ("patient", patient(found)), ("status", found["status"]))


def include(sample: Sample) -> str:
    found = sample.any("Condition", "encounter")
    return url("Condition", ("patient", patient(found)), ("_include", "Condition:encounter"))


def revinclude(sample: Sample) -> str:
    found = sample.any("Encounter")
    return url("Encounter", ("patient", patient(found)), ("_revinclude", "Observation:encounter"))


def chain_name(sample: Sample) -> str:
    found = sample.any("Observation")
    family = name(sample.target(found, "subject"))["family"]
    return url("Observation", ("patient.name", family), ("code", token(found["code"])))


def chain_identifier(sample: Sample) -> str:
    found = sample.any("Patient", "identifier")["identifier"][0]
    return url("Observation", ("subject:Patient.identifier", f"{found['system']}|{found['value']}"))


def has(sample: Sample) -> str:
    found = sample.any("Observation", "effectiveDateTime")
    whom = sample.target(found, "subject")
    asked = ("_has:Observation:patient:code", token(found["code"]))
    return url("Patient", asked, ("birthdate", whom["birthDate"]), ("gender", whom["gender"]))


def contains(sample: Sample) -> str:
    return url("Patient", ("name:contains", name(sample.any("Patient"))["family"][1:5].lower()))


def exact(sample: Sample) -> str:
    return url("Patient", ("family:exact", name(sample.any("Patient"))["family"]))


def code_text(sample: Sample) -> str:
    words = _WORDS.findall(sample.any("Condition")["code"]["coding"][0]["display"])
    return url("Condition", ("code:text", words[0]))


def whole_system(sample: Sample) -> str:
    found = sample.any("Condition")
    return url("", ("_type", "Condition,Procedure,Encounter"), ("patient", patient(found)))


def compartment(sample: Sample) -> str:
    found = sample.any("Observation", "category")
    return url(f"{patient(found)}/Observation", ("category", token(found["category"][0])))


def everything(sample: Sample) -> str:
    return url(f"Patient/{sample.any('Patient')['id']}/$everything")


def near(sample: Sample) -> str:
    position = sample.any("Location", "position")["position"]
    return url("Location", ("near", f"{position['latitude']}|{position['longitude']}|10|km"))


def updated(sample: Sample) -> str:
    if sample.updated is None:
        raise Missing("lastUpdated")
    first, last = sample.updated
    since = first + (last - first) * sample.dice.random()
    limits = [
        (prefix, when.isoformat(timespec="milliseconds")) for prefix, when in (("ge", since), ("lt", since + WINDOW))
    ]
    return url("Observation", *(("_lastUpdated", prefix + when) for prefix, when in limits))


def chain_3(sample: Sample) -> str:
    provider = name_of(sample.any("Organization", "name"))
    return url("DiagnosticReport", ("result.encounter.service-provider.name", provider))


def chain_3_claim(sample: Sample) -> str:
    provider = name_of(sample.any("Organization", "name"))
    return url("ExplanationOfBenefit", ("claim.encounter.service-provider.name", provider))


def name_of(organization: Json) -> str:
    return str(organization["name"])


def has_3(sample: Sample) -> str:
    found = sample.any("DiagnosticReport", "result")
    asked = "_has:Encounter:service-provider:_has:Observation:encounter:_has:DiagnosticReport:result:code"
    return url("Organization", (asked, token(found["code"])))


def has_3_patient(sample: Sample) -> str:
    found = sample.any("CarePlan", "addresses", "category")
    asked = "_has:Encounter:patient:_has:Condition:encounter:_has:CarePlan:condition:category"
    return url("Patient", (asked, token(found["category"][0])))


def chain_has(sample: Sample) -> str:
    found = sample.any("Condition")
    asked = ("encounter.patient._has:Condition:patient:code", token(found["code"]))
    return url("MedicationRequest", asked, ("status", "active"))


def fixed(path: str, *pairs: tuple[str, str], page: bool = True) -> Callable[[Sample], str]:
    return lambda _: url(path, *pairs, page=page)


SHAPES = (
    Shape("id", "mix", by_id),
    Shape("identifier", "mix", identifier),
    Shape("name prefix", "mix", name_prefix),
    Shape("name:contains", "mix", contains),
    Shape("family:exact", "mix", exact),
    Shape("name + birthdate", "mix", name_birthdate),
    Shape("gender by birthdate", "mix", gender_sort),
    Shape("birthdate ge by name", "mix", sort_name),
    Shape("patient + code", "mix", patient_code),
    Shape("patient + code + date ge", "mix", patient_code_date),
    Shape("patient + combo-code", "mix", combo_code),
    Shape("code + 60 days", "mix", code_date),
    Shape("category + 30 days by -date", "mix", category_date),
    Shape("value-quantity gt", "mix", quantity),
    Shape("code-value-quantity gt", "mix", code_quantity),
    Shape("encounters + patient + year", "mix", encounters),
    Shape("conditions + code", "mix", conditions),
    Shape("code:text", "mix", code_text),
    Shape("medications + patient + status", "mix", medications),
    Shape("_include", "mix", include),
    Shape("_revinclude", "mix", revinclude),
    Shape("chain: patient.name + code", "mix", chain_name, matches=False),
    Shape("chain: patient.identifier", "mix", chain_identifier),
    Shape("_has + birthdate + gender", "mix", has),
    Shape("_lastUpdated (1 s)", "mix", updated, matches=False),
    Shape("three types + patient", "mix", whole_system),
    Shape("compartment + category", "mix", compartment),
    Shape("near 10 km", "mix", near),
    Shape("$everything", "walks", everything),
    Shape(":missing=true (common)", "walks", fixed("Observation", ("value-quantity:missing", "true")), matches=False),
    Shape(":missing=true (rare)", "walks", fixed("Encounter", ("participant:missing", "true")), matches=False),
    Shape(":missing=true (none)", "walks", fixed("Patient", ("birthdate:missing", "true")), matches=False),
    Shape(":not (common)", "walks", fixed("MedicationRequest", ("status:not", "active")), matches=False),
    Shape(
        ":not (rare)",
        "walks",
        fixed("Observation", ("category:not", "laboratory,vital-signs,survey")),
        matches=False,
    ),
    Shape(":not (none)", "walks", fixed("Observation", ("status:not", "final")), matches=False),
    Shape("_sort=name (whole type)", "walks", fixed("Patient", ("_sort", "name"))),
    Shape("_sort=code (whole type)", "walks", fixed("Condition", ("_sort", "code"))),
    Shape("chain of 3 (name)", "chains", chain_3, matches=False),
    Shape("chain of 3 (claims)", "chains", chain_3_claim, matches=False),
    Shape("_has of 3 (code)", "chains", has_3),
    Shape("_has of 3 (category)", "chains", has_3_patient),
    Shape("chain of 2 and _has", "chains", chain_has, matches=False),
    Shape("_total=accurate (Observations)", "totals", fixed("Observation", ("_total", "accurate"))),
    Shape("_count=0 (Observations)", "totals", fixed("Observation", ("_count", "0"), page=False), matches=False),
    Shape(
        "_count=0 + category",
        "totals",
        fixed("Observation", ("category", "laboratory"), ("_count", "0"), page=False),
        matches=False,
    ),
)


def queries(shape: Shape, sample: Sample, most: int) -> list[str]:
    """Up to so many different queries of a shape; none when the data has no values for it."""
    found: dict[str, None] = {}
    for _ in range(2 * most):
        try:
            found[shape.query(sample)] = None
        except Missing:
            continue
        if len(found) == most:
            break
    return list(found)
