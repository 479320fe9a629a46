"""The guide at /ig, as a browser meets it."""

from __future__ import annotations

import gzip
import re
from collections.abc import AsyncIterator
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, cast

import httpx
import pytest

import fhir_server.interactions
import ig
from fhir_server import json
from fhir_server.config import Settings
from fhir_server.registry import discover
from fhir_server.rest.guide.artifacts import KINDS, load
from fhir_server.rest.guide.elements import published, rows
from fhir_server.rest.guide.markdown import html
from fhir_server.rest.guide.pages import artifact_page, index_page, narrative_page
from fhir_server.rest.site import site
from tests.ig.conftest import DEFINED, EXAMPLES
from tests.rest.test_html import Tags

ROOT = "http://localhost:8080"


@pytest.fixture
async def browser() -> AsyncIterator[httpx.AsyncClient]:
    discover(fhir_server.interactions)

    async def counts() -> dict[str, int]:
        return {}

    async def check() -> None:
        return None

    app = site(Settings(port=8080, open=True), counts=counts, check=check)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=ROOT) as client:
        yield client


def links(text: str) -> set[str]:
    return {url.removeprefix(ROOT) for url in re.findall(r'href="([^"#]+)"', text) if url.startswith(f"{ROOT}/ig")}


async def test_every_page_can_be_reached_and_leads_nowhere_else(browser: httpx.AsyncClient) -> None:
    seen, open_ = {"/ig"}, ["/ig"]
    while open_:
        answer = await browser.get(path := open_.pop())
        assert answer.status_code == 200, path
        if not answer.headers["content-type"].startswith("text/html"):
            continue
        assert "script" not in answer.headers["content-security-policy"]
        tags = Tags(answer.text)
        assert not {"script", "style", "iframe", "img", "form"} & set(tags.found)
        assert answer.text.count("<h1>") == 1, path
        found = links(answer.text) - seen
        seen |= found
        open_ += found
    wanted = {f"/ig/{name}" for name in [*DEFINED, *EXAMPLES] if not name.startswith("ImplementationGuide/")}
    assert wanted | {f"{one}.json" for one in wanted} <= seen
    assert {f"/ig/{page.name.removesuffix('.md')}.html" for page in ig.pages_folder().iterdir()} <= seen
    assert "/ig/package.tgz" in seen


async def test_the_index_lists_what_there_is(browser: httpx.AsyncClient) -> None:
    text = (await browser.get("/ig")).text
    for kind in KINDS:
        assert f"<h2>{kind}</h2>" in text
    assert "fhir-server.telemedicine 0.1.0" in text


async def test_a_profile_is_a_table(browser: httpx.AsyncClient) -> None:
    text = (await browser.get("/ig/StructureDefinition/tele-case")).text
    assert "<td>1..1</td>" in text
    assert 'Required <a href="http://localhost:8080/ig/ValueSet/case-priority">Priority of a case</a>' in text
    assert "Reference (Practitioner | PractitionerRole)" in text
    assert "case-cancelled-has-reason" in text
    assert '<a href="http://localhost:8080/ig/Encounter/example-case">A case of chest pain</a>' in text


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("ValueSet/case-priority", "<td><code>UR</code></td>"),
        ("CodeSystem/responder-status", "<td>En route</td>"),
        ("ConceptMap/case-status-to-encounter", "<td><code>onleave</code></td>"),
        ("SearchParameter/flag-status", "<code>Flag.status</code>"),
        ("OperationDefinition/share", "<code>/DocumentReference/{id}/$share</code>"),
        ("Basic/topic-emergency", "<td><code>Flag</code></td>"),
        ("Questionnaire/donor-screening", "<td>Do you feel well today?</td>"),
        ("NamingSystem/case-number", "<code>http://fhir-server.example/ig/sid/case-number</code>"),
        ("CapabilityStatement/telemedicine", "<code>$book</code>"),
        ("Encounter/example-case", '<a href="http://localhost:8080/ig/Patient/example-patient">'),
    ],
)
async def test_each_kind_says_what_it_is(browser: httpx.AsyncClient, path: str, said: str) -> None:
    assert said in (await browser.get(f"/ig/{path}")).text


