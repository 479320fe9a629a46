"""What the terminology operations share: codes as callers give them, and value sets as they name them.

https://hl7.org/fhir/R4/terminology-service.html
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from fhir_server import api, definitions, json
from fhir_server.context import Context, FhirRequest
from fhir_server.operations.care_dates import moments
from fhir_server.operations.input import Input
from fhir_server.outcomes import Invalid, NotFound, NotSupported
from fhir_server.terminology import Coding
from fhir_server.validation import validate

Json = dict[str, Any]

MICROSECONDS = 1_000_000


def one_of(request: FhirRequest, given: Input, *names: str, required: bool = True) -> str:
    """The only one of these parameters that was given, or "" where that may be; else Invalid (400)."""
    found = [name for name in names if given.all(name)]
    listed = ", ".join(f"'{name}'" for name in names[:-1]) + f" or '{names[-1]}'"
    if len(found) > 1:
        raise Invalid(f"${request.operation} takes {listed}, one of them.")
    if not found and required:
        raise Invalid(f"${request.operation} needs {listed}.", code="required")
    return found[0] if found else ""


def check_date(given: Input) -> None:
    """Raise NotSupported (400) for a `date` that is over: only what is defined today is known."""
    date = given.one("date")
    if date is not None and moments("date", date)[1] < datetime.now(UTC).timestamp() * MICROSECONDS:
        raise NotSupported("Parameter 'date' is not supported for the past: only today's definitions are known.")


@contextmanager
def missing_is_404() -> Iterator[None]:
    """What a search says of a value set that is not here (400, not-found) is 404 where the call is about it."""
    try:
        yield
    except Invalid as error:
        if error.code != "not-found":
            raise
        raise NotFound(issues=error.issues) from None


# ---- codes -------------------------------------------------------------------------------------------


def codings(
    request: FhirRequest, given: Input, beside: Sequence[str], *, system: str = "", version: str = ""
) -> list[Coding]:
    """The codes of `code`, `coding` or `codeableConcept`, one of which is given.

    `system` and `version` are those of a `code`; the parameters `beside` go with a `code` only.
    """
    which = one_of(request, given, "code", "coding", "codeableConcept")
    if which == "code":
        return [Coding(system, given.one("code"), version, given.one("display") or "")]
    for name in beside:
        if given.all(name):
            raise Invalid(f"Parameter '{name}' goes with 'code'; a Coding has its own.")
    if which == "coding":
        return [coding_of(given.one("coding"), "coding")]
    listed = [coding_of(one, "codeableConcept") for one in given.one("codeableConcept").get("coding", [])]
    if not listed:
        raise Invalid("Parameter 'codeableConcept' has no coding.", code="required")
    return listed


def coding_of(coding: Json, name: str) -> Coding:
    """A Coding that has a code; Invalid (400) without."""
    read = Coding.read(coding)
    if not read.code:
        raise Invalid(f"Parameter '{name}' has no code.", code="required")
    return read


# ---- resources ---------------------------------------------------------------------------------------


async def stored(ctx: Context, request: FhirRequest) -> Json:
    """The resource that an instance operation is called on; NotFound (404) or Gone (410) without it."""
    found = api.there(await api.current(ctx, *request.instance()), request.type)
    return found.resource()


def url_of(code_system: Json) -> str:
    """The URL that the codes of a CodeSystem are known by; NotSupported (400) without."""
    if not code_system.get("url"):
        raise NotSupported("This CodeSystem has no url, which its codes are known by.")
    return str(code_system["url"])


def check_valid(resource: Json, name: str, type_: str) -> None:
    """Raise Invalid (400) with what is wrong with a resource that came as the parameter `name`."""
    errors = [one for one in validate(resource, expect_type=type_) if one.severity in ("error", "fatal")]
    if errors:
        raise Invalid(f"Parameter '{name}' is no valid {type_}.", issues=errors)


async def value_set(ctx: Context, request: FhirRequest, given: Input) -> str | Json:
    """The value set that a call is about: "ValueSet/id", its canonical, or the one that came with it."""
    names = ("url", "valueSet", "context")
    version = given.one("valueSetVersion")
    if request.id is not None:
        if any(given.all(name) for name in (*names, "valueSetVersion")):
            raise Invalid(f"${request.operation} on a ValueSet takes neither 'url', 'valueSet' nor 'context'.")
        await stored(ctx, request)
        return f"ValueSet/{request.id}"
    which = one_of(request, given, *names)
    if which == "valueSet":
        if version is not None:
            raise Invalid("Parameter 'valueSetVersion' goes with 'url' or 'context'.")
        check_valid(given.one("valueSet"), "valueSet", "ValueSet")
        return dict(given.one("valueSet"))
    canonical = given.one("url") if which == "url" else await _of_context(ctx, given.one("context"))
    return versioned(canonical, version, "valueSetVersion")


def versioned(canonical: str, version: str | None, name: str) -> str:
    """The canonical with the version that the parameter `name` asks for."""
    url, _, own = canonical.partition("|")
    if version and own not in ("", version):
        raise Invalid(f"Parameter '{name}' is not the version of the URL.")
    return f"{url}|{version or own}" if version or own else url


async def _of_context(ctx: Context, context: str) -> str:
    """The value set that an element is bound to: "[URL of a StructureDefinition]#[path or id of the element]"."""
    url, _, path = context.partition("#")
    text = definitions.structure(url)
    if text is not None:
        structure = json.decode(bytes(text))
    else:
        found = await api.find_matches(ctx, "StructureDefinition", urlencode({"url": url}), limit=1)
        if not found:
            raise NotFound(f"StructureDefinition {url[:200]} is not known to this server.")
        structure = found[0].resource()
    for view in ("snapshot", "differential"):
        for element in structure.get(view, {}).get("element", []):
            if path in (element.get("path"), element.get("id")) and "valueSet" in element.get("binding", {}):
                return str(element["binding"]["valueSet"])
    raise NotFound("Parameter 'context' names no element that is bound to a value set.")
