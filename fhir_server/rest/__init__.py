"""HTTP to FhirRequest and FhirResponse to HTTP: the only package that knows HTTP. https://hl7.org/fhir/R4/http.html"""
