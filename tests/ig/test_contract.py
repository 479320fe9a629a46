"""The code and the guide say the same: every URL and every code of the guide's that is used is defined in it."""

from __future__ import annotations

import ast
import importlib
import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from fhir_server.access.provisions import LEVELS, SHARING
from realtime.events._messages import KIND, MESSAGES
from tests.ig.conftest import DEFINED

ROOT = Path(__file__).resolve().parents[2]
CANONICAL = "http://fhir-server.example/ig"
SYSTEM = f"{CANONICAL}/CodeSystem/"
PACKAGES = ("fhir_server", "smart_auth", "subscriptions", "realtime", "extensions", "web_views", "benchmarks")
MODULES = sorted(path for name in PACKAGES for path in (ROOT / name).rglob("*.py"))
TEXTS = sorted(
    [path for name in PACKAGES for path in (ROOT / name).rglob("*.toml")]
    + [path for folder in ("docs", "ig/input/fsh", "tests/cases") for path in (ROOT / folder).rglob("*.*")]
)
TEXTS.remove(ROOT / "tests" / "cases" / "subscription_refusals.yaml")  # wrong on purpose
# Codes that stand apart from their system, where no pair can be found.
APART = {SHARING: LEVELS, KIND: MESSAGES}
# A URL, and the code behind it; in a table of Markdown, \| stands for |.
_NAMED = re.compile(re.escape(CANONICAL) + r"/([A-Za-z]+/[\w.-]*\w)(?:\\?[|#]([\w-]+))?")
_IN_YAML = re.compile(r"[{,] *\"?system\"?: *\"" + re.escape(SYSTEM) + r"([\w-]+)\", *\"?code\"?: *\"?([\w-]+)")
# What is a name and no resource: modules of the triage that is still to come.
_NAMES_ONLY = frozenset({"triage/red-flags"})

Use = tuple[str, str]  # what is named below the canonical, and the code behind it or ""


# ---- what the guide defines ------------------------------------------------------------------------------


def defined() -> set[str]:
    """What the canonical stands before: "CodeSystem/privacy", "SubscriptionTopic/case", "sid/case-number"."""
    found = set(DEFINED) | _NAMES_ONLY
    for one in DEFINED.values():
        if one["resourceType"] == "NamingSystem":
            found |= {sid["value"].removeprefix(f"{CANONICAL}/") for sid in one["uniqueId"]}
        if one["resourceType"] == "Basic":
            urls = (extension.get("valueUri", "") for extension in one["extension"])
            found |= {url.removeprefix(f"{CANONICAL}/") for url in urls if url.startswith(CANONICAL)}
    return found


def codes(system: str) -> set[str]:
    """The codes of a CodeSystem of the guide, given as "CodeSystem/privacy"."""
    return {concept["code"] for concept in DEFINED.get(system, {}).get("concept", ())}


def unknown(uses: Iterable[Use]) -> list[Use]:
    """Those that the guide does not define."""
    known = defined()
    return sorted({use for use in uses if use[0] not in known or (use[1] and use[1] not in codes(use[0]))})


# ---- what is used ----------------------------------------------------------------------------------------


def in_text(text: str) -> Iterator[Use]:
    """The URLs, each with the code behind it, and the codings of YAML and JSON."""
    for name, code in _NAMED.findall(text):
        # Before a code only a system stands: behind the URL of a profile it is a version.
        yield name, code if name.startswith("CodeSystem/") else ""
    for name, code in _IN_YAML.findall(text):
        yield f"CodeSystem/{name}", code


def in_code(source: str, names: Mapping[str, Any]) -> Iterator[Use]:
    """Those of a module with these globals: its strings, its pairs of system and code, its codings."""
    for node in ast.walk(ast.parse(source)):
        for text in _strings(node, names):
            yield from in_text(text)
        for system, code in _pairs(node):
            url, said = _value(system, names), _value(code, names)
            if isinstance(url, str) and url.startswith(SYSTEM) and isinstance(said, str):
                yield url.removeprefix(f"{CANONICAL}/"), said


def _strings(node: ast.AST, names: Mapping[str, Any]) -> Iterator[str]:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    if isinstance(node, ast.JoinedStr):
        parts = (one.value if isinstance(one, ast.FormattedValue) else one for one in node.values)
        yield "".join(str(_value(part, names)) for part in parts)


def _pairs(node: ast.AST) -> Iterator[tuple[ast.AST, ast.AST]]:
    """What may be a system and its code: neighbours in a tuple, a list or a call, and the two keys of a Coding."""
    if isinstance(node, ast.Tuple | ast.List):
        yield from pairwise(node.elts)
    if isinstance(node, ast.Call):
        yield from pairwise(node.args)
    if isinstance(node, ast.Dict):
        items = zip(node.keys, node.values, strict=True)
        keyed = {one.value: value for one, value in items if isinstance(one, ast.Constant)}
        if keyed.keys() >= {"system", "code"}:
            yield keyed["system"], keyed["code"]


