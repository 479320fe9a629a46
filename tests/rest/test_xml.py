"""FHIR XML both ways on a real server, and $convert: the same resources, errors and Bundles as in JSON."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from fhir_server import json, xml
from fhir_server.rest.app import LARGE_XML

FHIR_XML = "application/fhir+xml"
NS = 'xmlns="http://hl7.org/fhir"'
DIV = '<div xmlns="http://www.w3.org/1999/xhtml">a&#160;<b>b</b></div>'
PATIENT = (
    f'<Patient {NS}><id value="x"/><text><status value="generated"/>{DIV}</text>'
    '<extension url="urn:d"><valueDecimal value="1.00"/></extension>'
    '<active value="true"/><name><family value="Zzyzx"/><given value="A"/><given value="B"/></name>'
    '<birthDate value="1970-03-30"><extension url="urn:t"><valueString value="a"/></extension></birthDate></Patient>'
)


@pytest.fixture
def caller(server: str) -> Iterator[httpx.Client]:
    """A client that sends and wants XML."""
    headers = {"Content-Type": FHIR_XML, "Accept": FHIR_XML}
    with httpx.Client(base_url=server, timeout=60, headers=headers) as session:
        yield session


def read(answer: httpx.Response, status: int = 200) -> dict[str, Any]:
    """The resource of an XML answer."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/fhir+xml; charset=utf-8"
    assert answer.headers["content-length"] == str(len(answer.content))
    return xml.decode(answer.content)


def without_meta(resource: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in resource.items() if name != "meta"}


def test_written_in_xml_and_read_in_both(caller: httpx.Client) -> None:
    written = read(caller.put("/Patient/x", content=PATIENT), 201)
    assert without_meta(written) == xml.decode(PATIENT.encode())
    in_json = caller.get("/Patient/x", headers={"Accept": "application/fhir+json"})
    assert b'"valueDecimal":1.00' in in_json.content
    assert json.decode(in_json.content)["text"]["div"] == DIV
    in_xml = caller.get("/Patient/x")
    assert read(in_xml) == json.decode(in_json.content)
    assert DIV in in_xml.text
    assert '<valueDecimal value="1.00"/>' in in_xml.text
    assert in_xml.headers["ETag"] == in_json.headers["ETag"] == 'W/"1"'
    assert caller.head("/Patient/x").headers["content-length"] == str(len(in_xml.content))
    assert caller.get("/Patient/x", headers={"If-None-Match": 'W/"1"'}).status_code == 304
    assert read(caller.get("/Patient/x/_history/1"))["id"] == "x"


def test_bundles_come_in_xml(caller: httpx.Client) -> None:
    for name in ("s1", "s2", "s3"):
        caller.put(f"/Patient/{name}", content=f'<Patient {NS}><id value="{name}"/></Patient>')
    page = read(caller.get("/Patient?_id=s1,s2,s3&_count=2"))
    assert (page["resourceType"], page["type"], len(page["entry"])) == ("Bundle", "searchset", 2)
    links = {link["relation"]: link["url"] for link in page["link"]}
    assert len(read(caller.get(links["next"]))["entry"]) == 1
    assert read(caller.get("/Patient?_id=none"))["total"] == 0
    assert read(caller.get("/Patient/s1/_history"))["type"] == "history"
    assert read(caller.get("/_history?_count=3"))["resourceType"] == "Bundle"
    assert "text" not in read(caller.get("/Patient?_id=s1&_summary=data"))["entry"][0]["resource"]
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    assert read(caller.post("/Patient/_search", content="_id=s1", headers=form))["entry"][0]["resource"]["id"] == "s1"


def test_a_link_keeps_the_format_it_was_asked_in(client: httpx.Client) -> None:
    for name in ("l1", "l2"):
        client.put(f"/Patient/{name}", json={"resourceType": "Patient", "id": name})
    page = read(client.get("/Patient?_id=l1,l2&_count=1&_format=xml"))
    links = {link["relation"]: link["url"] for link in page["link"]}
    assert read(client.get(links["next"]))["type"] == "searchset"


