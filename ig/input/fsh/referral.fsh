// A referral: the request says what is wanted, the task carries its state, in the shape of HL7's BSeR.

Profile: ReferralRequest
Parent: ServiceRequest
Id: referral-request
Title: "Referral request"
Description: "What is asked of another practitioner, department or organization. Its state lives in the referral task."
* status MS
* intent = #order
* insert Category(referral, 1, 1, $sct#3457005)
* priority 1..1 MS
* code 1..1 MS
* subject 1..1 MS
* subject only Reference(Patient)
* encounter MS
* authoredOn 1..1 MS
* requester 1..1 MS
* requester only Reference(Practitioner or PractitionerRole or Organization)
* performerType MS
* performerType from Specialties (preferred)
* performer 1..* MS
* performer only Reference(Practitioner or PractitionerRole or Organization or HealthcareService)
* reasonCode MS
* reasonReference MS
* supportingInfo MS
* note MS

Profile: ReferralTask
Parent: Task
Id: referral-task
Title: "Referral task"
Description: "The state of a referral: requested, accepted or rejected, in-progress, completed. The recipient changes it by a plain write; Task/$respond is the same with less to send. When a house was asked, the extension says who of it has answered; the server writes it."
* focus 1..1 MS
* focus only Reference(ServiceRequest)
* status MS
* status from ReferralStatus (required)
* statusReason MS
* businessStatus MS
* intent = #order
* priority 1..1 MS
* code 1..1 MS
* code = $task#fulfill
* for 1..1 MS
* for only Reference(Patient)
* encounter MS
* authoredOn 1..1 MS
* lastModified MS
* requester 1..1 MS
* requester only Reference(Practitioner or PractitionerRole or Organization)
* owner 1..1 MS
* owner only Reference(Practitioner or PractitionerRole or Organization or HealthcareService)
* output MS
* obeys referral-says-why

Invariant: referral-says-why
Description: "A rejected referral says why"
Severity: #error
Expression: "status != 'rejected' or statusReason.exists()"

ValueSet: ReferralStatus
Id: referral-status
Title: "Status of a referral"
Description: "The states of Task that a referral goes through."
* http://hl7.org/fhir/task-status#requested
* http://hl7.org/fhir/task-status#accepted
* http://hl7.org/fhir/task-status#rejected
* http://hl7.org/fhir/task-status#in-progress
* http://hl7.org/fhir/task-status#completed
* http://hl7.org/fhir/task-status#cancelled
* http://hl7.org/fhir/task-status#entered-in-error

Instance: respond
InstanceOf: OperationDefinition
Usage: #definition
* insert Operates(respond, Respond, Task)
* status = #active
* instance = true
* affectsState = true
* title = "Answer a task"
* description = "Accepts, rejects, begins or completes a task for its owner, by the same rules as a write of Task.status; the referral's request follows, and the requester is notified."
* insert In(action, 1, 1, code, [[accept, reject, start or complete.]])
* insert In(reason, 0, 1, CodeableConcept, [[Task.statusReason; required with reject.]])
* insert In(output, 0, *, Reference, [[Results to put into Task.output, with complete.]])
* insert Out(return, 1, 1, Task, [[The task as it is now.]])

Instance: topic-referral
InstanceOf: Basic
Usage: #definition
Title: "Topic: referrals"
Description: "A referral was made or answered."
* insert Topic(referral, Referral, Referrals, [[A referral was made, accepted, rejected, begun or completed.]])
* insert Trigger(Task, [[A task to fulfil a request was created or updated.]])
* insert Matching([[code=http://hl7.org/fhir/CodeSystem/task-code|fulfill]])
* insert Filter(Task, owner, [[Incoming: who shall do it.]])
* insert Filter(Task, requester, [[Outgoing: who asked.]])
* insert Filter(Task, patient, [[The patient.]])
* insert Filter(Task, status, [[The status that it has now.]])
* insert Filter(Task, priority, [[The urgency.]])
* insert Shape(Task)
* insert Include(Task:focus)

Instance: example-referral
InstanceOf: ReferralRequest
Usage: #example
Title: "A referral to cardiology"
Description: "Urgent, out of the case."
* status = #active
* intent = #order
* category[referral] = $sct#3457005 "Patient referral"
* priority = #urgent
* code.text = "Assessment of chest pain"
* subject = Reference(example-patient)
* encounter = Reference(example-case)
* authoredOn = "2025-05-30T09:15:00Z"
* requester = Reference(example-doctor)
* performerType = $sct#394579002 "Cardiology"
* performer = Reference(example-specialist-role)
* reasonReference = Reference(example-diagnosis)

Instance: example-referral-task
InstanceOf: ReferralTask
Usage: #example
Title: "The referral, accepted"
Description: "The specialist has said yes."
* focus = Reference(example-referral)
* status = #accepted
* intent = #order
* priority = #urgent
* code = $task#fulfill
* for = Reference(example-patient)
* encounter = Reference(example-case)
* authoredOn = "2025-05-30T09:15:00Z"
* lastModified = "2025-05-30T09:19:00Z"
* requester = Reference(example-doctor)
* owner = Reference(example-specialist-role)

Instance: example-referral-declined
InstanceOf: ReferralRequest
Usage: #example
Title: "A referral that was declined"
Description: "Revoked, for nobody will do it."
* status = #revoked
* intent = #order
* category[referral] = $sct#3457005 "Patient referral"
* priority = #urgent
* code.text = "Assessment of chest pain"
* subject = Reference(example-patient)
* authoredOn = "2025-05-30T09:10:00Z"
* requester = Reference(example-doctor)
* performer = Reference(example-specialist-role)

Instance: example-referral-task-rejected
InstanceOf: ReferralTask
Usage: #example
Title: "A referral, rejected"
Description: "With the reason, which is required."
* focus = Reference(example-referral-declined)
* status = #rejected
* statusReason.text = "On leave until Monday"
* intent = #order
* priority = #urgent
* code = $task#fulfill
* for = Reference(example-patient)
* authoredOn = "2025-05-30T09:10:00Z"
* requester = Reference(example-doctor)
* owner = Reference(example-specialist-role)
