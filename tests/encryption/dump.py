"""Where secrets have left a trace: any collection of the database in raw BSON, the oplog among them, and any file."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable
from pathlib import Path

from tests.workflows.traces import everything, forms

Found = dict[str, set[str]]  # secret → the collections ("t_clinic_fhir.version") and files that have it


def words(*texts: str) -> dict[str, set[bytes]]:
    """Texts to look for: as they are, and in base64 wherever they begin in what is encoded."""
    return {text: forms(text) for text in texts}


def keys(*raw: bytes) -> dict[str, set[bytes]]:
    """Keys to look for: their bytes, in hex and in base64."""
    return {one.hex(): {one, one.hex().encode(), one.hex().upper().encode(), b64encode(one)[:-2]} for one in raw}


def search(wanted: dict[str, set[bytes]], uri: str, folder: Path, *, but: Iterable[str] = ()) -> Found:
    """What was found of these, by secret; files of the names in `but` are passed over."""
    found: Found = {}
    passed = set(but)
    for name, data in everything(uri, folder):
        if name not in passed:
            for secret, shapes in wanted.items():
                if any(shape in data for shape in shapes):
                    found.setdefault(secret, set()).add(name)
    return found
