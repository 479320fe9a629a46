"""Every expected failure is a FhirError, and every FhirError is an OperationOutcome.

https://hl7.org/fhir/R4/operationoutcome.html · https://hl7.org/fhir/R4/valueset-issue-type.html
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Issue:
    """One thing that is wrong (or worth saying): an R4 issue code, a sentence, and where."""

    code: str
    diagnostics: str
    expression: tuple[str, ...] = ()
    severity: str = "error"

    def to_fhir(self) -> Json:
        issue: Json = {"severity": self.severity, "code": self.code, "diagnostics": self.diagnostics}
        if self.expression:
            issue["expression"] = list(self.expression)
        return issue


class FhirError(Exception):
    """An expected failure: an HTTP status, the issues for the caller, and headers that go with them."""

    status = 500
    code = "exception"

    def __init__(
        self,
        diagnostics: str = "",
        *,
        expression: Sequence[str] = (),
        issues: Iterable[Issue] | None = None,
        headers: dict[str, str] | None = None,
        code: str | None = None,
        status: int | None = None,
    ) -> None:
        if code is not None:
            self.code = code
        if status is not None:
            self.status = status
        self.issues = tuple(issues) if issues is not None else (Issue(self.code, diagnostics, tuple(expression)),)
        self.headers = headers or {}
        super().__init__(diagnostics or "; ".join(i.diagnostics for i in self.issues))

    def at(self, expression: str) -> FhirError:
        """The same failure, its issues placed under the Bundle entry at `expression`."""
        moved = tuple(
            Issue(
                i.code, i.diagnostics, tuple(_within(expression, e) for e in i.expression) or (expression,), i.severity
            )
            for i in self.issues
        )
        return type(self)(str(self), issues=moved, headers=self.headers, code=self.code, status=self.status)


def _within(entry: str, expression: str) -> str:
    """ "Patient.name[0]" in an entry is "Bundle.entry[1].resource.name[0]"; what names the entry already stays."""
    if expression.startswith("Bundle.entry["):
        return expression
    _, dot, rest = expression.partition(".")
    return f"{entry}.resource{dot}{rest}"


def _error(name: str, status: int, code: str, meaning: str) -> type[FhirError]:
    return type(name, (FhirError,), {"status": status, "code": code, "__doc__": meaning, "__module__": __name__})


# The one table of failures: class, HTTP status, R4 issue code, meaning.
Malformed = _error("Malformed", 400, "structure", "The content cannot be parsed.")
Invalid = _error("Invalid", 400, "invalid", "A parameter, header or URL is wrong.")
ValueWrong = _error("ValueWrong", 400, "value", "An element or parameter has a value that is not allowed.")
NotSupported = _error("NotSupported", 400, "not-supported", "The server does not do this.")
NoSuchRoute = _error("NoSuchRoute", 404, "not-supported", "No such resource type, operation or URL.")
TooCostly = _error("TooCostly", 400, "too-costly", "Answering would take more than the server gives one request.")
SignInRequired = _error("SignInRequired", 401, "login", "The caller has not said who they are.")
Forbidden = _error("Forbidden", 403, "forbidden", "The caller may not do this.")
NotFound = _error("NotFound", 404, "not-found", "There is no such resource, or the caller may not know of it.")
MethodNotAllowed = _error("MethodNotAllowed", 405, "not-supported", "This URL does not take this method.")
NotAcceptable = _error("NotAcceptable", 406, "not-supported", "No representation the caller accepts.")
Conflict = _error("Conflict", 409, "conflict", "The resource changed under the caller's hands.")
Gone = _error("Gone", 410, "deleted", "The resource was deleted.")
PreconditionFailed = _error("PreconditionFailed", 412, "conflict", "If-Match, or a conditional criterion, failed.")
MultipleMatches = _error("MultipleMatches", 412, "multiple-matches", "A conditional criterion fits several resources.")
TooLarge = _error("TooLarge", 413, "too-long", "The content exceeds a documented limit.")
UnsupportedMedia = _error("UnsupportedMedia", 415, "not-supported", "The content's media type is not understood.")
Unprocessable = _error("Unprocessable", 422, "invalid", "The resource breaks the rules of its definition.")
BusinessRule = _error("BusinessRule", 422, "business-rule", "A rule of the server forbids this change.")
TooManyRequests = _error("TooManyRequests", 429, "throttled", "The caller asks too often.")
NotImplementedYet = _error("NotImplementedYet", 501, "not-supported", "Known, and not built yet.")
Unavailable = _error("Unavailable", 503, "transient", "Temporarily not possible; try again.")
Timeout = _error("Timeout", 503, "timeout", "The query took longer than it may.")


def operation_outcome(issues: Iterable[Issue]) -> Json:
    """The OperationOutcome of these issues; with none, the all-is-well one."""
    listed = [i.to_fhir() for i in issues]
    if not listed:
        listed = [Issue("informational", "All OK", severity="information").to_fhir()]
    return {"resourceType": "OperationOutcome", "issue": listed}
