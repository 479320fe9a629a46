// The blood bank: one product for each unit, and what may be given to whom.

CodeSystem: BloodGroup
Id: blood-group
Title: "Blood group"
Description: "ABO and RhD together. A installation that codes groups otherwise (ISBT 128, SNOMED CT) maps them to these eight."
* insert Complete
* #o-negative "O RhD negative"
* #o-positive "O RhD positive"
* #a-negative "A RhD negative"
* #a-positive "A RhD positive"
* #b-negative "B RhD negative"
* #b-positive "B RhD positive"
* #ab-negative "AB RhD negative"
* #ab-positive "AB RhD positive"

ValueSet: BloodGroups
Id: blood-groups
Title: "Blood groups"
Description: "All of them."
* include codes from system BloodGroup

CodeSystem: BloodComponent
Id: blood-component
Title: "Blood component"
Description: "What a unit is."
* insert Complete
* #whole-blood "Whole blood"
* #red-cells "Red cells"
* #platelets "Platelets"
* #plasma "Plasma"

ValueSet: BloodComponents
Id: blood-components
Title: "Blood components"
Description: "All of them."
* include codes from system BloodComponent

CodeSystem: UnitStatus
Id: unit-status
Title: "Status of a blood unit"
Description: "Why a unit is available or not, beyond R4's two words."
* insert Complete
* #quarantined "Quarantined" "Not tested yet."
* #in-stock "In stock" "May be allocated."
* #allocated "Allocated" "Kept for one request."
* #issued "Issued" "Handed over."
* #transfused "Transfused"
* #expired "Expired"
* #discarded "Discarded"

ValueSet: UnitStatuses
Id: unit-statuses
Title: "Statuses of a blood unit"
Description: "All of them."
* include codes from system UnitStatus

Profile: BloodUnit
Parent: BiologicallyDerivedProduct
Id: blood-unit
Title: "Blood unit"
Description: "One bag, with its group and its expiry. A unit is allocated by changing its status under If-Match: never twice."
* extension contains $product-expiry named expiration 1..1 MS and $product-property named property 1..* MS
* identifier 1..* MS
* productCategory 1..1 MS
* productCategory = #fluid
* productCode 1..1 MS
* productCode from BloodComponents (required)
* status 1..1 MS
* status.extension contains $product-status named detail 0..1 MS
* request MS
* request only Reference(ServiceRequest)
* quantity MS
* collection MS
* obeys blood-unit-group

Invariant: blood-unit-group
Description: "A unit says its group: a property of type LOINC 882-1 whose value is one of the blood groups"
Severity: #error
Expression: "extension.where(url = 'http://hl7.org/fhir/5.0/StructureDefinition/extension-BiologicallyDerivedProduct.property').where(extension.where(url = 'type').value.coding.where(system = 'http://loinc.org' and code = '882-1').exists()).extension.where(url = 'value').value.coding.where(system = 'http://fhir-server.example/ig/CodeSystem/blood-group').count() = 1"

Profile: BloodRequest
Parent: ServiceRequest
Id: blood-request
Title: "Blood request"
Description: "So many units of a component for a patient of a group; $match-blood allocates them."
* status MS
* intent = #order
* priority 1..1 MS
* code 1..1 MS
* code from BloodComponents (required)
* orderDetail 1..1 MS
* orderDetail from BloodGroups (required)
* orderDetail ^short = "The patient's blood group"
* quantity[x] 1..1 MS
* quantity[x] only Quantity
* subject 1..1 MS
* subject only Reference(Patient)
* authoredOn 1..1 MS
* requester 1..1 MS

Instance: red-cell-compatibility
InstanceOf: ConceptMap
Usage: #definition
* insert Mapping(red-cell-compatibility, RedCellCompatibility, Red cells: recipient to donor)
* description = "Which groups of red cells a patient of a group may be given before the crossmatch, the nearest first. Plasma goes the other way round for ABO."
* sourceCanonical = Canonical(BloodGroups)
* targetCanonical = Canonical(BloodGroups)
* group.source = "http://fhir-server.example/ig/CodeSystem/blood-group"
* group.target = "http://fhir-server.example/ig/CodeSystem/blood-group"
* insert Recipient(o-negative)
* insert Donor(o-negative)
* insert Recipient(o-positive)
* insert Donor(o-positive)
* insert Donor(o-negative)
* insert Recipient(a-negative)
* insert Donor(a-negative)
* insert Donor(o-negative)
* insert Recipient(a-positive)
* insert Donor(a-positive)
* insert Donor(a-negative)
* insert Donor(o-positive)
* insert Donor(o-negative)
* insert Recipient(b-negative)
* insert Donor(b-negative)
* insert Donor(o-negative)
* insert Recipient(b-positive)
* insert Donor(b-positive)
* insert Donor(b-negative)
* insert Donor(o-positive)
* insert Donor(o-negative)
* insert Recipient(ab-negative)
* insert Donor(ab-negative)
* insert Donor(a-negative)
* insert Donor(b-negative)
* insert Donor(o-negative)
* insert Recipient(ab-positive)
* insert Donor(ab-positive)
* insert Donor(ab-negative)
* insert Donor(a-positive)
* insert Donor(a-negative)
* insert Donor(b-positive)
* insert Donor(b-negative)
* insert Donor(o-positive)
* insert Donor(o-negative)

