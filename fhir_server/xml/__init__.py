"""FHIR XML ⇄ the decoded JSON that everything else works with: https://hl7.org/fhir/R4/xml.html"""

from fhir_server.xml.decode import decode
from fhir_server.xml.encode import encode

__all__ = ["decode", "encode"]
