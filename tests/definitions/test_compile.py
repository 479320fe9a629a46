"""The package data is what the published bundles compile to, with the declared errata and nothing else."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from scripts.definitions.__main__ import SOURCE, TARGET, compile_all, write
from scripts.definitions.errata import OVERLAY, Errata

needs_shared = pytest.mark.skipif(not SOURCE.is_dir(), reason="the published bundles are not at ../shared/fhir-r4")


@needs_shared
def test_package_data_is_up_to_date() -> None:
    for name, content in compile_all(SOURCE).items():
        if name == "manifest.json":
            assert (TARGET / name).read_bytes() == content, name
        else:
            assert gzip.decompress((TARGET / f"{name}.gz").read_bytes()) == content, name


@needs_shared
def test_same_input_gives_same_bytes(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        write(compile_all(SOURCE), tmp_path / folder)
    names = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert names == sorted(path.name for path in TARGET.iterdir())
    for name in names:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes(), name


def test_package_data_is_small() -> None:
    assert sum(path.stat().st_size for path in TARGET.iterdir()) < 2_000_000


def test_each_erratum_gives_a_reason_and_a_source() -> None:
    for entries in json.loads(OVERLAY.read_text()).values():
        for entry in entries:
            assert entry["reason"]
            assert entry["source"].startswith("http://hl7.org/fhir/")


def test_an_erratum_that_matches_nothing_stops_the_compiler(tmp_path: Path) -> None:
    entry = {"path": "A", "key": "a-1", "published": "x", "corrected": "y", "reason": "r", "source": "s"}
    overlay = tmp_path / "errata.json"
    overlay.write_text(json.dumps({"constraints": [entry], "expressions": [], "types": [], "compartments": []}))
    errata = Errata(overlay)
    assert errata.expression("A", "a-1", "something else") == "something else"
    with pytest.raises(ValueError, match="a-1"):
        errata.check_used()
    assert errata.expression("A", "a-1", "x") == "y"
    errata.check_used()
