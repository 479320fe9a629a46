"""Images of documents get a preview: a second `content` with HL7's thumbnail extension, its data in a Binary.

https://hl7.org/fhir/R4/documentreference.html · http://hl7.org/fhir/StructureDefinition/documentreference-thumbnail
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
from typing import Any, NamedTuple

from fhir_server.change import Change
from fhir_server.context import Context
from fhir_server.encryption.sensitive import is_labelled
from fhir_server.json import encode
from fhir_server.outcomes import FhirError
from fhir_server.registry import on_change, rule
from fhir_server.storage.unit_of_work import UnitOfWork, Write
from workflow.codes import END_TO_END, has_label
from workflow.making import change as change_resource
from workflow.making import id_for
from workflow.people import key, read

from .image import KINDS, small
from .thumbnails import MARK, THUMBNAIL, forget, is_ours, is_thumbnail, labels, remove, store

Json = dict[str, Any]

_MOST = 20  # images of one document


class _Image(NamedTuple):
    """An image's bytes, and what its preview's Binary has in common with it."""

    content: bytes
    context: Json | None
    labels: list[Json]


@rule("DocumentReference")
async def relabelled(ctx: Context, change: Write, unit: UnitOfWork) -> None:
    """With other labels a document loses its previews, which are made again under these."""
    base, after = change.base, change.resource
    if base is None or base.deleted or after is None or not any(map(is_thumbnail, after.get("content", ()))):
        return
    if labels(base.resource()) != labels(after):
        own = [one for one in after["content"] if not is_ours(change.id, one)]
        change.resource = {**after, "content": own} if own else after


@on_change("DocumentReference")
async def preview(ctx: Context, change: Change) -> None:
    """Each image of a document has its preview; what was one and is no longer, goes."""
    before = change.before.resource() if change.before is not None and not change.before.deleted else {}
    after = {} if change.after.deleted else change.after.resource()
    if not _images(before) and not _images(after):
        return
    try:
        await _follow(ctx, change, before)
    except FhirError as error:  # a document that has no room for one, or may not have one, does without
        if error.status >= 500:
            raise


async def _follow(ctx: Context, change: Change, before: Json) -> None:
    document = await read(ctx, {"reference": change.key}) or {}
    # What is sealed because its document is sensitive, is sealed when it is written.
    anew = bool(before) and labels(before) != labels(document)
    wanted = [] if has_label(document, END_TO_END) else await _made(ctx, document, anew)

    def edit(now: Json) -> Json | None:
        after = _with(now, wanted)
        # What the server alone may store, its author could not write back.
        return after if after is None or len(encode(after)) <= ctx.settings.max_resource_bytes else None

    await change_resource(ctx, "DocumentReference", change.id, edit)
    urls = {one["attachment"]["url"] for one in wanted}
    for one in before.get("content", ()):
        if is_ours(change.id, one) and one["attachment"]["url"] not in urls:
            # One of before the label shows in clear what is sensitive by now.
            await (forget if is_labelled(document) else remove)(ctx, one["attachment"]["url"])


async def _made(ctx: Context, document: Json, anew: bool) -> list[Json]:
    """The `content` of each image's preview, its Binary stored."""
    made = [await _of_image(ctx, document, one, anew) for one in _images(document)[:_MOST]]
    return [one for one in made if one is not None]


def _images(document: Json) -> list[Json]:
    """The attachments that are to have a preview."""
    contents = [one for one in document.get("content", ()) if not is_thumbnail(one)]
    return [one["attachment"] for one in contents if one["attachment"].get("contentType", "").lower() in KINDS]


async def _of_image(ctx: Context, document: Json, attachment: Json, anew: bool) -> Json | None:
    image = await _read(ctx, document, attachment)
    found = await asyncio.to_thread(small, image.content) if image is not None else None
    if image is None or found is None:
        return None
    hash_ = hashlib.sha256(image.content).hexdigest()[:32]
    id_ = id_for("preview", document["id"], hash_)
    binary: Json = {"resourceType": "Binary", "id": id_}
    if image.labels:
        binary["meta"] = {"security": image.labels}
    binary["contentType"] = found.kind
    if image.context:
        binary["securityContext"] = image.context
    await store(ctx, {**binary, "data": base64.b64encode(found.content).decode()}, anew)
    there = await read(ctx, {"reference": f"DocumentReference/{document['id']}"})
    if there is None or await _read(ctx, there, attachment) is None:  # deleted or destroyed while we looked at it
        await forget(ctx, f"Binary/{id_}")
        return None
    return {
        "id": f"{MARK}{hash_}",
        "extension": [{"url": THUMBNAIL, "valueBoolean": True}],
        "attachment": {"contentType": found.kind, "url": f"Binary/{id_}", "size": len(found.content)},
    }


async def _read(ctx: Context, document: Json, attachment: Json) -> _Image | None:
    """The image that an attachment holds or names; None when it is not the document's to show.

    Anybody may name any Binary: only one whose context is the document, its patient or its case is looked at.
    """
    itself = {"reference": f"DocumentReference/{document['id']}"}
    if data := attachment.get("data"):
        return _Image(base64.b64decode(data), itself, [])  # as sensitive as the document is
    url = attachment.get("url", "").removeprefix(f"{ctx.base_url}/")
    binary = await read(ctx, {"reference": url}) if url.startswith("Binary/") else None
    if binary is None or has_label(binary, END_TO_END):
        return None
    context = binary.get("securityContext")
    around = [itself, document.get("subject"), *document.get("context", {}).get("encounter", ())]
    if context is not None and key(context) not in map(key, around):
        return None
    return _Image(base64.b64decode(binary.get("data", "")), context, labels(binary))


def _with(document: Json, previews: list[Json]) -> Json | None:
    """The document with these previews of ours and no other; None when it has them."""
    contents: list[Json] = document.get("content", [])
    own = [one for one in contents if not is_ours(document["id"], one)]
    urls = {one["attachment"].get("url") for one in own}
    after = own + [one for one in previews if one["attachment"]["url"] not in urls]
    return {**document, "content": after} if after != contents else None
