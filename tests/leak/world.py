"""A small house with three patients: `a` and `b` with a record each, which name one another, and `c` with none.

Every id says whose a resource is ("Observation/a-lab"), but nothing relies on it: the oracle reads the content.
"""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from typing import Any

Json = dict[str, Any]

BASE = "http://localhost:8080/fhir"
TEAM = {"system": "http://fhir-server.example/ig/CodeSystem/record-label", "code": "team-discussion"}
SECRET = {"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "V"}
HIV = {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "HIV"}
TAG = {"system": "http://leak.example/tags", "code": "seen"}
OBSERVATION_CATEGORY = "http://terminology.hl7.org/CodeSystem/observation-category"
CONDITION_CATEGORY = "http://terminology.hl7.org/CodeSystem/condition-category"
CLINICAL = "http://terminology.hl7.org/CodeSystem/condition-clinical"
LOINC = "http://loinc.org"
NUMBERS = "http://leak.example/numbers"
WHEN = {"a": 3, "b": 7}  # the day of the month on which things happen to each


def ref(key: str) -> Json:
    return {"reference": key}


def concept(system: str, code: str, text: str | None = None) -> Json:
    return {"coding": [{"system": system, "code": code}], **({"text": text} if text else {})}


def make(key: str, /, **content: Any) -> Json:
    type_, _, id_ = key.partition("/")
    return {"resourceType": type_, "id": id_, **content}


def house() -> Iterator[Json]:
    """What is of nobody: shared by all who are signed in, or by none of the patients."""
    yield make("Organization/clinic", name="Clinic", active=True)
    yield make("Organization/ward", name="Ward", partOf=ref("Organization/clinic"))
    yield make("Organization/lab", name="Laboratory", partOf=ref("Organization/clinic"))
    yield make("Practitioner/doctor", name=[{"family": "Doctor", "given": ["Dora"]}], active=True)
    yield make("Practitioner/nurse", name=[{"family": "Nurse", "given": ["Nico"]}])
    yield make("Practitioner/other", name=[{"family": "Other"}])
    yield make(
        "PractitionerRole/doctor", practitioner=ref("Practitioner/doctor"), organization=ref("Organization/ward")
    )
    yield make("Location/room", name="Room", status="active", managingOrganization=ref("Organization/ward"))
    yield make("Location/bed", name="Bed", partOf=ref("Location/room"))
    yield make("Medication/aspirin", code=concept("http://www.nlm.nih.gov/research/umls/rxnorm", "1191", "Aspirin"))
    yield make("Questionnaire/q", status="active", url="http://leak.example/Questionnaire/q")
    yield make(
        "ValueSet/v",
        status="active",
        url="http://leak.example/ValueSet/v",
        compose={"include": [{"system": LOINC, "concept": [{"code": "2345-7"}]}]},
    )
    yield make("HealthcareService/h", name="Care", providedBy=ref("Organization/clinic"))
    # Of no patient and not for everybody either.
    yield make("Group/staff", type="practitioner", actual=True, member=[{"entity": ref("Practitioner/doctor")}])
    yield make("List/staff", status="current", mode="working", entry=[{"item": ref("Practitioner/doctor")}])
    yield make(
        "Observation/nobody",
        status="final",
        code=concept(LOINC, "2345-7"),
        category=[concept(OBSERVATION_CATEGORY, "laboratory")],
        performer=[ref("Organization/lab")],
        effectiveDateTime="2024-01-15",
    )
    yield make(
        "Task/nobody", status="requested", intent="order", description="Clean the room", owner=ref("Practitioner/nurse")
    )
    yield make("Device/spare", status="active")
    yield make("Basic/nobody", code=concept("http://leak.example/basic", "note"))
    yield make("Binary/loose", contentType="text/plain", data="bG9vc2U=")
    yield make(
        "Communication/staff-team",
        status="completed",
        meta={"security": [TEAM]},
        sender=ref("Practitioner/doctor"),
        recipient=[ref("Practitioner/nurse")],
    )
    yield make(
        "Slot/s",
        status="free",
        start="2024-02-01T09:00:00Z",
        end="2024-02-01T10:00:00Z",
        schedule=ref("Schedule/doctor"),
    )
    yield make("Schedule/doctor", actor=[ref("Practitioner/doctor")])
    # Of both patients at once.
    both = [ref("Patient/a"), ref("Patient/b")]
    yield make("Group/both", type="person", actual=True, member=[{"entity": one} for one in both])
    yield make(
        "Appointment/both",
        status="booked",
        start="2024-01-20T09:00:00Z",
        end="2024-01-20T10:00:00Z",
        participant=[{"actor": one, "status": "accepted"} for one in [*both, ref("Practitioner/doctor")]],
    )
    yield make(
        "List/both", status="current", mode="working", entry=[{"item": ref(f"Observation/{p}-lab")} for p in "ab"]
    )
    yield make(
        "Bundle/both", type="collection", entry=[{"resource": make(f"Patient/{p}", gender="other")} for p in "ab"]
    )
    yield make(
        "Provenance/both",
        recorded="2024-01-08T00:00:00Z",
        target=[ref("Observation/a-lab"), ref("Observation/b-lab"), *both],
        agent=[{"who": ref("Practitioner/doctor")}],
    )
    yield make("Person/both", link=[{"target": one} for one in both])


def patients() -> Iterator[Json]:
    for id_, family, given in (("a", "Anders", "Ada"), ("b", "Berg", "Bo"), ("c", "Clausen", "Cy")):
        yield make(
            f"Patient/{id_}",
            identifier=[{"system": NUMBERS, "value": f"P-{id_}"}],
            name=[{"family": family, "given": [given]}],
            gender="female" if id_ == "a" else "male",
            birthDate=f"19{ord(id_) - 40}-01-01",
            generalPractitioner=[ref("Practitioner/doctor")],
            managingOrganization=ref("Organization/ward"),
            active=True,
        )
    yield make("Patient/a-old", name=[{"family": "Anders"}], link=[{"other": ref("Patient/a"), "type": "replaces"}])
    yield make("Patient/b-old", name=[{"family": "Berg"}], link=[{"other": ref("Patient/b"), "type": "replaces"}])


def record(p: str, o: str) -> Iterator[Json]:
    """The record of patient `p`, with references to what is the other patient's."""
    me, you = ref(f"Patient/{p}"), ref(f"Patient/{o}")
    doctor, day = ref("Practitioner/doctor"), f"2024-01-{WHEN[p]:02d}"

    def mine(type_: str, label: str, /, **content: Any) -> Json:
        return make(f"{type_}/{p}-{label}", **content)

    yield mine(
        "Encounter",
        "visit",
        status="finished",
        **{"class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB"}},
        subject=me,
        period={"start": f"{day}T08:00:00Z", "end": f"{day}T09:00:00Z"},
        participant=[{"individual": doctor}],
        location=[{"location": ref("Location/bed")}],
        diagnosis=[{"condition": ref(f"Condition/{p}-problem")}],
    )

    def observation(name: str, category: str, code: str, **more: Any) -> Json:
        content = {
            "identifier": [{"system": NUMBERS, "value": f"O-{p}-{name}"}],
            "status": "final",
            "category": [concept(OBSERVATION_CATEGORY, category)],
            "code": concept(LOINC, code, f"word{p}"),
            "subject": me,
            "effectiveDateTime": f"{day}T08:30:00Z",
            "performer": [doctor],
            "encounter": ref(f"Encounter/{p}-visit"),
            "valueQuantity": {"value": WHEN[p], "unit": "mg", "system": "http://unitsofmeasure.org", "code": "mg"},
        }
        return mine("Observation", name, **(content | more))

    yield observation("lab", "laboratory", "2345-7")
    yield observation("lab2", "laboratory", "718-7", effectiveDateTime=f"{day}T10:00:00Z", meta={"tag": [TAG]})
    yield observation("vital", "vital-signs", "85354-9")
    yield observation("smoke", "social-history", "72166-2", meta={"security": [SECRET]})
    yield observation("hiv", "laboratory", "7917-8", meta={"security": [HIV]}, performer=[ref("Practitioner/other")])
    yield observation(
        "panel", "laboratory", "24323-8", hasMember=[ref(f"Observation/{p}-lab"), ref(f"Observation/{o}-lab")]
    )
    # The other one reports about this one: a performer is in the compartment, too.
    yield observation("told", "survey", "9999-1", performer=[you])
    yield observation(
        "absolute", "laboratory", "2345-7", subject=ref(f"{BASE}/Patient/{p}"), effectiveDateTime="2024-01-11"
    )
    yield observation(
        "versioned", "laboratory", "2345-7", subject=ref(f"Patient/{p}/_history/1"), effectiveDateTime="2024-01-12"
    )
    # Somebody else's server: no patient of ours.
    yield observation("foreign", "laboratory", "2345-7", subject=ref(f"http://elsewhere.example/fhir/Patient/{p}"))
    yield observation("logical", "laboratory", "2345-7", subject={"identifier": {"system": NUMBERS, "value": f"P-{p}"}})
    yield observation(
        "contains",
        "exam",
        "8310-5",
        contained=[
            {
                "resourceType": "Patient",
                "id": "p",
                "name": [{"family": f"Inside{p}"}],
                "link": [{"other": you, "type": "seealso"}],
            }
        ],
        focus=[ref("#p")],
    )
    yield observation(
        "inside",
        "exam",
        "8310-5",
        contained=[
            {"resourceType": "Organization", "id": "o", "name": f"Inner{p}"},
            {
                "resourceType": "Observation",
                "id": "x",
                "status": "final",
                "code": concept(LOINC, "1-8"),
                "subject": you,
            },
        ],
        performer=[ref("#o")],
        hasMember=[ref("#x")],
    )

    def condition(name: str, category: str, status: str = "active") -> Json:
        return mine(
            "Condition",
            name,
            identifier=[{"system": NUMBERS, "value": f"C-{p}-{name}"}],
            clinicalStatus=concept(CLINICAL, status),
            category=[concept(CONDITION_CATEGORY, category)],
            code=concept("http://snomed.info/sct", "38341003", f"word{p}"),
            subject=me,
            encounter=ref(f"Encounter/{p}-visit"),
            recordedDate=day,
            evidence=[{"detail": [ref(f"Observation/{p}-lab"), ref(f"Observation/{o}-vital")]}],
        )

    yield condition("problem", "problem-list-item")
    yield condition("diagnosis", "encounter-diagnosis", "resolved")
    yield mine("Condition", "asserted", subject=you, asserter=me)
    yield mine(
        "MedicationRequest",
        "rx",
        status="active",
        intent="order",
        medicationReference=ref("Medication/aspirin"),
        subject=me,
        requester=doctor,
        authoredOn=day,
        reasonReference=[ref(f"Condition/{p}-problem")],
    )
    yield mine(
        "MedicationRequest",
        "rx-inside",
        contained=[
            {"resourceType": "Medication", "id": "m", "code": concept("http://leak.example/drugs", f"drug-{p}")}
        ],
        status="completed",
        intent="order",
        medicationReference=ref("#m"),
        subject=me,
    )
    yield mine(
        "DiagnosticReport",
        "report",
        status="final",
        code=concept(LOINC, "24323-8"),
        subject=me,
        result=[ref(f"Observation/{p}-lab"), ref(f"Observation/{p}-vital"), ref(f"Observation/{o}-lab2")],
        performer=[ref("Organization/lab")],
        effectiveDateTime=day,
    )
    yield mine(
        "ServiceRequest", "order", status="active", intent="order", subject=me, requester=doctor, performer=[doctor]
    )
    yield mine(
        "Task",
        "task",
        status="requested",
        intent="order",
        **{"for": me},
        focus=ref(f"ServiceRequest/{p}-order"),
        owner=ref("Practitioner/nurse"),
        requester=doctor,
    )
    # R4's compartment knows no Task: that the patient owns it says nothing.
    yield mine("Task", "owned", status="requested", intent="order", **{"for": you}, owner=me)
    yield mine(
        "Task",
        "part",
        status="requested",
        intent="order",
        **{"for": me},
        partOf=[ref(f"Task/{p}-task"), ref(f"Task/{o}-task")],
    )
    yield mine(
        "Communication", "talk", status="completed", subject=me, sender=doctor, recipient=[me], sent=f"{day}T12:00:00Z"
    )
    yield mine(
        "Communication",
        "team",
        status="completed",
        meta={"security": [TEAM]},
        subject=me,
        sender=doctor,
        recipient=[ref("Practitioner/nurse")],
    )
    yield mine(
        "Communication",
        "sent",
        status="completed",
        subject=you,
        sender=me,
        inResponseTo=[ref(f"Communication/{o}-talk")],
    )
    yield mine("Communication", "relabelled", status="completed", subject=me, sender=doctor)
    yield mine("Communication", "unlabelled", status="completed", meta={"security": [TEAM]}, subject=me, sender=doctor)
    yield mine("Basic", "note", code=concept("http://leak.example/basic", "note"), subject=me)
    team: Json = {"meta": {"security": [TEAM]}}
    yield mine("Basic", "team", **team, code=concept("http://leak.example/basic", "note"), subject=me)
    yield mine("Observation", "team", **team, status="final", code=concept(LOINC, "2345-7"), subject=me)
    yield mine("Task", "team", **team, status="requested", intent="order", **{"for": me}, requester=doctor)
    yield mine(
        "Binary", "file", contentType="text/plain", securityContext=ref(f"DocumentReference/{p}-doc"), data="ZmlsZQ=="
    )
    yield mine("Binary", "patient-file", contentType="text/plain", securityContext=me, data="bWluZQ==")
    yield mine(
        "Binary", "swapped", contentType="text/plain", securityContext=ref(f"Observation/{o}-lab"), data="b3RoZXI="
    )
    yield mine(
        "DocumentReference",
        "doc",
        status="current",
        type=concept(LOINC, "34133-9"),
        category=[
            concept("http://hl7.org/fhir/us/core/CodeSystem/us-core-documentreference-category", "clinical-note")
        ],
        subject=me,
        date=f"{day}T12:00:00Z",
        author=[doctor],
        content=[
            {"attachment": {"contentType": "text/plain", "url": f"Binary/{one}"}} for one in (f"{p}-file", f"{o}-file")
        ],
        context={"encounter": [ref(f"Encounter/{p}-visit")], "related": [ref(f"Observation/{o}-smoke")]},
    )
    yield mine(
        "Provenance",
        "own",
        recorded=f"{day}T12:00:00Z",
        target=[ref(f"Observation/{p}-lab"), me],
        agent=[{"who": doctor}],
    )
    yield mine(
        "Provenance",
        "no-patient",
        recorded=f"{day}T12:00:00Z",
        target=[ref(f"Observation/{p}-lab")],
        agent=[{"who": me}],
    )
    yield mine("RelatedPerson", "mother", patient=me, name=[{"family": f"Mother{p}"}])
    yield mine(
        "CareTeam",
        "team",
        status="active",
        subject=me,
        participant=[{"member": doctor}, {"member": ref(f"RelatedPerson/{p}-mother")}],
    )
    yield mine("CareTeam", "helps", status="active", subject=you, participant=[{"member": me}])
    yield mine(
        "Consent",
        "consent",
        status="inactive",
        scope=concept("http://terminology.hl7.org/CodeSystem/consentscope", "patient-privacy"),
        category=[concept(LOINC, "59284-0")],
        patient=me,
        policyRule=concept("http://terminology.hl7.org/CodeSystem/v3-ActCode", "OPTIN"),
    )
    yield mine(
        "Composition",
        "letter",
        status="final",
        type=concept(LOINC, "34133-9"),
        subject=me,
        date=day,
        author=[doctor],
        title="Letter",
        section=[{"entry": [ref(f"Observation/{p}-lab"), ref(f"Condition/{p}-problem")]}],
    )
    yield mine(
        "Composition",
        "letter-both",
        status="final",
        type=concept(LOINC, "34133-9"),
        subject=me,
        date=day,
        author=[doctor],
        title="Letter on two",
        section=[{"entry": [ref(f"Observation/{p}-lab"), ref(f"Observation/{o}-lab")]}],
    )
    yield mine(
        "List",
        "problems",
        status="current",
        mode="working",
        subject=me,
        entry=[{"item": ref(f"Condition/{x}-problem")} for x in (p, o)],
    )
    yield mine(
        "List",
        "about-you",
        status="current",
        mode="working",
        source=doctor,
        entry=[{"item": ref(f"Observation/{x}-lab")} for x in (p, o)],
    )
    yield mine(
        "Procedure",
        "procedure",
        status="completed",
        subject=me,
        performer=[{"actor": doctor}],
        performedDateTime=day,
        code=concept("http://snomed.info/sct", "80146002"),
    )
    yield mine(
        "Immunization",
        "shot",
        status="completed",
        patient=me,
        vaccineCode=concept("http://hl7.org/fhir/sid/cvx", "140"),
        occurrenceDateTime=day,
    )
    yield mine(
        "AllergyIntolerance", "nuts", patient=me, recorder=doctor, code=concept("http://snomed.info/sct", "91935009")
    )
    yield mine("Device", "pump", status="active", patient=me)
    yield mine(
        "QuestionnaireResponse",
        "answers",
        status="completed",
        questionnaire="http://leak.example/Questionnaire/q",
        subject=me,
        authored=day,
    )
    yield mine("Specimen", "blood", subject=me)
    yield mine("Coverage", "cover", status="active", beneficiary=me, payor=[ref("Organization/clinic")])
    yield mine("Coverage", "pays", status="active", beneficiary=you, payor=[me])
    yield mine("Flag", "flag", status="active", subject=me, code={"text": f"word{p}"})
    yield mine("EpisodeOfCare", "episode", status="active", patient=me, managingOrganization=ref("Organization/ward"))
    yield mine("Observation", "moved", status="final", code=concept(LOINC, "3-3"), subject=me, effectiveDateTime=day)
    yield mine("Observation", "lost", status="final", code=concept(LOINC, "3-4"), effectiveDateTime=day)
    yield mine("Observation", "gone", status="final", code=concept(LOINC, "3-5"), subject=me, effectiveDateTime=day)
    yield mine("Condition", "gone", subject=me, category=[concept(CONDITION_CATEGORY, "problem-list-item")])
    yield mine("Observation", "returns", status="final", code=concept(LOINC, "3-6"), subject=me, effectiveDateTime=day)
    yield mine(
        "Observation",
        "recategorized",
        status="final",
        category=[concept(OBSERVATION_CATEGORY, "laboratory")],
        code=concept(LOINC, "3-7"),
        subject=me,
    )


