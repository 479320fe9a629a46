"""What the label end-to-end promises: content that is JWE, to keys of people of this server, and no clear text beside.

The rule is for who would send clear text by mistake; who means to can call anything ciphertext.
"""

from __future__ import annotations

import hashlib
import re
from base64 import b64decode, b64encode
from collections.abc import Iterator
from typing import Any

from extensions.end_to_end.jwe import MEDIA_TYPE, recipients
from extensions.end_to_end.jwk import Broken
from extensions.end_to_end.keys import standing
from fhir_server import api
from fhir_server.access.principal import SYSTEM
from fhir_server.context import Context
from fhir_server.outcomes import BusinessRule, Conflict, Forbidden, Unprocessable
from fhir_server.registry import rule
from fhir_server.storage.unit_of_work import UnitOfWork, Write
from workflow.codes import END_TO_END, has_label
from workflow.people import is_me

Json = dict[str, Any]
Place = tuple[str, Json]  # FHIRPath, and the Attachment (or what stands in its stead)
AUTHOR = {"Communication": "sender", "DocumentReference": "author", "Media": "operator"}
_BESIDE = ("text", "contained", "note", "description")  # where people write what it is about
_HISTORY = "Its history has the clear text, which stays there: write a new resource for what is encrypted."
_OF_ATTACHMENT = {"id", "contentType", "data", "url", "size", "hash", "creation"}  # no title


@rule("Communication", "DocumentReference", "Media")
async def what_is_labelled_is_sealed(ctx: Context, change: Write, unit: UnitOfWork) -> None:
    """422 for clear text under the label, or a key of nobody; 409 for a key that has ended."""
    after = change.resource
    if after is None:
        return
    before = change.base.resource() if change.base is not None and not change.base.deleted else {}
    if not has_label(after, END_TO_END):
        if has_label(before, END_TO_END):
            _opened(ctx, before, after)
        return
    was_labelled = has_label(before, END_TO_END)
    said = [one.get("contentType") for _, one in _places(before)]
    if before and not was_labelled and set(said) != {MEDIA_TYPE}:  # what says nothing now may have said something
        raise BusinessRule(_HISTORY)
    for name in _BESIDE:
        if name in after:
            raise Unprocessable("Nothing is said in clear text beside it.", expression=[f"{change.type}.{name}"])
    kept = [_content(one) for _, one in _places(before)] if was_labelled else []
    for expression, one in _places(after):
        if one.keys() - _OF_ATTACHMENT or one.get("contentType") != MEDIA_TYPE:
            raise Unprocessable(f"Content is an attachment of {MEDIA_TYPE} without a title.", expression=[expression])
        if _content(one) not in kept:
            await _check(ctx, expression, one.get("hash"), await _text(ctx, expression, one))


@rule("Binary")
async def what_is_sealed_stays_so(ctx: Context, change: Write, unit: UnitOfWork) -> None:
    """422 for a Binary that says it is JWE and is not, or was and would not be: what names it has promised that."""
    after = change.resource
    if after is None:
        return
    before = change.base.resource() if change.base is not None and not change.base.deleted else {}
    was_sealed = before.get("contentType") == MEDIA_TYPE
    if after.get("contentType") == MEDIA_TYPE:
        if before and not was_sealed:
            raise BusinessRule(_HISTORY)
        if not before or before.get("data") != after.get("data"):
            await _check(ctx, "Binary.data", None, _decoded("Binary.data", after.get("data", "")))
    elif was_sealed or has_label(after, END_TO_END):
        raise Unprocessable(f"What is encrypted end to end is {MEDIA_TYPE}.", expression=["Binary.contentType"])


def _opened(ctx: Context, before: Json, after: Json) -> None:
    """Without the label it is a new statement, in clear text: its author's, and nobody else's."""
    kept = [_content(one) for _, one in _places(before)]
    if any(one.get("contentType") == MEDIA_TYPE or _content(one) in kept for _, one in _places(after)):
        raise BusinessRule("The label stays as long as the content is encrypted.", expression=["meta.security"])
    authors = before.get(AUTHOR[before["resourceType"]], [])
    is_author = any(is_me(ctx.principal, one) for one in (authors if isinstance(authors, list) else [authors]))
    if not is_author and (ctx.principal is SYSTEM or not ctx.principal.is_open):
        raise Forbidden("Only its author may say in clear text what was encrypted.")


def _places(resource: Json) -> Iterator[Place]:
    """Where content is: the attachments, and what else may stand in a payload."""
    match resource.get("resourceType"):
        case "Communication":
            for number, payload in enumerate(resource.get("payload", ())):
                yield f"Communication.payload[{number}]", payload.get("contentAttachment", {})
        case "DocumentReference":
            for number, content in enumerate(resource.get("content", ())):
                yield f"DocumentReference.content[{number}].attachment", content.get("attachment", {})
        case "Media":
            yield "Media.content", resource.get("content", {})


def _content(attachment: Json) -> tuple[Any, Any]:
    return attachment.get("data"), attachment.get("url")


async def _text(ctx: Context, expression: str, attachment: Json) -> bytes:
    """The bytes of an attachment, which it holds or which are a Binary of this server that the caller may read."""
    data, url = attachment.get("data"), attachment.get("url")
    if (data is None) == (url is None):
        raise Unprocessable("Content has either data or a url.", expression=[expression])
    if data is not None:
        return _decoded(expression, data)
    found = re.fullmatch(r"Binary/([A-Za-z0-9.-]{1,64})", str(url).removeprefix(f"{ctx.base_url}/"))
    stored = await api.current(ctx, "Binary", found[1]) if found else None
    binary = stored.resource() if stored is not None and not stored.deleted else {}
    if binary.get("contentType") != MEDIA_TYPE:
        raise Unprocessable(
            f"The url names no Binary of {MEDIA_TYPE} that is here already.", expression=[f"{expression}.url"]
        )
    return _decoded(expression, binary.get("data", ""))


def _decoded(expression: str, data: str) -> bytes:
    try:
        return b64decode("".join(data.split()), validate=True)
    except ValueError:
        raise Unprocessable("The content is no base64.", expression=[expression]) from None


async def _check(ctx: Context, expression: str, hash_: str | None, text: bytes) -> None:
    """That it is JWE to people of this server; its hash is of the ciphertext: one of the text would tell of that."""
    try:
        kids = recipients(text)
    except Broken as broken:
        raise Unprocessable(str(broken), expression=[expression]) from None
    if hash_ not in (None, b64encode(hashlib.sha1(text).digest()).decode()):
        raise Unprocessable("The hash is not that of the encrypted content.", expression=[expression])
    found = await standing(ctx, kids)
    if any(kid not in found for kid in kids):
        raise BusinessRule("A recipient's key is of no person of this server.", expression=[expression])
    if not all(found.values()):
        raise Conflict("A recipient's key has ended: ask for the newer one.", expression=[expression])
