"""Requests of every kind, drawn at random: whatever a route or a search feature could let through.

Each kind is a function of a Random; none knows who will ask, so the same request goes out for every caller.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from copy import deepcopy
from random import Random
from typing import Any

from tests.leak.stage import Ask
from tests.leak.world import BASE, CONDITION_CATEGORY, LOINC, NUMBERS, OBSERVATION_CATEGORY, TAG, TEAM, resources

Json = dict[str, Any]
Pairs = list[tuple[str, str]]
Kind = Callable[[Random], Ask]

KINDS: dict[str, Kind] = {}
WORLD = {f"{one['resourceType']}/{one['id']}": one for one in resources()}
KEYS = sorted(WORLD)
TYPES = sorted({key.partition("/")[0] for key in KEYS})
# Ids that never were, beside those that are: hidden and absent have to look alike.
GHOSTS = ["Patient/zz", "Observation/zz", "Condition/zz", "Binary/zz", "Task/zz", "Basic/zz"]
PATIENTS = ["Patient/a", "Patient/b", "Patient/c", "Patient/a-old", "Patient/zz"]

SEARCHES: dict[str, list[tuple[str, list[str]]]] = {
    "Patient": [
        ("name", ["Anders", "Berg", "a"]),
        ("family:contains", ["er"]),
        ("gender", ["male", "female"]),
        ("birthdate", ["ge1900-01-01", "lt1958-01-01"]),
        ("identifier", [f"{NUMBERS}|P-a", f"{NUMBERS}|P-b", "P-c"]),
        ("general-practitioner", ["Practitioner/doctor"]),
        ("organization", ["Organization/ward"]),
        ("link", PATIENTS),
        ("active", ["true"]),
    ],
    "Observation": [
        ("code", [f"{LOINC}|2345-7", "718-7", "24323-8", "3-3"]),
        ("category", ["laboratory", f"{OBSERVATION_CATEGORY}|vital-signs"]),
        ("category:not", ["laboratory"]),
        ("status", ["final", "corrected", "amended"]),
        ("date", ["ge2024-01-05", "2024-01-07", "lt2024-01-05", "2024-01"]),
        ("value-quantity", ["3", "gt5", "ap7||mg"]),
        ("subject", PATIENTS),
        ("patient", ["a", "Patient/b", "c"]),
        ("performer", ["Practitioner/doctor", "Patient/a", "Patient/b"]),
        ("encounter", ["Encounter/a-visit", "Encounter/b-visit"]),
        ("has-member", ["Observation/a-lab", "Observation/b-lab"]),
        ("identifier", [f"{NUMBERS}|O-a-lab", f"{NUMBERS}|O-b-lab"]),
        ("subject:missing", ["true", "false"]),
        ("category:missing", ["true"]),
        ("code:text", ["worda", "wordb"]),
        ("_security", ["V"]),
        ("_tag", ["seen"]),
        ("combo-code", ["2345-7"]),
        ("code-value-quantity", [f"{LOINC}|2345-7$7", f"{LOINC}|2345-7$gt1"]),
        ("subject:identifier", [f"{NUMBERS}|P-b"]),
    ],
    "Condition": [
        ("category", ["problem-list-item", f"{CONDITION_CATEGORY}|encounter-diagnosis"]),
        ("clinical-status", ["active", "resolved"]),
        ("patient", ["a", "b"]),
        ("asserter", ["Patient/a", "Patient/b"]),
        ("code", ["38341003"]),
        ("evidence-detail", ["Observation/a-vital", "Observation/b-vital"]),
        ("recorded-date", ["gt2024-01-05"]),
    ],
    "Encounter": [
        ("class", ["AMB"]),
        ("date", ["2024-01-07"]),
        ("location", ["Location/bed"]),
        ("patient", ["a", "b"]),
    ],
    "Task": [
        ("status", ["requested"]),
        ("owner", ["Practitioner/nurse", "Patient/b"]),
        ("patient", ["a", "b"]),
        ("part-of", ["Task/b-task"]),
    ],
    "Communication": [
        ("sender", ["Patient/b", "Practitioner/doctor"]),
        ("_security", ["team"]),
        ("_security:not", ["team"]),
        ("recipient", ["Patient/a"]),
    ],
    "Provenance": [
        ("target", ["Observation/a-lab", "Observation/b-lab"]),
        ("agent", ["Patient/b", "Practitioner/doctor"]),
    ],
    "DiagnosticReport": [("result", ["Observation/b-lab", "Observation/a-lab"]), ("code", ["24323-8"])],
    "MedicationRequest": [
        ("medication", ["Medication/aspirin"]),
        ("intent", ["order"]),
        ("status", ["active", "completed"]),
    ],
    "DocumentReference": [
        ("author", ["Practitioner/doctor"]),
        ("related", ["Observation/b-smoke"]),
        ("type", ["34133-9"]),
    ],
    "Binary": [("_id", ["a-file", "b-file", "loose"]), ("_lastUpdated", ["gt2020-01-01"])],
    "Bundle": [("type", ["collection"]), ("_id", ["both"])],
    "Group": [("member", ["Patient/a", "Patient/b", "Practitioner/doctor"]), ("type", ["person"])],
    "List": [("item", ["Observation/b-lab", "Observation/a-lab", "Condition/b-problem"]), ("subject", ["Patient/b"])],
    "Appointment": [("actor", ["Patient/b", "Patient/a"]), ("date", ["2024-01-20"])],
    "Person": [("link", ["Patient/b"]), ("patient", ["Patient/a"])],
    "Practitioner": [("family", ["Doctor", "o"]), ("active", ["true"])],
    "Organization": [
        ("name", ["Clinic", "lab"]),
        ("partof", ["Organization/clinic"]),
        ("partof:below", ["Organization/clinic"]),
    ],
    "Location": [("partof:below", ["Location/room"]), ("organization", ["Organization/ward"])],
    "Composition": [("entry", ["Observation/b-lab", "Condition/a-problem"]), ("title", ["Letter"])],
    "CareTeam": [("participant", ["Patient/b", "RelatedPerson/a-mother"])],
    "Coverage": [("payor", ["Patient/a", "Patient/b"]), ("beneficiary", ["Patient/b"])],
    "RelatedPerson": [("name", ["mother"]), ("patient", ["b"])],
    "Basic": [("code", ["note"]), ("subject", ["Patient/b"])],
    "Device": [("patient", ["b", "a"]), ("status", ["active"])],
    "Medication": [("code", ["1191"])],
    "Consent": [("patient", ["a", "b"]), ("status", ["inactive"])],
    "ServiceRequest": [("performer", ["Practitioner/doctor"])],
    "Flag": [("status", ["active"])],
}
INCLUDES = {
    "Observation": [
        "Observation:subject",
        "Observation:performer",
        "Observation:has-member",
        "Observation:encounter",
        "Observation:*",
        "*",
        "Observation:focus",
    ],
    "Condition": ["Condition:subject", "Condition:evidence-detail", "Condition:asserter", "Condition:encounter", "*"],
    "DiagnosticReport": ["DiagnosticReport:result", "DiagnosticReport:subject", "DiagnosticReport:*"],
    "DocumentReference": ["DocumentReference:related", "DocumentReference:subject", "*"],
    "Patient": ["Patient:link", "Patient:general-practitioner", "Patient:organization"],
    "Provenance": ["Provenance:target", "Provenance:agent", "Provenance:patient"],
    "List": ["List:item", "List:subject"],
    "Group": ["Group:member"],
    "Appointment": ["Appointment:actor", "Appointment:patient"],
    "Composition": ["Composition:entry", "Composition:subject"],
    "Task": ["Task:part-of", "Task:focus", "Task:patient", "Task:owner"],
    "Encounter": ["Encounter:diagnosis", "Encounter:subject", "Encounter:location"],
    "Communication": ["Communication:sender", "Communication:subject", "Communication:recipient", "*"],
    "MedicationRequest": ["MedicationRequest:medication", "MedicationRequest:subject", "*"],
    "CareTeam": ["CareTeam:participant", "CareTeam:subject"],
    "Coverage": ["Coverage:payor", "Coverage:beneficiary"],
    "Person": ["Person:link"],
    "Organization": ["Organization:partof"],
    "Location": ["Location:organization", "Location:partof"],
}
REVINCLUDES = {
    "Patient": [
        "Observation:subject",
        "Observation:performer",
        "Condition:patient",
        "Provenance:target",
        "Group:member",
        "Task:patient",
        "Communication:sender",
        "Person:link",
        "Patient:link",
        "*",
    ],
    "Observation": [
        "Provenance:target",
        "DiagnosticReport:result",
        "Observation:has-member",
        "List:item",
        "Composition:entry",
        "Condition:evidence-detail",
        "*",
    ],
    "Practitioner": [
        "Observation:performer",
        "Patient:general-practitioner",
        "Encounter:participant",
        "Task:requester",
        "Group:member",
        "*",
    ],
    "Organization": ["Patient:organization", "Organization:partof", "Coverage:payor", "Observation:performer", "*"],
    "Condition": ["Encounter:diagnosis", "List:item", "Composition:entry"],
    "Medication": ["MedicationRequest:medication"],
    "Encounter": ["Observation:encounter", "Condition:encounter"],
    "Location": ["Encounter:location", "Location:partof"],
    "Task": ["Task:part-of"],
}
CHAINS = [
    ("Observation", "subject:Patient.name", ["Anders", "Berg"]),
    ("Observation", "patient.identifier", [f"{NUMBERS}|P-b", f"{NUMBERS}|P-a"]),
    ("Observation", "encounter.class", ["AMB"]),
    ("Observation", "encounter.diagnosis:Condition.code", ["38341003"]),
    ("Observation", "performer:Practitioner.family", ["Doctor"]),
    ("Observation", "performer:Organization.name", ["Inner", "Innera", "Lab"]),
    ("Observation", "has-member.status", ["final", "corrected"]),
    ("Observation", "has-member.subject:Patient.name", ["Berg", "Anders"]),
    ("Observation", "performer:Patient.gender", ["male", "female"]),
    ("Observation", "focus:Patient.name", ["Inside"]),
    ("DiagnosticReport", "result.code", ["718-7", "2345-7"]),
    ("DiagnosticReport", "result.subject:Patient.family", ["Berg", "Anders"]),
    ("Condition", "evidence-detail:Observation.code", ["85354-9"]),
    ("List", "item:Observation.status", ["corrected"]),
    ("List", "item:Condition.patient.name", ["Berg", "Anders"]),
    ("Group", "member:Patient.name", ["Berg", "Anders"]),
    ("Group", "member:Practitioner.family", ["Doctor"]),
    ("Provenance", "target:Observation.code", ["2345-7"]),
    ("Provenance", "target:Patient.gender", ["male", "female"]),
    ("Task", "focus:ServiceRequest.status", ["active"]),
    ("Task", "part-of.patient.name", ["Berg", "Anders"]),
    ("Communication", "sender:Patient.name", ["Berg", "Anders"]),
    ("Appointment", "actor:Patient.name", ["Berg"]),
    ("MedicationRequest", "medication:Medication.code", ["drug-a", "drug-b", "1191"]),
    ("Composition", "entry:Observation.subject:Patient.name", ["Berg"]),
    ("Patient", "general-practitioner:Practitioner.family", ["Doctor"]),
    ("Patient", "link:Patient.name", ["Anders", "Berg"]),
    ("Patient", "organization.partof.name", ["Clinic"]),
    ("Coverage", "payor:Patient.gender", ["male", "female"]),
    ("CareTeam", "participant:Patient.name", ["Berg", "Anders"]),
    ("Person", "link:Patient.family", ["Berg"]),
    ("Encounter", "location.partof.name", ["Room"]),
]
HAS = [
    ("Patient", "_has:Observation:patient:code", ["718-7", "2345-7", "3-3"]),
    ("Patient", "_has:Observation:subject:status", ["amended", "corrected", "final"]),
    ("Patient", "_has:Observation:performer:status", ["final"]),
    ("Patient", "_has:Condition:asserter:_id", ["a-asserted", "b-asserted"]),
    ("Patient", "_has:Group:member:_id", ["both", "staff"]),
    ("Patient", "_has:Provenance:target:_id", ["both", "a-own", "b-own"]),
    ("Patient", "_has:Observation:patient:_has:DiagnosticReport:result:status", ["final"]),
    ("Patient", "_has:Encounter:patient:_has:Observation:encounter:code", ["718-7"]),
    ("Patient", "_has:Communication:sender:status", ["completed"]),
    ("Practitioner", "_has:Observation:performer:subject", ["Patient/a", "Patient/b"]),
    ("Practitioner", "_has:Observation:performer:code", ["718-7", "85354-9"]),
    ("Practitioner", "_has:Observation:performer:patient.name", ["Berg", "Anders"]),
    ("Practitioner", "_has:Patient:general-practitioner:name", ["Berg", "Anders", "Clausen"]),
    ("Practitioner", "_has:Group:member:type", ["practitioner"]),
    ("Practitioner", "_has:List:item:_id", ["staff"]),
    ("Practitioner", "_has:Communication:sender:_security", ["team"]),
    ("Organization", "_has:Patient:organization:name", ["Berg", "Anders", "Clausen"]),
    ("Organization", "_has:Coverage:payor:beneficiary", ["Patient/a", "Patient/b"]),
    ("Organization", "_has:Organization:partof:_has:Patient:organization:gender", ["male"]),
    ("Observation", "_has:Provenance:target:_id", ["both", "b-no-patient", "a-no-patient"]),
    ("Observation", "_has:DiagnosticReport:result:_id", ["a-report", "b-report"]),
    ("Observation", "_has:Observation:has-member:_id", ["a-panel", "b-panel"]),
    ("Observation", "_has:List:item:_id", ["both", "a-about-you", "b-about-you"]),
    ("Observation", "_has:Composition:entry:subject", ["Patient/a", "Patient/b"]),
    ("Condition", "_has:List:item:subject", ["Patient/a", "Patient/b"]),
    ("Medication", "_has:MedicationRequest:medication:patient", ["Patient/a", "Patient/b"]),
    ("Location", "_has:Encounter:location:patient", ["Patient/a", "Patient/b"]),
    ("Location", "_has:Location:partof:_has:Encounter:location:patient.name", ["Berg", "Anders"]),
    ("Task", "_has:Task:part-of:patient", ["Patient/a", "Patient/b"]),
]
FILTERS = [
    (
        "Observation",
        [
            "status eq final",
            "subject eq Patient/b",
            'code eq "2345-7" or status eq corrected',
            "not (status eq final)",
            'subject.name co "berg"',
        ],
    ),
    ("Condition", ["clinical-status eq active", "patient.gender eq male", "patient pr true"]),
    ("Patient", ["name co er", "gender eq male or gender eq female", "birthdate lt 2000-01-01"]),
    ("Practitioner", ["family sw doc"]),
]
SORTS = {
    "Observation": [
        "date",
        "-date",
        "status,-date",
        "-_lastUpdated",
        "_id",
        "code,-_id",
        "-value-quantity",
        "subject,date",
    ],
    "Condition": ["-recorded-date", "_id", "code,_lastUpdated"],
    "Patient": ["name", "-birthdate", "family,-_id", "-_lastUpdated"],
    "Communication": ["-sent", "_id"],
    "Practitioner": ["family", "-_id"],
    "Task": ["_id", "-_lastUpdated"],
}


def kind(function: Kind) -> Kind:
    """Make a function one of the kinds."""
    KINDS[function.__name__] = function
    return function


def any_key(random: Random, *types: str) -> str:
    keys = [key for key in KEYS + GHOSTS if not types or key.partition("/")[0] in types]
    return random.choice(keys)


def criterion(random: Random, type_: str) -> tuple[str, str]:
    name, values = random.choice(SEARCHES[type_])
    if random.random() < 0.2 and ":" not in name and len(values) > 1:
        return name, ",".join(random.sample(values, 2))
    return name, random.choice(values)


def searched(random: Random) -> str:
    """A type to search, more often one that there is much of."""
    return random.choice([*SEARCHES, *["Observation"] * 8, *["Condition"] * 3, *["Patient"] * 4])


def shaped(random: Random, pairs: Pairs) -> Pairs:
    """The search with a parameter or two that shape its answer."""
    more = random.sample(
        [("_total", "accurate"), ("_total", "estimate"), ("_count", "3"), ("_summary", "true"), ("_elements", "id")], 2
    )
    return pairs + [pair for pair in more if random.random() < 0.3 and pair[0] not in dict(pairs)]


# ---- reading one -------------------------------------------------------------------------------------


@kind
def read(random: Random) -> Ask:
    return Ask("read", "GET", any_key(random))


@kind
def head(random: Random) -> Ask:
    return Ask("head", "HEAD", any_key(random))


@kind
def read_part(random: Random) -> Ask:
    return Ask(
        "read_part",
        "GET",
        any_key(random),
        [random.choice([("_summary", "text"), ("_elements", "status,subject"), ("_summary", "true")])],
    )


@kind
def vread(random: Random) -> Ask:
    interesting = [f"{p}-{x}" for p in "ab" for x in ("moved", "lost", "gone", "returns", "lab", "recategorized")]
    key = random.choice(
        [
            any_key(random),
            *(f"Observation/{one}" for one in random.sample(interesting, 3)),
            f"Communication/{random.choice('ab')}-relabelled",
        ]
    )
    return Ask("vread", "GET", f"{key}/_history/{random.choice('12345')}")


@kind
def if_none_match(random: Random) -> Ask:
    tag = random.choice(['W/"1"', 'W/"2"', 'W/"3"', "*"])
    return Ask("if_none_match", "GET", any_key(random), headers={"If-None-Match": tag})


@kind
def if_modified_since(random: Random) -> Ask:
    return Ask(
        "if_modified_since", "GET", any_key(random), headers={"If-Modified-Since": "Fri, 01 Jan 2038 00:00:00 GMT"}
    )


@kind
def binary(random: Random) -> Ask:
    return Ask(
        "binary",
        "GET",
        any_key(random, "Binary"),
        headers={"Accept": random.choice(["text/plain", "application/fhir+json", "*/*"])},
    )


# ---- history -----------------------------------------------------------------------------------------


def of_history(random: Random, path: str) -> list[tuple[str, str]]:
    found = [("_count", random.choice(["2", "5", "100"]))]
    extra = random.random()
    if extra < 0.2:
        found.append(("_since", random.choice(["2020-01-01", "2030-01-01T00:00:00Z"])))
    elif extra < 0.35:
        found.append(("_at", random.choice(["2020", "2026-01-01T00:00:00Z", "2035", "2026"])))
    elif extra < 0.45:
        found.append(("_summary", "true"))
    return found


@kind
def history_of_one(random: Random) -> Ask:
    moved = [f"Observation/{p}-{x}" for p in "ab" for x in ("moved", "lost", "gone", "returns", "lab", "recategorized")]
    path = f"{random.choice([any_key(random), random.choice(moved)])}/_history"
    return Ask("history_of_one", "GET", path, of_history(random, path), pages=True)


@kind
def history_of_type(random: Random) -> Ask:
    path = f"{random.choice(['Observation', 'Patient', 'Communication', 'Binary', random.choice(TYPES)])}/_history"
    return Ask("history_of_type", "GET", path, of_history(random, path), pages=True)


@kind
def history_of_all(random: Random) -> Ask:
    query = of_history(random, "")
    return Ask("history_of_all", "GET", "_history", [("_count", "50"), *query[1:]], pages=True)


@kind
def history_count(random: Random) -> Ask:
    path = random.choice([f"{any_key(random)}/_history", f"{random.choice(TYPES)}/_history", "_history"])
    return Ask("history_count", "GET", path, [("_summary", "count")])


# ---- searches ----------------------------------------------------------------------------------------


@kind
def search(random: Random) -> Ask:
    type_ = searched(random)
    pairs = [criterion(random, type_) for _ in range(random.choice([0, 1, 1, 2]))]
    return Ask("search", "GET", type_, shaped(random, pairs), pages=random.random() < 0.3)


@kind
def search_posted(random: Random) -> Ask:
    type_ = searched(random)
    return Ask("search_posted", "POST", f"{type_}/_search", shaped(random, [criterion(random, type_)]))


@kind
def search_ids(random: Random) -> Ask:
    type_ = random.choice(["Observation", "Patient", "Condition", "Binary", "Task", "Communication", "Bundle", "Group"])
    ids = [key.partition("/")[2] for key in KEYS + GHOSTS if key.startswith(f"{type_}/")]
    return Ask("search_ids", "GET", type_, [("_id", ",".join(random.sample(ids, min(len(ids), 4))))])


@kind
def search_system(random: Random) -> Ask:
    pairs = [
        random.choice(
            [("_id", "a,b,a-lab,b-lab,both"), ("_tag", "seen"), ("_security", "team"), ("_lastUpdated", "gt2020-01-01")]
        )
    ]
    if random.random() < 0.6:
        pairs.append(("_type", ",".join(random.sample(TYPES, 4))))
    return Ask("search_system", "GET", "", [*pairs, ("_count", "40"), ("_total", "accurate")], pages=True)


@kind
def search_system_posted(random: Random) -> Ask:
    return Ask(
        "search_system_posted",
        "POST",
        "_search",
        [("_id", "a,b,a-lab,b-lab"), ("_type", ",".join(random.sample(TYPES, 6)))],
    )


@kind
def count(random: Random) -> Ask:
    type_ = searched(random)
    pairs = [criterion(random, type_)] if random.random() < 0.8 else []
    return Ask("count", "GET", type_, [*pairs, ("_summary", "count")])


@kind
def total(random: Random) -> Ask:
    type_ = searched(random)
    return Ask(
        "total", "GET", type_, [criterion(random, type_), ("_total", "accurate"), ("_count", random.choice("012"))]
    )


@kind
def sort(random: Random) -> Ask:
    type_ = random.choice([*SORTS, "Observation", "Observation"])
    pairs = [
        ("_sort", random.choice(SORTS[type_])),
        ("_count", random.choice(["2", "3", "50"])),
        ("_total", "accurate"),
    ]
    if random.random() < 0.4:
        pairs.insert(0, criterion(random, type_))
    return Ask("sort", "GET", type_, pairs, pages=True)


@kind
def include(random: Random) -> Ask:
    type_ = random.choice(list(INCLUDES))
    pairs = [criterion(random, type_)] if type_ in SEARCHES and random.random() < 0.6 else []
    found = random.sample(INCLUDES[type_], random.choice([1, 1, 2]) if len(INCLUDES[type_]) > 1 else 1)
    return Ask("include", "GET", type_, pairs + [("_include", one) for one in found])


@kind
def revinclude(random: Random) -> Ask:
    type_ = random.choice(list(REVINCLUDES))
    pairs = [criterion(random, type_)] if type_ in SEARCHES and random.random() < 0.6 else []
    found = random.sample(REVINCLUDES[type_], random.choice([1, 2]) if len(REVINCLUDES[type_]) > 1 else 1)
    return Ask("revinclude", "GET", type_, pairs + [("_revinclude", one) for one in found])


@kind
def iterate(random: Random) -> Ask:
    type_ = random.choice(
        ["Observation", "Condition", "DiagnosticReport", "Encounter", "Organization", "Task", "Patient", "Practitioner"]
    )
    several = [one for each in INCLUDES.values() for one in each if one != "*"]
    back = [one for each in REVINCLUDES.values() for one in each if one != "*"]
    pairs = [criterion(random, type_)] if type_ in SEARCHES and random.random() < 0.5 else []
    if type_ in INCLUDES:
        pairs.append(("_include", random.choice([one for one in INCLUDES[type_] if one != "*"])))
    pairs += [("_include:iterate", one) for one in random.sample(several, 3)]
    pairs += [("_revinclude:iterate", one) for one in random.sample(back, random.choice([0, 1, 2]))]
    return Ask("iterate", "GET", type_, pairs)


@kind
def include_paged(random: Random) -> Ask:
    type_ = random.choice(["Observation", "Condition", "Patient"])
    return Ask(
        "include_paged",
        "GET",
        type_,
        [
            ("_include", random.choice(INCLUDES[type_])),
            ("_revinclude", random.choice(REVINCLUDES[type_])),
            ("_count", "2"),
        ],
        pages=True,
    )


@kind
def chain(random: Random) -> Ask:
    type_, name, values = random.choice(CHAINS)
    return Ask("chain", "GET", type_, shaped(random, [(name, random.choice(values))]))


@kind
def chain_counted(random: Random) -> Ask:
    type_, name, values = random.choice(CHAINS)
    return Ask("chain_counted", "GET", type_, [(name, random.choice(values)), ("_summary", "count")])


@kind
def has(random: Random) -> Ask:
    type_, name, values = random.choice(HAS)
    return Ask("has", "GET", type_, shaped(random, [(name, random.choice(values))]))


@kind
def has_and_chain(random: Random) -> Ask:
    type_, name, values = random.choice(HAS)
    pairs = [(name, random.choice(values))]
    chains = [(n, v) for t, n, v in CHAINS if t == type_]
    if chains:
        other, found = random.choice(chains)
        pairs.append((other, random.choice(found)))
    return Ask("has_and_chain", "GET", type_, [*pairs, ("_total", "accurate")])


@kind
def listed(random: Random) -> Ask:
    type_ = random.choice(["Observation", "Condition", "Practitioner", "Patient"])
    return Ask(
        "listed",
        "GET",
        type_,
        [("_list", random.choice(["both", "staff", "a-problems", "b-problems", "a-about-you", "zz"]))],
    )


@kind
def filter_(random: Random) -> Ask:
    type_, texts = random.choice(FILTERS)
    return Ask("filter", "GET", type_, [("_filter", random.choice(texts)), ("_total", "accurate")])


@kind
def contained(random: Random) -> Ask:
    type_ = random.choice(["Patient", "Organization", "Observation", "Medication", "Practitioner"])
    pairs: Pairs = [("_contained", random.choice(["true", "both"]))]
    if random.random() < 0.6:
        pairs.append(("_containedType", random.choice(["container", "contained"])))
    some = {
        "Patient": [("name", "Inside"), ("link", "Patient/b")],
        "Organization": [("name", "Inner")],
        "Observation": [("code", "1-8"), ("subject", "Patient/b")],
        "Medication": [("code", "drug-b"), ("code", "drug-a")],
        "Practitioner": [("family", "x")],
    }
    if random.random() < 0.8:
        pairs.append(random.choice(some[type_]))
    return Ask("contained", "GET", type_, [*pairs, ("_total", "accurate")])


@kind
def text(random: Random) -> Ask:
    type_ = random.choice(["Observation", "Condition", "Flag", "Patient", "Organization"])
    return Ask(
        "text", "GET", type_, [("_content", random.choice(["worda", "wordb", "Berg", "Anders", "Clinic", "Innerb"]))]
    )


@kind
def missing(random: Random) -> Ask:
    type_, name = random.choice(
        [
            ("Observation", "subject"),
            ("Observation", "performer"),
            ("Condition", "asserter"),
            ("Communication", "subject"),
            ("Task", "patient"),
            ("Device", "patient"),
            ("Group", "member"),
        ]
    )
    return Ask("missing", "GET", type_, [(f"{name}:missing", random.choice(["true", "false"])), ("_total", "accurate")])


@kind
def explain(random: Random) -> Ask:
    type_ = searched(random)
    return Ask("explain", "GET", type_, [criterion(random, type_), ("__explain", "true")])


@kind
def compartment(random: Random) -> Ask:
    focus = random.choice(
        [
            *PATIENTS,
            "Encounter/a-visit",
            "Encounter/b-visit",
            "Practitioner/doctor",
            "Practitioner/nurse",
            "RelatedPerson/b-mother",
            "Device/b-pump",
        ]
    )
    type_ = random.choice(
        ["Observation", "Condition", "Task", "Communication", "Patient", "Binary", "Coverage", "Group"]
    )
    pairs = [criterion(random, type_)] if random.random() < 0.4 else []
    return Ask("compartment", "GET", f"{focus}/{type_}", [*pairs, ("_total", "accurate")])


@kind
def compartment_whole(random: Random) -> Ask:
    focus = random.choice([*PATIENTS, "Encounter/b-visit", "Practitioner/doctor"])
    return Ask("compartment_whole", "GET", f"{focus}/*", [("_count", "30"), ("_total", "accurate")], pages=True)


@kind
def compartment_posted(random: Random) -> Ask:
    focus = random.choice(PATIENTS)
    return Ask(
        "compartment_posted",
        "POST",
        f"{focus}/{random.choice(['Observation', '*', 'Condition'])}/_search",
        [("_count", "50")],
    )


@kind
def elements(random: Random) -> Ask:
    type_ = random.choice(["Observation", "Condition", "Patient"])
    return Ask(
        "elements",
        "GET",
        type_,
        [
            criterion(random, type_),
            random.choice([("_elements", "subject,code"), ("_summary", "data"), ("_summary", "text")]),
            ("_include", INCLUDES[type_][0]),
        ],
    )


# ---- operations --------------------------------------------------------------------------------------


@kind
def everything(random: Random) -> Ask:
    key = random.choice([*PATIENTS, "Encounter/a-visit", "Encounter/b-visit", "Patient/b"])
    pairs: Pairs = [("_count", random.choice(["7", "200"]))]
    if random.random() < 0.3:
        pairs.append(
            (
                "_type",
                random.choice(["Observation", "Observation,Condition", "Practitioner", "Binary,DocumentReference"]),
            )
        )
    return Ask("everything", "GET", f"{key}/$everything", pairs, pages=True)


@kind
def lastn(random: Random) -> Ask:
    pairs = [
        random.choice([("patient", "a"), ("subject", "Patient/b"), ("patient", "b")]),
        ("max", random.choice("12")),
    ]
    if random.random() < 0.5:
        pairs.append(("category", "laboratory"))
    return Ask("lastn", "GET", "Observation/$lastn", pairs)


@kind
def docref(random: Random) -> Ask:
    return Ask("docref", "GET", "DocumentReference/$docref", [("patient", random.choice("abc"))])


@kind
def document(random: Random) -> Ask:
    return Ask("document", "GET", f"{any_key(random, 'Composition')}/$document")


@kind
def meta(random: Random) -> Ask:
    path = random.choice(
        [
            f"{any_key(random)}/$meta",
            f"{random.choice(TYPES)}/$meta",
            "$meta",
            f"Observation/{random.choice('ab')}-moved/_history/{random.choice('12')}/$meta",
        ]
    )
    return Ask("meta", "GET", path)


@kind
def diff(random: Random) -> Ask:
    key = random.choice(
        [f"Observation/{p}-{x}" for p in "ab" for x in ("lab", "moved", "lost", "returns", "recategorized")]
        + [any_key(random)]
    )
    return Ask("diff", "GET", f"{key}/$diff", [("fromVersion", random.choice("123"))] if random.random() < 0.6 else [])


@kind
def diff_of_two(random: Random) -> Ask:
    one, other = (
        f"Observation/{random.choice('ab')}-{random.choice(['lab', 'moved', 'lost', 'vital'])}" for _ in range(2)
    )
    version = random.choice(["", "/_history/1"])
    return Ask("diff_of_two", "GET", "$diff", [("from", one + version), ("to", other)])


@kind
def validate(random: Random) -> Ask:
    mode = random.choice(["", "delete", "update"])
    if mode == "update":
        key = any_key(random, "Observation", "Condition")
        body = {
            "resourceType": "Parameters",
            "parameter": [
                {"name": "mode", "valueCode": "update"},
                {"name": "resource", "resource": WORLD.get(key, WORLD["Basic/a-note"])},
            ],
        }
        return Ask("validate", "POST", f"{key}/$validate", body=body)
    return Ask("validate", "GET", f"{any_key(random)}/$validate", [("mode", mode)] if mode else [])


@kind
def administration(random: Random) -> Ask:
    if random.random() < 0.3:
        return Ask("administration", "GET", "$reindex")
    return Ask(
        "administration",
        "POST",
        random.choice([f"{any_key(random)}/$erase", "$reindex"]),
        body={"resourceType": "Parameters"},
    )


# ---- writes ------------------------------------------------------------------------------------------


def draft(random: Random, type_: str, patient: str) -> Json:
    """New content that names a patient, or none ("")."""
    subject = {"reference": patient} if patient else None
    made: dict[str, Json] = {
        "Observation": {
            "status": "final",
            "code": {"coding": [{"system": LOINC, "code": random.choice(["2345-7", "new"])}]},
            "category": [
                {"coding": [{"system": OBSERVATION_CATEGORY, "code": random.choice(["laboratory", "vital-signs"])}]}
            ],
            "identifier": [{"system": NUMBERS, "value": "fresh"}],
            "subject": subject,
        },
        "Condition": {"subject": subject or {"reference": "Group/staff"}},
        "Task": {"status": "requested", "intent": "order", "for": subject},
        "Communication": {
            "status": "completed",
            "subject": subject,
            "meta": random.choice([None, {"security": [TEAM]}]),
        },
        "Patient": {"name": [{"family": "New"}], "link": [{"other": subject, "type": "seealso"}] if subject else None},
        "Practitioner": {"name": [{"family": "New"}]},
        "Basic": {"code": {"text": "note"}, "subject": subject},
        "Binary": {"contentType": "text/plain", "data": "bmV3", "securityContext": subject},
        "Group": {"type": "person", "actual": True, "member": [{"entity": subject}] if subject else None},
    }
    content = {"resourceType": type_, **made[type_]}
    return {name: value for name, value in content.items() if value is not None}


DRAFTS = [
    "Observation",
    "Observation",
    "Condition",
    "Task",
    "Communication",
    "Patient",
    "Practitioner",
    "Basic",
    "Binary",
    "Group",
]
OWNERS = ["Patient/a", "Patient/b", "Patient/c", "", f"{BASE}/Patient/b", "Patient/b/_history/1"]


def changed(random: Random, key: str) -> Json:
    """A resource of the world with another patient, label, category or status; or as it is."""
    if key not in WORLD:
        return draft(random, "Observation", "Patient/a") | {
            "resourceType": key.partition("/")[0],
            "id": key.partition("/")[2],
        }
    content = deepcopy(WORLD[key])
    change = random.choice(["patient", "patient", "label", "category", "same", "performer"])
    name = next(
        (one for one in ("subject", "patient", "for", "beneficiary", "securityContext") if one in content), None
    )
    if change == "patient" and name:
        content[name] = {"reference": random.choice(OWNERS[:3])}
    elif change == "patient" and key.startswith("Patient/"):
        content["link"] = [{"other": {"reference": random.choice(OWNERS[:3])}, "type": "seealso"}]
    elif change == "label":
        content["meta"] = {"security": [TEAM]}
    elif change == "category" and key.startswith("Observation/"):
        content["category"] = [
            {"coding": [{"system": OBSERVATION_CATEGORY, "code": random.choice(["laboratory", "vital-signs", "exam"])}]}
        ]
    elif change == "performer" and key.startswith("Observation/"):
        content["performer"] = [{"reference": random.choice(["Patient/a", "Patient/b"])}]
    else:
        content["language"] = "en"
    return content


def writable(random: Random) -> str:
    return any_key(
        random,
        "Observation",
        "Condition",
        "Task",
        "Communication",
        "Patient",
        "Basic",
        "Binary",
        "Group",
        "Coverage",
        "Practitioner",
        "List",
    )


@kind
def create(random: Random) -> Ask:
    type_ = random.choice(DRAFTS)
    return Ask("create", "POST", type_, body=draft(random, type_, random.choice(OWNERS)))


@kind
def conditional_create(random: Random) -> Ask:
    type_ = random.choice(["Observation", "Observation", "Patient", "Condition"])
    text = random.choice(
        [
            f"identifier={NUMBERS}|O-b-lab",
            f"identifier={NUMBERS}|O-a-lab",
            "_id=a-lab",
            "_id=b-lab",
            "_id=b",
            "code=718-7",
            "subject=Patient/b",
            "patient.name=Berg",
            "_has:Provenance:target:_id=both",
        ]
    )
    return Ask(
        "conditional_create",
        "POST",
        type_,
        body=draft(random, type_, random.choice(OWNERS)),
        headers={"If-None-Exist": text},
    )


@kind
def update(random: Random) -> Ask:
    key = writable(random)
    headers = {"If-Match": random.choice(['W/"1"', 'W/"2"', 'W/"3"', "*"])} if random.random() < 0.25 else {}
    if random.random() < 0.1:
        headers = {"If-None-Match": "*"}
    return Ask("update", "PUT", key, body=changed(random, key), headers=headers)


@kind
def conditional_update(random: Random) -> Ask:
    key = any_key(random, "Observation", "Condition")
    body = changed(random, key)
    body.pop("id", None)
    if random.random() < 0.2:
        body["id"] = random.choice(["a-lab", "b-lab", "zz"])
    value = random.choice(
        [
            ("identifier", f"{NUMBERS}|O-b-lab"),
            ("identifier", f"{NUMBERS}|O-a-lab"),
            ("_id", key.partition("/")[2]),
            ("identifier", f"{NUMBERS}|none"),
            ("patient.name", "Berg"),
        ]
    )
    return Ask("conditional_update", "PUT", key.partition("/")[0], [value], body=body)


@kind
def patch(random: Random) -> Ask:
    key = writable(random)
    operations = random.choice(
        [
            [{"op": "add", "path": "/language", "value": "en"}],
            [{"op": "replace", "path": "/subject/reference", "value": random.choice(["Patient/a", "Patient/b"])}],
            [{"op": "test", "path": "/status", "value": "final"}],
            [{"op": "add", "path": "/performer", "value": [{"reference": random.choice(["Patient/a", "Patient/b"])}]}],
            [{"op": "remove", "path": "/subject"}],
        ]
    )
    return Ask("patch", "PATCH", key, body=operations, media="application/json-patch+json")


@kind
def conditional_patch(random: Random) -> Ask:
    value = random.choice(
        [
            ("identifier", f"{NUMBERS}|O-b-lab"),
            ("identifier", f"{NUMBERS}|O-a-lab"),
            ("_id", "b-moved"),
            ("code", "718-7"),
        ]
    )
    return Ask(
        "conditional_patch",
        "PATCH",
        "Observation",
        [value],
        body=[{"op": "add", "path": "/language", "value": "en"}],
        media="application/json-patch+json",
    )


@kind
def delete(random: Random) -> Ask:
    headers = {"If-Match": 'W/"1"'} if random.random() < 0.2 else {}
    return Ask("delete", "DELETE", writable(random), headers=headers)


@kind
def conditional_delete(random: Random) -> Ask:
    value = random.choice(
        [
            ("identifier", f"{NUMBERS}|O-b-lab"),
            ("identifier", f"{NUMBERS}|O-a-lab"),
            ("_id", "b-lab"),
            ("code", "718-7"),
            ("patient.name", "Berg"),
        ]
    )
    return Ask("conditional_delete", "DELETE", "Observation", [value])


@kind
def meta_change(random: Random) -> Ask:
    label = random.choice([{"tag": [TAG]}, {"security": [TEAM]}])
    body = {"resourceType": "Parameters", "parameter": [{"name": "meta", "valueMeta": label}]}
    return Ask("meta_change", "POST", f"{writable(random)}/{random.choice(['$meta-add', '$meta-delete'])}", body=body)


# ---- Bundles -----------------------------------------------------------------------------------------


def entry(ask: Ask) -> Json:
    """The request as an entry of a Bundle."""
    from urllib.parse import quote, urlencode

    query = "?" + urlencode(ask.query, quote_via=quote, safe=":,/*$|") if ask.query else ""
    asked: Json = {"method": ask.method, "url": ask.path + query}
    for name, field in (("If-Match", "ifMatch"), ("If-None-Match", "ifNoneMatch"), ("If-None-Exist", "ifNoneExist")):
        if name in ask.headers:
            asked[field] = ask.headers[name]
    found: Json = {"request": asked}
    if ask.method == "PATCH":
        data = base64.b64encode(json.dumps(ask.body).encode()).decode()
        found["resource"] = {"resourceType": "Binary", "contentType": "application/json-patch+json", "data": data}
    elif ask.body is not None:
        found["resource"] = ask.body
    return found


def bundle(type_: str, asks: list[Ask]) -> Json:
    return {"resourceType": "Bundle", "type": type_, "entry": [entry(ask) for ask in asks]}


def _reading(random: Random) -> Ask:
    return random.choice(
        [read, vread, search, include, has, chain, count, everything, history_of_one, meta, compartment]
    )(random)


def _writing(random: Random) -> Ask:
    return random.choice(
        [create, conditional_create, update, conditional_update, patch, conditional_patch, delete, conditional_delete]
    )(random)


@kind
def batch_read(random: Random) -> Ask:
    return Ask("batch_read", "POST", "", body=bundle("batch", [_reading(random) for _ in range(3)]))


@kind
def batch_write(random: Random) -> Ask:
    return Ask("batch_write", "POST", "", body=bundle("batch", [_writing(random), _reading(random)]))


@kind
def transaction_read(random: Random) -> Ask:
    return Ask(
        "transaction_read",
        "POST",
        "",
        body=bundle("transaction", [random.choice([read, search, include, vread])(random) for _ in range(2)]),
    )


@kind
def transaction_write(random: Random) -> Ask:
    return Ask("transaction_write", "POST", "", body=bundle("transaction", [_writing(random)]))


@kind
def transaction_mixed(random: Random) -> Ask:
    return Ask(
        "transaction_mixed",
        "POST",
        "",
        body=bundle("transaction", [_writing(random), random.choice([read, search])(random)]),
    )


@kind
def conditional_reference(random: Random) -> Ask:
    body = draft(random, "Observation", "Patient/a")
    body["hasMember"] = [
        {
            "reference": random.choice(
                [
                    f"Observation?identifier={NUMBERS}|O-b-lab",
                    f"Observation?identifier={NUMBERS}|O-a-lab",
                    "Observation?_id=b-moved",
                    "Patient?name=Berg",
                ]
            )
        }
    ]
    return Ask(
        "conditional_reference", "POST", "", body=bundle("transaction", [Ask("", "POST", "Observation", body=body)])
    )


# ---- drawing -----------------------------------------------------------------------------------------


def draw(seed: int, number: int, first: int = 0) -> list[Ask]:
    """So many requests, the kinds in turn from the `first` on, the same for the same seed."""
    random = Random(seed)
    kinds = list(KINDS.values())
    return [kinds[(first + index) % len(kinds)](random) for index in range(number)]
