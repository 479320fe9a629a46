// A notification: one Communication for each recipient, in-progress until it is read.

Profile: Notification
Parent: Communication
Id: notification
Title: "Notification"
Description: "What one person should know. Unread = recipient=…&category=notification&status=in-progress; reading it, by a plain write or $mark-read, completes it. It names what it is about and holds nothing of its content."
* status MS
* status from NotificationStatus (required)
* insert Category(notification, 1, 1, $communication#notification)
* priority MS
* subject MS
* subject only Reference(Patient)
* topic MS
* about MS
* recipient 1..1 MS
* recipient only Reference(Practitioner or PractitionerRole or Patient or RelatedPerson)
* sent 1..1 MS
* received MS
* sender MS
* payload 1..1 MS
* payload.content[x] only string
* obeys notification-read

Invariant: notification-read
Description: "A notification that was read says when"
Severity: #warning
Expression: "status != 'completed' or received.exists()"

ValueSet: NotificationStatus
Id: notification-status
Title: "Status of a notification"
Description: "Unread, read, could not be delivered, removed."
* http://hl7.org/fhir/event-status#in-progress
* http://hl7.org/fhir/event-status#completed
* http://hl7.org/fhir/event-status#not-done
* http://hl7.org/fhir/event-status#entered-in-error

Instance: mark-read
InstanceOf: OperationDefinition
Usage: #definition
* insert Operates(mark-read, MarkRead, Communication)
* status = #active
* instance = true
* type = true
* affectsState = true
* title = "Mark notifications as read"
* description = "Completes one notification of the caller, or on type level all of them that are unread."
* insert In(until, 0, 1, instant, [[On type level: only those sent until then, so that none is lost that came meanwhile.]])
* insert Out(count, 1, 1, integer, [[How many were completed.]])

Instance: topic-notification
InstanceOf: Basic
Usage: #definition
Title: "Topic: notifications"
Description: "Somebody was notified or alerted, or has read it."
* insert Topic(notification, Notification, Notifications, [[Somebody was notified or alerted, or has read it.]])
* insert Trigger(Communication, [[A notification or an alert was created or updated.]])
* insert Matching([[category=http://terminology.hl7.org/CodeSystem/communication-category|notification,http://terminology.hl7.org/CodeSystem/communication-category|alert]])
* insert Filter(Communication, recipient, [[Whom it is for.]])
* insert Filter(Communication, status, [[Unread (in-progress) or read (completed).]])
* insert Filter(Communication, about, [[What it is about, by this guide's search parameter.]])
* insert Shape(Communication)

Instance: example-notification
InstanceOf: Notification
Usage: #example
Title: "An unread notification"
Description: "The referral was accepted."
* status = #in-progress
* category[notification] = $communication#notification "Notification"
* about = Reference(example-referral-task)
* recipient = Reference(example-doctor)
* sent = "2025-05-30T09:19:01Z"
* payload.contentString = "Your referral was accepted."

Instance: example-notification-read
InstanceOf: Notification
Usage: #example
Title: "A notification that was read"
Description: "With the time."
* status = #completed
* category[notification] = $communication#notification "Notification"
* about = Reference(example-appointment)
* recipient = Reference(example-patient)
* sent = "2025-05-30T12:00:02Z"
* received = "2025-05-30T12:10:00Z"
* payload.contentString = "Your appointment is booked."
