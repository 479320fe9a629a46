// Security labels: what this server treats differently, whatever the resource type.

CodeSystem: RecordLabel
Id: record-label
Title: "Security labels of this server"
Description: "Labels for meta.security that R4 and v3 have no code for."
* insert Complete
* #team-discussion "Team discussion" "Talk among staff. R4's patient compartment holds every Communication that names the patient, and much else; what has this label is not in a patient app's answer, whatever its type, but for the Patient, Consents and AuditEvents."
* #clinician-note "Private note of a clinician" "For its author and whom the author names; not for the patient or the rest of the team."
* #sensitive "Sensitive" "The content is encrypted at rest under the patient's own key; index values are absent."
* #sealed "Sealed" "Encrypted at rest as what is sensitive, and otherwise seen by whoever may see its like: what the server makes from something sensitive, such as the task of an emergency."
* #end-to-end "Encrypted end to end" "The content is JWE made by the sender's browser; the server holds ciphertext only."

ValueSet: RecordLabels
Id: record-labels
Title: "Security labels of this server"
Description: "All of them."
* include codes from system RecordLabel
