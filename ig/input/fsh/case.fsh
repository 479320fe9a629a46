// A telemedicine case: the encounter that everything about it hangs on.

Profile: TeleCase
Parent: Encounter
Id: tele-case
Title: "Telemedicine case"
Description: "A case that a team treats at a distance. Symptoms are Conditions or Observations in reasonReference, the diagnosis is a Condition in diagnosis, the treatment plan a CarePlan with this encounter; consultations and visits are encounters that are partOf it, and long care is grouped by an EpisodeOfCare."
* identifier MS
* status MS
* statusHistory MS
* statusHistory ^short = "Kept by the server"
* class = $act#VR
* class MS
* priority 1..1 MS
* priority from CasePriority (required)
* subject 1..1 MS
* subject only Reference(Patient)
* participant MS
* participant.individual 1..1 MS
* participant.individual only Reference(Practitioner or PractitionerRole)
* participant.period MS
* reasonCode MS
* reasonReference MS
* reasonReference only Reference(Condition or Observation)
* diagnosis MS
* diagnosis.condition only Reference(Condition)
* episodeOfCare MS
* serviceProvider MS
* period MS
* extension contains $reason-cancelled named reasonCancelled 0..1 MS
* obeys case-cancelled-has-reason

Invariant: case-cancelled-has-reason
Description: "A cancelled case says why"
Severity: #warning
Expression: "status != 'cancelled' or extension.where(url = 'http://hl7.org/fhir/StructureDefinition/encounter-reasonCancelled').exists()"

ValueSet: CasePriority
Id: case-priority
Title: "Priority of a case"
Description: "Routine, urgent, emergency."
* $priority#R
* $priority#UR
* $priority#EM

CodeSystem: CaseStatus
Id: case-status
Title: "Status of a case in the coordination platform"
Description: "The states of the system that this one replaces; here only as the source of a mapping."
* insert Complete
* #open "Open" "Entered, nobody works on it yet."
* #assigned "Assigned" "Workers are assigned, none has begun."
* #in-progress "In progress" "Someone works on it."
* #on-hold "On hold" "Work rests."
* #resolved "Resolved" "Treated; the outcome is known."
* #closed "Closed" "Nothing more will be done."
* #cancelled "Cancelled" "Given up before it began."

ValueSet: CaseStatuses
Id: case-statuses
Title: "Statuses of a case in the coordination platform"
Description: "All codes of the replaced system's status."
* include codes from system CaseStatus

Instance: case-status-to-encounter
InstanceOf: ConceptMap
Usage: #definition
* insert Mapping(case-status-to-encounter, CaseStatusToEncounter, Case status to Encounter.status)
* description = "How a status of the coordination platform is said in Encounter.status."
* sourceCanonical = Canonical(CaseStatuses)
* targetCanonical = "http://hl7.org/fhir/ValueSet/encounter-status"
* group.source = "http://fhir-server.example/ig/CodeSystem/case-status"
* group.target = "http://hl7.org/fhir/encounter-status"
* insert Maps(open, planned, equivalent)
* insert Maps(assigned, triaged, relatedto)
* insert Maps(in-progress, in-progress, equal)
* insert Maps(on-hold, onleave, equivalent)
* insert Maps(resolved, finished, wider)
* insert Maps(closed, finished, wider)
* insert Maps(cancelled, cancelled, equal)

Instance: encounter-priority
InstanceOf: SearchParameter
Usage: #definition
* insert Searches(encounter-priority, EncounterPriority, priority, Encounter, token, "Encounter.priority")
* description = "Priority of a case: R routine, UR urgent, EM emergency. R4 has the element and no parameter for it."

Instance: assign
InstanceOf: OperationDefinition
Usage: #definition
* insert Operates(assign, Assign, Encounter)
* status = #active
* instance = true
* affectsState = true
* title = "Assign workers to a case"
* description = "Adds practitioners to Encounter.participant and to the case's CareTeam in one step and notifies them; a planned case becomes triaged. Who is there already stays as it is. For those who work on the case, or anybody who may write it while nobody does; care that is not the caller's is not given (403)."
* insert In(practitioner, 1, *, Reference, [[Who is assigned: Practitioner or PractitionerRole.]])
* insert In(role, 0, 1, CodeableConcept, [[Their part in the case, for participant.type and the CareTeam's role.]])
* insert Out(return, 1, 1, Bundle, [[The Encounter and the CareTeam as they are now, a collection.]])

Instance: topic-case
InstanceOf: Basic
Usage: #definition
Title: "Topic: cases"
Description: "A case was opened or changed."
* insert Topic(case, Case, Cases, [[A case was opened or changed.]])
* insert Trigger(Encounter, [[A telemedicine case was created or updated.]])
* insert Matching([[class=http://terminology.hl7.org/CodeSystem/v3-ActCode|VR&part-of:missing=true]])
* insert Filter(Encounter, patient, [[The patient of the case.]])
* insert Filter(Encounter, participant, [[A practitioner of the case.]])
* insert Filter(Encounter, status, [[The status that the case has now.]])
* insert Filter(Encounter, priority, [[The priority, by this guide's search parameter.]])
* insert Filter(Encounter, service-provider, [[The department.]])
* insert Shape(Encounter)
* insert Include(Encounter:patient)

Instance: example-case
InstanceOf: TeleCase
Usage: #example
Title: "A case of chest pain"
Description: "An urgent case, assigned to a doctor and a specialist, with the diagnosis made."
* identifier.system = "http://fhir-server.example/ig/sid/case-number"
* identifier.value = "CASE-2025-00017"
* status = #in-progress
* class = $act#VR "virtual"
* priority = $priority#UR "urgent"
* subject = Reference(example-patient)
* participant[0].type = $participation#ATND "attender"
* participant[0].period.start = "2025-05-30T09:00:00Z"
* participant[0].individual = Reference(example-doctor)
* participant[1].type = $participation#CON "consultant"
* participant[1].period.start = "2025-05-30T09:20:00Z"
* participant[1].individual = Reference(example-specialist-role)
* period.start = "2025-05-30T08:55:00Z"
* reasonCode.text = "Chest pain since the morning"
* reasonReference = Reference(example-symptom)
* diagnosis.condition = Reference(example-diagnosis)
* diagnosis.use = $diagnosis#CM "Comorbidity diagnosis"
* serviceProvider = Reference(example-clinic)

Instance: example-case-cancelled
InstanceOf: TeleCase
Usage: #example
Title: "A cancelled case"
Description: "Given up before it began, with the reason in R4's own extension."
* status = #cancelled
* class = $act#VR "virtual"
* priority = $priority#R "routine"
* subject = Reference(example-patient)
* extension[reasonCancelled].valueCodeableConcept.text = "Entered twice"

Instance: example-symptom
InstanceOf: Observation
Usage: #example
Title: "A symptom"
Description: "What the patient tells, as a reason of the case."
* status = #final
* code.text = "Chest pain"
* subject = Reference(example-patient)
* effectiveDateTime = "2025-05-30T08:40:00Z"
* valueString = "Pressing, worse when walking"

Instance: example-diagnosis
InstanceOf: Condition
Usage: #example
Title: "A diagnosis"
Description: "What the team found."
* clinicalStatus = http://terminology.hl7.org/CodeSystem/condition-clinical#active
* verificationStatus = http://terminology.hl7.org/CodeSystem/condition-ver-status#provisional
* category = http://terminology.hl7.org/CodeSystem/condition-category#encounter-diagnosis
* code.text = "Stable angina"
* subject = Reference(example-patient)
* encounter = Reference(example-case)
