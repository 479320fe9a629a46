// What people are asked: how a consultation was, and whether they may give blood.

Instance: consultation-feedback
InstanceOf: Questionnaire
Usage: #definition
* insert Asks(consultation-feedback, ConsultationFeedback, How was your consultation?)
* description = "Rating and remarks after a consultation."
* subjectType = #Patient
* insert Question(rating, integer, [[From 1, poor, to 5, very good]])
* item[=].required = true
* insert Question(connection, boolean, [[Were sound and picture good enough?]])
* insert Question(remarks, text, [[What should we know?]])

Instance: donor-screening
InstanceOf: Questionnaire
Usage: #definition
* insert Asks(donor-screening, DonorScreening, Before you give blood)
* description = "What a donor is asked; staff decide, no answer does so by itself."
* subjectType = #Patient
* insert Question(well, boolean, [[Do you feel well today?]])
* item[=].required = true
* insert Question(weight, boolean, [[Do you weigh at least 50 kg?]])
* item[=].required = true
* insert Question(last-donation, date, [[When did you last give blood?]])
* insert Question(medicines, text, [[Which medicines have you taken in the last four weeks?]])
* insert Question(operations, text, [[Have you had an operation in the last six months? Which?]])

RuleSet: Asks(id, name, title)
* url = "http://fhir-server.example/ig/Questionnaire/{id}"
* name = "{name}"
* title = "{title}"
* status = #active

RuleSet: Question(link, type, text)
* item[+].linkId = "{link}"
* item[=].type = #{type}
* item[=].text = "{text}"

Instance: example-feedback
InstanceOf: QuestionnaireResponse
Usage: #example
Title: "A rating"
Description: "The patient was content."
* questionnaire = "http://fhir-server.example/ig/Questionnaire/consultation-feedback"
* status = #completed
* subject = Reference(example-patient)
* encounter = Reference(example-consultation-finished)
* authored = "2025-05-12T15:40:00Z"
* item.linkId = "rating"
* item.answer.valueInteger = 5
