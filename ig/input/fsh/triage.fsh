// The assistant: rules first, a language model after them, every answer stored and labelled.

Profile: TriageResult
Parent: GuidanceResponse
Id: triage-result
Title: "Triage result"
Description: "What the assistant answers to symptoms: red-flag rules first, then perhaps a language model. The author is a device, the label says that no person has asserted it, and it hands over to booking or to an emergency."
* meta.security 1..* MS
* meta.security ^slicing.discriminator.type = #pattern
* meta.security ^slicing.discriminator.path = "$this"
* meta.security ^slicing.rules = #open
* meta.security contains asserted 1..1 MS
* meta.security[asserted] = http://terminology.hl7.org/CodeSystem/v3-ObservationValue#DEVAST
* module[x] only uri
* status MS
* subject 1..1 MS
* subject only Reference(Patient)
* encounter MS
* occurrenceDateTime 1..1 MS
* performer 1..1 MS
* performer only Reference(Device)
* reasonCode 1..* MS
* note MS
* result MS
* outputParameters MS
* dataRequirement MS

CodeSystem: TriageLevel
Id: triage-level
Title: "Level of urgency"
Description: "What the assistant advises."
* insert Complete
* #emergency "Emergency" "Help is needed now; the answer offers the emergency button."
* #urgent "Urgent" "To be seen today; the answer offers a booking."
* #routine "Routine" "To be seen; the answer offers a booking."
* #self-care "Self-care" "Advice is enough for now."

ValueSet: TriageLevels
Id: triage-levels
Title: "Levels of urgency"
Description: "All of them."
* include codes from system TriageLevel

Instance: triage
InstanceOf: OperationDefinition
Usage: #definition
* insert Operates(triage, Triage, Patient)
* instance = true
* affectsState = true
* title = "Triage"
* description = "Judges symptoms: red-flag rules first, each cited, then perhaps a language model. The exchange is stored as a triage result."
* insert In(symptoms, 1, 1, string, [[What the patient tells.]])
* insert In(previous, 0, 1, Reference, [[The triage result that this one goes on from.]])
* insert Out(return, 1, 1, GuidanceResponse, [[The result; its level is in outputParameters.]])

Instance: example-triage
InstanceOf: TriageResult
Usage: #example
Title: "A red flag"
Description: "Chest pain on exertion: a rule answers, no model is asked."
* meta.security[asserted] = http://terminology.hl7.org/CodeSystem/v3-ObservationValue#DEVAST
* moduleUri = "http://fhir-server.example/ig/triage/red-flags"
* status = #success
* subject = Reference(example-patient)
* occurrenceDateTime = "2025-05-30T10:56:00Z"
* performer = Reference(example-assistant)
* reasonCode.text = "Chest pain"
* note.text = "Chest pain that comes with exertion can be a heart attack. Please use the emergency button now."
* outputParameters = Reference(triage-output)
* contained = triage-output

Instance: triage-output
InstanceOf: Parameters
Usage: #inline
* parameter.name = "level"
* parameter.valueCoding = TriageLevel#emergency
