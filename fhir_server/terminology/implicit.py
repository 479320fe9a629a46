"""Value sets that code systems define by their URL alone.

https://hl7.org/fhir/R4/snomedct.html#implicit · https://hl7.org/fhir/R4/loinc.html#implicit ·
https://hl7.org/fhir/R4/codesystem-definitions.html#CodeSystem.valueSet
"""

from __future__ import annotations

import re
from urllib.parse import unquote

from fhir_server.outcomes import NotSupported
from fhir_server.terminology.resources import Compose, Filter, Include, ValueSetResource

SNOMED = "http://snomed.info/sct"
LOINC = "http://loinc.org"
ANSWER = "answer"  # the property of an answer list (LL…) that names its answers, in order
_REFERENCE_SETS = "900000000000455006"  # Reference set (foundation metadata concept)
_SNOMED_SET = re.compile(r"(http://snomed\.info/sct(?:/[0-9]+(?:/version/[0-9]+)?)?)\?fhir_vs(?:=(.*))?")
_LOINC_SET = re.compile(r"http://loinc\.org/vs(?:/([A-Z]+[0-9]+-[0-9]))?")


def implicit(url: str, version: str = "") -> ValueSetResource | None:
    """The definition of an implicit value set; None for any other URL.

    Raises NotSupported (400) for an expression (ECL) in a SNOMED CT URL.
    """
    if found := _SNOMED_SET.fullmatch(url):
        edition = found[1] if "/version/" in found[1] else ""
        return _made(url, Include(SNOMED, edition, filter=_of_snomed(found[2])))
    if found := _LOINC_SET.fullmatch(url):
        if found[1] is None:
            return _made(url, Include(LOINC, version))
        if found[1].startswith("LL"):
            return _made(url, Include(LOINC, version, filter=(Filter(ANSWER, "answers-of", found[1]),)))
        return _made(url, Include(LOINC, version, filter=(Filter("concept", "is-a", found[1]),)))
    return None


def _of_snomed(which: str | None) -> tuple[Filter, ...]:
    kind, _, code = unquote(which or "").partition("/")
    if not kind:
        return ()
    if kind == "isa" and code.isdecimal():
        return (Filter("concept", "is-a", code),)
    if kind == "refset":
        if not code:
            return (Filter("concept", "descendent-of", _REFERENCE_SETS),)
        if code.isdecimal():
            return (Filter("refset", "=", code),)
    raise NotSupported("A SNOMED CT value set is all, isa/ID, refset or refset/ID here; expressions are not evaluated.")


def all_codes(url: str, system: str, version: str = "") -> ValueSetResource:
    """The value set of all codes of a code system (CodeSystem.valueSet)."""
    return _made(url, Include(system, version))


def _made(url: str, include: Include) -> ValueSetResource:
    return ValueSetResource(url=url, status="active", compose=Compose(include=(include,)))
