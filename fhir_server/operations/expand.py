"""https://hl7.org/fhir/R4/valueset-operation-expand.html"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from fhir_server.context import Context, FhirRequest, FhirResponse
from fhir_server.definitions import OperationParameter
from fhir_server.operations.input import Input, published, read
from fhir_server.operations.terms import check_date, missing_is_404, value_set
from fhir_server.outcomes import NotFound, NotSupported, TooCostly, ValueWrong
from fhir_server.registry import operation
from fhir_server.terminology import Coding, ExpandRequest, Expansion, lookup
from fhir_server.terminology import expand as expansion_of

Json = dict[str, Any]

MAX_WITH_PROPERTIES = 200  # codes whose properties are looked up for one answer
# R5's elements in R4: https://hl7.org/fhir/R5/versions.html#extensions
_R5 = "http://hl7.org/fhir/5.0/StructureDefinition/extension-ValueSet.expansion"

# Of later releases, and of other servers.
_MORE = (
    OperationParameter("limitedExpansion", "in", type="boolean"),
    OperationParameter("property", "in", max=None, type="string"),
)
_DIRECTIONS = (None, "incoming", "outgoing")


@operation("expand", types=("ValueSet",), instances=("ValueSet",))
async def expand(ctx: Context, request: FhirRequest) -> FhirResponse:
    """The codes of a value set, as a list to choose from: filtered by words, in pages, with designations."""
    given = read(request, (*published("expand", "ValueSet"), *_MORE))
    check_date(given)
    if given.one("contextDirection") not in _DIRECTIONS:
        raise ValueWrong("Parameter 'contextDirection' is incoming or outgoing.")
    asked = _asked(given)
    with missing_is_404():
        wanted = await value_set(ctx, request, given)
        found = await expansion_of(ctx.repository, ctx.principal, ctx.base_url, wanted, asked)
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    resource = found.to_fhir(identifier=f"urn:uuid:{uuid4()}", timestamp=now)
    if given.all("property"):
        await _add_properties(ctx, resource["expansion"], found, given.all("property"))
    return FhirResponse(resource=resource)


def _asked(given: Input) -> ExpandRequest:
    offset, count = given.one("offset") or 0, given.one("count")
    if offset < 0 or (count is not None and count < 0):
        raise ValueWrong("Parameters 'offset' and 'count' are not negative.")
    designations = given.one("includeDesignations")
    return ExpandRequest(
        filter=given.one("filter") or "",
        offset=offset,
        count=count,
        active_only=given.one("activeOnly"),
        # Whoever names designations wants them, unless it says otherwise.
        include_designations=bool(given.all("designation")) if designations is None else designations,
        designation=tuple(given.all("designation")),
        include_definition=given.one("includeDefinition") is True,
        display_language=given.one("displayLanguage") or "",
        exclude_nested=given.one("excludeNested"),
        exclude_not_for_ui=given.one("excludeNotForUI"),
        exclude_post_coordinated=given.one("excludePostCoordinated"),
        exclude_system=tuple(given.all("exclude-system")),
        limited=given.one("limitedExpansion") is True,
        system_version=versions(given, "system-version"),
        check_system_version=versions(given, "check-system-version"),
        force_system_version=versions(given, "force-system-version"),
    )


def versions(given: Input, name: str) -> tuple[str, ...]:
    """The versions of code systems to use, each as "system|version"."""
    if any("|" not in one.strip("|") for one in given.all(name)):
        raise ValueWrong(f"Parameter '{name}' is system|version.")
    return tuple(given.all(name))


async def _add_properties(ctx: Context, expansion: Json, found: Expansion, names: list[str]) -> None:
    """Say these properties of each code, by the extensions that stand for R5's elements."""
    listed = expansion.get("contains", [])
    if len(listed) > MAX_WITH_PROPERTIES:
        raise TooCostly(
            f"With 'property' an expansion has up to {MAX_WITH_PROPERTIES} codes: ask for pages by 'count'."
        )
    versions = dict(one.split("|", 1) for one in found.used if "|" in one)
    named = [{"url": f"{_R5}.property", "extension": [{"url": "code", "valueCode": name}]} for name in names]
    expansion["extension"] = [*expansion.get("extension", []), *named]
    for one in listed:
        coding = Coding(one.get("system", ""), one["code"], versions.get(one.get("system", ""), ""))
        try:
            known = await lookup(ctx.repository, ctx.principal, ctx.base_url, coding, properties=names)
        except (NotFound, NotSupported):
            continue  # a value set may list codes that nothing is known of
        values = [[{"url": "code", "valueCode": code}, {"url": "value", **value}] for code, value in known.properties]
        if values:
            one["extension"] = [{"url": f"{_R5}.contains.property", "extension": parts} for parts in values]
