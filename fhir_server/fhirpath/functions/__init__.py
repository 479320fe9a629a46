"""The functions of FHIRPath, a file for each section of the specification: https://hl7.org/fhirpath/N1/#functions"""

from __future__ import annotations

from fhir_server.fhirpath.functions import (
    conversion,
    existence,
    fhir,
    filtering,
    math,
    strings,
    subsetting,
    tree,
    utility,
)
from fhir_server.fhirpath.functions.registry import FUNCTIONS, Call, Entry

__all__ = [
    "FUNCTIONS",
    "Call",
    "Entry",
    "conversion",
    "existence",
    "fhir",
    "filtering",
    "math",
    "strings",
    "subsetting",
    "tree",
    "utility",
]
