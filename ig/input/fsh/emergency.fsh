// An emergency: the flag is what one posts and what the chart shows, the tasks carry the state.

CodeSystem: FlagCategory
Id: flag-category
Title: "Category of a flag"
Description: "The category that R4's flag categories lack."
* insert Complete
* #emergency "Emergency" "Help is needed now."

CodeSystem: EmergencyKind
Id: emergency-kind
Title: "Kind of an emergency"
Description: "What is wrong, as far as the one who asks for help can tell."
* insert Complete
* #medical "Medical emergency"
* #cardiac-arrest "Cardiac arrest"
* #chest-pain "Chest pain"
* #stroke "Stroke"
* #breathing "Trouble breathing"
* #bleeding "Severe bleeding"
* #trauma "Trauma"
* #obstetric "Obstetric emergency"
* #psychiatric "Psychiatric emergency"
* #sos "SOS without further detail"

ValueSet: EmergencyKinds
Id: emergency-kinds
Title: "Kinds of emergencies"
Description: "All of them."
* include codes from system EmergencyKind

Profile: EmergencyFlag
Parent: Flag
Id: emergency-flag
Title: "Emergency flag"
Description: "An emergency of a patient: active while it lasts, inactive with period.end when resolved. The server makes the task and the alerts."
* extension contains $flag-priority named priority 1..1 MS and $flag-detail named detail 0..* MS
* status MS
* insert Category(emergency, 1, 1, FlagCategory#emergency)
* code MS
* code from EmergencyKinds (extensible)
* subject MS
* subject only Reference(Patient)
* period 1..1 MS
* period.start 1..1
* encounter MS
* author MS
* obeys emergency-ends

Invariant: emergency-ends
Description: "An emergency that is over says since when"
Severity: #error
Expression: "status != 'inactive' or period.end.exists()"

Profile: EmergencyTask
Parent: Task
Id: emergency-task
Title: "Emergency task"
Description: "The state of an emergency, made by the server: who has taken it, where it is, and when it is escalated if nobody has."
* extension contains $candidates named candidate 0..* MS
* status MS
* intent = #order
* priority 1..1 MS
* priority = #stat
* code 1..1 MS
* code = TaskKind#emergency
* focus 1..1 MS
* focus only Reference(Flag)
* for 1..1 MS
* for only Reference(Patient)
* authoredOn 1..1 MS
* requester 1..1 MS
* owner MS
* location MS
* restriction 1..1 MS
* restriction.period 1..1 MS
* restriction.period.end 1..1 MS
* restriction.period.end ^short = "Escalated when nobody has accepted by then"
* businessStatus MS
* businessStatus from EscalationLevels (required)
* businessStatus ^short = "How often it was escalated; absent while it was not"

Profile: ResponderTask
Parent: Task
Id: responder-task
Title: "Responder task"
Description: "One responder's part of an emergency; businessStatus says how far they are."
* partOf 1..1 MS
* partOf only Reference(Task)
* status MS
* businessStatus 1..1 MS
* businessStatus from ResponderStatuses (required)
* intent = #order
* code 1..1 MS
* code = TaskKind#respond
* focus 1..1 MS
* focus only Reference(Flag)
* for 1..1 MS
* for only Reference(Patient)
* owner 1..1 MS
* owner only Reference(Practitioner or PractitionerRole)
* executionPeriod MS

CodeSystem: ResponderStatus
Id: responder-status
Title: "Status of a responder"
Description: "How far somebody is who answers an emergency."
* insert Complete
* #notified "Notified" "Asked, no answer yet."
* #en-route "En route" "On the way."
* #on-scene "On scene" "With the patient."
* #finished "Finished" "Done here."
* #declined "Declined" "Cannot come."

ValueSet: ResponderStatuses
Id: responder-statuses
Title: "Statuses of a responder"
Description: "All of them."
* include codes from system ResponderStatus

Profile: EmergencyAlert
Parent: Communication
Id: emergency-alert
Title: "Emergency alert"
Description: "What each one on duty is told: one Communication per recipient, about the flag."
* status MS
* insert Category(alert, 1, 1, $communication#alert)
* priority 1..1 MS
* priority = #stat
* subject MS
* subject only Reference(Patient)
* about 1..* MS
* recipient 1..1 MS
* recipient only Reference(Practitioner or PractitionerRole)
* sent 1..1 MS
* payload 1..* MS

CodeSystem: EscalationLevel
Id: escalation-level
Title: "Level of escalation"
Description: "How often an emergency was told to everybody because nobody had answered in time."
* insert Complete
* #1 "Escalated once"
* #2 "Escalated twice"
* #3 "Escalated three times"

ValueSet: EscalationLevels
Id: escalation-levels
Title: "Levels of escalation"
Description: "All of them."
* include codes from system EscalationLevel

Instance: flag-status
InstanceOf: SearchParameter
Usage: #definition
* insert Searches(flag-status, FlagStatus, status, Flag, token, "Flag.status")
* derivedFrom = "http://hl7.org/fhir/SearchParameter/Flag-status"
* description = "Whether a flag is active; R5 has this parameter, R4 has not."

Instance: flag-category
InstanceOf: SearchParameter
Usage: #definition
* insert Searches(flag-category, FlagCategory, category, Flag, token, "Flag.category")
* derivedFrom = "http://hl7.org/fhir/SearchParameter/Flag-category"
* description = "The category of a flag; R5 has this parameter, R4 has not."

Instance: flag-priority
InstanceOf: SearchParameter
Usage: #definition
* insert Searches(flag-priority, FlagPriority, priority, Flag, token, [["Flag.extension('http://hl7.org/fhir/StructureDefinition/flag-priority').value.as(CodeableConcept)"]])
* description = "The priority of a flag, by R4's own extension."

Instance: topic-emergency
InstanceOf: Basic
Usage: #definition
Title: "Topic: emergencies"
Description: "An emergency began, was answered, or ended."
* insert Topic(emergency, Emergency, Emergencies, [[An emergency began or ended, and how far those are who answer it.]])
* insert Trigger(Flag, [[An emergency flag was posted or changed.]])
* insert Matching([[category=http://fhir-server.example/ig/CodeSystem/flag-category|emergency]])
* insert Trigger(Task, [[The emergency, or a responder's part of it, changed its state.]])
* insert Matching([[code=http://fhir-server.example/ig/CodeSystem/task-kind|emergency,http://fhir-server.example/ig/CodeSystem/task-kind|respond]])
* insert Filter(Flag, patient, [[The patient.]])
* insert Filter(Flag, status, [[Active or over, by this guide's search parameter.]])
* insert Filter(Task, patient, [[The patient.]])
* insert Filter(Task, owner, [[The responder.]])
* insert Filter(Task, status, [[The status that it has now.]])
* insert Shape(Flag)
* insert Include(Flag:patient)
* insert Shape(Task)
* insert Include(Task:focus)

Instance: example-emergency
InstanceOf: EmergencyFlag
Usage: #example
Title: "An emergency, active"
Description: "Posted from the patient's phone."
* extension[priority].valueCodeableConcept = http://hl7.org/fhir/flag-priority-code#PH "High priority"
* status = #active
* category[emergency] = FlagCategory#emergency
* code = EmergencyKind#chest-pain
* subject = Reference(example-patient)
* period.start = "2025-05-30T10:58:00Z"
* author = Reference(example-patient)

Instance: example-emergency-resolved
InstanceOf: EmergencyFlag
Usage: #example
Title: "An emergency, resolved"
Description: "With its end."
* extension[priority].valueCodeableConcept = http://hl7.org/fhir/flag-priority-code#PM "Medium priority"
* status = #inactive
* category[emergency] = FlagCategory#emergency
* code = EmergencyKind#sos
* subject = Reference(example-patient)
* period.start = "2025-04-11T20:03:00Z"
* period.end = "2025-04-11T20:41:00Z"
* author = Reference(example-doctor)

Instance: example-emergency-task
InstanceOf: EmergencyTask
Usage: #example
Title: "The emergency's task"
Description: "Accepted by the paramedic; it would have been escalated after two minutes."
* status = #accepted
* intent = #order
* priority = #stat
* code = TaskKind#emergency
* focus = Reference(example-emergency)
* for = Reference(example-patient)
* authoredOn = "2025-05-30T10:58:00Z"
* requester = Reference(example-patient)
* owner = Reference(example-paramedic)
* location = Reference(example-position)
* restriction.period.end = "2025-05-30T11:00:00Z"

Instance: example-responder
InstanceOf: ResponderTask
Usage: #example
Title: "A responder on the way"
Description: "The paramedic's own part."
* partOf = Reference(example-emergency-task)
* status = #in-progress
* businessStatus = ResponderStatus#en-route
* intent = #order
* code = TaskKind#respond
* focus = Reference(example-emergency)
* for = Reference(example-patient)
* owner = Reference(example-paramedic)
* executionPeriod.start = "2025-05-30T10:59:10Z"

Instance: example-alert
InstanceOf: EmergencyAlert
Usage: #example
Title: "An alert to the doctor on duty"
Description: "One of several, one for each recipient."
* status = #in-progress
* category[alert] = $communication#alert "Alert"
* priority = #stat
* subject = Reference(example-patient)
* about = Reference(example-emergency)
* recipient = Reference(example-doctor)
* sent = "2025-05-30T10:58:01Z"
* payload.contentString = "Emergency, high priority."
* reasonCode.text = "on duty by schedule"
