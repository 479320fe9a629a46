"""search.html#content: what is asked, what is indexed, and that the two meet."""

from __future__ import annotations

import gzip
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_server import json
from fhir_server.outcomes import FhirError, Invalid
from fhir_server.search.text_expression import (
    MAX_DEPTH,
    MAX_LENGTH,
    MAX_WORD,
    And,
    Expression,
    Not,
    Or,
    Prefix,
    Word,
    content,
    narrative,
    parse,
    words,
)
from tests.search.finder import attempt

Json = dict[str, Any]
BONE, LIVER, METASTASES = Word("bone"), Word("liver"), Word("metastases")


def holds(expression: Expression, found: set[str]) -> bool:
    match expression:
        case Word(word):
            return word in found
        case Prefix(beginning):
            return any(word.startswith(beginning) for word in found)
        case And(parts):
            return all(holds(part, found) for part in parts)
        case Or(parts):
            return any(holds(part, found) for part in parts)
        case Not(part):
            return not holds(part, found)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("(bone OR liver) and metastases", And((Or((BONE, LIVER)), METASTASES))),
        ("bone", BONE),
        ("Bone LIVER", And((BONE, LIVER))),
        ("bone liver or metastases", Or((And((BONE, LIVER)), METASTASES))),
        ("bone OR liver AND metastases", Or((BONE, And((LIVER, METASTASES))))),
        ("bone or liver or metastases", Or((BONE, LIVER, METASTASES))),
        ("not bone liver", And((Not(BONE), LIVER))),
        ("bone AND NOT (liver or metastases)", And((BONE, Not(Or((LIVER, METASTASES)))))),
        ("not not bone", Not(Not(BONE))),
        ("bone(liver)", And((BONE, LIVER))),
        ('"bone metastases"', And((BONE, METASTASES))),
        ('not "bone metastases" or liver', Or((Not(And((BONE, METASTASES))), LIVER))),
        ('"and" bone', And((Word("and"), BONE))),
        ("metastas*", Prefix("metastas")),
        ("bone-metastas*", And((BONE, Prefix("metastas")))),
        ("bone-liver-bone*", And((BONE, LIVER, Prefix("bone")))),
        ("Müller's", Word("mullers")),
        ("hepatitis B", And((Word("hepatitis"), Word("b")))),
        ("x" * 50, Word("x" * MAX_WORD)),
        ("android", Word("android")),
    ],
)
def test_parse(text: str, expected: Expression) -> None:
    assert parse(text) == expected


@pytest.mark.parametrize(
    ("text", "position", "problem"),
    [
        ("", 1, "a word is expected"),
        ("   ", 4, "a word is expected"),
        ("and bone", 1, "a word is expected"),
        ("bone and", 9, "a word is expected"),
        ("bone or or liver", 9, "a word is expected"),
        ("not", 4, "a word is expected"),
        ("()", 2, "a word is expected"),
        ("(bone", 6, "a parenthesis is not closed"),
        ("bone)", 5, "a parenthesis is closed that was not opened"),
        ('bone "liver', 6, "a quote is not closed"),
        ('bone ""', 6, "no letter or digit"),
        ("bone , liver", 6, "no letter or digit"),
        ("*", 1, "no letter or digit"),
        ("b*ne", 1, "'*' stands at the end"),
        ('"bon* liver"', 1, "'*' stands at the end"),
        ("(" * 40 + "bone" + ")" * 40, 34, f"more than {MAX_DEPTH} parentheses"),
        ("not " * 40 + "bone", 133, f"more than {MAX_DEPTH} parentheses"),
    ],
)
def test_what_is_wrong_and_where(text: str, position: int, problem: str) -> None:
    with pytest.raises(Invalid, match=f"^Parameter '_content' at position {position}: ") as refused:
        parse(text, "_content")
    assert problem in str(refused.value)


@pytest.mark.parametrize("text", ["a" * (MAX_LENGTH + 1), "\ud800"])
def test_what_is_refused_as_a_whole(text: str) -> None:
    with pytest.raises(Invalid, match=r"'_text' (takes up to 1000 characters|is not valid Unicode)"):
        parse(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", set()),
        (" — … !", set()),
        ("Bone, LIVER; (metastases).", {"bone", "liver", "metastases"}),
        ("O'Brien O’Brien's 'quoted'", {"obrien", "obriens", "quoted"}),
        ("Café CAFE\u0301", {"cafe"}),
        ("a 1 Vitamin D", {"a", "1", "vitamin", "d"}),
        ("ST-elevation/LBBB 3.5%", {"st", "elevation", "lbbb", "3", "5"}),
        ("straße 東京 5µg", {"strasse", "東京", "5μg"}),
        ("the and or", {"the", "and", "or"}),
        ("x" * 300, {"x" * MAX_WORD}),
        ("a\u00a0b\tc\nd", {"a", "b", "c", "d"}),
    ],
)
def test_words(text: str, expected: set[str]) -> None:
    assert words(text) == expected


