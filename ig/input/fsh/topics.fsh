// Topics that no single word of the hospital owns, and what a topic may say of a filter besides its name.

// Besides equality: a limit on either side.
RuleSet: Comparing
* extension[=].extension[+].url = "comparator"
* extension[=].extension[=].valueCode = #eq
* extension[=].extension[+].url = "comparator"
* extension[=].extension[=].valueCode = #gt
* extension[=].extension[+].url = "comparator"
* extension[=].extension[=].valueCode = #lt
* extension[=].extension[+].url = "comparator"
* extension[=].extension[=].valueCode = #ge
* extension[=].extension[+].url = "comparator"
* extension[=].extension[=].valueCode = #le

RuleSet: Modified(modifier)
* extension[=].extension[+].url = "modifier"
* extension[=].extension[=].valueCode = #{modifier}

Instance: topic-encounter-start
InstanceOf: Basic
Usage: #definition
Title: "Topic: encounters that begin"
Description: "A patient is being seen."
* insert Topic(encounter-start, EncounterStart, Encounters that begin, [[An encounter is now in progress, and was not before.]])
* insert Trigger(Encounter, [[An encounter came into progress.]])
* insert Becomes([[status:not=in-progress]], [[status=in-progress]])
* insert Filter(Encounter, patient, [[The patient.]])
* insert Filter(Encounter, participant, [[A practitioner who takes part.]])
* insert Filter(Encounter, service-provider, [[The organization.]])
* insert Filter(Encounter, class, [[Where: virtual, ambulatory, emergency …]])
* insert Modified(not)
* insert Shape(Encounter)
* insert Include(Encounter:patient)

Instance: topic-encounter-end
InstanceOf: Basic
Usage: #definition
Title: "Topic: encounters that end"
Description: "A patient was seen, or will not be."
* insert Topic(encounter-end, EncounterEnd, Encounters that end, [[An encounter is now finished or cancelled, and was not before.]])
* insert Trigger(Encounter, [[An encounter was finished or cancelled.]])
* insert Becomes([[status:not=finished,cancelled]], [[status=finished,cancelled]])
* insert Filter(Encounter, patient, [[The patient.]])
* insert Filter(Encounter, participant, [[A practitioner who took part.]])
* insert Filter(Encounter, service-provider, [[The organization.]])
* insert Filter(Encounter, class, [[Where: virtual, ambulatory, emergency …]])
* insert Modified(not)
* insert Filter(Encounter, length, [[How long it took.]])
* insert Comparing
* insert Shape(Encounter)
* insert Include(Encounter:patient)

Instance: topic-observation
InstanceOf: Basic
Usage: #definition
Title: "Topic: observations"
Description: "A result can be relied upon, or was corrected."
* insert Topic(observation, ObservationAvailable, Observations, [[An observation is final, or was changed after it had been.]])
* insert Trigger(Observation, [[An observation was created or updated and is final, amended or corrected.]])
* insert Matching([[status=final,amended,corrected]])
* insert Filter(Observation, patient, [[The patient.]])
* insert Filter(Observation, category, [[laboratory, vital-signs, imaging …]])
* insert Filter(Observation, code, [[What was observed.]])
* insert Filter(Observation, based-on, [[The order.]])
* insert Filter(Observation, encounter, [[The encounter.]])
* insert Filter(Observation, value-quantity, [[A limit of the value.]])
* insert Comparing
* insert Filter(Observation, date, [[When it was observed.]])
* insert Comparing
* insert Shape(Observation)
* insert Include(Observation:patient)

Instance: topic-diagnostic-report
InstanceOf: Basic
Usage: #definition
Title: "Topic: reports"
Description: "A report can be relied upon, or was corrected."
* insert Topic(diagnostic-report, DiagnosticReportAvailable, Reports, [[A report is final, or was changed after it had been.]])
* insert Trigger(DiagnosticReport, [[A report was created or updated and is final, amended, corrected or appended.]])
* insert Matching([[status=final,amended,corrected,appended]])
* insert Filter(DiagnosticReport, patient, [[The patient.]])
* insert Filter(DiagnosticReport, category, [[The department.]])
* insert Filter(DiagnosticReport, code, [[Which report.]])
* insert Filter(DiagnosticReport, based-on, [[The order.]])
* insert Filter(DiagnosticReport, results-interpreter, [[Who vouches for it.]])
* insert Shape(DiagnosticReport)
* insert Include(DiagnosticReport:patient)
* insert Include(DiagnosticReport:result)

Instance: topic-care-team
InstanceOf: Basic
Usage: #definition
Title: "Topic: care teams"
Description: "Somebody joined a patient's care, or left it."
* insert Topic(care-team, CareTeam, Care teams, [[A care team was formed, changed or dissolved.]])
* insert Trigger(CareTeam, [[A care team was created or updated.]])
* insert On(create)
* insert On(update)
* insert Filter(CareTeam, patient, [[The patient.]])
* insert Filter(CareTeam, participant, [[A member.]])
* insert Filter(CareTeam, encounter, [[The case.]])
* insert Filter(CareTeam, status, [[The status that it has now.]])
* insert Modified(not)
* insert Shape(CareTeam)

Instance: topic-care-plan
InstanceOf: Basic
Usage: #definition
Title: "Topic: care plans"
Description: "How a patient is to be treated was written down or changed."
* insert Topic(care-plan, CarePlan, Care plans, [[A care plan was written or changed.]])
* insert Trigger(CarePlan, [[A care plan was created or updated.]])
* insert On(create)
* insert On(update)
* insert Filter(CarePlan, patient, [[The patient.]])
* insert Filter(CarePlan, encounter, [[The case.]])
* insert Filter(CarePlan, status, [[The status that it has now.]])
* insert Modified(not)
* insert Shape(CarePlan)

Instance: topic-prescription
InstanceOf: Basic
Usage: #definition
Title: "Topic: prescriptions"
Description: "A medicine was prescribed, or is no longer."
* insert Topic(prescription, Prescription, Prescriptions, [[A prescription became active, was changed or ended.]])
* insert Trigger(MedicationRequest, [[A prescription that is more than a draft was created or updated.]])
* insert Matching([[status:not=draft]])
* insert Filter(MedicationRequest, patient, [[The patient.]])
* insert Filter(MedicationRequest, requester, [[Who prescribed it.]])
* insert Filter(MedicationRequest, intended-dispenser, [[The pharmacy.]])
* insert Filter(MedicationRequest, status, [[The status that it has now.]])
* insert Modified(not)
* insert Shape(MedicationRequest)
* insert Include(MedicationRequest:medication)
