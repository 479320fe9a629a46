// A virtual consultation: an encounter, part of its case, with a room.

CodeSystem: ConsultationType
Id: consultation-type
Title: "Type of a consultation"
Description: "By what people hear and see one another."
* insert Complete
* #video "Video"
* #audio "Audio"
* #chat "Chat"

ValueSet: ConsultationTypes
Id: consultation-types
Title: "Types of consultations"
Description: "All of them."
* include codes from system ConsultationType

CodeSystem: MeetingProvider
Id: meeting-provider
Title: "Provider of meetings"
Description: "Whose room it is, for channelType of the virtual service and for Endpoint."
* insert Complete
* #built-in "Built in" "This server's own calls (WebRTC)."
* #jitsi "Jitsi"
* #zoom "Zoom"
* #google-meet "Google Meet"
* #twilio "Twilio Video"

ValueSet: MeetingProviders
Id: meeting-providers
Title: "Providers of meetings"
Description: "All of them."
* include codes from system MeetingProvider

Profile: Consultation
Parent: Encounter
Id: consultation
Title: "Virtual consultation"
Description: "Planned from the appointment, arrived while the patient waits, in-progress while the call runs, finished with its summary. Practitioners are participants with their periods; patient and guests are participants of the appointment, since R4's encounter takes none."
* extension contains $encounter-service named virtualService 0..1 MS and $encounter-planned named plannedStart 0..1 MS and $reason-cancelled named reasonCancelled 0..1 MS
* identifier MS
* identifier ^slicing.discriminator.type = #value
* identifier ^slicing.discriminator.path = "system"
* identifier ^slicing.rules = #open
* identifier contains number 0..1 MS and room 0..1 MS
* identifier[number].system 1..1
* identifier[number].system = "http://fhir-server.example/ig/sid/consultation-number"
* identifier[number].value 1..1
* identifier[number] obeys consultation-number
* identifier[room].system 1..1
* identifier[room].system = "http://fhir-server.example/ig/sid/consultation-room"
* identifier[room].value 1..1
* status MS
* statusHistory MS
* class MS
* class = $act#VR
* type 1..1 MS
* type from ConsultationTypes (required)
* priority MS
* priority from CasePriority (required)
* subject 1..1 MS
* subject only Reference(Patient)
* participant MS
* participant.period MS
* participant.individual 1..1 MS
* participant.individual only Reference(Practitioner or PractitionerRole or RelatedPerson)
* appointment MS
* period MS
* reasonCode MS
* reasonReference MS
* diagnosis MS
* partOf MS
* obeys consultation-started and consultation-ended and consultation-cancelled-says-why

Invariant: consultation-number
Description: "A consultation's number begins with CON-"
Severity: #error
Expression: "value.startsWith('CON-')"

Invariant: consultation-started
Description: "A consultation that runs or is over says when it began"
Severity: #error
Expression: "(status != 'in-progress' and status != 'finished') or period.start.exists()"

Invariant: consultation-ended
Description: "A finished consultation says when it ended"
Severity: #error
Expression: "status != 'finished' or period.end.exists()"

Invariant: consultation-cancelled-says-why
Description: "A cancelled consultation says why"
Severity: #warning
Expression: "status != 'cancelled' or extension.where(url = 'http://hl7.org/fhir/StructureDefinition/encounter-reasonCancelled').exists()"

CodeSystem: ConsultationStatus
Id: consultation-status
Title: "Status of a consultation in the consultation service"
Description: "The states of the system that this one replaces; here only as the source of a mapping."
* insert Complete
* #scheduled "Scheduled"
* #waiting "Waiting"
* #in-progress "In progress"
* #completed "Completed"
* #cancelled "Cancelled"
* #no-show "No show"

ValueSet: ConsultationStatuses
Id: consultation-statuses
Title: "Statuses of a consultation in the consultation service"
Description: "All codes of the replaced system's status."
* include codes from system ConsultationStatus

Instance: consultation-status-to-encounter
InstanceOf: ConceptMap
Usage: #definition
* insert Mapping(consultation-status-to-encounter, ConsultationStatusToEncounter, Consultation status to Encounter.status)
* description = "How a status of the consultation service is said in Encounter.status. A no-show is a cancelled encounter; the appointment says noshow."
* sourceCanonical = Canonical(ConsultationStatuses)
* targetCanonical = "http://hl7.org/fhir/ValueSet/encounter-status"
* group.source = "http://fhir-server.example/ig/CodeSystem/consultation-status"
* group.target = "http://hl7.org/fhir/encounter-status"
* insert Maps(scheduled, planned, equivalent)
* insert Maps(waiting, arrived, equivalent)
* insert Maps(in-progress, in-progress, equal)
* insert Maps(completed, finished, equivalent)
* insert Maps(cancelled, cancelled, equal)
* insert Maps(no-show, cancelled, wider)

