"""https://hl7.org/fhir/R4/search.html#uri: precise, or by path with :below and :above."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fhir_server.search.fields import Field
from fhir_server.search.keys import MAX_KEY, Criterion, Draft, Sink, beginning, fit
from fhir_server.search.paths import Leaf
from fhir_server.search.types.values import Indexer, Settings, Visit, refuse_modifier, unescape, wrong

MODIFIERS = frozenset({"below", "above"})
_LONGEST = MAX_KEY - 32  # a longer beginning is no longer in the key
MAX_URL = 2_000  # characters of a URL whose every beginning is looked for


def _uri(sink: Sink, leaf: Leaf) -> Visit:
    number = sink.number

    def visit(value: Any, draft: Draft) -> None:
        draft.keys[f"{number}={value}"] = None
        if sink.ascending:
            sink.sort(draft, value[:64])

    return visit


def _canonical(sink: Sink, leaf: Leaf) -> Visit:
    """With its version and without: whoever asks without means any."""
    visit_uri = _uri(sink, leaf)

    def visit(value: Any, draft: Draft) -> None:
        visit_uri(value, draft)
        if "|" in value:
            draft.keys[f"{sink.number}={value.partition('|')[0]}"] = None

    return visit


INDEXERS: Mapping[str, Indexer] = {"uri": _uri, "url": _uri, "oid": _uri, "uuid": _uri, "canonical": _canonical}


def criterion(field: Field, modifier: str, value: str, settings: Settings) -> Criterion:
    """The stored URIs that one search value finds."""
    value = unescape(value)
    if modifier and (modifier not in MODIFIERS):
        raise refuse_modifier(field, modifier)
    if modifier and value.startswith("urn:"):
        raise wrong(field, f"is a URN, and :{modifier} goes by the path of a URL")
    if modifier == "below":
        if len(value) > _LONGEST:
            raise wrong(field, f"is too long for :below, which takes {_LONGEST} characters")
        return Criterion(between=tuple(beginning(f"{source.number}={value}") for source in field.sources))
    if modifier == "above" and len(value) > MAX_URL:
        raise wrong(field, f"is too long for :above, which takes {MAX_URL} characters")
    wanted = _parents(value) if modifier == "above" else [value]
    return Criterion(keys=tuple(fit(f"{source.number}={uri}") for source in field.sources for uri in wanted))


def _parents(url: str) -> list[str]:
    """The URL and every URL that it begins with, up to the host, with and without the last slash."""
    found = [url]
    host = url.find("/", url.find("://") + 3)
    end = len(url)
    while host >= 0 and (end := url.rfind("/", host, end)) >= 0:
        found += [url[: end + 1], url[:end]]
    return list(dict.fromkeys(found))
