// Records, who may see them, and breaking the glass.

CodeSystem: ShareLevel
Id: share-level
Title: "Level of sharing"
Description: "How much of a record somebody may see. The owner needs no consent: author and custodian own."
* insert Complete
* #full "Full" "Read, and write a new version."
* #limited "Limited" "Read, without what is labelled restricted or sensitive."
* #emergency "Emergency" "Read what an emergency needs, which of records are patient summaries and advance directives; in a consent that $break-glass wrote, what the role needs in one, for a short time, always audited and reviewed."

ValueSet: ShareLevels
Id: share-levels
Title: "Levels of sharing"
Description: "All of them."
* include codes from system ShareLevel

CodeSystem: Privacy
Id: privacy
Title: "Privacy"
Description: "What oversight of broken glass is told apart by: the consent that opens, the alert that tells of it, and whom it is for."
* insert Complete
* #break-glass "Broken glass" "Category of a consent that $break-glass wrote; nobody else can write, change or delete one."
* #alert "Alert to privacy officers" "Category of the message that tells them of an emergency access."
* #privacy-officer "Privacy officer" "Role of those who look after privacy: Task.performerType of a review, PractitionerRole.code of those who are told."

ValueSet: PrivacyCodes
Id: privacy-codes
Title: "Privacy"
Description: "All of them."
* include codes from system Privacy

Profile: SharedRecord
Parent: DocumentReference
Id: shared-record
Title: "Shared record"
Description: "A document of a patient, whose content is a Binary (encrypted when labelled sensitive). Author and custodian own it; others see it by a sharing consent."
* status MS
* docStatus MS
* type 1..1 MS
* category MS
* subject 1..1 MS
* subject only Reference(Patient)
* date 1..1 MS
* author 1..* MS
* custodian MS
* securityLabel MS
* description MS
* content.attachment.contentType 1..1 MS
* content.attachment.url MS
* content.attachment.title MS
* content.attachment.hash MS
* context.encounter MS
* context.encounter only Reference(Encounter)
* obeys record-has-content

Invariant: record-has-content
Description: "Each attachment says where its content is, or holds it"
Severity: #error
Expression: "content.attachment.all(url.exists() or data.exists())"

Profile: SharingConsent
Parent: Consent
Id: sharing-consent
Title: "Sharing consent"
Description: "A record shared with somebody: by $share, or written like any other consent. $revoke makes it inactive."
* status MS
* scope = http://terminology.hl7.org/CodeSystem/consentscope#patient-privacy
* category MS
* patient 1..1 MS
* dateTime 1..1 MS
* performer MS
* policyRule 1..1 MS
* provision 1..1 MS
* provision.type 1..1 MS
* provision.type = #permit
* provision.period 1..1 MS
* provision.actor 1..* MS
* provision.actor.role = $participation#IRCP
* provision.actor.reference only Reference(Practitioner or PractitionerRole or Organization or CareTeam or RelatedPerson or Patient or Group)
* provision.action 1..1 MS
* provision.action from ShareLevels (required)
* provision.purpose 1..* MS
* provision.data 1..* MS
* provision.data.meaning = #instance

