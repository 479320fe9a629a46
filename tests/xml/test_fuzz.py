"""Any bytes, any XML and any JSON: decoded, written, or refused with a FhirError, and never anything else."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fhir_server import json, xml
from fhir_server.outcomes import FhirError
from tests.rest.test_fuzz import RESOURCES, mutated
from tests.xml.test_cases import CASES, document, sorted_json

bounded = settings(
    max_examples=int(os.environ.get("FUZZ_EXAMPLES", "400")),
    deadline=None,
    derandomize="CI" in os.environ,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example],
)
WHOLE = [
    *(document(case) for kind in ("pairs", "refused") for case in CASES[kind] if "xml" in case),
    *(xml.encode(resource) for resource in RESOURCES),
]
SNIPPETS = st.sampled_from(
    [
        *[b"<", b">", b"/>", b"</", b'"', b"'", b"&", b"&#", b"&#0;", b"&lt;", b"&x;", b"<!--", b"-->", b"<?", b"?>"],
        *[
            b"<![CDATA[",
            b"]]>",
            b"<!DOCTYPE a>",
            b"\x00",
            b"\x01",
            b"\xff",
            b"\xef\xbb\xbf",
            b" xmlns=''",
            b" xmlns:a='b'",
        ],
        *[b"<extension url='a'>", b"</extension>", b"<div>", b"</div>", b"<Patient>", b"<contained>", b" value='a'"],
        *[b" id='a'", b" value='1e9'", b"<valueDecimal value='1.0'/>", b"<xi:a/>", b"9" * 2000, b"a" * 70, b"\n"],
    ]
)
TAGS = st.sampled_from(
    ["Patient", "Bundle", "contained", "entry", "resource", "name", "given", "extension", "text", "div", "active", "x"]
)
FIELDS = st.sampled_from(["id", "url", "value", "lang", "xml:lang", "xsi:type"])


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A document with up to four places cut, doubled or mixed with something else."""
    data = draw(st.sampled_from(WHOLE))
    for _ in range(draw(st.integers(1, 4))):
        start, end = sorted((draw(st.integers(0, len(data))), draw(st.integers(0, len(data)))))
        match draw(st.sampled_from(["cut", "double", "put"])):
            case "cut":
                data = data[:start] + data[end:]
            case "double":
                data = data[:end] + data[start:end] + data[end:]
            case _:
                data = data[:start] + draw(SNIPPETS) + data[start:]
    return data


@st.composite
def trees(draw: st.DrawFn, depth: int = 4) -> str:
    """Well-formed XML of names that mean something, in no order."""
    name = draw(TAGS)
    namespace = draw(st.sampled_from(["", "", ' xmlns="http://hl7.org/fhir"', ' xmlns="http://www.w3.org/1999/xhtml"']))
    fields = draw(st.dictionaries(FIELDS, st.sampled_from(["", "a", "true", "1", "1.50"]), max_size=2))
    attributes = "".join(f' {field}="{value}"' for field, value in fields.items() if ":" not in field)
    children = draw(st.lists(trees(depth - 1), max_size=3)) if depth else []
    return f"<{name}{namespace}{attributes}>{draw(st.sampled_from(['', '', ' ', 'a']))}{''.join(children)}</{name}>"


def accept(data: bytes) -> None:
    """What is accepted is JSON that the rest of the server can read, and XML again."""
    with suppress(FhirError):
        resource = xml.decode(data)
        assert sorted_json(json.decode(json.encode(resource))) == sorted_json(resource)
        with suppress(FhirError):
            assert sorted_json(xml.decode(xml.encode(resource))) == sorted_json(resource)


@bounded
@given(st.binary(max_size=300))
def test_any_bytes(data: bytes) -> None:
    accept(data)


@bounded
@given(damaged())
def test_damaged_documents(data: bytes) -> None:
    accept(data)


@bounded
@given(trees())
def test_any_tree(text: str) -> None:
    accept(text.encode())
    accept(f'<Patient xmlns="http://hl7.org/fhir">{text}</Patient>'.encode())


@bounded
@given(mutated(RESOURCES))
def test_any_json(resource: Any) -> None:
    with suppress(FhirError):
        # Lists of nothing but null and characters that XML lacks go at the first time; then nothing changes any more.
        once = xml.decode(xml.encode(resource))
        assert sorted_json(xml.decode(xml.encode(once))) == sorted_json(once)


@bounded
@given(
    given=st.lists(st.none() | st.text(st.characters(exclude_categories=["Cs", "Cc", "Cn"]), min_size=1), min_size=1),
    div=st.text(st.characters(exclude_categories=["Cs", "Cc", "Cn"]), max_size=40),
    decimal=st.decimals(allow_nan=False, allow_infinity=False, places=3),
)
def test_any_text_and_number_comes_back(given: list[str | None], div: str, decimal: Any) -> None:
    words = {"given": given} if any(given) else {}
    beside = {"_given": [None if word else {"id": "a"} for word in given]} if not all(given) else {}
    told = div.replace("&", "&amp;").replace("<", "&lt;")
    resource = {
        "resourceType": "Patient",
        "text": {"status": "generated", "div": f'<div xmlns="http://www.w3.org/1999/xhtml">{told}</div>'},
        "extension": [{"url": "urn:a", "valueDecimal": decimal}],
        "name": [{**words, **beside}],
    }
    assert sorted_json(xml.decode(xml.encode(resource))) == sorted_json(resource)
