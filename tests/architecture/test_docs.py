"""The pages about configuration and limits say what the code does."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path

import pytest

from fhir_server.config import Settings

DOCS = Path(__file__).resolve().parents[2] / "docs"
ROW = re.compile(r"^\| [^|]+ \| ([^|]+) \| `([\w.]+)` \| [^|]+ \|$", re.MULTILINE)
LIMITS = {name: value for value, name in ROW.findall((DOCS / "limits.md").read_text())}


def test_every_setting_is_in_the_table() -> None:
    table = dict(re.findall(r"^\| `(\w+)` \| (?:`([^`]*)`)? ?\|", (DOCS / "running.md").read_text(), re.MULTILINE))
    aside = {"FHIR_PRIVATE_NETWORK", "MONGOD"}  # not settings of the server processes
    settings = {f"FHIR_{name.upper()}": field.default for name, field in Settings.model_fields.items()}
    settings["MONGODB_URI"] = settings.pop("FHIR_MONGODB_URI")
    assert table.keys() - aside == settings.keys()
    wrong = {n: (table[n], d) for n, d in settings.items() if table[n] != ("" if d is None else str(d))}
    assert not wrong, "page, code"


@pytest.mark.parametrize("name", list(LIMITS))
def test_limits_have_their_value(name: str) -> None:
    if name.startswith("FHIR_"):
        value = Settings.model_fields[name.removeprefix("FHIR_").lower()].default
    else:
        module, _, constant = name.rpartition(".")
        value = getattr(import_module(module), constant)
    assert re.match(r"\d+", LIMITS[name]), name
    assert float(re.split(r"\s", LIMITS[name])[0]) == value


def test_every_limit_of_the_settings_is_on_the_page() -> None:
    limits = {n for n in Settings.model_fields if n.startswith(("max_", "default_")) or n.endswith("_seconds")}
    assert {f"FHIR_{name.upper()}" for name in limits} <= LIMITS.keys()