Profile: EmergencyAccessConsent
Parent: Consent
Id: emergency-access-consent
Title: "Emergency access"
Description: "The glass, broken: a short consent that $break-glass writes for the one who asked, with the purpose BTG and an end. Its accesses are marked in the audit, the privacy officer is told, and a review task is open."
* status MS
* scope = http://terminology.hl7.org/CodeSystem/consentscope#patient-privacy
* insert Category(glass, 1, 1, Privacy#break-glass)
* patient 1..1 MS
* dateTime 1..1 MS
* policyRule 1..1 MS
* provision 1..1 MS
* provision.type 1..1 MS
* provision.type = #permit
* provision.period 1..1 MS
* provision.period.end 1..1 MS
* provision.actor 1..1 MS
* provision.actor.role = $participation#IRCP
* provision.action 1..1 MS
* provision.action = ShareLevel#emergency
* provision.purpose 1..* MS
* provision.purpose = $reason#BTG

Instance: share
InstanceOf: OperationDefinition
Usage: #definition
* insert Operates(share, Share, DocumentReference)
* status = #active
* instance = true
* affectsState = true
* title = "Share a record"
* description = "Writes a sharing consent for each actor, in place of the one that the actor has, and notifies them. Only its owner, the patient or one with full access may."
* insert In(actor, 1, *, Reference, [[With whom: Practitioner, PractitionerRole, Organization, CareTeam or RelatedPerson.]])
* insert In(level, 1, 1, code, [[full, limited or emergency.]])
* insert In(purpose, 0, 1, Coding, [[What for, of v3-ActReason; TREAT unless given.]])
* insert In(period, 0, 1, Period, [[From when to when; without an end until revoked.]])
* insert Out(return, 1, 1, Bundle, [[The consents, one for each actor: a collection. Who has the same consent already keeps it.]])

Instance: revoke
InstanceOf: OperationDefinition
Usage: #definition
* insert Operates(revoke, Revoke, DocumentReference)
* status = #active
* instance = true
* affectsState = true
* title = "Stop sharing a record"
* description = "Makes the record's sharing consents inactive, those of some actors or all of them, and what these have passed on. It counts from the next request on, on live sockets too."
* insert In(actor, 0, *, Reference, [[Whose access ends; everyone's unless given.]])
* insert Out(return, 1, 1, Bundle, [[The consents that were ended, as they are now: a collection.]])

Instance: break-glass
InstanceOf: OperationDefinition
Usage: #definition
* insert Operates(break-glass, BreakGlass, Patient)
* status = #active
* instance = true
* affectsState = true
* title = "Break the glass"
* description = "Gives the caller emergency access to a patient's record for a short time: writes the consent, tells the privacy officer, opens a review task and marks the audit entries."
* insert In(purpose, 0, 1, Coding, [[BTG of v3-ActReason, which is also meant when it is absent.]])
* insert In(reason, 1, 1, string, [[Why, in one's own words.]])
* insert In(minutes, 0, 1, positiveInt, [[For how long, 30 unless given, at most 60.]])
* insert Out(consent, 1, 1, Reference, [[The consent that opens the record.]])
* insert Out(task, 1, 1, Reference, [[The review that the privacy officer is to do.]])
* insert Out(communication, 0, *, Reference, [[What privacy officers are told, one for each.]])
* insert Out(period, 1, 1, Period, [[When the record is open.]])

Instance: crypto-erase
InstanceOf: OperationDefinition
Usage: #definition
* insert Operates(crypto-erase, CryptoErase, Patient)
* status = #active
* instance = true
* affectsState = true
* title = "Destroy a patient's keys"
* description = "Makes what is sensitive of the patient unreadable for good: destroys the keys that it was encrypted with, deletes the resources and takes their ciphertext out of the store. Administrators and privacy officers may. Asked again, it answers the same."
* insert In(reason, 1, 1, string, [[Why, in one's own words. It becomes part of the receipt.]])
* insert Out(receipt, 1, 1, Reference, [[The Provenance that tells of it.]])
* insert Out(destroyed, 1, 1, instant, [[When the keys were destroyed.]])
* insert Out(key, 1, *, string, [[The id of a key that was destroyed.]])
* parameter[+].name = #resources
* parameter[=].use = #out
* parameter[=].min = 0
* parameter[=].max = "*"
* parameter[=].documentation = "What had versions under these keys, by resource type."
* parameter[=].part[0].name = #type
* parameter[=].part[0].use = #out
* parameter[=].part[0].min = 1
* parameter[=].part[0].max = "1"
* parameter[=].part[0].type = #code
* parameter[=].part[1].name = #count
* parameter[=].part[1].use = #out
* parameter[=].part[1].min = 1
* parameter[=].part[1].max = "1"
* parameter[=].part[1].type = #integer

Instance: topic-record
InstanceOf: Basic
Usage: #definition
Title: "Topic: records"
Description: "A record was added, or shared with somebody."
* insert Topic(record, Record, Records, [[A record was added or changed, shared or no longer shared.]])
* insert Trigger(DocumentReference, [[A record was created or updated.]])
* insert Matching([[status=current,superseded,entered-in-error]])
* insert Trigger(Consent, [[A record was shared, or a consent ended.]])
* insert Matching([[scope=http://terminology.hl7.org/CodeSystem/consentscope|patient-privacy]])
* insert Filter(DocumentReference, patient, [[The patient.]])
* insert Filter(DocumentReference, encounter, [[The case.]])
* insert Filter(Consent, patient, [[The patient.]])
* insert Filter(Consent, actor, [[With whom it is shared.]])
* insert Shape(DocumentReference)
* insert Shape(Consent)

Instance: example-record
InstanceOf: SharedRecord
Usage: #example
Title: "An ECG"
Description: "A record of the case, its content in a Binary."
* status = #current
* docStatus = #final
* type = $loinc#11524-6 "EKG study"
* subject = Reference(example-patient)
* date = "2025-05-30T09:05:00Z"
* author = Reference(example-doctor)
* custodian = Reference(example-clinic)
* securityLabel = $confidentiality#N "normal"
* content.attachment.contentType = #application/pdf
* content.attachment.url = "Binary/example-ecg"
* content.attachment.title = "ECG, 12 leads"
* context.encounter = Reference(example-case)

Instance: example-record-sensitive
InstanceOf: SharedRecord
Usage: #example
Title: "A sensitive record"
Description: "Restricted, and encrypted at rest under the patient's own key."
* meta.security = RecordLabel#sensitive
* status = #current
* type.text = "Psychiatric consultation note"
* subject = Reference(example-patient)
* date = "2025-05-12T15:00:00Z"
* author = Reference(example-specialist)
* securityLabel = $confidentiality#R "restricted"
* content.attachment.contentType = #application/pdf
* content.attachment.url = "Binary/example-note"

Instance: example-note
InstanceOf: Binary
Usage: #example
Title: "Content of a sensitive record"
Description: "Labelled itself, so that it is encrypted, too; whose key it is under follows from securityContext."
* meta.security = RecordLabel#sensitive
* contentType = #application/pdf
* securityContext = Reference(example-patient)
* data = "JVBERi0xLjQKJSVFT0YK"

Instance: example-consent
InstanceOf: SharingConsent
Usage: #example
Title: "The ECG, shared"
Description: "With the specialist, limited, for treatment, until the end of the year."
* status = #active
* scope = http://terminology.hl7.org/CodeSystem/consentscope#patient-privacy "Privacy Consent"
* category = $act#INFA "information access"
* patient = Reference(example-patient)
* dateTime = "2025-05-30T09:16:00Z"
* performer = Reference(example-doctor)
* policyRule = $act#OPTIN
* provision.type = #permit
* provision.period.start = "2025-05-30"
* provision.period.end = "2025-12-31"
* provision.actor.role = $participation#IRCP "information recipient"
* provision.actor.reference = Reference(example-specialist)
* provision.action = ShareLevel#limited
* provision.purpose = $reason#TREAT "treatment"
* provision.data.meaning = #instance
* provision.data.reference = Reference(example-record)

Instance: example-break-glass
InstanceOf: EmergencyAccessConsent
Usage: #example
Title: "The glass, broken"
Description: "For the paramedic, for one hour."
* status = #active
* scope = http://terminology.hl7.org/CodeSystem/consentscope#patient-privacy "Privacy Consent"
* category[glass].coding[0] = Privacy#break-glass "Broken glass"
* category[glass].coding[1] = http://terminology.hl7.org/CodeSystem/consentcategorycodes#emrgonly "Emergency Only"
* patient = Reference(example-patient)
* dateTime = "2025-05-30T11:02:00Z"
* policyRule = $act#OPTIN
* provision.type = #permit
* provision.period.start = "2025-05-30T11:02:00Z"
* provision.period.end = "2025-05-30T12:02:00Z"
* provision.actor.role = $participation#IRCP "information recipient"
* provision.actor.reference = Reference(example-paramedic)
* provision.action = ShareLevel#emergency
* provision.purpose = $reason#BTG "break the glass"
