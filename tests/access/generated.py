"""Consents and resources, generated; tests/access/judge.py reads what is made here."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from tests.access import judge

Json = dict[str, Any]

ME = "Practitioner/me"
NAMES = {ME, "Organization/mine", "CareTeam/mine"}
DAYS = ["2020-01-01", "2022-07-01", "2024-06-15", "2024-06-20", "2030-01-01"]


def reference(*targets: str) -> st.SearchStrategy[Json]:
    return st.sampled_from(targets).map(lambda target: {"reference": target})


def coding(system: str, *codes: str) -> st.SearchStrategy[Json]:
    return st.sampled_from(codes).map(lambda code: {"system": system, "code": code})


def concept(found: st.SearchStrategy[Json]) -> st.SearchStrategy[Json]:
    return found.map(lambda one: {"coding": [one]})


def some(found: st.SearchStrategy[Json]) -> st.SearchStrategy[list[Json]]:
    return st.lists(found, min_size=1, max_size=2)


@st.composite
def periods(draw: st.DrawFn) -> Json:
    first, last = sorted(draw(st.lists(st.sampled_from(DAYS), min_size=2, max_size=2)))
    return draw(st.sampled_from([{"start": first}, {"end": last}, {"start": first, "end": last}]))


LABELS = coding(judge.CONFIDENTIALITY, "N", "R", "V") | coding(judge.ACT_CODE, "HIV", "PSY", "SPI")
CONTENT = concept(coding("http://loinc.org", "1-1", "2-2"))
PEOPLE = ("Patient/1", "Patient/2", ME, "Practitioner/other")
ACTORS = st.fixed_dictionaries(
    {
        "role": concept(coding("urn:roles", "PRCP", "IRCP", "CST")),
        "reference": reference(
            ME, ME, *NAMES, "Practitioner/other", "Group/1", "http://elsewhere.example/Practitioner/1"
        )
        | st.just({"display": "Somebody"}),
    }
)
ACTIONS = concept(coding(judge.CONSENT_ACTION, "access", "collect", "use", "disclose", "correct")) | st.just(
    {"text": "whatever"}
)
CLASSES = coding(judge.TYPES, "Observation", "Condition", "Patient") | coding("urn:ietf:bcp:13", "application/pdf")
DATA = st.fixed_dictionaries(
    {
        "meaning": st.sampled_from(["instance", "related", "dependents", "authoredby"]),
        "reference": reference("Observation/x", "Encounter/e", ME, "Practitioner/other") | st.just({"display": "?"}),
    }
)
CRITERIA = {
    "period": periods(),
    "actor": some(ACTORS),
    "action": some(ACTIONS),
    "purpose": some(coding(judge.REASON, "TREAT", "ETREAT", "HMARKT") | coding("urn:own", "whim")),
    "class": some(CLASSES),
    "securityLabel": some(LABELS),
    "code": some(CONTENT | st.just({"text": "that"})),
    "dataPeriod": periods(),
    "data": some(DATA),
}


@st.composite
def provision(draw: st.DrawFn, depth: int = 0) -> Json:
    found: Json = {}
    if (kind := draw(st.sampled_from(["deny", "deny", "permit", "permit", ""]))) != "":
        found["type"] = kind
    for name in draw(st.lists(st.sampled_from(sorted(CRITERIA)), max_size=3, unique=True)):
        found[name] = draw(CRITERIA[name])
    if depth < 2 and (nested := draw(st.lists(provision(depth + 1), max_size=2 - depth))):
        found["provision"] = nested
    return found


CONSENTS = st.fixed_dictionaries(
    {
        "resourceType": st.just("Consent"),
        "id": st.just("c"),
        "status": st.sampled_from(["active"] * 5 + ["inactive"]),
        "scope": concept(coding("http://terminology.hl7.org/CodeSystem/consentscope", *["patient-privacy"] * 5, "adr")),
        "patient": reference("Patient/1"),
        "policyRule": concept(coding(judge.ACT_CODE, "OPTIN", "OPTIN", "OPTOUT")),
        "provision": provision(),
    }
)


@st.composite
def resources(draw: st.DrawFn) -> Json:
    """A resource of one of the types that the judge knows."""
    kind = draw(st.sampled_from(sorted(judge.PATIENTS)))
    found: Json = {"resourceType": kind, "id": draw(st.sampled_from(["1", "x", "e"]))}
    if labels := draw(st.lists(LABELS, max_size=2)):
        found["meta"] = {"security": labels}
    if kind == "Patient":
        return found
    found[judge.PATIENTS[kind][0]] = {"reference": draw(st.sampled_from(PEOPLE[:2]))}
    who = st.sampled_from(PEOPLE).map(lambda one: {"reference": one})
    single = {
        "Condition": ["asserter"],
        "AllergyIntolerance": ["recorder", "asserter"],
        "MedicationRequest": ["requester"],
    }
    for name in single.get(kind, []):
        if draw(st.booleans()):
            found[name] = draw(who)
    several = {"Observation": "performer", "DocumentReference": "author"}
    if kind in several and draw(st.booleans()):
        found[several[kind]] = [draw(who)]
    if kind == "Encounter" and draw(st.booleans()):
        found["participant"] = [{"individual": draw(who)}]
    if "encounter" in judge.REFERS[kind] and draw(st.booleans()):
        found["encounter"] = {"reference": "Encounter/e"}
    code = draw(CONTENT | st.just({"text": "something"}) | st.none())
    if code is not None:
        found[judge.CODES[kind]] = [code] if kind == "Encounter" else code
    day = draw(st.sampled_from(DAYS) | st.none())
    if day is not None:
        name = judge.DATES[kind]
        found[name] = {"start": day, "end": day} if kind == "Encounter" else day
    if kind == "DocumentReference" and day is not None:
        found["date"] = f"{day}T10:00:00Z"
    return found
