// What people say about a case or in a consultation, and that they have read it.

CodeSystem: MessageKind
Id: message-kind
Title: "Kind of a message"
Description: "Where a message belongs. Whether it is text, a file or an image follows from its payload."
* insert Complete
* #discussion "Discussion" "A message of a case's discussion."
* #chat "Chat" "A message between patient and provider, or within a consultation."
* #system "System" "A message that the server wrote: somebody joined, a recording began."
* #receipt "Receipt" "Somebody's own note that a message reached them, or was read."

ValueSet: MessageKinds
Id: message-kinds
Title: "Kinds of messages"
Description: "All of them."
* include codes from system MessageKind

Profile: Message
Parent: Communication
Id: message
Title: "Message"
Description: "What discussion and chat have in common: sender, encounter, thread, and a payload that is withheld once the message is deleted. The sender is set from the token, never from the request."
* ^abstract = true
* status MS
* statusReason MS
* category 1..* MS
* subject MS
* subject only Reference(Patient)
* encounter 1..1 MS
* partOf MS
* partOf only Reference(Communication)
* inResponseTo MS
* sent MS
* sender 1..1 MS
* sender only Reference(Practitioner or PractitionerRole or Patient or RelatedPerson or Device)
* recipient MS
* payload MS
* payload.content[x] only string or Attachment
* obeys message-content and message-withheld

Invariant: message-content
Description: "A message says something, unless it was deleted or could not be sent"
Severity: #error
Expression: "payload.exists() or status = 'entered-in-error' or status = 'not-done'"

Invariant: message-withheld
Description: "The text of a deleted message is withheld"
Severity: #error
Expression: "status != 'entered-in-error' or payload.empty()"

Profile: DiscussionMessage
Parent: Message
Id: discussion-message
Title: "Discussion message"
Description: "A message of a case's discussion. One for staff only carries the label team-discussion; one that is meant for the patient does not."
* insert Category(kind, 1, 1, MessageKind#discussion)
* meta.security MS
* meta.security from RecordLabels (extensible)

Profile: ChatMessage
Parent: Message
Id: chat-message
Title: "Chat message"
Description: "A message between patient and provider, or within a consultation."
* insert Category(kind, 1, 1, MessageKind#chat)
* recipient 1..*

Profile: MessageReceipt
Parent: Communication
Id: message-receipt
Title: "Receipt of a message"
Description: "One recipient's own receipt: in-progress when the message has reached them, completed when it was read."
* status MS
* status from ReceiptStatus (required)
* insert Category(kind, 1, 1, MessageKind#receipt)
* inResponseTo 1..1 MS
* inResponseTo only Reference(Communication)
* sender 1..1 MS
* sender only Reference(Practitioner or PractitionerRole or Patient or RelatedPerson)
* received 1..1 MS
* payload 0..0

ValueSet: ReceiptStatus
Id: receipt-status
Title: "Status of a receipt"
Description: "Reached, or read."
* http://hl7.org/fhir/event-status#in-progress
* http://hl7.org/fhir/event-status#completed

Instance: communication-in-response-to
InstanceOf: SearchParameter
Usage: #definition
* insert Searches(communication-in-response-to, CommunicationInResponseTo, in-response-to, Communication, reference, "Communication.inResponseTo")
* target = #Communication
* description = "Answers to a message, and its receipts."

Instance: communication-about
InstanceOf: SearchParameter
Usage: #definition
* insert Searches(communication-about, CommunicationAbout, about, Communication, reference, "Communication.about")
* target[0] = #Flag
* target[1] = #Task
* target[2] = #Encounter
* target[3] = #Appointment
* target[4] = #DocumentReference
* target[5] = #ServiceRequest
* target[6] = #Communication
* description = "What a notification or an alert is about."

Instance: topic-discussion
InstanceOf: Basic
Usage: #definition
Title: "Topic: messages"
Description: "A message was written, changed or deleted."
* insert Topic(discussion, Discussion, Messages, [[A message of a case or a consultation was written, changed or deleted.]])
* insert Trigger(Communication, [[A discussion or chat message was created or updated.]])
* insert Matching([[category=http://fhir-server.example/ig/CodeSystem/message-kind|discussion,http://fhir-server.example/ig/CodeSystem/message-kind|chat,http://fhir-server.example/ig/CodeSystem/message-kind|receipt]])
* insert Filter(Communication, encounter, [[The case or consultation.]])
* insert Filter(Communication, patient, [[The patient.]])
* insert Filter(Communication, recipient, [[Whom it is for.]])
* insert Filter(Communication, part-of, [[The thread.]])
* insert Shape(Communication)
* insert Include(Communication:sender)

Instance: example-discussion
InstanceOf: DiscussionMessage
Usage: #example
Title: "Team discussion"
Description: "Staff only, so it carries the label."
* meta.security = RecordLabel#team-discussion
* status = #completed
* category[kind] = MessageKind#discussion
* subject = Reference(example-patient)
* encounter = Reference(example-case)
* sent = "2025-05-30T09:31:00Z"
* sender = Reference(example-doctor)
* payload.contentString = "Troponin is normal. Shall we do the stress test today?"

Instance: example-discussion-answer
InstanceOf: DiscussionMessage
Usage: #example
Title: "An answer with a file"
Description: "Part of the thread that the first message opened."
* meta.security = RecordLabel#team-discussion
* status = #completed
* category[kind] = MessageKind#discussion
* subject = Reference(example-patient)
* encounter = Reference(example-case)
* partOf = Reference(example-discussion)
* inResponseTo = Reference(example-discussion)
* sent = "2025-05-30T09:35:00Z"
* sender = Reference(example-specialist-role)
* payload[0].contentString = "Yes; here is the earlier tracing."
* payload[1].contentAttachment.contentType = #image/png
* payload[1].contentAttachment.url = "Binary/example-tracing"
* payload[1].contentAttachment.title = "ECG of 2024"

Instance: example-discussion-deleted
InstanceOf: DiscussionMessage
Usage: #example
Title: "A deleted message"
Description: "The message stays as a place in the thread; its text is withheld."
* meta.security = RecordLabel#team-discussion
* status = #entered-in-error
* category[kind] = MessageKind#discussion
* subject = Reference(example-patient)
* encounter = Reference(example-case)
* sent = "2025-05-30T09:33:00Z"
* sender = Reference(example-doctor)

Instance: example-chat
InstanceOf: ChatMessage
Usage: #example
Title: "A patient writes"
Description: "No label: the patient sees it."
* status = #completed
* category[kind] = MessageKind#chat
* subject = Reference(example-patient)
* encounter = Reference(example-consultation)
* sent = "2025-06-02T13:58:00Z"
* sender = Reference(example-patient)
* recipient = Reference(example-doctor)
* payload.contentString = "I am in the waiting room."

Instance: example-receipt
InstanceOf: MessageReceipt
Usage: #example
Title: "Read"
Description: "The doctor has read the patient's message."
* status = #completed
* category[kind] = MessageKind#receipt
* inResponseTo = Reference(example-chat)
* sender = Reference(example-doctor)
* received = "2025-06-02T13:59:00Z"