@pytest.mark.parametrize("kind", ["batch", "transaction"])
def test_a_bundle_in_xml(caller: httpx.Client, kind: str) -> None:
    sent = (
        f'<Bundle {NS}><type value="{kind}"/>'
        '<entry><fullUrl value="urn:uuid:6f0f5cb5-6a66-4b0a-9f2e-4ad8ad6c2f3e"/>'
        "<resource><Organization><name value='O'/></Organization></resource>"
        '<request><method value="POST"/><url value="Organization"/></request></entry>'
        f"<entry><resource><Patient><id value='{kind}'/><gender value='male'/></Patient></resource>"
        f'<request><method value="PUT"/><url value="Patient/{kind}"/></request></entry>'
        f'<entry><request><method value="GET"/><url value="Patient/{kind}"/></request></entry></Bundle>'
    )
    answer = read(caller.post("/", content=sent))
    assert answer["type"] == f"{kind}-response"
    assert [entry["response"]["status"] for entry in answer["entry"]] == ["201 Created", "201 Created", "200 OK"]
    assert answer["entry"][2]["resource"]["gender"] == "male"


def test_a_patch_in_xml(caller: httpx.Client) -> None:
    caller.put("/Patient/patched", content=f'<Patient {NS}><id value="patched"/><gender value="male"/></Patient>')
    operation = "".join(
        f'<part><name value="{name}"/><value{type_} value="{value}"/></part>'
        for name, type_, value in (("type", "Code", "replace"), ("path", "String", "Patient.gender"))
    )
    operation += '<part><name value="value"/><valueCode value="female"/></part>'
    patch = f'<Parameters {NS}><parameter><name value="operation"/>{operation}</parameter></Parameters>'
    assert read(caller.patch("/Patient/patched", content=patch))["gender"] == "female"
    listed = '[{"op":"replace","path":"/gender","value":"other"}]'
    media = {"Content-Type": "application/json-patch+json"}
    assert read(caller.patch("/Patient/patched", content=listed, headers=media))["gender"] == "other"


@pytest.mark.parametrize(
    ("method", "path", "content", "status", "code"),
    [
        ("GET", "/Patient/none", "", 404, "not-found"),
        ("GET", "/Patiens/1", "", 404, "not-supported"),
        ("GET", "/Patient?foo=1", "", 400, "invalid"),
        ("POST", "/Patient", f'<Observation {NS}><status value="final"/></Observation>', 400, "invalid"),
        ("POST", "/Patient", f'<Patient {NS}><birthDate value="2023-02-30"/></Patient>', 422, "value"),
        ("POST", "/Patient", f"<Patient {NS}>\n<surname value='Zzyzx'/></Patient>", 400, "structure"),
        ("POST", "/Patient", "<Patient", 400, "structure"),
        ("GET", "/Patient/%0a", "", 400, "invalid"),
    ],
)
def test_failures_are_told_in_xml(
    caller: httpx.Client, method: str, path: str, content: str, status: int, code: str
) -> None:
    outcome = read(caller.request(method, path, content=content), status)
    assert (outcome["resourceType"], outcome["issue"][0]["code"]) == ("OperationOutcome", code)
    assert "Zzyzx" not in str(outcome)


def test_a_refused_element_is_named_with_line_and_path(caller: httpx.Client) -> None:
    sent = f"<Patient {NS}>\n<active value='true'/>\n<name><first value='Zzyzx'/></name></Patient>"
    issue = read(caller.post("/Patient", content=sent), 400)["issue"][0]
    assert issue["expression"] == ["Patient.name[0]"]
    assert issue["diagnostics"] == "Line 3: HumanName has no element first in FHIR R4."


@pytest.mark.parametrize(
    "headers",
    [
        {"Accept": "*/*", "Content-Type": FHIR_XML},
        {"Accept": "application/fhir+xml, application/fhir+json;q=0.9", "Content-Type": "application/fhir+json"},
    ],
    ids=["XML was sent", "XML is wanted"],
)
def test_a_body_that_cannot_be_read_is_refused_in_the_format_of_the_caller(
    client: httpx.Client, headers: dict[str, str]
) -> None:
    assert read(client.post("/Patient", content="?", headers=headers), 400)["resourceType"] == "OperationOutcome"


def test_a_browser_gets_a_page(client: httpx.Client) -> None:
    client.put("/Patient/browsed", json={"resourceType": "Patient", "id": "browsed"})
    for accept in (
        "text/html,application/xhtml+xml,application/xml;q=0.9",
        "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8",
    ):
        answer = client.get("/Patient/browsed", headers={"Accept": accept})
        assert answer.headers["content-type"].startswith("text/html")
        assert "_format=xml" in answer.text


