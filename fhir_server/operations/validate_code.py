"""Is this a code of the value set, or of the code system?

https://hl7.org/fhir/R4/valueset-operation-validate-code.html ·
https://hl7.org/fhir/R4/codesystem-operation-validate-code.html
"""

from __future__ import annotations

from typing import Any

from fhir_server.context import Context, FhirRequest, FhirResponse
from fhir_server.definitions import OperationParameter
from fhir_server.operations.expand import versions
from fhir_server.operations.input import Input, published, read
from fhir_server.operations.terms import (
    check_date,
    check_valid,
    codings,
    missing_is_404,
    one_of,
    stored,
    url_of,
    value_set,
    versioned,
)
from fhir_server.outcomes import Invalid
from fhir_server.registry import operation
from fhir_server.terminology import (
    ExpandRequest,
    ValidateRequest,
    Verdict,
    validate_in_code_system,
    validate_in_value_set,
)

Json = dict[str, Any]

# Of later releases, and of other servers.
_LENIENT = OperationParameter("lenient-display-validation", "in", type="boolean")
_OF_VALUE_SET = (
    _LENIENT,
    OperationParameter("inferSystem", "in", type="boolean"),
    OperationParameter("activeOnly", "in", type="boolean"),
    *(
        OperationParameter(name, "in", max=None, type="canonical")
        for name in ("system-version", "check-system-version", "force-system-version")
    ),
)
_OF_CODE_SYSTEM = (_LENIENT, OperationParameter("system", "in", type="uri"))


@operation("validate-code", types=("CodeSystem", "ValueSet"), instances=("CodeSystem", "ValueSet"))
async def validate_code(ctx: Context, request: FhirRequest) -> FhirResponse:
    """Whether a code, a Coding or one of a CodeableConcept is in the value set or code system, with its display."""
    of_value_set = request.type == "ValueSet"
    given = read(
        request, (*published("validate-code", request.type), *(_OF_VALUE_SET if of_value_set else _OF_CODE_SYSTEM))
    )
    check_date(given)
    if given.all("display") and not given.all("code"):
        raise Invalid("Parameter 'display' goes with 'code'; a Coding has its own.")
    with missing_is_404():
        verdict = await (_in_value_set if of_value_set else _in_code_system)(ctx, request, given)
    return FhirResponse(resource=verdict.to_fhir())


def _asked(given: Input, **more: Any) -> ValidateRequest:
    abstract = given.one("abstract")
    return ValidateRequest(
        display_language=given.one("displayLanguage") or "",
        abstract=True if abstract is None else abstract,
        lenient_display=given.one("lenient-display-validation") is True,
        **more,
    )


async def _in_value_set(ctx: Context, request: FhirRequest, given: Input) -> Verdict:
    system, version = given.one("system") or "", given.one("systemVersion") or ""
    listed = codings(request, given, ("system", "systemVersion"), system=system, version=version)
    # By its context a code needs no system: the element that it stands in has none either.
    infer = given.one("inferSystem") is True or given.all("context") != []
    if given.all("code") and not system and not infer:
        raise Invalid("Parameter 'code' needs 'system', or inferSystem=true.", code="required")
    asked = _asked(
        given,
        infer_system=infer,
        active_only=given.one("activeOnly") is True,
        expand=ExpandRequest(
            system_version=versions(given, "system-version"),
            check_system_version=versions(given, "check-system-version"),
            force_system_version=versions(given, "force-system-version"),
        ),
    )
    wanted = await value_set(ctx, request, given)
    return await validate_in_value_set(ctx.repository, ctx.principal, ctx.base_url, wanted, listed, asked)


async def _in_code_system(ctx: Context, request: FhirRequest, given: Input) -> Verdict:
    wanted, url = await _code_system(ctx, request, given)
    listed = codings(request, given, (), system=url, version=given.one("version") or "")
    if not wanted:
        if not listed[0].system:
            raise Invalid(f"${request.operation} needs 'url' or 'codeSystem'.", code="required")
        wanted = versioned(listed[0].system, given.one("version"), "version")
    return await validate_in_code_system(ctx.repository, ctx.principal, ctx.base_url, wanted, listed, _asked(given))


async def _code_system(ctx: Context, request: FhirRequest, given: Input) -> tuple[str | Json, str]:
    """The code system that the call is about, and its URL; nothing where only a Coding says it."""
    names = ("url", "codeSystem", "system")
    if request.id is not None:
        if any(given.all(name) for name in names):
            raise Invalid("$validate-code on a CodeSystem takes neither 'url', 'system' nor 'codeSystem'.")
        return f"CodeSystem/{request.id}", url_of(await stored(ctx, request))
    which = one_of(request, given, *names, required=not given.all("coding"))
    if which == "codeSystem":
        resource = given.one("codeSystem")
        check_valid(resource, "codeSystem", "CodeSystem")
        return dict(resource), url_of(resource)
    if not which:
        return "", ""
    canonical = versioned(given.one(which), given.one("version"), "version")
    return canonical, canonical.partition("|")[0]