Instance: consultation-status-to-appointment
InstanceOf: ConceptMap
Usage: #definition
* insert Mapping(consultation-status-to-appointment, ConsultationStatusToAppointment, Consultation status to Appointment.status)
* description = "How a status of the consultation service is said in the status of the consultation's appointment."
* sourceCanonical = Canonical(ConsultationStatuses)
* targetCanonical = "http://hl7.org/fhir/ValueSet/appointmentstatus"
* group.source = "http://fhir-server.example/ig/CodeSystem/consultation-status"
* group.target = "http://hl7.org/fhir/appointmentstatus"
* insert Maps(scheduled, booked, equivalent)
* insert Maps(waiting, arrived, equivalent)
* insert Maps(in-progress, arrived, wider)
* insert Maps(completed, fulfilled, equivalent)
* insert Maps(cancelled, cancelled, equal)
* insert Maps(no-show, noshow, equal)

Profile: TechnicalIssue
Parent: Task
Id: technical-issue
Title: "Technical issue"
Description: "Something does not work in a consultation: reported, worked on, resolved."
* status MS
* intent = #order
* code 1..1 MS
* code = TaskKind#technical-issue
* description 1..1 MS
* focus MS
* encounter 1..1 MS
* authoredOn 1..1 MS
* requester 1..1 MS
* owner MS
* note MS

Profile: MeetingEndpoint
Parent: Endpoint
Id: meeting-endpoint
Title: "Provider of meetings"
Description: "A configured provider of rooms; the secrets are in the server's settings, never here."
* status MS
* connectionType MS
* connectionType from MeetingProviders (required)
* name 1..1 MS
* managingOrganization MS
* address MS
* header 0..0

Instance: encounter-planned-start
InstanceOf: SearchParameter
Usage: #definition
* insert Searches(encounter-planned-start, EncounterPlannedStart, planned-start, Encounter, date, [["Encounter.extension('http://hl7.org/fhir/5.0/StructureDefinition/extension-Encounter.plannedStartDate').value.as(dateTime)"]])
* description = "When an encounter is planned to begin: upcoming consultations, soonest first."

Instance: start
InstanceOf: OperationDefinition
Usage: #definition
* insert Operates(start, Start, Encounter)
* instance = true
* affectsState = true
* title = "Start a consultation"
* description = "planned or arrived becomes in-progress; period begins, the room opens, everyone in it is told."
* insert Out(return, 1, 1, Encounter, [[The consultation as it is now.]])

Instance: end
InstanceOf: OperationDefinition
Usage: #definition
* insert Operates(end, End, Encounter)
* instance = true
* affectsState = true
* title = "End a consultation"
* description = "in-progress becomes finished; period ends, the room closes, and the summary is stored."
* insert In(summary, 0, 1, Resource, [[A Composition or a DocumentReference about the consultation.]])
* insert Out(return, 1, 1, Encounter, [[The consultation as it is now.]])

Instance: join
InstanceOf: OperationDefinition
Usage: #definition
* insert Operates(join, Join, Encounter)
* instance = true
* affectsState = true
* title = "Join a consultation"
* description = "Lets the caller in: a practitioner gets a participant with a period, a patient waits (arrived) until the practitioner admits them."
* insert Out(room, 1, 1, url, [[Where the room is.]])
* insert Out(provider, 1, 1, Coding, [[Whose room it is, of meeting-provider.]])
* insert Out(token, 0, 1, string, [[A short-lived token for the room, where its provider asks for one.]])

Instance: leave
InstanceOf: OperationDefinition
Usage: #definition
* insert Operates(leave, Leave, Encounter)
* instance = true
* affectsState = true
* title = "Leave a consultation"
* description = "Ends the caller's period in the consultation, which goes on."
* insert Out(return, 1, 1, Encounter, [[The consultation as it is now.]])

Instance: statistics
InstanceOf: OperationDefinition
Usage: #definition
* insert Operates(statistics, Statistics, Encounter)
* type = true
* instance = false
* affectsState = false
* title = "Statistics of consultations"
* description = "Counts of consultations by status and type, and their mean length, over a period."
* insert In(start, 0, 1, date, [[From this day on.]])
* insert In(end, 0, 1, date, [[Until this day.]])
* insert In(practitioner, 0, 1, Reference, [[Only those of one practitioner.]])
* insert Out(return, 1, 1, MeasureReport, [[A summary report, stratified by status and type.]])

