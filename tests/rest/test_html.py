"""Pages: everything escaped, links only into this server, the colours lose nothing."""

from __future__ import annotations

import json
import re
from html import unescape
from html.parser import HTMLParser
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from fhir_server.rest.html import MAX_COLOURED, coloured, page
from tests.rest.driver import BASE

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20) | st.sampled_from(["<script>", "</pre>", '"&<']),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


class Tags(HTMLParser):
    """The elements of a page, and where its links go."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.links: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append(tag)
        for name, value in attrs:
            assert name not in ("style", "onclick", "onload", "onerror")
            if name == "href" and tag == "a":
                self.links.append(value or "")


@given(values)
def test_colours_lose_nothing_and_let_nothing_through(value: Any) -> None:
    text = json.dumps(value, indent=2)
    html = coloured(text, BASE)
    assert unescape(re.sub(r"</?(?:span|a)\b[^>]*>", "", html)) == text
    assert set(Tags(html).found) <= {"span", "a"}


@given(values)
def test_a_page_holds_no_element_of_the_content(value: Any) -> None:
    data = json.dumps({"resourceType": "Patient", "id": value, "x": value, "link": value, "type": value}).encode()
    tags = Tags(page(data, 200, BASE).decode())
    assert not {"script", "iframe", "img", "object", "style", "form"} & set(tags.found)


def links(resource: dict[str, Any]) -> list[str]:
    return Tags(page(json.dumps(resource).encode(), 200, BASE).decode()).links


def test_references_can_be_followed() -> None:
    found = links({"resourceType": "Encounter", "id": "e", "subject": {"reference": "Patient/1"}})
    assert f"{BASE}/Patient/1" in found
    assert f"{BASE}/Encounter/e/_history" in found


def test_what_leads_elsewhere_is_no_link() -> None:
    foreign = {"reference": "https://evil.example/Patient/1", "display": "Patient/2", "url": "javascript:alert(1)"}
    found = links({"resourceType": "Encounter", "id": "e", "subject": foreign})
    assert not [link for link in found if "evil" in link or "javascript" in link or link.endswith("Patient/2")]


def test_a_bundle_can_be_paged() -> None:
    pages = [{"relation": "self", "url": f"{BASE}/Patient?a=b"}, {"relation": "next", "url": f"{BASE}/Patient?_c=1"}]
    bundle = {"resourceType": "Bundle", "type": "searchset", "total": 1204, "link": pages, "entry": [{}, {}]}
    html = page(json.dumps(bundle).encode(), 200, BASE).decode()
    assert "searchset · 2 of 1,204 entries" in html
    assert f"{BASE}/Patient?_c=1" in Tags(html).links
    assert f"{BASE}/Patient?a=b&_format=json" in Tags(html).links


def test_a_huge_answer_is_shown_plain() -> None:
    data = json.dumps({"resourceType": "Bundle", "x": "y" * MAX_COLOURED}).encode()
    assert b'<span class="k">' not in page(data, 200, BASE)
