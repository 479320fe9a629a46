// Kinds of work that R4's task codes have no word for.

CodeSystem: TaskKind
Id: task-kind
Title: "Kind of a task"
Description: "For Task.code, beside R4's own task codes (fulfill for a referral, approve for content that somebody flagged)."
* insert Complete
* #emergency "Emergency" "Answer an emergency; one task carries the state of the whole."
* #respond "Respond to an emergency" "One responder's own part of an emergency."
* #technical-issue "Technical issue" "Something does not work in a consultation."
* #review-submission "Review a submission" "Look at what a patient has sent in."
* #review-emergency-access "Review an emergency access" "Judge whether breaking the glass was justified."

ValueSet: ReviewKinds
Id: review-kinds
Title: "Kinds of reviews"
Description: "Tasks whose focus somebody has to look at: flagged content (approve), submissions of patients, emergency accesses."
* $task#approve
* TaskKind#review-submission
* TaskKind#review-emergency-access

Profile: ReviewTask
Parent: Task
Id: review-task
Title: "Review task"
Description: "Somebody is asked to judge the focus. While flagged content has an open one it is hidden."
* status MS
* intent = #order
* code 1..1 MS
* code from ReviewKinds (required)
* focus 1..1 MS
* for MS
* reasonCode MS
* authoredOn 1..1 MS
* requester 1..1 MS
* performerType MS
* owner MS
* note MS

Instance: example-review
InstanceOf: ReviewTask
Usage: #example
Title: "Review of an emergency access"
Description: "What the privacy officer is asked after the glass was broken."
* status = #requested
* intent = #order
* priority = #asap
* code = TaskKind#review-emergency-access
* focus = Reference(example-break-glass)
* for = Reference(example-patient)
* authoredOn = "2025-05-30T11:02:05Z"
* requester = Reference(example-paramedic)
* performerType = Privacy#privacy-officer "Privacy officer"
* owner = Reference(example-clinic)
