"""The pages of the guide as HTML; everything from the guide is escaped."""

from __future__ import annotations

import re
from html import escape

import msgspec

from fhir_server.rest.document import document, root_of
from fhir_server.rest.guide.artifacts import KINDS, Artifact, Guide
from fhir_server.rest.guide.markdown import Link, html, inline
from fhir_server.rest.guide.tables import body
from fhir_server.rest.html import coloured

_ARTIFACT = re.compile(r"([A-Z][A-Za-z]+)-([A-Za-z0-9.-]+)\.html")  # as the IG Publisher names its pages


def index_page(guide: Guide, base_url: str) -> str:
    """The first page: what the guide is, its pages, and every artifact by kind."""
    root = root_of(base_url)
    lists = "".join(_list(guide, kind, root) for kind in KINDS)
    first, *_ = guide.pages
    content = (
        f'<div class="resource-head"><h1>{escape(guide.resource["title"])}</h1>'
        f'<p class="note">{escape(guide.resource["packageId"])} {escape(guide.resource["version"])}</p>'
        f'<p class="actions"><a class="button" href="{escape(root)}/ig/package.tgz">Package</a></p></div>'
        f'<div class="stack"><section class="card">{html(guide.pages[first], links(guide, root))}'
        f"{_contents(guide, root)}</section>{lists}</div>"
    )
    return document(guide.resource["title"], content, base_url, here="Guide")


def narrative_page(guide: Guide, name: str, base_url: str) -> str:
    """One page of the narrative."""
    root, title = root_of(base_url), guide.titles[name]
    content = (
        _head(guide, title, "", "", root)
        + f'<section class="card">{html(guide.pages[name], links(guide, root))}{_contents(guide, root)}</section>'
    )
    return document(f"{title} · {guide.resource['title']}", content, base_url, here="Guide")


def artifact_page(guide: Guide, artifact: Artifact, base_url: str) -> str:
    """One artifact: what it says as tables, its examples, and its JSON."""
    root = root_of(base_url)
    href = f"{escape(root)}/ig/{escape(artifact.path)}.json"
    actions = f'<a class="button" href="{href}">JSON</a>'
    about = html(artifact.description, links(guide, root))
    if artifact.url:
        about += f"<p><code>{escape(artifact.url)}</code></p>"
    if artifact.example_of and (profile := guide.by_url.get(artifact.example_of)):
        about += f"<p>An example of {_link(profile, root)}.</p>"
    content = (
        _head(guide, artifact.title, artifact.type, actions, root)
        + f'<div class="stack"><section class="card">{about}</section>'
        + body(guide, artifact, root)
        + _examples(guide, artifact, root)
        + _json(artifact, root)
        + "</div>"
    )
    return document(f"{artifact.title} · {guide.resource['title']}", content, base_url, here="Guide")


def links(guide: Guide, root: str) -> Link:
    """Where the narrative's links lead: pages and artifacts of the guide, and https elsewhere."""

    def target(written: str) -> str | None:
        if written.removesuffix(".html") in guide.pages:
            return f"{root}/ig/{written}"
        if (match := _ARTIFACT.fullmatch(written)) and (match[1], match[2]) in guide.artifacts:
            return f"{root}/ig/{match[1]}/{match[2]}"
        return written if written.startswith("https://") else None

    return target


def _head(guide: Guide, title: str, note: str, actions: str, root: str) -> str:
    return (
        f'<p class="quiet"><a href="{escape(root)}/ig">{escape(guide.resource["title"])}</a></p>'
        f'<div class="resource-head"><h1>{escape(title)}</h1>'
        + (f'<p class="note">{escape(note)}</p>' if note else "")
        + (f'<p class="actions">{actions}</p>' if actions else "")
        + "</div>"
    )


def _contents(guide: Guide, root: str) -> str:
    items = "".join(
        f'<li><a href="{escape(root)}/ig/{escape(name)}.html">{escape(title)}</a></li>'
        for name, title in guide.titles.items()
    )
    return f'<nav aria-label="Pages of the guide"><h2>Pages</h2><ul>{items}</ul></nav>'


def _list(guide: Guide, kind: str, root: str) -> str:
    rows = "".join(
        f'<tr><td>{_link(one, root)}</td><td class="about">{inline(one.description.split(". ")[0], links(guide, root))}'
        f'</td><td class="kind">{escape(one.type if kind == "Examples" else "")}</td></tr>'
        for one in guide.of_kind(kind)
    )
    name = kind.lower().replace(" ", "-")
    table = f'<table class="reference stackable"><tbody>{rows}</tbody></table>'
    return f'<section class="card" id="{name}"><h2>{kind}</h2>{table}</section>' if rows else ""


def _examples(guide: Guide, artifact: Artifact, root: str) -> str:
    found = guide.examples_of(artifact.url) if artifact.url else []
    items = "".join(f"<li>{_link(one, root)}</li>" for one in found)
    return f'<section class="card"><h2>Examples</h2><ul>{items}</ul></section>' if items else ""


def _link(artifact: Artifact, root: str) -> str:
    return f'<a href="{escape(root)}/ig/{escape(artifact.path)}">{escape(artifact.title)}</a>'


def _json(artifact: Artifact, root: str) -> str:
    text = msgspec.json.format(artifact.text, indent=2).decode()
    shown = f'<pre class="json" tabindex="0"><code>{coloured(text, f"{root}/ig")}</code></pre>'
    if artifact.is_example:
        return shown
    return f"<details><summary>JSON</summary>{shown}</details>"
