"""An exception of any kind → the FhirResponse that tells the caller no more than they may know."""

from __future__ import annotations

import structlog
from pymongo.errors import ConnectionFailure, ExecutionTimeout, NetworkTimeout, PyMongoError

from fhir_server.context import FhirResponse
from fhir_server.outcomes import FhirError, Issue, Timeout, Unavailable, operation_outcome

log = structlog.get_logger()
RETRY = {"Retry-After": "2"}


def response_to(error: Exception, request_id: str) -> FhirResponse:
    """The answer to a failure: a FhirError as it is, a lost database as 503, anything else as a logged 500."""
    expected = error if isinstance(error, FhirError) else _of_database(error)
    if expected is None:
        log.error("unexpected", request_id=request_id, exception=type(error).__qualname__, at=_frames(error))
        told = f"An unexpected failure; it is logged under {request_id}."
        return FhirResponse(500, resource=operation_outcome([Issue("exception", told, severity="fatal")]))
    if not isinstance(error, FhirError):
        log.warning("database", request_id=request_id, exception=type(error).__qualname__)
    headers = dict(expected.headers)
    if expected.status in (429, 503):
        headers.setdefault("Retry-After", RETRY["Retry-After"])
    return FhirResponse(expected.status, resource=operation_outcome(expected.issues), headers=headers)


def _of_database(error: Exception) -> FhirError | None:
    if isinstance(error, NetworkTimeout | ExecutionTimeout) or (isinstance(error, PyMongoError) and error.timeout):
        return Timeout("The database did not answer in time; narrow the query or try again.", headers=RETRY)
    if isinstance(error, ConnectionFailure):
        return Unavailable("The database cannot be reached at the moment; try again.", headers=RETRY)
    return None


def _frames(error: BaseException) -> list[str]:
    """Where it happened, innermost last; never the message, which may quote what a caller sent."""
    frames = []
    trace = error.__traceback__
    while trace is not None:
        code = trace.tb_frame.f_code
        frames.append(f"{code.co_filename.rpartition('/')[2]}:{trace.tb_lineno} {code.co_qualname}")
        trace = trace.tb_next
    return frames[-12:]
