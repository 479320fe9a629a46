"""https://hl7.org/fhir/R4/resource-operation-meta.html · of everything, a type, a resource or one version of it"""

from __future__ import annotations

import asyncio
from typing import Any

from fhir_server import api, json
from fhir_server.context import Context, FhirRequest, FhirResponse
from fhir_server.definitions import RESOURCE_TYPES
from fhir_server.operations.input import published, read
from fhir_server.outcomes import Gone, NotFound, TooCostly
from fhir_server.registry import operation
from fhir_server.search.fields import fields
from fhir_server.search.keys import END
from fhir_server.storage.stored import Stored

Json = dict[str, Any]

MAX_LABELS = 1000  # different ones of a type, of each kind
TOGETHER = 8  # questions to the database under way at once
KINDS = {"profile": "_profile", "security": "_security", "tag": "_tag"}  # element → search parameter


@operation("meta", system=True, types=("*",), instances=("*",), versions=True)
async def meta(ctx: Context, request: FhirRequest) -> FhirResponse:
    """The profiles, tags and security labels in use; of one resource, its meta."""
    read(request, published("meta", request.type))
    if request.id is None:
        return answer(await _in_use(ctx, [request.type] if request.type else sorted(RESOURCE_TYPES - {"Parameters"})))
    stored = await _stored(ctx, request)
    if stored is None:
        raise NotFound(f"There is no such {request.type}.")
    if stored.deleted:
        raise Gone(f"This {request.type} was deleted.")
    return answer(stored.resource()["meta"])


def answer(found: Json) -> FhirResponse:
    """The Meta as the operations return it."""
    returned = {"name": "return", "valueMeta": found} if found else {"name": "return"}
    return FhirResponse(resource={"resourceType": "Parameters", "parameter": [returned]})


async def _stored(ctx: Context, request: FhirRequest) -> Stored | None:
    type_, id_ = request.instance()
    if request.version is None:
        return await api.current(ctx, type_, id_)
    text = request.version
    number = int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0
    return await api.version(ctx, type_, id_, number)


async def _in_use(ctx: Context, types: list[str]) -> Json:
    """The labels of all resources of these types, each once, sorted."""
    gate = asyncio.Semaphore(TOGETHER)

    async def one(type_name: str, element: str) -> list[Any]:
        async with gate:
            return await _labels(ctx, type_name, element)

    asked = [(type_name, element) for type_name in types for element in KINDS]
    found = await asyncio.gather(*(one(*pair) for pair in asked))
    gathered: dict[str, dict[str, Any]] = {element: {} for element in KINDS}
    for (_, element), labels in zip(asked, found, strict=True):
        for label in labels:
            gathered[element].setdefault(identity(label), label)
    return {element: [labels[key] for key in sorted(labels)] for element, labels in gathered.items() if labels}


async def _labels(ctx: Context, type_name: str, element: str) -> list[Any]:
    """The labels of one kind that resources of the type have.

    Each question is for one resource with a label not seen yet: as many seeks in the index as there are labels,
    whatever the number of resources.
    """
    number = fields(type_name)[KINDS[element]].sources[0].number
    labels: dict[str, Any] = {}
    seen: list[str] = []
    while True:
        unseen = {"k": {"$elemMatch": {"$gte": number, "$lt": number + END, "$nin": seen}}}
        rows = await ctx.repository.find(ctx.principal, unseen, limit=1, keys=True)
        if not rows:
            return list(labels.values())
        for label in rows[0].resource().get("meta", {}).get(element, ()):
            labels.setdefault(identity(label), label)
        seen += [key for key in rows[0].keys or () if key.startswith(number) and key not in seen]
        if len(labels) > MAX_LABELS:
            raise TooCostly(f"{type_name} has more than {MAX_LABELS} different labels in meta.{element}.")


def identity(label: Any) -> str:
    """What makes two labels one: system and code of a Coding, the whole URL of a profile."""
    if isinstance(label, dict):
        return json.encode([label.get("system"), label.get("code")]).decode()
    return str(label)
