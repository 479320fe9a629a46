// What an access leaves behind, in the shape of IHE's Basic Audit Log Patterns.

Profile: AccessAudit
Parent: AuditEvent
Id: access-audit
Title: "Audit of an access"
Description: "One access over REST, granted or refused, shaped as IHE BALP does it: client and server as agents by their role, the user who asked, and the patient, data, query and request as entities. The HTTP user agent is a detail of the request's entity."
* type MS
* type = http://terminology.hl7.org/CodeSystem/audit-event-type#rest
* subtype 1..* MS
* action 1..1 MS
* recorded MS
* outcome 1..1 MS
* outcomeDesc MS
* purposeOfEvent MS
* agent ^slicing.discriminator.type = #pattern
* agent ^slicing.discriminator.path = "type"
* agent ^slicing.rules = #open
* agent contains client 0..1 MS and server 0..1 MS and user 0..1 MS
* agent[client].type = http://dicom.nema.org/resources/ontology/DCM#110153
* agent[client].who MS
* agent[client].network MS
* agent[server].type = http://dicom.nema.org/resources/ontology/DCM#110152
* agent[server].who MS
* agent[user].type = $participation#IRCP
* agent[user].who 1..1 MS
* agent[user].requestor = true
* agent[user].role MS
* agent[user].purposeOfUse MS
* source MS
* source.observer MS
* entity MS
* entity ^slicing.discriminator.type = #pattern
* entity ^slicing.discriminator.path = "type"
* entity ^slicing.rules = #open
* entity contains request 0..1 MS and patient 0..* MS
* entity[request].type = https://profiles.ihe.net/ITI/BALP/CodeSystem/BasicAuditEntityType#XrequestId
* entity[request].what.identifier.value 1..1 MS
* entity[request].detail MS
* entity[patient].type = http://terminology.hl7.org/CodeSystem/audit-entity-type#1
* entity[patient].role 1..1
* entity[patient].role = http://terminology.hl7.org/CodeSystem/object-role#1
* entity[patient].what 1..1 MS

Instance: audit-purpose
InstanceOf: SearchParameter
Usage: #definition
* insert Searches(audit-purpose, AuditPurpose, purpose, AuditEvent, token, "AuditEvent.purposeOfEvent | AuditEvent.agent.purposeOfUse")
* description = "What an access was for; purpose=BTG finds every access through broken glass. R5 has a parameter like it."

Instance: verify-audit
InstanceOf: OperationDefinition
Usage: #definition
* insert Operates(verify-audit, VerifyAudit, AuditEvent)
* status = #active
* system = true
* instance = false
* affectsState = false
* title = "Verify the audit trail"
* description = "Walks the chains of sealed groups and says whether every entry is there, in order and unchanged. For administrators."
* insert Out(ok, 1, 1, boolean, [[Whether everything is as it was written.]])
* insert Out(anchors, 1, 1, integer, [[How many signed statements of all chains there are.]])
* insert Out(chains, 1, 1, integer, [[How many chains.]])
* insert Out(groups, 1, 1, integer, [[How many groups of entries.]])
* insert Out(entries, 1, 1, integer, [[How many entries.]])
* insert Out(unsigned, 1, 1, integer, [[How many groups came after the last anchor.]])

Instance: explain-access
InstanceOf: OperationDefinition
Usage: #definition
* insert Operates(explain-access, ExplainAccess, Resource)
* status = #active
* instance = true
* affectsState = false
* title = "Explain an access"
* description = "Why a resource is shown to somebody or hidden from them: by scope, role policy, compartment and consent. For privacy officers and administrators."
* insert In(user, 0, 1, string, [[For whom: a login or a reference to who they are; the caller unless given.]])
* insert In(client, 0, 1, string, [[For which app or backend service.]])
* insert In(scope, 0, 1, string, [[With which scopes; all there are unless given.]])
* insert In(action, 0, 1, code, [[c, r, u, d or s; r unless given.]])
* insert Out(outcome, 1, 1, code, [[shown or hidden. Before it come scope, role, compartment and consent, each with a decision and a reason.]])

Instance: example-audit
InstanceOf: AccessAudit
Usage: #example
Title: "A read"
Description: "The specialist has read the shared record."
* type = http://terminology.hl7.org/CodeSystem/audit-event-type#rest "RESTful Operation"
* subtype = http://hl7.org/fhir/restful-interaction#read "read"
* action = #R
* recorded = "2025-05-30T09:22:00.127Z"
* outcome = #0
* agent[client].type = http://dicom.nema.org/resources/ontology/DCM#110153 "Source Role ID"
* agent[client].who.display = "clinic-app"
* agent[client].requestor = false
* agent[client].network.address = "192.0.2.7"
* agent[client].network.type = #2
* agent[server].type = http://dicom.nema.org/resources/ontology/DCM#110152 "Destination Role ID"
* agent[server].who = Reference(example-server)
* agent[server].requestor = false
* agent[user].type = $participation#IRCP "information recipient"
* agent[user].who = Reference(example-specialist)
* agent[user].requestor = true
* agent[user].purposeOfUse = $reason#TREAT "treatment"
* source.observer = Reference(example-server)
* entity[patient].type = http://terminology.hl7.org/CodeSystem/audit-entity-type#1 "Person"
* entity[patient].role = http://terminology.hl7.org/CodeSystem/object-role#1 "Patient"
* entity[patient].what = Reference(example-patient)
* entity[request].type = https://profiles.ihe.net/ITI/BALP/CodeSystem/BasicAuditEntityType#XrequestId
* entity[request].what.identifier.value = "5b1f4f0e8a"
* entity[request].detail.type = "User-Agent"
* entity[request].detail.valueString = "Mozilla/5.0"
* entity[2].type = http://terminology.hl7.org/CodeSystem/audit-entity-type#2 "System Object"
* entity[2].role = http://terminology.hl7.org/CodeSystem/object-role#4 "Domain Resource"
* entity[2].what = Reference(example-record)

Instance: example-audit-emergency
InstanceOf: AccessAudit
Usage: #example
Title: "An access through broken glass"
Description: "Marked by its purpose."
* type = http://terminology.hl7.org/CodeSystem/audit-event-type#rest "RESTful Operation"
* subtype = http://hl7.org/fhir/restful-interaction#search-type "search-type"
* action = #E
* recorded = "2025-05-30T11:02:31.004Z"
* outcome = #0
* purposeOfEvent = $reason#BTG "break the glass"
* agent[user].type = $participation#IRCP "information recipient"
* agent[user].who = Reference(example-paramedic)
* agent[user].requestor = true
* agent[user].purposeOfUse = $reason#BTG "break the glass"
* source.observer = Reference(example-server)
* entity[patient].type = http://terminology.hl7.org/CodeSystem/audit-entity-type#1 "Person"
* entity[patient].role = http://terminology.hl7.org/CodeSystem/object-role#1 "Patient"
* entity[patient].what = Reference(example-patient)
