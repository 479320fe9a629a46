"""A resource as a page for people: coloured JSON, references one can follow, everything escaped."""

from __future__ import annotations

import re
from collections.abc import Callable
from html import escape
from typing import Any

import msgspec

from fhir_server.rest.document import document

MAX_COLOURED = 512 * 1024  # bytes of JSON; more is shown plain, so that one page cannot hold the process up
_token = re.compile(r'("(?:[^"\\]|\\.)*")(\s*:)?|-?\d[\d.eE+-]*|true|false|null')
_relative = re.compile(r"[A-Z][A-Za-z]+/[A-Za-z0-9.-]{1,64}(?:/_history/[A-Za-z0-9.-]{1,64})?")
_KINDS = {'"': "s", "t": "l", "f": "l", "n": "l"}


class _Outline(msgspec.Struct):
    """What the page's heading needs of any resource."""

    resourceType: str = "Resource"
    id: Any = None
    type: Any = None
    total: Any = None
    link: Any = None
    entry: list[msgspec.Raw] | None = None


_outline = msgspec.json.Decoder(_Outline)


def page(data: bytes, status: int, base_url: str) -> bytes:
    """The whole HTML page of a resource's JSON."""
    try:
        outline = _outline.decode(data)
    except msgspec.DecodeError:
        outline = _Outline()
    text = msgspec.json.format(data, indent=2).decode()
    shown = coloured(text, base_url) if len(data) <= MAX_COLOURED else escape(text)
    content = f'{_heading(outline, status, base_url)}\n<pre class="json" tabindex="0"><code>{shown}</code></pre>'
    return document(_title(outline, status), content, base_url).encode()


def coloured(text: str, base_url: str) -> str:
    """Indented JSON as HTML: keys, strings and other values in spans, links where they lead into this server."""
    return _token.sub(_colour(base_url), text)


def _colour(base_url: str) -> Callable[[re.Match[str]], str]:
    key = ""

    def replace(match: re.Match[str]) -> str:
        nonlocal key
        token = match[0]
        if match[2]:
            key = match[1][1:-1]
            return f'<span class="k">{escape(match[1], quote=False)}</span>{match[2]}'
        kind = _KINDS.get(token[0], "n")
        shown = escape(token, quote=False)
        target = _target(key, token[1:-1], base_url) if kind == "s" else None
        if target is not None:
            shown = f'<a href="{escape(target)}">{shown}</a>'
        return f'<span class="{kind}">{shown}</span>'

    return replace


def _target(key: str, value: str, base_url: str) -> str | None:
    """Where a string value leads inside this server, if anywhere; other sites are never linked."""
    if "\\" in value:
        return None
    if value.startswith(f"{base_url}/"):
        return value
    if key == "reference" and _relative.fullmatch(value):
        return f"{base_url}/{value}"
    return None


def _title(outline: _Outline, status: int) -> str:
    if status >= 400:
        return f"{status} · {outline.resourceType}"
    return f"{outline.resourceType}/{outline.id}" if isinstance(outline.id, str) else outline.resourceType


def _heading(outline: _Outline, status: int, base_url: str) -> str:
    base, type_ = escape(base_url), escape(outline.resourceType)
    links: list[tuple[str, str]] = []
    title, note = type_, ""
    if status >= 400:
        title, note = f"{status}", type_
    elif outline.resourceType == "Bundle" and outline.link is not None:
        note = _bundle_note(outline)
        links = _bundle_links(outline, base_url)
    elif isinstance(outline.id, str):
        instance = f"{base}/{type_}/{escape(outline.id)}"
        title = f'<a href="{base}/{type_}">{type_}</a><span class="slash">/</span>{escape(outline.id)}'
        links = [(f"{instance}/_history", "History"), *_formats(f"{instance}?")]
    else:
        links = _formats("?")
    shown = "".join(f'<a class="button" href="{href}">{label}</a>' for href, label in links)
    return (
        f'<div class="resource-head"><h1>{title}</h1>'
        + (f'<p class="note">{note}</p>' if note else "")
        + (f'<p class="actions">{shown}</p>' if shown else "")
        + "</div>"
    )


def _bundle_note(outline: _Outline) -> str:
    count = len(outline.entry or ())
    kind = escape(outline.type) if isinstance(outline.type, str) else ""
    total = f" of {outline.total:,}" if isinstance(outline.total, int) else ""
    return f"{kind} · {count:,}{total} {'entry' if count == 1 else 'entries'}"


def _bundle_links(outline: _Outline, base_url: str) -> list[tuple[str, str]]:
    labels = {"first": "First", "previous": "Previous", "next": "Next"}
    found = {
        link["relation"]: link["url"]
        for link in outline.link
        if isinstance(link, dict) and str(link.get("url", "")).startswith(base_url)
    }
    links = [(escape(found[relation]), label) for relation, label in labels.items() if relation in found]
    if own := found.get("self"):
        joint = "&" if "?" in own else "?"
        links += _formats(escape(own + joint))
    return links


def _formats(url: str) -> list[tuple[str, str]]:
    """The same in the formats for programs; `url` is escaped and ends where a parameter may follow."""
    return [(f"{url}_format=json", "JSON"), (f"{url}_format=xml", "XML")]