async def test_downloads(browser: httpx.AsyncClient) -> None:
    answer = await browser.get("/ig/StructureDefinition/tele-case.json")
    assert answer.headers["content-type"] == "application/fhir+json"
    assert answer.json() == DEFINED["StructureDefinition/tele-case"]
    packed = await browser.get("/ig/package.tgz")
    assert packed.headers["content-disposition"] == 'attachment; filename="fhir-server.telemedicine-0.1.0.tgz"'
    assert packed.content == ig.archive()
    assert gzip.decompress(packed.content)


@pytest.mark.parametrize(
    "path",
    ["nothing.html", "StructureDefinition/nothing", "StructureDefinition/nothing.json", "Nothing/x", "%2e%2e/package"],
)
async def test_what_is_not_there(browser: httpx.AsyncClient, path: str) -> None:
    assert (await browser.get(f"/ig/{path}")).status_code == 404


def test_everything_is_escaped(tmp_path: Path) -> None:
    """A guide whose every text is an attack shows up as text."""
    evil = "<script>alert(1)</script>\"'&"
    folder = tmp_path / "package"
    (folder / "example").mkdir(parents=True)
    (tmp_path / "pages").mkdir()

    def poisoned(value: Any, key: str = "") -> Any:
        if isinstance(value, dict):
            return {name: poisoned(one, name) for name, one in value.items()}
        if isinstance(value, list):
            return [poisoned(one, key) for one in value]
        kept = ("resourceType", "id", "url", "reference", "nameUrl", "path", "type", "exampleCanonical", "verb")
        return value if not isinstance(value, str) or key in kept else value + evil

    for name, resource in [*DEFINED.items(), *EXAMPLES.items()]:
        place = folder / ("example" if name in EXAMPLES else "") / f"{name.replace('/', '-')}.json"
        place.write_bytes(json.encode(poisoned(resource)))
    for page in ig.pages_folder().iterdir():
        (tmp_path / "pages" / page.name).write_text(f"# {evil}\n\n| {evil} |\n|---|\n| `{evil}` |\n\n- [x]({evil})\n")
    guide = load(cast(Traversable, folder), cast(Traversable, tmp_path / "pages"))
    base = "http://localhost:8080/fhir"
    shown = [index_page(guide, base), *(narrative_page(guide, name, base) for name in guide.pages)]
    shown += [artifact_page(guide, one, base) for one in guide.artifacts.values()]
    for text in shown:
        assert "<script" not in text
        assert "alert(1)" in text


def test_markdown() -> None:
    source = (
        "## A `b`\n\none\ntwo **three** [p](x.html) [q](javascript:a)\n\n1. a\n   b\n2. c\n\n"
        "```\n<x>\n```\n\n| A | B |\n|---|---|\n| 1 | *2* |"
    )
    assert html(source, lambda to: "/x" if to == "x.html" else None).split("\n") == [
        "<h2>A <code>b</code></h2>",
        '<p>one two <strong>three</strong> <a href="/x" rel="noreferrer">p</a> q</p>',
        "<ol><li>a b</li><li>c</li></ol>",
        '<pre tabindex="0"><code>&lt;x&gt;</code></pre>',
        '<div class="scroll"><table><thead><tr><th scope="col">A</th><th scope="col">B</th></tr></thead>'
        "<tbody><tr><td>1</td><td><em>2</em></td></tr></tbody></table></div>",
    ]


def test_what_a_profile_leaves_open_is_filled_in_from_r4() -> None:
    assert [one.type for one in published("Encounter.participant.individual")] == ["Reference"]
    assert {one.type for one in published("Observation.value[x]")} >= {"Quantity", "string"}
    assert published("Encounter.nothing") == []
    table = {one.name: one for one in rows(DEFINED["StructureDefinition/tele-case"], lambda url: url)}
    status = next(one for name, one in table.items() if "status" in name)
    assert (status.cardinality, status.types, status.flags) == ("1..1", "code", "S")
