"""Codes against the value set of a binding: https://hl7.org/fhir/R4/terminologies.html#strength

A required binding that is not met is an error, an extensible one a warning, others are free. Where it cannot be told
(a value set or a code system that is not here) a warning says so.
"""

from __future__ import annotations

from fhir_server.fhirpath import Node
from fhir_server.terminology import Membership
from fhir_server.validation.knowledge import KNOWN
from fhir_server.validation.profiles.profile import Binding
from fhir_server.validation.run import Run, codes_of

CODED = frozenset({"code", "Coding", "CodeableConcept", "Quantity", "string", "uri", "url", "canonical"})


def check_binding(run: Run, node: Node, binding: Binding) -> None:
    """Add what a coded element says that its binding does not allow."""
    if not binding.value_set or node.type not in CODED:
        return
    if binding.strength == "required":
        _check(run, node, binding.value_set, "error", f"the required value set {binding.value_set}")
        return
    if binding.maximum:
        _check(run, node, binding.maximum, "error", f"the maximum value set {binding.maximum}", text_is_enough=True)
    if binding.strength == "extensible" and run.thorough:
        _check(run, node, binding.value_set, "warning", f"the extensible value set {binding.value_set}")


def _check(run: Run, node: Node, value_set: str, severity: str, name: str, *, text_is_enough: bool = False) -> None:
    codes = codes_of(node)
    if not codes:
        if not text_is_enough and node.type != "Quantity" and isinstance(node.value, dict):
            rule = f"There is no code here; one is needed out of {name}."
            run.add("code-invalid", rule, node, severity)
        return
    answers = run.members(value_set, node)
    if Membership.YES in answers:
        return
    unknown = next((answer for answer in answers if answer not in KNOWN), None)
    if unknown is None:
        rule = "The code is" if len(codes) == 1 else "None of the codes is"
        run.add("code-invalid", f"{rule} in {name}." if len(codes) > 1 else f"{rule} not in {name}.", node, severity)
    elif run.thorough:
        run.add(*_untold(unknown, name), node, "warning")


def _untold(answer: Membership, name: str) -> tuple[str, str]:
    match answer:
        case Membership.UNKNOWN_VALUE_SET:
            return "not-found", f"The code was not checked: {name}, or one that it takes in, is not known here."
        case Membership.TOO_COSTLY:
            return "too-costly", f"The code was not checked: {name} is too large to work out."
    return "not-supported", f"The code was not checked: {name} is of codes that are not known here."
