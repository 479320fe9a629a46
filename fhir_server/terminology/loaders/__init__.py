"""Release files of large code systems → concepts: LOINC, SNOMED CT, and CodeSystem resources of any size.

A release is opened, checked, and stored file by file; nothing of it is ever held in memory as a whole.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from fhir_server.terminology.loaders import codesystem, loinc, snomed
from fhir_server.terminology.loaders.files import BadRelease, Files
from fhir_server.terminology.loaders.release import Options, Release

__all__ = ["BadRelease", "Options", "Release", "open_release"]

Kind = tuple[Callable[[Files], bool], Callable[[Files, Options], Release]]
_KINDS: tuple[Kind, ...] = tuple((kind.is_one, kind.open) for kind in (loinc, snomed, codesystem))


def open_release(path: Path, options: Options) -> Release:
    """What is at `path`: a LOINC or SNOMED CT release as zip or folder, or a CodeSystem as JSON or NDJSON (.gz).

    Raises BadRelease, whose message says what is wrong and where, and OSError.
    """
    files = Files(path)
    for is_one, opened in _KINDS:
        if is_one(files):
            return replace(opened(files, options), fingerprint=f"{files.fingerprint()} {options!r}")
    raise BadRelease(
        f"{path} is no release this server can read: neither LOINC (Loinc.csv), nor a SNOMED CT RF2 snapshot "
        "(sct2_Concept_Snapshot….txt), nor a CodeSystem in JSON or NDJSON."
    )
