"""docs/searching.md: each call on it is one that the server understands, and what it says is refused is refused."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from urllib.parse import parse_qsl

import pytest

from fhir_server.outcomes import FhirError
from fhir_server.search.parse import parse
from fhir_server.search.query import Query

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "searching.md").read_text()
CALLS = re.findall(r"^curl -g (.*)$", PAGE, re.MULTILINE)
REFUSED = re.findall(r"^\| `((?:[A-Z]\w+)?\?[^`]+)` \|", PAGE, re.MULTILINE)


def asked(url: str, *, lenient: bool = False) -> Query:
    """The query of a URL below the base: Type?…, ?…, Type/id/Type?… or Type/id/*?…"""
    path, _, query = url.partition("?")
    *compartment, type_ = path.split("/")
    pairs = parse_qsl(query, keep_blank_values=True)
    within = (compartment[0], compartment[1]) if compartment else None
    return parse(type_.strip("*") or None, pairs, base_url="http://h/fhir", lenient=lenient, compartment=within)


@pytest.mark.parametrize("call", CALLS)
def test_the_calls_are_understood(call: str) -> None:
    url = shlex.split(call)[0].removeprefix("$BASE/").replace("\\$", "$")  # shlex leaves it
    assert asked(url, lenient="handling=lenient" in call).used


@pytest.mark.parametrize("url", REFUSED)
def test_what_is_refused_is_refused(url: str) -> None:
    with pytest.raises(FhirError):
        asked(url.replace(r"\|", "|"))


def test_the_calls_were_found() -> None:
    """So that a page that is written otherwise does not pass by having none."""
    assert len(CALLS) > 40
    assert len(REFUSED) > 8
    with pytest.raises(FhirError):
        asked("Patient?nme=x")
