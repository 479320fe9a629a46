"""`python -m benchmarks.population`: as many patients as wanted, made from Synthea's, the same ones for the same seed.

A patient of the source is kept as JSON text that is cut where a copy differs: ids, references and dates. A copy has
ids of its own, every date is moved by the same number of days, and name and identifiers are others. Organizations and
practitioners are shared by the patients of one round over the source, as in the source, so that there are as many of
them per patient however large the population; each organization has a Location (Synthea writes none).
"""

from __future__ import annotations

import argparse
import asyncio
import gzip
import random
import re
import sys
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec

from benchmarks import bulk, vocabulary
from benchmarks.corpus import Corpus
from benchmarks.imports import generated, patients
from benchmarks.load import Call
from benchmarks.session import Session, Unusable
from benchmarks.target import Refused, target

Json = dict[str, Any]
SYNTHEA = Path(__file__).resolve().parents[2] / "shared" / "synthea"
SHARED = ("Organization", "Practitioner")
DAYS = 5 * 365  # the most that a patient's dates are moved back
FIRST_DAY, LAST_DAY = date(1850, 1, 1).toordinal(), date(2100, 1, 1).toordinal()
MIDDLE, SPREAD = (42.3, -71.8), 1.2  # degrees: where the Locations are, about Massachusetts
_HOLES = re.compile(
    r"(?P<urn>urn:uuid:)?(?P<id>[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})"
    r'|(?<=")(?P<day>\d{4}-\d\d-\d\d)(?=["T])'
)
_DIGIT = re.compile(r"\d")
_decode = msgspec.json.Decoder(list[Json], float_hook=Decimal).decode
_encode = msgspec.json.Encoder(decimal_format="number").encode
_iso = [date.fromordinal(day).isoformat() for day in range(FIRST_DAY, LAST_DAY)]


@dataclass(slots=True)
class Template:
    """Resources as the text of a JSON list, in parts; at the places named a copy has its own id or day."""

    parts: list[str] = field(default_factory=list)
    ids: list[tuple[int, str, str]] = field(default_factory=list)  # place, what stands before the id, the source's id
    days: list[tuple[int, int]] = field(default_factory=list)  # place, index in _iso
    count: int = 0

    def text(self, fresh: dict[str, str], days: int) -> str:
        """The text of a copy whose ids are `fresh` and whose dates are moved by `days`."""
        parts = self.parts.copy()
        for place, before, id in self.ids:
            parts[place] = before + fresh[id]
        for place, day in self.days:
            parts[place] = _iso[day + days]
        return "".join(parts)


def template(resources: list[Json], types: dict[str, str]) -> Template:
    """The template of these resources; `types` are those of the resources that urn:uuid references lead to."""
    text, found, start = _encode(resources).decode(), Template(count=len(resources)), 0
    for hole in _HOLES.finditer(text):
        found.parts += [text[start : hole.start()], hole[0]]
        start, place = hole.end(), len(found.parts) - 1
        if hole["day"]:
            found.days.append((place, date.fromisoformat(hole["day"]).toordinal() - FIRST_DAY))
        else:
            type_ = types.get(hole["id"])
            before = f"{type_}/" if hole["urn"] and type_ else hole["urn"] or ""
            found.ids.append((place, before, hole["id"]))
    found.parts.append(text[start:])
    return found


class Population:
    """The resources of each patient, by number from 0; nothing is kept of those handed out.

    The source is a folder of transaction Bundles; without one, Bundles of the load program's own.
    """

    def __init__(self, source: Path | None, seed: int = 1) -> None:
        self.seed = seed
        sent = (patients(source) if source and source.is_dir() else []) or generated(Corpus(seed))
        self._patients: list[Template] = []
        self._brought: list[list[tuple[str, Template]]] = []  # what is shared, by the patient that first refers to it
        self._shared: set[str] = set()
        for bundle in sent:
            self._add(_identified(bundle.body))

    def _add(self, resources: list[Json]) -> None:
        types = {resource["id"]: resource["resourceType"] for resource in resources}
        new = [r for r in resources if r["resourceType"] in SHARED and r["id"] not in self._shared]
        self._shared |= {resource["id"] for resource in new}
        self._brought.append([(r["id"], template(_with_place(r), types | _PLACES)) for r in new])
        self._patients.append(template([r for r in resources if r["resourceType"] not in SHARED], types))

    def count(self, patients: int) -> int:
        """How many resources so many patients have."""
        whole, rest = divmod(patients, len(self._patients))
        each = [
            own.count + sum(one.count for _, one in brought)
            for own, brought in zip(self._patients, self._brought, strict=True)
        ]
        return whole * sum(each) + sum(each[:rest])

    def patient(self, number: int) -> list[Json]:
        """The resources of one patient, with references resolved, and the shared ones that come with them."""
        round_, place = divmod(number, len(self._patients))
        found: list[Json] = []
        for id, shared in self._brought[place]:
            found += [_of_the_house(one, round_) for one in _decode(shared.text(self._ids(shared, round_), 0))]
            assert found[-1]["id"] or id
        own, dice = self._patients[place], random.Random(f"{self.seed}/{number}")
        mine = _decode(own.text(self._ids(own, round_, dice), -dice.randrange(DAYS)))
        for resource in mine:
            if resource["resourceType"] == "Patient":
                _rename(resource, dice)
        return found + mine

    def _ids(self, wanted: Template, round_: int, dice: random.Random | None = None) -> dict[str, str]:
        """The new id of each id in a template: the round's for what is shared, else one of the patient's own."""
        fresh: dict[str, str] = {}
        for _, _, id in wanted.ids:
            if id not in fresh:
                shared = dice is None or id in self._shared
                fresh[id] = self._shared_id(id, round_) if shared or dice is None else _id(dice)
        return fresh

    def _shared_id(self, id: str, round_: int) -> str:
        return str(uuid.uuid5(_NAMESPACE, f"{self.seed}/{round_}/{id}"))

    def bundle(self, number: int) -> bytes:
        """The patient as a transaction Bundle that puts each resource under its id."""
        return bundle(self.patient(number))


def bundle(resources: list[Json]) -> bytes:
    """A transaction Bundle that puts each resource under its id."""
    entries = []
    for resource in resources:
        key = f"{resource['resourceType']}/{resource['id']}"
        request = {"method": "PUT", "url": key}
        entries.append({"fullUrl": f"urn:uuid:{resource['id']}", "resource": resource, "request": request})
    return _encode({"resourceType": "Bundle", "type": "transaction", "entry": entries})
