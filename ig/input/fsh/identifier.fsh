// The systems of the numbers that a server gives.

Instance: case-number
InstanceOf: NamingSystem
Usage: #definition
Title: "Case number"
* insert Names(case-number, CaseNumber, [[The number of a case, as people say it on the telephone.]])

Instance: consultation-number
InstanceOf: NamingSystem
Usage: #definition
Title: "Consultation number"
* insert Names(consultation-number, ConsultationNumber, [[The number of a virtual consultation; it begins with CON-.]])

Instance: consultation-room
InstanceOf: NamingSystem
Usage: #definition
Title: "Consultation room"
* insert Names(consultation-room, ConsultationRoom, [[The room of a virtual consultation, by which one joins it.]])

Instance: blood-unit-number
InstanceOf: NamingSystem
Usage: #definition
Title: "Blood unit number"
* insert Names(blood-unit, BloodUnitNumber, [[The number on the bag, unless the installation uses ISBT 128.]])

RuleSet: Names(id, name, text)
* name = "{name}"
* status = #active
* kind = #identifier
* date = "2025-06-01"
* publisher = "The FHIR server project"
* description = "{text}"
* uniqueId.type = #uri
* uniqueId.value = "http://fhir-server.example/ig/sid/{id}"
* uniqueId.preferred = true
