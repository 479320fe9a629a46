"""As many patients as wanted, made from Synthea's, the same ones for the same seed.

A patient of the source is kept as JSON text that is cut where a copy differs: ids, references and dates. A copy has
ids of its own, every date is moved by the same number of days, and name and identifiers are others. Organizations and
practitioners are shared by the patients of one round over the source, as in the source, so that there are as many of
them per patient however large the population; each organization has a Location (Synthea writes none).
"""

from __future__ import annotations

import random
import re
import uuid
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec

from benchmarks import vocabulary
from benchmarks.corpus import Corpus
from benchmarks.imports import generated, patients

Json = dict[str, Any]
SHARED = ("Organization", "Practitioner")
DAYS = 5 * 365  # the most that a patient's dates are moved back
FIRST_DAY, LAST_DAY = date(1850, 1, 1).toordinal(), date(2100, 1, 1).toordinal()
MIDDLE, SPREAD = (42.3, -71.8), 1.2  # degrees: where the Locations are, about Massachusetts
_HOLES = re.compile(
    r"(?P<urn>urn:uuid:)?(?P<id>[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})"
    r'|(?<=")(?P<day>\d{4}-\d\d-\d\d)(?=["T])'
)
_UUID_LENGTH = 36
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
        self._patients: list[Template] = []
        self._brought: list[Template] = []  # what is shared and comes with the patient that first refers to it
        self._shared: set[str] = set()
        for sent in (patients(source) if source and source.is_dir() else []) or generated(Corpus(seed)):
            self._add(_identified(sent.body))

    def _add(self, resources: list[Json]) -> None:
        types = {resource["id"]: resource["resourceType"] for resource in resources}
        new = [r for r in resources if r["resourceType"] in SHARED and r["id"] not in self._shared]
        places = [_place(r) for r in new if r["resourceType"] == "Organization"]
        self._shared |= {resource["id"] for resource in new}
        self._brought.append(template(new + places, types))
        self._patients.append(template([r for r in resources if r["resourceType"] not in SHARED], types))

    def count(self, patients: int) -> int:
        """How many resources so many patients have."""
        each = [one.count + with_it.count for one, with_it in zip(self._patients, self._brought, strict=True)]
        rounds, rest = divmod(patients, len(each))
        return rounds * sum(each) + sum(each[:rest])

    def patient(self, number: int) -> list[Json]:
        """The resources of one patient, with references resolved, behind the shared ones that come with them."""
        round_, place = divmod(number, len(self._patients))
        brought, own = self._brought[place], self._patients[place]
        shared = _decode(brought.text({id: self._shared_id(id, round_) for _, _, id in brought.ids}, 0))
        for resource in shared:
            _tell_apart(resource, round_)
        dice = random.Random(f"{self.seed}/{number}")
        fresh: dict[str, str] = {}
        for _, _, id in own.ids:
            if id not in fresh:
                fresh[id] = self._shared_id(id, round_) if id in self._shared else _id(dice.getrandbits(128))
        mine = _decode(own.text(fresh, -dice.randrange(DAYS)))
        for resource in mine:
            if resource["resourceType"] == "Patient":
                _rename(resource, dice)
        return shared + mine

    def _shared_id(self, id: str, round_: int) -> str:
        return _id(random.Random(f"{self.seed}/{round_}/{id}").getrandbits(128))


def bundle(resources: list[Json]) -> bytes:
    """A transaction Bundle that puts each resource under its id."""
    entries = []
    for resource in resources:
        request = {"method": "PUT", "url": f"{resource['resourceType']}/{resource['id']}"}
        entries.append({"fullUrl": f"urn:uuid:{resource['id']}", "resource": resource, "request": request})
    return _encode({"resourceType": "Bundle", "type": "transaction", "entry": entries})


def _identified(body: bytes) -> list[Json]:
    """The resources of a transaction Bundle, each under the id that its fullUrl has."""
    entries = msgspec.json.decode(body, type=_Entries).entry
    resources = _decode(b"[%b]" % b",".join(bytes(entry.resource) for entry in entries))
    for entry, resource in zip(entries, resources, strict=True):
        resource["id"] = entry.fullUrl.removeprefix("urn:uuid:")
    return resources


class _Entry(msgspec.Struct):
    fullUrl: str
    resource: msgspec.Raw


class _Entries(msgspec.Struct):
    entry: list[_Entry]


def _id(bits: int) -> str:
    return str(uuid.UUID(int=bits, version=4))


def _place(organization: Json) -> Json:
    """The Location of an organization."""
    dice = random.Random(organization["id"])
    return {
        "resourceType": "Location",
        "id": _id(dice.getrandbits(128)),
        "status": "active",
        "name": organization.get("name", ""),
        "position": {},
        "managingOrganization": {"reference": f"urn:uuid:{organization['id']}"},
    }


def _tell_apart(resource: Json, round_: int) -> None:
    """Give a shared resource what tells it from that of another round."""
    if "name" in resource and isinstance(resource["name"], str):
        resource["name"] += f" {round_:04}"
    for identifier in resource.get("identifier", ()):
        if len(identifier["value"]) != _UUID_LENGTH:
            identifier["value"] += f"-{round_}"
    if "position" in resource:
        dice = random.Random(resource["id"])
        latitude, longitude = (Decimal(f"{middle + dice.uniform(-SPREAD, SPREAD):.6f}") for middle in MIDDLE)
        resource["position"] = {"latitude": latitude, "longitude": longitude}


def _rename(patient: Json, dice: random.Random) -> None:
    """Another name, and other digits in every identifier."""
    for name in patient.get("name", ()):
        name |= {"family": dice.choice(vocabulary.FAMILY), "given": [dice.choice(vocabulary.GIVEN)]}
    for identifier in patient.get("identifier", ()):
        if len(identifier["value"]) != _UUID_LENGTH:
            identifier["value"] = _DIGIT.sub(lambda _: str(dice.randrange(10)), identifier["value"])
