// What the pharmacy has, and what moves in and out.

CodeSystem: StockCode
Id: stock-code
Title: "What is observed of a stock"
Description: "Codes of observations about places and things rather than people."
* insert Complete
* #level "Stock level" "How much of the focus is at the subject."

Profile: StockLevel
Parent: Observation
Id: stock-level
Title: "Stock level"
Description: "How much of a medication a place has. Each movement updates it in the same transaction; it is never below zero, and If-Match keeps two at the same time from taking the same pack."
* status MS
* code MS
* code = StockCode#level
* subject 1..1 MS
* subject only Reference(Location)
* focus 1..1 MS
* focus only Reference(Medication or Device or Substance)
* effective[x] 1..1 MS
* effective[x] only dateTime
* value[x] 1..1 MS
* value[x] only Quantity
* valueQuantity.value 1..1
* valueQuantity.unit 1..1
* referenceRange MS
* referenceRange ^short = "low: below it one orders again"
* obeys stock-not-negative

Invariant: stock-not-negative
Description: "A stock is never below zero"
Severity: #error
Expression: "value.ofType(Quantity).value >= 0"

Profile: StockMovement
Parent: SupplyDelivery
Id: stock-movement
Title: "Stock movement"
Description: "A delivery into the stock (destination), out of it to a patient, or the hand-over and return of rented equipment."
* status 1..1 MS
* basedOn MS
* partOf MS
* patient MS
* suppliedItem 1..1 MS
* suppliedItem.quantity 1..1 MS
* suppliedItem.item[x] 1..1 MS
* suppliedItem.item[x] only Reference(Medication or Device or Substance)
* occurrence[x] 1..1 MS
* supplier MS
* destination MS
* receiver MS

Instance: topic-pharmacy
InstanceOf: Basic
Usage: #definition
Title: "Topic: pharmacy"
Description: "A medicine was dispensed or delivered, or a stock changed."
* insert Topic(pharmacy, Pharmacy, Pharmacy, [[A medicine was dispensed or delivered, or a stock changed.]])
* insert Trigger(MedicationDispense, [[A dispense was created or updated.]])
* insert On(create)
* insert On(update)
* insert Trigger(SupplyDelivery, [[A delivery was created or updated.]])
* insert On(create)
* insert On(update)
* insert Trigger(Observation, [[A stock changed.]])
* insert Matching([[code=http://fhir-server.example/ig/CodeSystem/stock-code|level]])
* insert Filter(MedicationDispense, patient, [[The patient.]])
* insert Filter(MedicationDispense, status, [[The status that it has now.]])
* insert Filter(SupplyDelivery, patient, [[The patient.]])
* insert Filter(SupplyDelivery, status, [[The status that it has now.]])
* insert Filter(Observation, subject, [[The place.]])
* insert Shape(MedicationDispense)
* insert Shape(SupplyDelivery)
* insert Shape(Observation)

Instance: example-stock
InstanceOf: StockLevel
Usage: #example
Title: "A stock"
Description: "40 packs, to be ordered again below 10."
* status = #final
* code = StockCode#level
* subject = Reference(example-pharmacy)
* focus = Reference(example-medication)
* effectiveDateTime = "2025-05-30T12:30:00Z"
* valueQuantity = 40 '{pack}' "packs"
* referenceRange.low = 10 '{pack}' "packs"

Instance: example-movement
InstanceOf: StockMovement
Usage: #example
Title: "A delivery to a patient"
Description: "One pack leaves the stock."
* status = #completed
* patient = Reference(example-patient)
* suppliedItem.quantity = 1 '{pack}' "packs"
* suppliedItem.itemReference = Reference(example-medication)
* occurrenceDateTime = "2025-05-30T12:30:00Z"
* supplier = Reference(example-clinic)
