"""Code systems and value sets, stored or published with R4: https://hl7.org/fhir/R4/terminology-service.html"""

from fhir_server.terminology.subsumption import above, below
from fhir_server.terminology.valueset import codes_in, expand

__all__ = ["above", "below", "codes_in", "expand"]
