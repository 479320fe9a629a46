"""Mutated resources, Bundles and patches, and generated searches: never a 500, always JSON, always an outcome."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fhir_server.search.registry import parameters
from tests.rest.test_bad_input import Answer, Caller, bundle, seed

JSON_PATCH = {"Content-Type": "application/json-patch+json"}
NOT_BUILT = 501
bounded = settings(
    max_examples=int(os.environ.get("FUZZ_EXAMPLES", "400")),
    deadline=None,
    derandomize="CI" in os.environ,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example],
)

CODING = {"coding": [{"system": "http://loinc.org", "code": "1234-5", "display": "a"}], "text": "b"}
RESOURCES: list[dict[str, Any]] = [
    {
        "resourceType": "Patient",
        "id": "p",
        "meta": {"profile": ["http://example.org/p"], "tag": [{"system": "urn:t", "code": "t"}]},
        "text": {"status": "generated", "div": '<div xmlns="http://www.w3.org/1999/xhtml"><p>a</p></div>'},
        "contained": [{"resourceType": "Organization", "id": "o", "name": "a"}],
        "extension": [{"url": "http://example.org/e", "valueDecimal": 1.5}],
        "identifier": [{"system": "urn:s", "value": "1", "period": {"start": "2020"}, "assigner": {"display": "a"}}],
        "active": True,
        "name": [{"family": "A", "_family": {"id": "x"}, "given": ["B", "C"], "_given": [None, {"id": "y"}]}],
        "birthDate": "1980-02-29",
        "multipleBirthInteger": 2,
        "managingOrganization": {"reference": "#o"},
        "link": [{"other": {"reference": "Patient/q"}, "type": "seealso"}],
    },
    {
        "resourceType": "Observation",
        "status": "final",
        "code": CODING,
        "subject": {"reference": "Patient/p"},
        "effectiveDateTime": "2020-01-01T10:00:00+01:00",
        "valueQuantity": {"value": 1.50, "unit": "mg", "system": "http://unitsofmeasure.org", "code": "mg"},
        "referenceRange": [{"low": {"value": 1}, "high": {"value": 2e2}}],
        "component": [{"code": CODING, "valuePeriod": {"start": "2020-01", "end": "2021"}}],
    },
    {
        "resourceType": "Appointment",
        "status": "booked",
        "start": "2020-01-01T10:00:00Z",
        "requestedPeriod": [{"start": "2020"}],
        "participant": [{"actor": {"reference": "Patient/p"}, "status": "accepted", "period": {"end": "2020"}}],
    },
]
ENTRIES: list[dict[str, Any]] = [
    {
        "fullUrl": "urn:uuid:6f0f5cb5-6a66-4b0a-9f2e-4ad8ad6c2f3e",
        "resource": RESOURCES[0],
        "request": {"method": "POST", "url": "Patient", "ifNoneExist": "identifier=urn:s|1"},
    },
    {
        "resource": {**RESOURCES[1], "subject": {"reference": "urn:uuid:6f0f5cb5-6a66-4b0a-9f2e-4ad8ad6c2f3e"}},
        "request": {"method": "PUT", "url": "Observation?code=1234-5"},
    },
    {"resource": RESOURCES[0], "request": {"method": "PUT", "url": "Patient/p", "ifMatch": 'W/"1"'}},
    {"request": {"method": "GET", "url": "Patient?name=a&_count=1"}},
    {"request": {"method": "DELETE", "url": "Appointment?date=2020"}},
    {
        "resource": {"resourceType": "Binary", "contentType": "application/json-patch+json", "data": "W10="},
        "request": {"method": "PATCH", "url": "Patient/q"},
    },
]
PATCHES: list[Any] = [
    [{"op": "add", "path": "/name/0/given/-", "value": "D"}, {"op": "test", "path": "/id", "value": "p"}],
    [{"op": "move", "from": "/name", "path": "/identifier"}, {"op": "remove", "path": "/birthDate"}],
    {
        "resourceType": "Parameters",
        "parameter": [
            {
                "name": "operation",
                "part": [
                    {"name": "type", "valueCode": "add"},
                    {"name": "path", "valueString": "Patient.name[0]"},
                    {"name": "name", "valueString": "given"},
                    {"name": "value", "valueString": "E"},
                ],
            }
        ],
    },
]

WORDS = st.sampled_from(
    [
        *[
            "",
            " ",
            "$where",
            "$ne",
            "a.b",
            "id",
            "resourceType",
            "_id",
            "__proto__",
            "Patient",
            "Patient/p",
            "Bundle",
            "#o",
        ],
        *[
            "Patient?name[$ne]=1",
            "Patient?identifier=x",
            "../p",
            "http://[",
            "urn:uuid:x",
            "%00",
            "%ff",
            "//",
            "?",
            "\0",
        ],
        *[
            "2020-02-30",
            "0001-01-01T00:00:00+14:00",
            "9999-12-31T23:59:59-14:00",
            "10000",
            "1e999",
            "NaN",
            "-0",
            "9" * 400,
        ],
        *[
            "(a+)+$",
            "a" * 65,
            "a" * 5000,
            "\ud7ff",
            "\U0010ffff",
            "\u0001",
            "\u202e",
            "İ",
            "ß",
            "\\",
            "|",
            "a|b|c",
            ",",
            "é",
        ],
    ]
)
TEXT = WORDS | st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
SCALARS = (
    st.none()
    | st.booleans()
    | st.sampled_from([0, -1, 2**31, 2**63, 2**64, 10**30, -(10**30), 1.5, 1e300, 1e-300])
    | TEXT
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3), max_leaves=6
)


@st.composite
def mutated(draw: st.DrawFn, originals: list[Any]) -> Any:
    """One of these with up to three places changed, removed, renamed or repeated."""
    value = json.loads(json.dumps(draw(st.sampled_from(originals))))
    for _ in range(draw(st.integers(1, 3))):
        container, place = draw(st.sampled_from(list(places(value)) or [({}, "")]))
        match draw(st.sampled_from(["change", "change", "remove", "rename", "repeat"])):
            case "change":
                container[place] = draw(VALUES)
            case "remove" if container:
                del container[place]
            case "rename" if isinstance(container, dict) and container:
                container[draw(TEXT)] = container.pop(place)
            case "repeat" if isinstance(container, list):
                container.append(container[place])
            case _:
                container.update({"x": [[]]}) if isinstance(container, dict) else container.append([[]])
    return value


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every container and key or index below this value."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for place, child in list(items):
        yield value, place
        yield from places(child)


@st.composite
def searches(draw: st.DrawFn) -> str:
    """A type, parameters of that type and others, modifiers, prefixes and values of all sorts."""
    type_ = draw(st.sampled_from(["Patient", "Observation", "Appointment", "RiskAssessment", "ValueSet", ""]))
    known = sorted(parameters(type_)) if type_ else ["_id"]
    controls = "_count _sort _include _revinclude _summary _elements _total _cursor _type _lastUpdated _tag _has _since"
    names = st.sampled_from([*known, *controls.split()]) | TEXT
    modifiers = st.sampled_from(
        ["", "", "", ":missing", ":exact", ":contains", ":not", ":Patient", ":identifier", ":$ne"]
    )
    prefixes = st.sampled_from(["", "", "gt", "le", "ap", "ne", "sa", "-"])
    samples = st.sampled_from(["2020", "5.4|http://unitsofmeasure.org|mg", "Patient/p", "true", "a,b", "*", "code"])
    pairs = [
        (draw(names) + draw(modifiers), draw(prefixes) + draw(samples | TEXT)) for _ in range(draw(st.integers(1, 3)))
    ]
    path = draw(st.sampled_from([f"/{type_}", f"/{type_}", f"/{type_}/_history", f"/Patient/p/{type_ or '*'}"]))
    return f"{path}?{urlencode(pairs)}"


@pytest.fixture(scope="module")
def caller(server: str) -> Iterator[Caller]:
    made = Caller(server)
    seed(made)
    yield made
    made.close()


def proper(answer: Answer) -> None:
    """What every answer is, whatever was asked."""
    assert answer.status < 500 or answer.status == NOT_BUILT, answer.body
    if answer.status in (204, 304):
        return
    assert answer.content_type.startswith("application/fhir+json")
    content = answer.json()
    if answer.status >= 400:
        assert content["resourceType"] == "OperationOutcome"
        assert content["issue"]
    for entry in content.get("entry", ()) if content["resourceType"] == "Bundle" else ():
        status = str(entry.get("response", {}).get("status", ""))
        assert status < "5" or status.startswith(str(NOT_BUILT)), answer.body
        if status >= "4":
            assert entry["response"]["outcome"]["resourceType"] == "OperationOutcome"


@bounded
@given(resource=mutated(RESOURCES), update=st.booleans())
def test_resources(caller: Caller, resource: Any, update: bool) -> None:
    declared = resource.get("resourceType")
    type_ = quote(declared, safe="") if isinstance(declared, str) else "Patient"
    path = f"/{type_}/p" if update else f"/{type_}"
    proper(caller("PUT" if update else "POST", path, json.dumps(resource)))


@bounded
@given(kind=st.sampled_from(["batch", "transaction"]), entries=mutated([[entry, *ENTRIES[:2]] for entry in ENTRIES]))
def test_bundles(caller: Caller, kind: str, entries: Any) -> None:
    proper(caller("POST", "/", bundle(kind, entries)))


@bounded
@given(patch=mutated(PATCHES))
def test_patches(caller: Caller, patch: Any) -> None:
    proper(caller("PATCH", "/Patient/q", json.dumps(patch), JSON_PATCH if isinstance(patch, list) else None))


@bounded
@given(path=searches())
def test_searches(caller: Caller, path: str) -> None:
    proper(caller("GET", path))


@pytest.mark.parametrize(
    "wrong",
    [
        Answer(500, "application/fhir+json", b'{"resourceType":"OperationOutcome","issue":[{}]}'),
        Answer(400, "application/fhir+json", b'{"resourceType":"Patient"}'),
        Answer(400, "text/plain", b"no"),
        Answer(200, "application/fhir+json", b'{"resourceType":"Bundle","entry":[{"response":{"status":"500 Oh"}}]}'),
    ],
    ids=["a 500", "no outcome", "no JSON", "a 500 within"],
)
def test_the_check_can_fail(wrong: Answer) -> None:
    with pytest.raises(AssertionError):
        proper(wrong)
