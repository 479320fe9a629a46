"""The profile that R4 asks of an Observation with the code of a vital sign, in LOINC or SNOMED CT.

https://hl7.org/fhir/R4/observation-vitalsigns.html
"""

from __future__ import annotations

from fhir_server.fhirpath import Node, child
from fhir_server.validation.profiles.profile import SPECIFICATION

_LOINC = "http://loinc.org"
_SNOMED_CT = "http://snomed.info/sct"
PROFILES = {
    (_LOINC, "85353-1"): "vitalspanel",
    (_LOINC, "9279-1"): "resprate",
    (_LOINC, "8867-4"): "heartrate",
    (_LOINC, "2708-6"): "oxygensat",
    (_LOINC, "59408-5"): "oxygensat",
    (_LOINC, "8310-5"): "bodytemp",
    (_LOINC, "8302-2"): "bodyheight",
    (_LOINC, "9843-4"): "headcircum",
    (_LOINC, "29463-7"): "bodyweight",
    (_LOINC, "39156-5"): "bmi",
    (_LOINC, "85354-9"): "bp",
    (_SNOMED_CT, "276885007"): "bodytemp",
    (_SNOMED_CT, "50373000"): "bodyheight",
    (_SNOMED_CT, "27113001"): "bodyweight",
}


def vital_signs(node: Node) -> list[str]:
    """The canonical URLs of the profiles that the codes of this resource call for."""
    if node.type != "Observation":
        return []
    codings = [coding.value for code in child(node, "code") for coding in child(code, "coding")]
    pairs = [(one.get("system"), one.get("code")) for one in codings]
    return list(dict.fromkeys(SPECIFICATION + PROFILES[pair] for pair in pairs if pair in PROFILES))
