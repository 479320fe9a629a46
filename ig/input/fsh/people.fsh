// How people are invited; who and what the examples are about.

Instance: invite
InstanceOf: OperationDefinition
Usage: #definition
* insert Operates(invite, Invite, Practitioner)
* status = #active
* instance = true
* affectsState = true
* title = "Invite a colleague"
* description = "Sends a link by e-mail, with which a person of staff chooses their own user name and password. Administrators may, for who has no account yet."
* insert In(email, 1, 1, string, [[Where the invitation goes.]])
* insert In(role, 1, *, code, [[What the account may do: one of the server's roles of staff.]])
* insert Out(expires, 1, 1, instant, [[Until when the link is good.]])

Instance: example-patient
InstanceOf: Patient
Usage: #example
Title: "Patient"
Description: "The patient of all examples."
* name.family = "Okoye"
* name.given = "Amara"
* gender = #female
* birthDate = "1971-03-14"
* contact.name.text = "Chidi Okoye"
* contact.telecom.system = #phone
* contact.telecom.value = "+1 555 0117"

Instance: example-doctor
InstanceOf: Practitioner
Usage: #example
Title: "Doctor"
Description: "Who treats the patient."
* name.family = "Larkin"
* name.given = "Edith"

Instance: example-specialist
InstanceOf: Practitioner
Usage: #example
Title: "Specialist"
Description: "Who is asked for advice."
* name.family = "Brandt"
* name.given = "Walter"

Instance: example-specialist-role
InstanceOf: PractitionerRole
Usage: #example
Title: "Cardiologist of the clinic"
Description: "The specialist's role, with the hours on duty."
* practitioner = Reference(example-specialist)
* organization = Reference(example-clinic)
* specialty = $sct#394579002 "Cardiology"
* availableTime.daysOfWeek[0] = #mon
* availableTime.daysOfWeek[1] = #fri
* availableTime.availableStartTime = "08:00:00"
* availableTime.availableEndTime = "16:00:00"

Instance: example-paramedic
InstanceOf: Practitioner
Usage: #example
Title: "Paramedic"
Description: "Who answers emergencies."
* name.family = "Moreno"
* name.given = "Lucía"

Instance: example-clinic
InstanceOf: Organization
Usage: #example
Title: "Clinic"
Description: "The house of all examples."
* name = "Rowan Bay Clinic"

Instance: example-position
InstanceOf: Location
Usage: #example
Title: "Position of an emergency"
Description: "Where the phone was."
* mode = #instance
* position.latitude = 42.2565
* position.longitude = -83.6948

Instance: example-pharmacy
InstanceOf: Location
Usage: #example
Title: "Pharmacy"
Description: "Where medicines are kept."
* name = "Pharmacy of Rowan Bay Clinic"

Instance: example-medication
InstanceOf: Medication
Usage: #example
Title: "A medicine"
Description: "What the pharmacy keeps."
* code.text = "Glyceryl trinitrate 0.4 mg sublingual tablet"

Instance: example-server
InstanceOf: Device
Usage: #example
Title: "This server"
Description: "The author of what the server makes by itself."
* deviceName.name = "FHIR server"
* deviceName.type = #user-friendly-name

Instance: example-assistant
InstanceOf: Device
Usage: #example
Title: "Triage assistant"
Description: "The author of triage answers."
* deviceName.name = "Triage assistant"
* deviceName.type = #user-friendly-name
* version.value = "1"
