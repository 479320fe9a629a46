// The recording of a consultation: only with consent, only for a while.

Profile: Recording
Parent: DocumentReference
Id: recording
Title: "Recording of a consultation"
Description: "Its content is a Binary; nobody gets it without a recording consent that permits it, and it is removed when context.period, the time that it may be kept, is over. A transcript of the chat is a recording of type chat."
* status MS
* type 1..1 MS
* type from ConsultationTypes (required)
* subject 1..1 MS
* subject only Reference(Patient)
* date 1..1 MS
* author 1..* MS
* securityLabel MS
* content 1..1
* content.attachment.contentType 1..1 MS
* content.attachment.url 1..1 MS
* content.attachment.size MS
* context 1..1 MS
* context.encounter 1..1 MS
* context.encounter only Reference(Encounter)
* context.period MS
* context.period ^short = "From the recording to the day on which it is removed"

Profile: RecordingConsent
Parent: Consent
Id: recording-consent
Title: "Consent to a recording"
Description: "Whether a consultation may be recorded: permit or deny, by the patient, about one encounter."
* status MS
* scope = http://terminology.hl7.org/CodeSystem/consentscope#patient-privacy
* patient 1..1 MS
* dateTime 1..1 MS
* performer 1..* MS
* policyRule 1..1 MS
* provision 1..1 MS
* provision.type 1..1 MS
* provision.action 1..1 MS
* provision.action = http://terminology.hl7.org/CodeSystem/consentaction#collect
* provision.data 1..1 MS
* provision.data.meaning = #related
* provision.data.reference only Reference(Encounter)

Instance: example-recording
InstanceOf: Recording
Usage: #example
Title: "A recording"
Description: "Kept for ninety days."
* status = #current
* type = ConsultationType#video
* subject = Reference(example-patient)
* date = "2025-06-02T14:26:00Z"
* author = Reference(example-server)
* securityLabel = $confidentiality#R "restricted"
* content.attachment.contentType = #video/webm
* content.attachment.url = "Binary/example-recording"
* content.attachment.size = 48211301
* context.encounter = Reference(example-consultation)
* context.period.start = "2025-06-02"
* context.period.end = "2025-08-31"

Instance: example-recording-consent
InstanceOf: RecordingConsent
Usage: #example
Title: "The patient agrees to the recording"
Description: "Given in the waiting room."
* status = #active
* scope = http://terminology.hl7.org/CodeSystem/consentscope#patient-privacy "Privacy Consent"
* category = $act#INFA "information access"
* patient = Reference(example-patient)
* dateTime = "2025-06-02T13:58:30Z"
* performer = Reference(example-patient)
* policyRule = $act#OPTIN
* provision.type = #permit
* provision.action = http://terminology.hl7.org/CodeSystem/consentaction#collect "Collect"
* provision.data.meaning = #related
* provision.data.reference = Reference(example-consultation)
