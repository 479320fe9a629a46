"""Patients and visits that a user may choose from, read with the user's own rights and no more."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from typing import Any
from uuid import uuid4

from fhir_server import api
from fhir_server.access import Principal
from fhir_server.access.principal import SYSTEM
from fhir_server.audit.entry import Agent, Entry, now
from fhir_server.context import Context
from fhir_server.dispatch import dispatch
from fhir_server.interactions.content import identify
from fhir_server.outcomes import Forbidden
from fhir_server.search.compile import compile
from fhir_server.search.parse import parse
from fhir_server.storage.unit_of_work import UnitOfWork, Write
from smart_auth.grant import Grant
from smart_auth.service import SmartAuth
from smart_auth.users import User

Json = dict[str, Any]

MOST = 20  # patients or visits on a page
_ID = re.compile(r"[A-Za-z0-9.-]{1,64}")
_OF_PATIENTS = ("Patient", "RelatedPerson", "Person")


@dataclass(frozen=True, slots=True)
class Choice:
    """A patient or a visit as a page shows it."""

    id: str
    title: str
    details: tuple[str, ...] = ()


async def principal(auth: SmartAuth, user: User, client: str) -> Principal:
    """The user, looking for a patient or a visit. Raises Forbidden (403)."""
    looking = Grant("", client, user.id, user.fhir_user, "user/Patient.rs user/Encounter.rs")
    found = await auth.authenticator.principal(looking)
    if found is None:
        raise Forbidden("You may not see any patient.")
    return found


async def own_patients(auth: SmartAuth, user: User, client: str) -> list[str] | None:
    """The ids of the patients that the user is or acts for; None for those who care for patients."""
    if user.fhir_user.partition("/")[0] not in _OF_PATIENTS:
        return None
    found = await principal(auth, user, client)
    return sorted(one.partition("/")[2] for one in found.own)


async def patients(auth: SmartAuth, user: User, client: str, base_url: str, *, name: str, birth: str) -> list[Choice]:
    """Up to MOST patients, and one more when there are more: the user's own, or those that fit name and birth date.

    Raises Forbidden (403).
    """
    asking = await principal(auth, user, client)
    pairs = [("_sort", "name")]
    if user.fhir_user.partition("/")[0] in _OF_PATIENTS:
        pairs.append(("_id", ",".join(sorted(one.partition("/")[2] for one in asking.own)) or "-"))
    pairs += [("name", _escaped(word)) for word in name.split()[:5]]
    if birth:
        pairs.append(("birthdate", birth))
    return [_patient(one) for one in await _find(auth, asking, "Patient", pairs, base_url)]


async def patient(auth: SmartAuth, user: User, client: str, base_url: str, id_: str) -> Choice | None:
    """This patient, if the user may see them."""
    if not _ID.fullmatch(id_):
        return None
    asking = await principal(auth, user, client)
    found = await _find(auth, asking, "Patient", [("_id", id_)], base_url)
    return _patient(found[0]) if found else None


async def encounters(auth: SmartAuth, user: User, client: str, base_url: str, patient: str) -> list[Choice]:
    """The patient's latest visits."""
    asking = await principal(auth, user, client)
    pairs = [("patient", f"Patient/{patient}"), ("_sort", "-date")]
    return [_encounter(one) for one in (await _find(auth, asking, "Encounter", pairs, base_url))[:MOST]]


async def create(auth: SmartAuth, base_url: str, resource: Json, agent: Agent) -> str:
    """Store a new resource for somebody; answers its "Type/id". Raises Unprocessable (422)."""
    type_, id_ = resource["resourceType"], str(uuid4())
    if auth.validator is not None:
        context = Context(SYSTEM, auth.repository, auth.validator, auth.settings, base_url, dispatch)
        await api.check(context, resource, expect_type=type_)
    # With its id, as it is indexed by that, too: its owner finds it so.
    change = Write("POST", type_, id_, identify(resource, id_))
    await _commit(auth, base_url, change, Entry(now(), "create", "C", 201, agent, type=change.type, id=change.id))
    return change.key


async def remove(auth: SmartAuth, base_url: str, reference: str, agent: Agent) -> None:
    """Take back a resource that was just created."""
    type_, _, id_ = reference.partition("/")
    base = await auth.repository.read(SYSTEM, type_, id_)
    entry = Entry(now(), "delete", "D", 204, agent, type=type_, id=id_)
    await _commit(auth, base_url, Write("DELETE", type_, id_, None, base=base), entry)


async def _commit(auth: SmartAuth, base_url: str, change: Write, entry: Entry) -> None:
    change.find_by(base_url)
    change.prepare()
    unit = UnitOfWork()
    unit.add(change)
    unit.audit.append(entry)
    await auth.repository.commit(unit)


async def _find(
    auth: SmartAuth, asking: Principal, type_: str, pairs: list[tuple[str, str]], base_url: str
) -> list[Json]:
    query = replace(parse(type_, pairs, base_url=base_url), count=MOST)
    find = compile(query)
    found = await auth.repository.find(asking, find.filter, sort=find.sort, limit=MOST + 1, types=[type_])
    return [stored.resource() for stored in found]


def _escaped(text: str) -> str:
    """The text as one value of a search parameter: https://hl7.org/fhir/R4/search.html#escaping"""
    for mark in ("\\", ",", "$", "|"):
        text = text.replace(mark, f"\\{mark}")
    return text


def _patient(resource: Json) -> Choice:
    born, gender = resource.get("birthDate", ""), resource.get("gender", "")
    details = [f"born {born}" if born else "", gender if gender in ("female", "male", "other") else ""]
    details += [_identifier(one) for one in resource.get("identifier", [])[:1]]
    return Choice(resource["id"], name_of(resource) or "No name", tuple(one for one in details if one))


def name_of(resource: Mapping[str, Any]) -> str:
    """The name to show: the official or usual one before any other."""
    names = sorted(resource.get("name", []), key=lambda one: _USES.get(one.get("use", ""), 2))
    if not names:
        return ""
    first = names[0]
    text = " ".join(part for part in [*first.get("given", []), first.get("family", "")] if isinstance(part, str))
    return str(first.get("text") or text)


_USES = {"official": 0, "usual": 1, "old": 4, "maiden": 4}


def _identifier(identifier: Json) -> str:
    value = str(identifier.get("value", ""))
    kinds = identifier.get("type", {}).get("coding", [])
    label = kinds[0].get("code", "") if kinds else ""
    return f"{label} {value}".strip() if value else ""


def _encounter(resource: Json) -> Choice:
    kinds = [_text(one) for one in resource.get("type", [])] + [resource.get("class", {}).get("display", "")]
    title = next((one for one in kinds if one), _CLASSES.get(resource.get("class", {}).get("code", ""), "Visit"))
    span = resource.get("period", {})
    when = " to ".join(dict.fromkeys(_day(span[edge]) for edge in ("start", "end") if edge in span))
    who = resource.get("serviceProvider", {}).get("display", "")
    details = (when, resource.get("status", "").replace("-", " "), who)
    return Choice(resource["id"], title, tuple(one for one in details if one))


_CLASSES = {"AMB": "Ambulatory visit", "IMP": "Hospital stay", "EMER": "Emergency visit", "HH": "Home visit"}


def _text(concept: Json) -> str:
    coding = concept.get("coding", [{}])
    return str(concept.get("text") or (coding[0].get("display", "") if coding else ""))


def _day(moment: str) -> str:
    try:
        return f"{date.fromisoformat(moment[:10]):%-d %B %Y}"
    except ValueError:
        return moment[:10]