def _value(node: ast.AST, names: Mapping[str, Any]) -> Any:
    """A constant, a global or an attribute of one; None for what is only known when it runs."""
    if isinstance(node, ast.Constant):
        return node.value
    if isinstance(node, ast.Name):
        return names.get(node.id)
    if isinstance(node, ast.Attribute):
        return getattr(_value(node.value, names), node.attr, None)
    return None


def uses_of(module: Path) -> list[Use]:
    dotted = ".".join(module.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    # A script is not imported, since it would run.
    names = {} if "__main__" in dotted else vars(importlib.import_module(dotted))
    return list(in_code(module.read_text("utf-8"), names))


# ---- the tests -------------------------------------------------------------------------------------------


def test_what_the_code_names_is_in_the_guide() -> None:
    used = {str(path.relative_to(ROOT)): uses_of(path) for path in MODULES}
    assert {path: wrong for path, uses in used.items() if (wrong := unknown(uses))} == {}
    found = {use for uses in used.values() for use in uses}
    # What must be among them, or this test would look past it.
    assert ("CodeSystem/record-label", "team-discussion") in found
    assert ("CodeSystem/task-kind", "review-emergency-access") in found
    assert ("CodeSystem/privacy", "break-glass") in found
    assert ("CodeSystem/flag-category", "emergency") in found


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_what_a_page_a_policy_or_a_case_names_is_in_the_guide(path: Path) -> None:
    assert unknown(in_text(path.read_text("utf-8"))) == []


@pytest.mark.parametrize("system", APART, ids=lambda system: system.rpartition("/")[2])
def test_codes_apart_from_their_system_are_in_the_guide(system: str) -> None:
    assert unknown((system.removeprefix(f"{CANONICAL}/"), code) for code in APART[system]) == []


def test_every_level_of_sharing_is_known_to_the_server() -> None:
    assert set(LEVELS) == codes("CodeSystem/share-level")


@pytest.mark.parametrize(
    ("source", "wrong"),
    [
        (f'X = "{CANONICAL}/CodeSystem/nowhere"', ("CodeSystem/nowhere", "")),
        (f'X = "{CANONICAL}/SubscriptionTopic/nothing"', ("SubscriptionTopic/nothing", "")),
        (f'X = "code={SYSTEM}privacy|nothing"', ("CodeSystem/privacy", "nothing")),
        (f'X = ("{SYSTEM}privacy", "nothing")', ("CodeSystem/privacy", "nothing")),
        ('X = (PRIVACY, "nothing")', ("CodeSystem/privacy", "nothing")),
        ("X = concept(other.PRIVACY, CODE)", ("CodeSystem/privacy", "nothing")),
        ('X = {"system": PRIVACY, "code": "nothing"}', ("CodeSystem/privacy", "nothing")),
        ('X = f"role={PRIVACY}|nothing&active=true"', ("CodeSystem/privacy", "nothing")),
        ('X = f"role={PRIVACY}|{CODE}"', ("CodeSystem/privacy", "nothing")),
    ],
)
def test_what_is_wrong_in_code_is_found(source: str, wrong: Use) -> None:
    privacy = f"{SYSTEM}privacy"
    names = {"PRIVACY": privacy, "CODE": "nothing", "other": SimpleNamespace(PRIVACY=privacy)}
    assert unknown(in_code(source, names)) == [wrong]


@pytest.mark.parametrize(
    "source", ['X = (PRIVACY, "alert")', 'X = f"role={PRIVACY}|{CODE}"', "X = concept(PRIVACY, CODE)"]
)
def test_what_is_right_is_not(source: str) -> None:
    assert unknown(in_code(source, {"PRIVACY": f"{SYSTEM}privacy", "CODE": "alert"})) == []


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        (f'category = "{SYSTEM}privacy|nothing"', ("CodeSystem/privacy", "nothing")),
        (f"`{SYSTEM}privacy\\|nothing`", ("CodeSystem/privacy", "nothing")),
        (f'code: {{system: "{SYSTEM}privacy", code: nothing}}', ("CodeSystem/privacy", "nothing")),
        (f'{{"system": "{SYSTEM}privacy", "code": "nothing"}}', ("CodeSystem/privacy", "nothing")),
        (f"see {CANONICAL}/StructureDefinition/nothing.", ("StructureDefinition/nothing", "")),
    ],
)
def test_what_is_wrong_in_a_text_is_found(text: str, wrong: Use) -> None:
    assert unknown(in_text(text)) == [wrong]