def test_a_binary_as_a_resource_in_xml(caller: httpx.Client) -> None:
    caller.put("/Binary/b", content=b"%PDF-1.7", headers={"Content-Type": "application/pdf"})
    found = read(caller.get("/Binary/b"))
    assert (found["contentType"], found["data"]) == ("application/pdf", "JVBERi0xLjc=")
    assert read(caller.get("/Binary/b?_format=xml", headers={"Accept": "application/pdf"})) == found
    assert caller.get("/Binary/b", headers={"Accept": "*/*"}).content == b"%PDF-1.7"
    sent = f'<Binary {NS}><id value="c"/><contentType value="text/plain"/><data value="YQ=="/></Binary>'
    assert read(caller.put("/Binary/c", content=sent), 201)["data"] == "YQ=="
    assert caller.get("/Binary/c", headers={"Accept": "*/*"}).content == b"a"


def test_the_statement_lists_xml_and_comes_in_it(caller: httpx.Client) -> None:
    statement = read(caller.get("/metadata"))
    assert {"xml", "application/fhir+xml", "json", "application/fhir+json"} <= set(statement["format"])
    assert statement == json.decode(caller.get("/metadata?_format=json").content)


def test_convert(client: httpx.Client) -> None:
    expected = xml.decode(PATIENT.encode())
    to_json = {"Content-Type": FHIR_XML, "Accept": "application/fhir+json"}
    answer = client.post("/$convert", content=PATIENT, headers=to_json)
    assert answer.headers["content-type"].startswith("application/fhir+json")
    assert json.decode(answer.content) == expected
    assert b"1.00" in answer.content
    back = client.post("/$convert", content=answer.content, headers={"Accept": FHIR_XML})
    assert read(back) == expected
    assert client.post("/$convert?_format=xml", content=answer.content).content == back.content
    parameters = json.encode({"resourceType": "Parameters", "parameter": [{"name": "input", "resource": expected}]})
    assert read(client.post("/$convert", content=parameters, headers={"Accept": FHIR_XML})) == expected
    own = json.encode({"resourceType": "Parameters", "parameter": [{"name": "a", "valueString": "b"}]})
    assert read(client.post("/$convert", content=own, headers={"Accept": FHIR_XML}))["parameter"][0]["name"] == "a"


def test_convert_takes_what_is_not_complete(client: httpx.Client) -> None:
    assert read(client.post("/$convert?_format=xml", json={"resourceType": "Observation", "id": "o"}))["id"] == "o"


@pytest.mark.parametrize(
    ("content", "status", "at"),
    [
        (b"", 400, None),
        (b"{}", 400, None),
        (b"[]", 400, None),
        (b'{"resourceType":"Pacient"}', 400, ["resourceType"]),
        (b'{"resourceType":{"a":1}}', 400, ["resourceType"]),
        (b'{"resourceType":"Patient","surname":"Zzyzx"}', 422, ["Patient"]),
        (b'{"resourceType":"Patient","active":"Zzyzx"}', 422, ["Patient.active"]),
        (b'{"resourceType":"Patient","text":{"div":"<p>Zzyzx"}}', 422, ["Patient.text.div"]),
    ],
)
def test_convert_refuses_what_it_would_lose(
    client: httpx.Client, content: bytes, status: int, at: list[str] | None
) -> None:
    issue = read(client.post("/$convert", content=content, headers={"Accept": FHIR_XML}), status)["issue"][0]
    assert issue.get("expression") == at
    assert "Zzyzx" not in issue["diagnostics"]


def test_a_large_document_is_read_too(caller: httpx.Client) -> None:
    names = '<name><family value="Zzyzx"/></name>' * (LARGE_XML // 30)
    created = caller.put("/Patient/large", content=f'<Patient {NS}><id value="large"/>{names}</Patient>')
    assert len(read(created, 201)["name"]) == LARGE_XML // 30
    refused = caller.put("/Patient/large", content=f'<Patient {NS}><id value="large"/>{names}<id value="a"/></Patient>')
    assert read(refused, 400)["issue"][0]["expression"] == ["Patient"]
