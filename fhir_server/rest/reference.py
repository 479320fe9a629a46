"""The API reference at /docs, made from the CapabilityStatement: plain pages that need neither script nor network."""

from __future__ import annotations

from html import escape
from typing import Any

from fhir_server.rest.document import document, root_of
from fhir_server.rest.openapi import security_schemes

Json = dict[str, Any]

# Interaction code → method, path after the type, meaning.
_ROUTES = {
    "search-type": ("GET", "?name=value", "Search; POST …/_search takes the same as a form"),
    "create": ("POST", "", "Create under a new id; If-None-Exist makes it conditional"),
    "read": ("GET", "/{id}", "Read the current version"),
    "vread": ("GET", "/{id}/_history/{version}", "Read one version"),
    "update": ("PUT", "/{id}", "Update, or create under this id; If-Match guards it, a query makes it conditional"),
    "patch": ("PATCH", "/{id}", "Change parts: JSON Patch, or FHIRPath Patch as Parameters"),
    "delete": ("DELETE", "/{id}", "Delete; the history stays"),
    "history-instance": ("GET", "/{id}/_history", "Versions of one resource"),
    "history-type": ("GET", "/_history", "Changes of the type"),
}
_SYSTEM = {
    "transaction": ("POST", "", "Run a Bundle: all entries or none"),
    "batch": ("POST", "", "Run a Bundle: each entry on its own"),
    "search-system": ("GET", "/?_type=…", "Search several types"),
    "history-system": ("GET", "/_history", "Changes in the whole server"),
}


def index_page(statement: Json, base_url: str) -> str:
    """The overview: system interactions, operations, and every type."""
    rest = statement["rest"][0]
    codes = [interaction["code"] for interaction in rest.get("interaction", ())]
    root = escape(root_of(base_url))
    types = "".join(f'<li><a href="{root}/docs/{r["type"]}">{r["type"]}</a></li>' for r in rest["resource"])
    content = (
        f'<h1>API reference</h1><p class="lead">FHIR R4 REST at <code>{escape(base_url)}</code>, generated from what '
        f'this server has registered, as its <a href="{escape(base_url)}/metadata">CapabilityStatement</a> and its '
        f'<a href="{root}/openapi.json">OpenAPI 3.1 document</a> are.</p>'
        f'<div class="columns"><section class="card"><h2>{len(rest["resource"])} resource types</h2>'
        f'<ul class="types">{types}</ul></section><div class="stack">'
        + _card("The whole server", _routes(_SYSTEM, codes, ""))
        + _operations(rest, "", "System operations")
        + _sign_in(rest)
        + _card("Headers and parameters", _CONVENTIONS)
        + "</div></div>"
    )
    return document("API reference", content, base_url, here="API")


def type_page(statement: Json, name: str, base_url: str) -> str | None:
    """One type: its URLs, and each search parameter with a field to try it; None for an unknown type."""
    resource = next((r for r in statement["rest"][0]["resource"] if r["type"] == name), None)
    if resource is None:
        return None
    codes = [interaction["code"] for interaction in resource.get("interaction", ())]
    # A browser sends no access token, so with sign-in there is nothing to be tried by a click.
    is_open = not security_schemes(statement["rest"][0].get("security", {}))
    button = f'<p class="actions"><a class="button" href="{escape(base_url)}/{name}">Open all</a></p>' * is_open
    content = (
        f'<div class="resource-head"><h1>{name}</h1><p class="note"><a href="https://hl7.org/fhir/R4/'
        f'{name.lower()}.html" rel="noreferrer">Definition at hl7.org</a></p>{button}</div><div class="stack">'
        + _card("URLs", _routes(_ROUTES, codes, name))
        + _operations(resource, name, "Operations")
        + _card("Search parameters", _search_table(resource, name, base_url if is_open else ""))
        + _includes(resource)
        + "</div>"
    )
    return document(f"{name} · API reference", content, base_url, here="API")


