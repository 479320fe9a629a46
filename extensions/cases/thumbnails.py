"""The previews that the server made: how they are told from others, and their Binaries."""

from __future__ import annotations

from typing import Any

from fhir_server import api
from fhir_server.context import Context
from fhir_server.storage.unit_of_work import Write
from workflow.making import as_server, id_for

Json = dict[str, Any]

THUMBNAIL = "http://hl7.org/fhir/StructureDefinition/documentreference-thumbnail"
MARK = "preview-"  # what the ids of our own contents begin with, before the image's hash


async def store(ctx: Context, binary: Json, anew: bool) -> None:
    """Store a preview, unless it is there as it is to be."""
    server = as_server(ctx)
    stored = await ctx.repository.read(server.principal, "Binary", binary["id"])
    there = stored.resource() if stored is not None and not stored.deleted else {}
    same = all(there.get(name) == value for name, value in binary.items() if name != "meta")
    if anew or not same or labels(there) != labels(binary):
        await api.write(server, Write("PUT", "Binary", binary["id"], binary, stored))


async def forget(ctx: Context, url: str) -> None:
    """Take a preview out with all its versions."""
    await ctx.repository.erase(as_server(ctx).principal, "Binary", url.partition("/")[2])


async def remove(ctx: Context, url: str) -> None:
    server, id_ = as_server(ctx), url.partition("/")[2]
    stored = await ctx.repository.read(server.principal, "Binary", id_)
    if stored is not None and not stored.deleted:
        await api.write(server, Write("DELETE", "Binary", id_, None, stored))


def labels(resource: Json) -> list[Json]:
    found: list[Json] = resource.get("meta", {}).get("security", [])
    return found


def is_thumbnail(content: Json) -> bool:
    return any(one.get("url") == THUMBNAIL and one.get("valueBoolean") is True for one in content.get("extension", ()))


def is_ours(document: str, content: Json) -> bool:
    """Whether the server made this preview: anybody can write an id, and nobody one that leads to another's Binary."""
    hash_ = content.get("id", "").removeprefix(MARK)
    return is_thumbnail(content) and content["attachment"].get("url") == f"Binary/{id_for('preview', document, hash_)}"