@pytest.mark.parametrize(
    ("div", "expected"),
    [
        ('<div xmlns="http://www.w3.org/1999/xhtml"><p>Bone</p><p>liver</p></div>', "Bone liver"),
        ("<div>H<sub>2</sub>O and <b>b</b>one<br/>liver</div>", "H2O and bone liver"),
        ("<div>&lt;5 &amp; &#233;t&eacute;&nbsp;x</div>", "<5 & été x"),
        ("<div>a<!-- not <b> this - -- -->b</div>", "ab"),
        ('<div><img src="x.png" alt="picture"/><a href="http://a">link</a></div>', "link"),
        ("<div>cut <!-- off", "cut"),
        ("<div>cut <off", "cut"),
        ("", ""),
    ],
)
def test_narrative(div: str, expected: str) -> None:
    assert narrative({"resourceType": "Patient", "text": {"status": "generated", "div": div}}) == expected


@pytest.mark.parametrize("resource", [{}, {"text": None}, {"text": "x"}, {"text": {}}, {"text": {"div": 1}}])
def test_no_narrative(resource: Json) -> None:
    assert narrative(resource) == ""


def test_content_is_what_people_read() -> None:
    resource = {
        "resourceType": "Condition",
        "id": "an-id",
        "meta": {"profile": ["http://profile"], "tag": [{"system": "http://tag", "code": "code", "display": "Tag"}]},
        "language": "en",
        "text": {"status": "generated", "div": "<div>Told <b>here</b></div>"},
        "contained": [
            {"resourceType": "Practitioner", "id": "p", "name": [{"family": "Mayo", "given": ["Ann", None]}]}
        ],
        "extension": [{"url": "http://url", "valueString": "Extended"}, {"url": "http://url", "valueCode": "code"}],
        "identifier": [{"system": "http://mrn", "value": "MRN-1"}],
        "code": {"coding": [{"system": "http://sct", "code": "1", "display": "Asthma"}], "text": "Wheeze"},
        "subject": {"reference": "Patient/1", "display": "Peter"},
        "onsetDateTime": "2020-01-01",
        "_onsetDateTime": {"extension": [{"url": "http://url", "valueString": "hidden"}]},
        "note": [{"authorString": "Nurse", "time": "2020-01-01", "text": "*Severe*"}],
        "unknown": "nothing",
    }
    expected = [
        "Tag",
        "Told here",
        "Mayo",
        "Ann",
        "Extended",
        "MRN-1",
        "Asthma",
        "Wheeze",
        "Peter",
        "Nurse",
        "*Severe*",
    ]
    assert list(content(resource)) == expected


@pytest.mark.parametrize("resource", [{}, {"resourceType": "Nothing"}, {"resourceType": 1}])
def test_no_content(resource: Json) -> None:
    assert list(content(resource)) == []


def test_content_of_the_published_examples(shared: Path) -> None:
    with gzip.open(shared / "fhir-r4" / "examples.ndjson.gz") as lines:
        for number, line in enumerate(lines):
            if number % 20 == 0:
                resource = json.decode(line)
                told = narrative(resource)
                assert not re.search(r"</?(div|p|td|b)\b", told)
                texts = list(content(resource))
                assert not told or told in texts
                assert not any("base64" in text[:100] for text in texts)


# ---- any text ------------------------------------------------------------------------------------------

SIGNS = ["bone", "AND", "or", "not", "(", ")", '"', "*", " ", "-", "é"]
TEXTS = st.one_of(st.text(max_size=60), st.lists(st.sampled_from(SIGNS), max_size=40).map("".join))


@given(TEXTS)
def test_any_text_is_read_or_refused(text: str) -> None:
    found = attempt(lambda: parse(text))
    assert not isinstance(found, FhirError) or found.status == 400


@given(st.text(max_size=80))
def test_any_text_is_found_by_its_words(text: str) -> None:
    found = words(text)
    assert all(0 < len(word) <= MAX_WORD and not re.search(r"\s", word) for word in found)
    phrase = attempt(lambda: parse('"' + re.sub(r'["*]', " ", text) + '"'))
    assert isinstance(phrase, FhirError) or holds(phrase, found)


@given(st.text(alphabet="<>!-/ab &;\"'", max_size=60))
def test_any_markup_becomes_text(div: str) -> None:
    assert "<b>" not in narrative({"text": {"div": div.replace("&", "")}})


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=5)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(["text", "div", "name", "contained", "resourceType", "extension", "valueString"]), inner
        ),
    ),
)


@given(st.dictionaries(st.sampled_from(["text", "name", "contained", "extension", "note"]), JSON))
def test_any_json_has_content(resource: Json) -> None:
    assert all(isinstance(text, str) for text in content({**resource, "resourceType": "Patient"}))
    assert isinstance(narrative(resource), str)
