"""The landing page: what this is, what is in it, and first steps one can click or paste."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

from fhir_server.rest.document import document

SHOWN_TYPES = 12  # rows of the table before the fold
DEMOS = (
    ("Patients by family name", "Patient?_sort=family&_count=10"),
    ("Patients born before 1960", "Patient?birthdate=lt1960-01-01"),
    ("Systolic blood pressures, latest first", "Observation?combo-code=http://loinc.org|8480-6&_sort=-date&_count=10"),
    ("Blood pressures with their patients", "Observation?code=85354-9&_include=Observation:subject&_count=10"),
    ("Encounters with everyone who took part", "Encounter?_include=Encounter:participant&_count=5"),
    ("Women and the conditions they have", "Patient?gender=female&_revinclude=Condition:subject"),
    ("Heart rates of a patient, by family name", "Observation?patient.family=okoye&code=8867-4"),
    ("Who had a heart rate above 90", "Patient?_has:Observation:patient:code-value-quantity=8867-4$gt90"),
    ("Weights above 220 pounds", "Observation?value-quantity=gt220|http://unitsofmeasure.org|[lb_av]"),
    ("Who was in the cardiology ward or one of its beds", "Encounter?location:below=demo-cardiology&_sort=-date"),
    ("Letters that mention an emergency", "DocumentReference?_content=emergency"),
    ("What changed last, in the whole server", "_history?_count=10"),
)
DOORS = (
    ("/metadata", "Capability<wbr>Statement", "What this server can do, as FHIR tells it"),
    ("docs", "API reference", "Every type, its interactions and search parameters"),
    ("openapi.json", "OpenAPI 3.1", "The same for code generators and test tools"),
    ("health", "Health", "Whether it runs, and its metrics for Prometheus at /metrics"),
)
SIGN_IN_DOOR = ("auth/apps", "Your account", "Sign in, and see which apps you have let in")


def landing(base_url: str, counts: Mapping[str, int] | None, *, is_open: bool) -> str:
    """The page at `/`; `counts` is None when the database did not answer, and is told in open mode only."""
    content = (
        _hero(base_url, counts if is_open else None, _CLICK if is_open else _TOKEN)
        + (_OPEN_MODE if is_open else "")
        + _doors(base_url, DOORS if is_open else (*DOORS[:3], SIGN_IN_DOOR))
        + '<div class="columns">'
        + _tries(base_url, linked=is_open)
        + _snippets(base_url, is_open=is_open)
        + (_contents(base_url, counts) if is_open else _sign_in(base_url))
        + "</div>"
    )
    return document("FHIR R4 server", content, base_url, here="Home")


_OPEN_MODE = (
    '<div class="warning" role="note"><p><strong>Open mode: there is no sign-in.</strong> Everyone who reaches this '
    "address can read and change everything. It is meant for trial and development on one machine; "
    "keep real patient data out.</p></div>\n"
)
_CLICK = "or click around below: every answer is a page in the browser and JSON for programs."
_TOKEN = "and let its users sign in here: every request brings an access token."


def _sign_in(base_url: str) -> str:
    found = f"{escape(base_url)}/.well-known/smart-configuration"
    return f'<section class="card contents"><h2>Sign-in</h2>{_SIGN_IN.format(found=found)}</section>\n'


_SIGN_IN = (
    "<p>Nothing is told without an access token. Apps get one as SMART App Launch and OpenID Connect have it: their "
    'users sign in here and say what the app may see. <a href="{found}">Where that is</a>, apps find out themselves.'
    "</p><p>Whoever runs the server makes one for a script with <code>fhir-server token</code>, users with "
    "<code>fhir-server user add</code>, and registers apps with <code>fhir-server client add</code>.</p>"
)


def _hero(base_url: str, counts: Mapping[str, int] | None, then: str) -> str:
    held = f"<span>{sum(counts.values()):,} resources of {len(counts)} types</span>" if counts else ""
    return (
        '<div class="hero"><h1>A FHIR R4 server</h1>'
        "<p>Patients, encounters, observations and every other resource of FHIR 4.0.1, read, written and searched over "
        f"REST. Point an app at the base URL, {then}</p>"
        f'<p class="base"><span>Base URL</span><code>{escape(base_url)}</code>{held}</p></div>\n'
    )


def _doors(base_url: str, doors: Sequence[tuple[str, str, str]]) -> str:
    base = escape(base_url)
    root = base.rpartition("/")[0]
    items = "".join(
        f'<li><a href="{base if path.startswith("/") else f"{root}/"}{path}"><strong>{name}</strong>{about}</a></li>'
        for path, name, about in doors
    )
    return f'<ul class="doors">{items}</ul>\n'


def _tries(base_url: str, *, linked: bool) -> str:
    items = "".join(
        f"<li>{_named(escape(name), escape(f'{base_url}/{query}') if linked else '')}"
        f"<code>GET {escape(query).replace('&amp;', '<wbr>&amp;')}</code></li>"
        for name, query in DEMOS
    )
    return f'<section class="card"><h2>Try it</h2><ul class="tries">{items}</ul></section>\n'


def _named(name: str, link: str) -> str:
    return f'<a href="{link}">{name}</a>' if link else f"<strong>{name}</strong>"


def _snippets(base_url: str, *, is_open: bool) -> str:
    base = escape(base_url)
    token = "" if is_open else '-H "Authorization: Bearer $TOKEN" '
    line = "" if is_open else '-H "Authorization: Bearer $TOKEN" \\\n  '
    steps = [
        ("Create a patient", _CREATE.format(base=base, token=line)),
        ("Find them", f"curl {token}'{base}/Patient?family=Rivera'"),
        ("Every version of a resource", f"curl {token}'{base}/Patient/<em>id</em>/_history'"),
        ("Load a bundle", _LOAD.format(base=base, token=line)),
    ]
    if not is_open:
        steps.insert(0, ("Get a token, on the server's machine", "TOKEN=$(fhir-server token --scope 'system/*.cruds')"))
    items = "".join(f'<div><h3>{name}</h3><pre tabindex="0"><code>{code}</code></pre></div>' for name, code in steps)
    return f'<section class="card terminal"><h2>From a terminal</h2><div class="steps">{items}</div></section>\n'


_LOAD = "curl -X POST '{base}' \\\n  {token}-H 'Content-Type: application/fhir+json' \\\n  --data-binary @bundle.json"
_CREATE = (
    "curl -X POST '{base}/Patient' \\\n  {token}-H 'Content-Type: application/fhir+json' \\\n"
    '  -d \'{{"resourceType":"Patient",\n'
    '       "name":[{{"family":"Rivera","given":["Ana"]}}],\n'
    '       "birthDate":"1984-02-29"}}\''
)


def _contents(base_url: str, counts: Mapping[str, int] | None) -> str:
    if counts is None:
        inside = '<p class="quiet">The database does not answer at the moment.</p>'
    elif not counts:
        inside = (
            '<p>No resources yet.</p><p class="quiet"><code>fhir-server demo</code> makes a small clinic, '
            "<code>fhir-server load FILE</code> brings your own bundles.</p>"
        )
    else:
        inside = _table(base_url, counts)
    return f'<section class="card contents"><h2>In this server</h2>{inside}</section>\n'


def _table(base_url: str, counts: Mapping[str, int]) -> str:
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    rows = [
        f'<tr><td><a href="{escape(f"{base_url}/{name}")}">{escape(name)}</a></td>'
        f'<td class="number">{count:,}</td></tr>'
        for name, count in ordered
    ]
    head = '<thead><tr><th scope="col">Type</th><th scope="col" class="number">Resources</th></tr></thead>'
    foot = f'<tfoot><tr><td>All</td><td class="number">{sum(counts.values()):,}</td></tr></tfoot>'
    first = f"<table>{head}<tbody>{''.join(rows[:SHOWN_TYPES])}</tbody>{foot}</table>"
    if len(rows) <= SHOWN_TYPES:
        return first
    more = f"<table><tbody>{''.join(rows[SHOWN_TYPES:])}</tbody></table>"
    return f"{first}<details><summary>{len(rows) - SHOWN_TYPES} more types</summary>{more}</details>"
