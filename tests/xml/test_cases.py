"""FHIR XML by the cases of cases/xml.yaml: read, written, refused."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from fhir_server import json, xml
from fhir_server.outcomes import FhirError, Malformed, Unprocessable

CASES = yaml.safe_load((Path(__file__).parents[1] / "cases" / "xml.yaml").read_text())
NAMESPACES = {
    "{F}": 'xmlns="http://hl7.org/fhir"',
    "{X}": 'xmlns="http://www.w3.org/1999/xhtml"',
    "{XJ}": r"xmlns=\"http://www.w3.org/1999/xhtml\"",
    "{I}": 'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"',
}
DECLARATION = b'<?xml version="1.0" encoding="UTF-8"?>'
sorted_json = msgspec.json.Encoder(decimal_format="number", order="sorted").encode


def filled(text: str) -> bytes:
    for name, declaration in NAMESPACES.items():
        text = text.replace(name, declaration)
    return text.encode()


def document(case: dict[str, Any]) -> bytes:
    if "hex" in case:
        return bytes.fromhex(case["hex"])
    if "deep" in case:
        return filled("<Patient {F}>" + '<extension url="a">' * int(case["deep"]))
    if "divs" in case:
        return filled('<Patient {F}><text><status value="generated"/>' + "<div {X}>" * int(case["divs"]))
    if "digits" in case:
        return filled(f'<Patient {{F}}><multipleBirthInteger value="{"9" * int(case["digits"])}"/></Patient>')
    return filled(case["xml"])


def run_pair(case: dict[str, Any]) -> None:
    expected = json.decode(filled(case["json"]))
    found = xml.decode(filled(case["xml"]))
    assert sorted_json(found) == sorted_json(expected)
    written = xml.encode(expected)
    assert written == DECLARATION + filled(case.get("written", case["xml"]))
    assert sorted_json(xml.decode(written)) == sorted_json(expected)
    assert sorted_json(xml.decode(xml.encode(expected, pretty=True))) == sorted_json(expected)


def run_refused(case: dict[str, Any]) -> None:
    error = failure(lambda: xml.decode(document(case)), Malformed)
    assert (error.status, error.issues[0].code) == (400, "structure")
    assert error.issues[0].diagnostics.startswith(f"Line {case['line']}: ")
    assert case["rule"] in error.issues[0].diagnostics
    check_place(error, case.get("at", ""))


def run_unwritable(case: dict[str, Any]) -> None:
    error = failure(lambda: xml.encode(json.decode(filled(case["json"]))), Unprocessable)
    assert (error.status, error.issues[0].code) == (422, "structure")
    check_place(error, case["at"])


def failure(run: Any, kind: type[FhirError]) -> FhirError:
    try:
        run()
    except kind as error:
        return error
    raise AssertionError("it was accepted")


def check_place(error: FhirError, at: str) -> None:
    """Where it is wrong, and nothing of what stands there."""
    found = "".join(error.issues[0].expression)
    assert re.search(at[1:], found) if at.startswith("~") else found == at, found
    assert "Zzyzx" not in f"{error.issues}"


RUNNERS = {"pair": run_pair, "refused": run_refused, "unwritable": run_unwritable}


@pytest.mark.parametrize("case", CASES["pairs"], ids=lambda case: case["name"])
def test_pair(case: dict[str, Any]) -> None:
    run_pair(case)


@pytest.mark.parametrize("case", CASES["refused"], ids=lambda case: case["name"])
def test_refused(case: dict[str, Any]) -> None:
    run_refused(case)


@pytest.mark.parametrize("case", CASES["unwritable"], ids=lambda case: case["name"])
def test_unwritable(case: dict[str, Any]) -> None:
    run_unwritable(case)


@pytest.mark.parametrize("case", CASES["wrong"], ids=lambda case: case["name"])
def test_the_runner_can_fail(case: dict[str, Any]) -> None:
    with pytest.raises(AssertionError):
        RUNNERS[case["kind"]](case)


def test_pretty_is_indented_and_leaves_the_narrative_alone() -> None:
    div = '<div xmlns="http://www.w3.org/1999/xhtml">a\n<p>b</p></div>'
    resource = {"resourceType": "Patient", "text": {"status": "generated", "div": div}, "active": True}
    assert xml.encode(resource, pretty=True).decode().splitlines() == [
        '<?xml version="1.0" encoding="UTF-8"?>',
        '<Patient xmlns="http://hl7.org/fhir">',
        "  <text>",
        '    <status value="generated"/>',
        '    <div xmlns="http://www.w3.org/1999/xhtml">a',
        "<p>b</p></div>",
        "  </text>",
        '  <active value="true"/>',
        "</Patient>",
    ]


def test_what_xml_cannot_say_is_replaced() -> None:
    outcome = {"resourceType": "OperationOutcome", "issue": [{"diagnostics": "a\x00b\x01c\ufffe\ud800\U0010ffff"}]}
    assert xml.decode(xml.encode(outcome))["issue"][0]["diagnostics"] == "a\ufffdb\ufffdc\ufffd\ufffd\U0010ffff"
