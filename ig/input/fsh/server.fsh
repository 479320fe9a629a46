// What a server for telemedicine can do, as requirements.

Instance: telemedicine
InstanceOf: CapabilityStatement
Usage: #definition
* url = "http://fhir-server.example/ig/CapabilityStatement/telemedicine"
* name = "TelemedicineServer"
* title = "Telemedicine server"
* status = #draft
* date = "2025-06-01"
* description = "The profiles, search parameters and operations that telemedicine needs beyond plain R4. Operations are sugar: the rules hold on plain reads and writes."
* kind = #requirements
* fhirVersion = #4.0.1
* format[0] = #json
* format[1] = #xml
* rest.mode = #server
* rest.documentation = "SMART App Launch 2.2; see /.well-known/smart-configuration."
* insert Serves(Appointment)
* insert Profiled(TeleAppointment)
* insert Operation(find, http://fhir.org/guides/argonaut-scheduling/OperationDefinition/appointment-find)
* insert Operation(hold, http://fhir.org/guides/argonaut-scheduling/OperationDefinition/appointment-hold)
* insert Operation(book, http://fhir.org/guides/argonaut-scheduling/OperationDefinition/appointment-book)
* insert Serves(AuditEvent)
* insert Profiled(AccessAudit)
* insert Search(purpose, token, audit-purpose)
* insert Own(verify-audit)
* insert Serves(BiologicallyDerivedProduct)
* insert Profiled(BloodUnit)
* insert Search(blood-group, token, blood-group)
* insert Search(code, token, blood-code)
* insert Search(expiration-date, date, blood-expiry)
* insert Search(identifier, token, blood-identifier)
* insert Search(product-status, token, blood-detailed-status)
* insert Search(request, reference, blood-request-of-unit)
* insert Search(status, token, blood-status)
* insert Serves(Communication)
* insert Profiled(DiscussionMessage)
* insert Profiled(ChatMessage)
* insert Profiled(MessageReceipt)
* insert Profiled(Notification)
* insert Profiled(EmergencyAlert)
* insert Search(about, reference, communication-about)
* insert Search(in-response-to, reference, communication-in-response-to)
* insert Own(mark-read)
* insert Serves(Consent)
* insert Profiled(SharingConsent)
* insert Profiled(EmergencyAccessConsent)
* insert Profiled(RecordingConsent)
* insert Serves(DocumentReference)
* insert Profiled(SharedRecord)
* insert Profiled(Recording)
* insert Own(share)
* insert Own(revoke)
* insert Serves(Encounter)
* insert Profiled(TeleCase)
* insert Profiled(Consultation)
* insert Search(planned-start, date, encounter-planned-start)
* insert Search(priority, token, encounter-priority)
* insert Own(assign)
* insert Own(start)
* insert Own(end)
* insert Own(join)
* insert Own(leave)
* insert Own(statistics)
* insert Serves(Endpoint)
* insert Profiled(MeetingEndpoint)
* insert Serves(Flag)
* insert Profiled(EmergencyFlag)
* insert Search(category, token, flag-category)
* insert Search(priority, token, flag-priority)
* insert Search(status, token, flag-status)
* insert Serves(GuidanceResponse)
* insert Profiled(TriageResult)
* insert Serves(Observation)
* insert Profiled(StockLevel)
* insert Serves(Patient)
* insert Search(encryption-key, token, encryption-key-search)
* insert Own(break-glass)
* insert Own(crypto-erase)
* insert Own(triage)
* insert Serves(Practitioner)
* insert Search(encryption-key, token, encryption-key-search)
* insert Own(invite)
* insert Serves(RelatedPerson)
* insert Search(encryption-key, token, encryption-key-search)
* insert Serves(ServiceRequest)
* insert Profiled(ReferralRequest)
* insert Profiled(BloodRequest)
* insert Own(match-blood)
* insert Serves(SupplyDelivery)
* insert Profiled(StockMovement)
* insert Serves(Task)
* insert Profiled(ReferralTask)
* insert Profiled(EmergencyTask)
* insert Profiled(ResponderTask)
* insert Profiled(ReviewTask)
* insert Profiled(TechnicalIssue)
* insert Own(respond)

RuleSet: Serves(type)
* rest.resource[+].type = #{type}
* rest.resource[=].interaction[0].code = #read
* rest.resource[=].interaction[1].code = #create
* rest.resource[=].interaction[2].code = #update
* rest.resource[=].interaction[3].code = #patch
* rest.resource[=].interaction[4].code = #search-type

RuleSet: Profiled(profile)
* rest.resource[=].supportedProfile[+] = Canonical({profile})

RuleSet: Search(name, type, id)
* rest.resource[=].searchParam[+].name = "{name}"
* rest.resource[=].searchParam[=].definition = "http://fhir-server.example/ig/SearchParameter/{id}"
* rest.resource[=].searchParam[=].type = #{type}

RuleSet: Operation(name, definition)
* rest.resource[=].operation[+].name = "{name}"
* rest.resource[=].operation[=].definition = "{definition}"

RuleSet: Own(name)
* insert Operation({name}, http://fhir-server.example/ig/OperationDefinition/{name})