RuleSet: Recipient(group)
* group.element[+].code = #{group}

RuleSet: Donor(group)
* group.element[=].target[+].code = #{group}
* group.element[=].target[=].equivalence = #relatedto

Instance: blood-status
InstanceOf: SearchParameter
Usage: #definition
* insert Searches(blood-status, BloodStatus, status, BiologicallyDerivedProduct, token, "BiologicallyDerivedProduct.status")
* description = "Whether a product is available."

Instance: blood-detailed-status
InstanceOf: SearchParameter
Usage: #definition
* insert Searches(blood-detailed-status, BloodDetailedStatus, product-status, BiologicallyDerivedProduct, token, [["BiologicallyDerivedProduct.status.extension('http://hl7.org/fhir/5.0/StructureDefinition/extension-BiologicallyDerivedProduct.productStatus').value.as(Coding)"]])
* description = "The detailed status of a product, by the cross-version extension of R5's productStatus."

Instance: blood-group
InstanceOf: SearchParameter
Usage: #definition
* insert Searches(blood-group, BloodGroup, blood-group, BiologicallyDerivedProduct, token, [["BiologicallyDerivedProduct.extension('http://hl7.org/fhir/5.0/StructureDefinition/extension-BiologicallyDerivedProduct.property').extension('value').value.as(CodeableConcept)"]])
* description = "The group of a unit, by the cross-version extension of R5's property."

Instance: blood-expiry
InstanceOf: SearchParameter
Usage: #definition
* insert Searches(blood-expiry, BloodExpiry, expiration-date, BiologicallyDerivedProduct, date, [["BiologicallyDerivedProduct.extension('http://hl7.org/fhir/5.0/StructureDefinition/extension-BiologicallyDerivedProduct.expirationDate').value.as(dateTime)"]])
* description = "When a product expires, by the cross-version extension; sorted by it, the first to expire comes first."

Instance: blood-code
InstanceOf: SearchParameter
Usage: #definition
* insert Searches(blood-code, BloodCode, code, BiologicallyDerivedProduct, token, "BiologicallyDerivedProduct.productCode")
* description = "What a product is."

Instance: blood-identifier
InstanceOf: SearchParameter
Usage: #definition
* insert Searches(blood-identifier, BloodIdentifier, identifier, BiologicallyDerivedProduct, token, "BiologicallyDerivedProduct.identifier")
* description = "The number on the bag."

Instance: blood-request-of-unit
InstanceOf: SearchParameter
Usage: #definition
* insert Searches(blood-request-of-unit, BloodRequestOfUnit, request, BiologicallyDerivedProduct, reference, "BiologicallyDerivedProduct.request")
* target = #ServiceRequest
* description = "The units that are kept for a request."

Instance: match-blood
InstanceOf: OperationDefinition
Usage: #definition
* insert Operates(match-blood, MatchBlood, ServiceRequest)
* instance = true
* affectsState = true
* title = "Allocate blood units"
* description = "Allocates compatible units that are available to a blood request, the first to expire first, by red-cell-compatibility; a unit is never allocated twice."
* insert In(maximum, 0, 1, positiveInt, [[At most so many units; as many as requested unless given.]])
* insert Out(return, 1, 1, Bundle, [[The units that are allocated now, a collection; fewer than requested with an OperationOutcome.]])

Instance: example-blood-unit
InstanceOf: BloodUnit
Usage: #example
Title: "A unit in stock"
Description: "Red cells, O RhD negative."
* extension[expiration].valueDateTime = "2025-07-04"
* extension[property].extension[type].valueCodeableConcept = $loinc#882-1 "ABO and Rh group [Type] in Blood"
* extension[property].extension[value].valueCodeableConcept = BloodGroup#o-negative
* identifier.system = "http://fhir-server.example/ig/sid/blood-unit"
* identifier.value = "W0000 25 123456"
* productCategory = #fluid
* productCode = BloodComponent#red-cells
* status = #available
* status.extension[detail].valueCoding = UnitStatus#in-stock
* quantity = 1

Instance: example-blood-unit-allocated
InstanceOf: BloodUnit
Usage: #example
Title: "An allocated unit"
Description: "Kept for the request."
* extension[expiration].valueDateTime = "2025-06-20"
* extension[property].extension[type].valueCodeableConcept = $loinc#882-1 "ABO and Rh group [Type] in Blood"
* extension[property].extension[value].valueCodeableConcept = BloodGroup#a-positive
* identifier.system = "http://fhir-server.example/ig/sid/blood-unit"
* identifier.value = "W0000 25 123457"
* productCategory = #fluid
* productCode = BloodComponent#red-cells
* status = #unavailable
* status.extension[detail].valueCoding = UnitStatus#allocated
* request = Reference(example-blood-request)

Instance: example-blood-request
InstanceOf: BloodRequest
Usage: #example
Title: "A request for blood"
Description: "Two units of red cells for a patient of group A RhD positive."
* status = #active
* intent = #order
* priority = #urgent
* code = BloodComponent#red-cells
* orderDetail = BloodGroup#a-positive
* quantityQuantity = 2 '{unit}' "units"
* subject = Reference(example-patient)
* authoredOn = "2025-05-30T12:40:00Z"
* requester = Reference(example-doctor)