Instance: topic-consultation
InstanceOf: Basic
Usage: #definition
Title: "Topic: consultations"
Description: "A consultation was planned, began, ended, or somebody waits."
* insert Topic(consultation, Consultation, Consultations, [[A consultation was planned, began or ended, or somebody waits.]])
* insert Trigger(Encounter, [[A consultation was created or updated.]])
* insert Matching([[type=http://fhir-server.example/ig/CodeSystem/consultation-type|video,http://fhir-server.example/ig/CodeSystem/consultation-type|audio,http://fhir-server.example/ig/CodeSystem/consultation-type|chat]])
* insert Filter(Encounter, patient, [[The patient.]])
* insert Filter(Encounter, participant, [[A practitioner who takes part.]])
* insert Filter(Encounter, appointment, [[The appointment.]])
* insert Filter(Encounter, part-of, [[The case.]])
* insert Filter(Encounter, status, [[The status that it has now.]])
* insert Shape(Encounter)
* insert Include(Encounter:appointment)

Instance: topic-vital-signs
InstanceOf: Basic
Usage: #definition
Title: "Topic: vital signs"
Description: "A vital sign was measured."
* insert Topic(vital-signs, VitalSigns, Vital signs, [[A vital sign was measured, during a consultation or elsewhere.]])
* insert Trigger(Observation, [[An observation of the category vital-signs was created or updated.]])
* insert Matching([[category=http://terminology.hl7.org/CodeSystem/observation-category|vital-signs]])
* insert Filter(Observation, patient, [[The patient.]])
* insert Filter(Observation, encounter, [[The consultation.]])
* insert Filter(Observation, code, [[Which vital sign.]])
* insert Filter(Observation, device, [[Which device.]])
* insert Shape(Observation)

Instance: example-consultation
InstanceOf: Consultation
Usage: #example
Title: "A consultation, the patient waits"
Description: "Made from the appointment, part of the case."
* extension[virtualService].extension[_datatype].valueString = "VirtualServiceDetail"
* extension[virtualService].extension[channelType].valueCoding = MeetingProvider#built-in
* extension[virtualService].extension[address].valueUrl = "https://clinic.example/app/room/b7f1"
* extension[virtualService].extension[maxParticipants].valuePositiveInt = 6
* extension[plannedStart].valueDateTime = "2025-06-02T14:00:00Z"
* identifier[number].system = "http://fhir-server.example/ig/sid/consultation-number"
* identifier[number].value = "CON-2025-00042"
* identifier[room].system = "http://fhir-server.example/ig/sid/consultation-room"
* identifier[room].value = "b7f1"
* status = #arrived
* statusHistory.status = #planned
* statusHistory.period.start = "2025-05-30T12:00:01Z"
* statusHistory.period.end = "2025-06-02T13:57:00Z"
* class = $act#VR "virtual"
* type = ConsultationType#video
* priority = $priority#R "routine"
* subject = Reference(example-patient)
* participant.type = $participation#PPRF "primary performer"
* participant.individual = Reference(example-doctor)
* appointment = Reference(example-appointment)
* partOf = Reference(example-case)

Instance: example-consultation-finished
InstanceOf: Consultation
Usage: #example
Title: "A finished consultation"
Description: "By telephone, with its times."
* status = #finished
* class = $act#VR "virtual"
* type = ConsultationType#audio
* subject = Reference(example-patient)
* participant.period.start = "2025-05-12T15:00:00Z"
* participant.period.end = "2025-05-12T15:25:00Z"
* participant.individual = Reference(example-specialist)
* period.start = "2025-05-12T15:00:00Z"
* period.end = "2025-05-12T15:25:00Z"

Instance: example-technical-issue
InstanceOf: TechnicalIssue
Usage: #example
Title: "No sound"
Description: "Reported by the patient during the consultation."
* status = #requested
* intent = #order
* code = TaskKind#technical-issue
* description = "The doctor cannot hear me"
* encounter = Reference(example-consultation)
* focus = Reference(example-consultation)
* authoredOn = "2025-06-02T14:02:00Z"
* requester = Reference(example-patient)

Instance: example-meeting-endpoint
InstanceOf: MeetingEndpoint
Usage: #example
Title: "Rooms of a Jitsi server"
Description: "One of several configured providers."
* status = #active
* connectionType = MeetingProvider#jitsi
* name = "Jitsi of the clinic"
* payloadType = http://terminology.hl7.org/CodeSystem/endpoint-payload-type#any "Any"
* address = "https://meet.clinic.example"