def _sign_in(rest: Json) -> str:
    """Where tokens come from; nothing in open mode."""
    flows = security_schemes(rest.get("security", {})).get("SMART", {}).get("flows")
    if flows is None:
        return ""
    people, services = flows["authorizationCode"], flows["clientCredentials"]
    rows = "".join(
        f'<tr><td><code>{escape(url)}</code></td><td class="about">{about}</td></tr>'
        for url, about in (
            (people["authorizationUrl"], "Where an app sends its user: authorization code with PKCE (S256)"),
            (services["tokenUrl"], "Where an app, or a backend service with its key, gets the access token"),
        )
    )
    header = "<p>Every request but <code>/metadata</code> brings <code>Authorization: Bearer …</code></p>"
    return _card("Sign-in", f'{header}<table class="reference stackable"><tbody>{rows}</tbody></table>')


def _card(title: str, inside: str) -> str:
    return f'<section class="card"><h2>{title}</h2>{inside}</section>'


def _routes(table: dict[str, tuple[str, str, str]], codes: list[str], name: str) -> str:
    prefix = f"/{name}" if name else ""
    rows = "".join(
        f'<tr><td class="method">{method}</td><td><code>{escape(prefix + path) or "/"}</code></td>'
        f'<td class="about">{about}</td></tr>'
        for code, (method, path, about) in table.items()
        if code in codes
    )
    return f'<table class="reference stackable"><tbody>{rows}</tbody></table>'


def _operations(holder: Json, name: str, title: str) -> str:
    found = holder.get("operation", ())
    if not found:
        return ""
    prefix = f"/{name}" if name else ""
    rows = "".join(
        f"<tr><td><code>{prefix}/${escape(operation['name'])}</code></td>"
        f'<td class="about">{escape(operation.get("documentation", "").partition(chr(10))[0])}</td></tr>'
        for operation in found
    )
    return _card(title, f'<table class="reference stackable"><tbody>{rows}</tbody></table>')


def _search_table(resource: Json, name: str, base_url: str) -> str:
    """The search parameters; with a base URL, each with a field to try it."""
    rows = "".join(
        f"<tr><td><code>{escape(p['name'])}</code></td>"
        f'<td class="kind">{p["type"]}</td>'
        f'<td class="about">{escape(p.get("documentation", ""))}</td>'
        + (f"<td>{_try(p['name'], name, base_url)}</td></tr>" if base_url else "</tr>")
        for p in resource.get("searchParam", ())
    )
    titles = ("Name", "Type", "Meaning", "Try") if base_url else ("Name", "Type", "Meaning")
    head = "".join(f'<th scope="col">{title}</th>' for title in titles)
    return f'<table class="reference stackable"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>'


def _try(parameter: str, name: str, base_url: str) -> str:
    label = escape(f"Value of {parameter}")
    return (
        f'<form class="try" action="{escape(base_url)}/{name}"><input name="{escape(parameter)}" aria-label="{label}" '
        'required autocomplete="off" spellcheck="false"><button class="button">Search</button></form>'
    )


def _includes(resource: Json) -> str:
    parts = ""
    for title, element in (("_include", "searchInclude"), ("_revinclude", "searchRevInclude")):
        if values := resource.get(element):
            listed = " ".join(f"<code>{escape(value)}</code>" for value in values)
            parts += f"<details><summary>{title} ({len(values)})</summary><p>{listed}</p></details>"
    return _card("Includes", parts) if parts else ""


_CONVENTIONS = (
    '<table class="reference stackable"><tbody>'
    + "".join(
        f'<tr><td><code>{name}</code></td><td class="about">{about}</td></tr>'
        for name, about in (
            ("_count, _sort", "Page size, and order: -date is latest first"),
            ("_include, _revinclude", "Bring along what is referenced, or what refers here"),
            ("_summary, _elements", "Only a part of each resource"),
            ("_total=accurate", "Count every match"),
            ("_format, _pretty", "json, xml or html; indented"),
            ("If-Match", "Change only this version; 412 otherwise"),
            ("If-None-Exist", "Create only when a search finds nothing"),
            ("Prefer", "return=minimal, representation or OperationOutcome; handling=lenient"),
            ("X-Request-Id", "Echoed, and in the log line of the request"),
        )
    )
    + "</tbody></table>"
)
