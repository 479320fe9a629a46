"""The $operations, one file each: https://hl7.org/fhir/R4/operations.html."""
