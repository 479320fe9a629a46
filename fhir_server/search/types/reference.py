"""https://hl7.org/fhir/R4/search.html#reference: to a resource here, to a URL elsewhere, to a canonical URL."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from fhir_server.definitions import RESOURCE_TYPES
from fhir_server.search.fields import Field, Source
from fhir_server.search.keys import MAX_BEGINNING, Criterion, Draft, Sink, beginning, fit
from fhir_server.search.paths import Leaf
from fhir_server.search.types.token import identifier_keys
from fhir_server.search.types.values import Indexer, Settings, Visit, refuse_modifier, split, unescape, wrong

# Besides these, any resource type: subject:Patient=1.
MODIFIERS = frozenset({"identifier", "below", "above", *RESOURCE_TYPES})

_ID = re.compile(r"[A-Za-z0-9\-.]{1,64}", re.ASCII)


def local(reference: str, base: str) -> tuple[str, str] | None:
    """Type/id and version ("" for none) of a resource of this server; None for anything else.

    `base` is the server's URL with a slash behind.
    """
    parts = reference.removeprefix(base).split("/")
    if len(parts) == 2 and parts[0] in RESOURCE_TYPES:
        return f"{parts[0]}/{parts[1]}", ""
    if len(parts) == 4 and parts[2] == "_history" and parts[0] in RESOURCE_TYPES:
        return f"{parts[0]}/{parts[1]}", parts[3]
    return None


def names_one(reference: str) -> bool:
    """Whether what a key says of a reference is the "Type/id" of a resource here: no version, nothing contained."""
    return reference.count("/") == 1 and not reference.endswith("/") and "#" not in reference


def _type_of(reference: str) -> str:
    """The resource type that a URL names before its id, "" when it names none."""
    parts = reference.partition("/_history/")[0].split("/")
    return parts[-2] if len(parts) > 1 and parts[-2] in RESOURCE_TYPES else ""


def _reference(sink: Sink, leaf: Leaf) -> Visit:
    number, target, ascending = sink.number, leaf.target, sink.ascending

    def visit(value: Any, draft: Draft) -> None:
        text, keys = value.get("reference"), draft.keys
        if text and text.startswith("#"):
            kind = draft.kinds.get(text[1:], "")
            if target in ("", kind):
                # Nobody asks for this key: it says that there is a reference, and to what type.
                keys[f"{number}>{kind}/{text}" if kind else f"{number}>"] = None
                draft.inside.setdefault(text[1:], []).append(number)
            return
        here = local(text, draft.base) if text else None
        kind = here[0].partition("/")[0] if here else _type_of(text or "") or value.get("type", "")
        if target and kind != target:
            return
        if here is not None:
            keys[f"{number}>{here[0]}"] = None
            if here[1]:
                keys[f"{number}>{here[0]}/_history/{here[1]}"] = None
        elif value:
            if text:
                keys[f"{number}>{text}"] = None
            # What is elsewhere, or only described, is a reference all the same, and if it says so to a type.
            if kind or not text:
                keys[f"{number}>{kind}/" if kind else f"{number}>"] = None
        if ascending and text:
            sink.sort(draft, (here[0] if here else text)[:64])
        if identifier := value.get("identifier"):
            identifier_keys(f"{number}@=", f"{number}@", identifier, keys)
            if kind:
                identifier_keys(f"{number}@>{kind}=", f"{number}@>{kind}|", identifier, keys)

    return visit


def _canonical(sink: Sink, leaf: Leaf) -> Visit:
    """With its version and without: whoever asks without means any."""
    number = sink.number

    def visit(value: Any, draft: Draft) -> None:
        here = local(value, draft.base)
        draft.keys[f"{number}>{here[0] if here else value}"] = None
        if sink.ascending:
            sink.sort(draft, value[:64])
        if "|" in value:
            draft.keys[f"{number}>{value.partition('|')[0]}"] = None

    return visit


def _resource(sink: Sink, leaf: Leaf) -> Visit:
    """A resource that is itself within: the first of a document or message Bundle."""

    def visit(value: Any, draft: Draft) -> None:
        if value.get("id"):
            draft.keys[f"{sink.number}>{value.get('resourceType')}/{value['id']}"] = None

    return visit


def _attachment(sink: Sink, leaf: Leaf) -> Visit:
    """`Consent.source` may be one: nothing to search for, and yet not missing."""

    def visit(value: Any, draft: Draft) -> None:
        draft.keys[f"{sink.number}>"] = None

    return visit


INDEXERS: Mapping[str, Indexer] = {
    "Attachment": _attachment,
    "Reference": _reference,
    "canonical": _canonical,
    "uri": _canonical,
    "Resource": _resource,
}


def criterion(field: Field, modifier: str, value: str, settings: Settings) -> Criterion:
    """The stored references that one search value finds: `id`, `Type/id` or a URL."""
    if modifier and modifier not in MODIFIERS:
        raise refuse_modifier(field, modifier)
    if modifier == "identifier":
        return _by_identifier(field, value)
    text = unescape(value)
    if modifier in ("below", "above"):
        return _by_version(field, modifier, text)
    found: list[str] = []
    for source in field.sources:
        found += [fit(f"{source.number}>{target}") for target in _targets(field, source, modifier, text, settings)]
    return Criterion(keys=tuple(dict.fromkeys(found)))


def _targets(field: Field, source: Source, modifier: str, text: str, settings: Settings) -> list[str]:
    here = local(text, settings.base_url + "/")
    if here is not None:
        key, version = here
        type_, _, id_ = key.partition("/")
        if not id_ or "#" in id_:
            raise wrong(field, "names no resource behind its type")
        if type_ not in ((modifier,) if modifier else possible(field, source)):
            # Not an error of form: nothing can refer to that through this parameter.
            return []
        return [f"{key}/_history/{version}" if version else key]
    if _ID.fullmatch(text):
        return [f"{type_}/{text}" for type_ in ((modifier,) if modifier else possible(field, source))]
    if ":" not in text:
        raise wrong(field, "is not a reference: id, Type/id or an absolute URL")
    if modifier and _type_of(text) not in ("", modifier):
        return []
    return [text]


def possible(field: Field, source: Source) -> tuple[str, ...]:
    if source.target:
        return (source.target,)
    return field.parameter.targets or tuple(sorted(RESOURCE_TYPES))


def _by_version(field: Field, modifier: str, text: str) -> Criterion:
    """`questionnaire:below=http://a/q|1` finds versions 1, 1.0 and 1.2 of it; above, those that 1 is part of.

    https://hl7.org/fhir/R4/references.html#canonical
    """
    url, bar, version = text.partition("|")
    if not field.types & {"canonical", "uri"}:
        raise refuse_modifier(field, modifier)
    if not bar or not version:
        raise wrong(field, f"is a canonical URL with its version, url|version, for :{modifier}")
    if len(text) > MAX_BEGINNING - 8:
        raise wrong(field, f"is too long for :{modifier}")
    numbers = [source.number for source in field.sources]
    if modifier == "below":
        between = tuple(beginning(f"{number}>{text}.") for number in numbers)
        return Criterion(keys=tuple(fit(f"{number}>{text}") for number in numbers), between=between)
    parts = version.split(".")
    wider = [".".join(parts[:length]) for length in range(1, len(parts) + 1)]
    return Criterion(keys=tuple(fit(f"{number}>{url}|{one}") for number in numbers for one in wider))


def _by_identifier(field: Field, value: str) -> Criterion:
    parts = [unescape(part) for part in split(value, "|")]
    if len(parts) > 2 or not parts[-1]:
        raise wrong(field, "is not an identifier: value, system|value or |value")
    alone = len(parts) == 1
    keys: list[str] = []
    for source in field.sources:
        if source.target:
            opening = f"{source.number}@>{source.target}{'=' if alone else '|'}"
        else:
            opening = f"{source.number}@{'=' if alone else ''}"
        keys.append(fit(opening + "|".join(parts)))
    return Criterion(keys=tuple(keys))
