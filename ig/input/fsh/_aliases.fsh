// The systems and extensions of others that several files name.

Alias: $priority = http://terminology.hl7.org/CodeSystem/v3-ActPriority
Alias: $act = http://terminology.hl7.org/CodeSystem/v3-ActCode
Alias: $reason = http://terminology.hl7.org/CodeSystem/v3-ActReason
Alias: $confidentiality = http://terminology.hl7.org/CodeSystem/v3-Confidentiality
Alias: $participation = http://terminology.hl7.org/CodeSystem/v3-ParticipationType
Alias: $communication = http://terminology.hl7.org/CodeSystem/communication-category
Alias: $diagnosis = http://terminology.hl7.org/CodeSystem/diagnosis-role
Alias: $task = http://hl7.org/fhir/CodeSystem/task-code
Alias: $types = http://hl7.org/fhir/fhir-types
Alias: $resources = http://hl7.org/fhir/resource-types
Alias: $encounter-status = http://hl7.org/fhir/encounter-status
Alias: $appointment-status = http://hl7.org/fhir/appointmentstatus
Alias: $loinc = http://loinc.org
Alias: $sct = http://snomed.info/sct
Alias: $ucum = http://unitsofmeasure.org

// R5's elements in R4: http://hl7.org/fhir/R5/versions.html#extensions
Alias: $encounter-service = http://hl7.org/fhir/5.0/StructureDefinition/extension-Encounter.virtualService
Alias: $encounter-planned = http://hl7.org/fhir/5.0/StructureDefinition/extension-Encounter.plannedStartDate
Alias: $appointment-service = http://hl7.org/fhir/5.0/StructureDefinition/extension-Appointment.virtualService
Alias: $product-expiry = http://hl7.org/fhir/5.0/StructureDefinition/extension-BiologicallyDerivedProduct.expirationDate
Alias: $product-status = http://hl7.org/fhir/5.0/StructureDefinition/extension-BiologicallyDerivedProduct.productStatus
Alias: $product-property = http://hl7.org/fhir/5.0/StructureDefinition/extension-BiologicallyDerivedProduct.property
Alias: $datatype = http://hl7.org/fhir/StructureDefinition/_datatype

// R4's own extensions
Alias: $reason-cancelled = http://hl7.org/fhir/StructureDefinition/encounter-reasonCancelled
Alias: $flag-priority = http://hl7.org/fhir/StructureDefinition/flag-priority
Alias: $flag-detail = http://hl7.org/fhir/StructureDefinition/flag-detail
Alias: $candidates = http://hl7.org/fhir/StructureDefinition/task-candidateList
