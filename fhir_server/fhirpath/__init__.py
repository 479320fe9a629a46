"""FHIRPath over FHIR JSON: expressions compiled to Python closures over typed nodes.

http://hl7.org/fhirpath/N1/ · https://hl7.org/fhir/R4/fhirpath.html

    compile("Patient.name.where(use = 'official').given").evaluate(root(patient))
    compile("name.exists() or telecom.exists()").holds(node, Environment(services=…))
"""

from __future__ import annotations

from fhir_server.fhirpath.compile import Expression, compile
from fhir_server.fhirpath.environment import Environment, Services
from fhir_server.fhirpath.errors import MAX_DEPTH, MAX_LENGTH, MAX_STEPS, FhirPathError, TooManySteps
from fhir_server.fhirpath.nodes import Location, Node, child, children, root

__all__ = [
    "MAX_DEPTH",
    "MAX_LENGTH",
    "MAX_STEPS",
    "Environment",
    "Expression",
    "FhirPathError",
    "Location",
    "Node",
    "Services",
    "TooManySteps",
    "child",
    "children",
    "compile",
    "root",
]
