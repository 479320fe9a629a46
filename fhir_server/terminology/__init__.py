"""Code systems and value sets, stored or published with R4: https://hl7.org/fhir/R4/terminology-service.html"""

from fhir_server.terminology.closures import closure
from fhir_server.terminology.coding import Coding
from fhir_server.terminology.expansion import ExpandRequest, Expansion
from fhir_server.terminology.lookups import Lookup, lookup
from fhir_server.terminology.membership import Membership, member
from fhir_server.terminology.subsumption import above, below, subsumes
from fhir_server.terminology.translation import TranslateRequest, Translation, translate
from fhir_server.terminology.validity import ValidateRequest, Verdict, validate_in_code_system, validate_in_value_set
from fhir_server.terminology.valueset import codes_in, expand

__all__ = [
    "Coding",
    "ExpandRequest",
    "Expansion",
    "Lookup",
    "Membership",
    "TranslateRequest",
    "Translation",
    "ValidateRequest",
    "Verdict",
    "above",
    "below",
    "closure",
    "codes_in",
    "expand",
    "lookup",
    "member",
    "subsumes",
    "translate",
    "validate_in_code_system",
    "validate_in_value_set",
]
