"""https://hl7.org/fhir/R4/composition-operation-document.html · https://hl7.org/fhir/R4/documents.html

The document has the Composition and everything it refers to itself. What those refer to in turn is left out: the
definition leaves more to a GraphDefinition, which is not supported.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from fhir_server import api
from fhir_server.context import Context, FhirRequest, FhirResponse
from fhir_server.interactions.urls import is_id
from fhir_server.operations.input import published, read
from fhir_server.outcomes import (
    Invalid,
    Issue,
    MethodNotAllowed,
    NotSupported,
    TooLarge,
    Unprocessable,
)
from fhir_server.registry import operation
from fhir_server.search.types.reference import local
from fhir_server.storage.stored import Stored

Json = dict[str, Any]


@operation("document", types=("Composition",), instances=("Composition",))
async def document(ctx: Context, request: FhirRequest) -> FhirResponse:
    """A document Bundle: the Composition and what it refers to. POST with persist=true also stores it."""
    given = read(request, published("document", request.type))
    if given.one("graph") is not None:
        raise NotSupported("Parameter 'graph' is not supported: a document has what its Composition refers to.")
    persist = given.one("persist") is True
    if persist and request.method != "POST":
        raise MethodNotAllowed("A document is stored by POST only.", headers={"Allow": "POST"})
    composition = await _composition(ctx, _id(ctx, request, given.one("id")))
    bundle = _bundle(ctx, [composition, *await _referred(ctx, composition)])
    return await _persist(ctx, request, bundle) if persist else FhirResponse(resource=bundle)


def _id(ctx: Context, request: FhirRequest, named: str | None) -> str:
    if request.id is not None:
        if named is not None:
            raise Invalid("Parameter 'id' is for Composition/$document without an id in the URL.")
        return request.id
    if named is None:
        raise Invalid("$document needs the parameter 'id', or an id in the URL.", code="required")
    here = local(named, ctx.base_url + "/")
    if here and here[1]:
        raise NotSupported("A document is made of the current version of a Composition.")
    id_ = here[0].removeprefix("Composition/") if here else named
    if not is_id(id_):
        raise NotSupported("Parameter 'id' names no Composition of this server.")
    return id_


async def _composition(ctx: Context, id_: str) -> Stored:
    return api.there(await api.current(ctx, "Composition", id_), "Composition")


# ---- what the Composition refers to ------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Reference:
    """Where a reference stands, and the resource of this server that it names ("" for one elsewhere)."""

    path: str
    key: str
    version: str = ""


async def _referred(ctx: Context, composition: Stored) -> list[Stored]:
    """The resources referred to, each once, in order; a document with a gap is none, so all must be there."""
    wanted = list(_references(composition.resource(), "Composition", ctx.base_url + "/"))
    if len(wanted) > ctx.settings.max_bundle_entries:
        raise TooLarge(f"A Bundle may have {ctx.settings.max_bundle_entries} entries.")
    current = await ctx.repository.read_many(ctx.principal, [one.key for one in wanted if one.key and not one.version])
    found: dict[tuple[str, int], Stored] = {}
    issues: list[Issue] = []
    for one in wanted:
        stored = await _version(ctx, one) if one.version else current.get(one.key)
        if stored is None or stored.deleted:
            where = "is not on this server" if one.key else "is on another server"
            issues.append(Issue("not-found", f"What the Composition refers to here {where}.", (one.path,)))
        elif stored.key != composition.key:
            found[stored.key, stored.version] = stored
    if issues:
        raise Unprocessable(issues=issues)
    return list(found.values())


async def _version(ctx: Context, one: _Reference) -> Stored | None:
    type_, _, id_ = one.key.partition("/")
    number = int(one.version) if one.version.isascii() and one.version.isdigit() and len(one.version) < 10 else 0
    return await api.version(ctx, type_, id_, number)


def _references(value: Json, path: str, base: str) -> Iterator[_Reference]:
    """Every literal reference to something outside the resource; the resources it contains count as its own."""
    for name, child in value.items():
        listed = isinstance(child, list)
        for index, item in enumerate(child if listed else [child]):
            place = f"{path}.{name}[{index}]" if listed else f"{path}.{name}"
            if isinstance(item, dict):
                yield from _references(item, place, base)
            elif name == "reference" and isinstance(item, str) and not item.startswith("#"):
                here = local(item, base)
                yield _Reference(path, *here) if here and is_id(here[0].partition("/")[2]) else _Reference(path, "")


# ---- the Bundle --------------------------------------------------------------------------------------


def _bundle(ctx: Context, rows: list[Stored]) -> Json:
    now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return {
        "resourceType": "Bundle",
        "identifier": {"system": "urn:ietf:rfc:3986", "value": f"urn:uuid:{uuid.uuid4()}"},
        "type": "document",
        "timestamp": now,
        "entry": [{"fullUrl": f"{ctx.base_url}/{row.key}", "resource": row.resource()} for row in rows],
    }


async def _persist(ctx: Context, request: FhirRequest, bundle: Json) -> FhirResponse:
    """Store the document by an ordinary create: its checks, its Location."""
    create = FhirRequest("POST", "Bundle", body=bundle, content_type="application/fhir+json")
    create.prefer_return = request.prefer_return
    return await ctx.dispatch(ctx, create)