def resources() -> list[Json]:
    """Everything as it is first written."""
    return [*house(), *patients(), *record("a", "b"), *record("b", "a")]


Step = tuple[str, str, Json | None]  # method, "Type/id", content


def later() -> Iterator[list[Step]]:
    """What happens afterwards, one transaction after the other: new versions, moves, labels, deletions."""
    first = {f"{one['resourceType']}/{one['id']}": one for one in resources()}

    def again(key: str, **changes: Any) -> Step:
        changed = deepcopy(first[key]) | changes
        return "PUT", key, {name: value for name, value in changed.items() if value is not None}

    pairs = (("a", "b"), ("b", "a"))
    steps: list[Step] = []
    for p, o in pairs:
        steps += [
            again(f"Observation/{p}-lab", status="amended"),
            again(f"Patient/{p}", maritalStatus={"text": "married"}),
            again(f"Observation/{p}-moved", subject=ref(f"Patient/{o}")),
            again(f"Observation/{p}-lost", subject=ref(f"Patient/{p}")),
            again(f"Communication/{p}-relabelled", meta={"security": [TEAM]}),
            again(f"Communication/{p}-unlabelled", meta=None),
            again(f"Observation/{p}-recategorized", category=[concept(OBSERVATION_CATEGORY, "vital-signs")]),
            ("DELETE", f"Observation/{p}-gone", None),
            ("DELETE", f"Condition/{p}-gone", None),
            ("DELETE", f"Observation/{p}-returns", None),
        ]
    yield [*steps, ("DELETE", "Basic/nobody", None), again("Organization/lab", name="Laboratories")]
    steps = []
    for p, o in pairs:
        steps += [
            again(f"Observation/{p}-lab", status="corrected"),
            # It comes back as the other patient's.
            again(f"Observation/{p}-returns", subject=ref(f"Patient/{o}")),
            ("DELETE", f"Binary/{p}-patient-file", None),
        ]
    yield steps


def bundle(steps: list[Step]) -> Json:
    """A transaction of these steps."""
    entries: list[Json] = []
    for method, key, content in steps:
        entry: Json = {"request": {"method": method, "url": key}}
        entries.append(entry | ({"resource": content} if content is not None else {}))
    return {"resourceType": "Bundle", "type": "transaction", "entry": entries}


def transactions() -> Iterator[Json]:
    """The Bundles that make the world, in their order."""
    yield bundle([("PUT", f"{one['resourceType']}/{one['id']}", one) for one in resources()])
    for steps in later():
        yield bundle(steps)
