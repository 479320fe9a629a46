// An appointment, at the clinic or at a distance.

Profile: TeleAppointment
Parent: Appointment
Id: tele-appointment
Title: "Appointment"
Description: "A booked time of a patient with a practitioner, a service or a device. Slots are taken by Argonaut's $find, $hold and $book, or by a plain POST with the slot: two bookings of one slot make one. Rescheduling is $book with cancelled-appt-id, cancelling a change of status."
* extension contains $appointment-service named virtualService 0..1 MS
* status MS
* cancelationReason MS
* serviceType MS
* specialty MS
* specialty from Specialties (preferred)
* appointmentType MS
* reasonCode MS
* priority MS
* supportingInformation MS
* start MS
* end MS
* slot MS
* created MS
* comment MS
* basedOn MS
* participant 1..* MS
* participant.actor 1..1 MS
* participant.period MS
* obeys appointment-patient and appointment-cancelled-says-why

Invariant: appointment-patient
Description: "A patient takes part"
Severity: #warning
Expression: "participant.actor.where(reference.contains('Patient/') or type = 'Patient').exists()"

Invariant: appointment-cancelled-says-why
Description: "A cancelled appointment says why"
Severity: #error
Expression: "status != 'cancelled' or cancelationReason.exists()"

Instance: topic-appointment
InstanceOf: Basic
Usage: #definition
Title: "Topic: appointments"
Description: "An appointment was booked, changed or cancelled."
* insert Topic(appointment, Appointment, Appointments, [[An appointment was booked, changed, cancelled or missed.]])
* insert Trigger(Appointment, [[An appointment was created or updated.]])
* insert On(create)
* insert On(update)
* insert Filter(Appointment, patient, [[The patient.]])
* insert Filter(Appointment, practitioner, [[The practitioner.]])
* insert Filter(Appointment, actor, [[Anyone who takes part.]])
* insert Filter(Appointment, status, [[The status that it has now.]])
* insert Shape(Appointment)
* insert Include(Appointment:slot)

Instance: example-appointment
InstanceOf: TeleAppointment
Usage: #example
Title: "A virtual appointment"
Description: "Booked, with the room's address."
* extension[virtualService].extension[_datatype].valueString = "VirtualServiceDetail"
* extension[virtualService].extension[channelType].valueCoding = MeetingProvider#built-in
* extension[virtualService].extension[address].valueUrl = "https://clinic.example/app/room/b7f1"
* status = #booked
* specialty = $sct#394579002 "Cardiology"
* reasonCode.text = "Follow-up of chest pain"
* start = "2025-06-02T14:00:00Z"
* end = "2025-06-02T14:30:00Z"
* created = "2025-05-30T12:00:00Z"
* comment = "Please have your tablets at hand."
* participant[0].actor = Reference(example-patient)
* participant[0].status = #accepted
* participant[1].actor = Reference(example-doctor)
* participant[1].status = #accepted

Instance: example-appointment-cancelled
InstanceOf: TeleAppointment
Usage: #example
Title: "A cancelled appointment"
Description: "By the patient."
* status = #cancelled
* cancelationReason = http://terminology.hl7.org/CodeSystem/appointment-cancellation-reason#pat "Patient"
* start = "2025-05-20T10:00:00Z"
* end = "2025-05-20T10:30:00Z"
* participant[0].actor = Reference(example-patient)
* participant[0].status = #declined
* participant[1].actor = Reference(example-doctor)
* participant[1].status = #accepted
