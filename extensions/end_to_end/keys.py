"""Whose keys they are: the extension `encryption-key` of people, and the rule that only the person adds one.

Who could add a key to somebody would read what is sent to them from then on: so neither an administrator nor the
server itself may. They end or remove one, as after a theft.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from extensions.end_to_end.jwk import Broken, thumbprint
from fhir_server import json
from fhir_server.access.principal import SYSTEM, Principal
from fhir_server.context import Context
from fhir_server.outcomes import Conflict, Forbidden, Unprocessable
from fhir_server.registry import rule
from fhir_server.storage.unit_of_work import UnitOfWork, Write
from workflow.codes import GUIDE
from workflow.people import find
from workflow.states import is_unbound

Json = dict[str, Any]
URL = f"{GUIDE}/StructureDefinition/encryption-key"
PEOPLE = ("Practitioner", "Patient", "RelatedPerson")
_PARTS = {"kid": "valueString", "jwk": "valueString", "created": "valueDateTime", "ended": "valueDateTime"}


@rule(*PEOPLE)
async def keys_are_added_by_the_person_alone(ctx: Context, change: Write, unit: UnitOfWork) -> None:
    """403 for who may not, 409 for a key that ended and would not have, 422 for what is no public key."""
    if change.resource is None:
        return
    before = _keys(change.base.resource()) if change.base is not None and not change.base.deleted else []
    after = _keys(change.resource)
    added = [one for one in after if one not in before]
    gone = [one for one in before if one not in after]
    if gone:
        may_end = is_self(ctx.principal, change.key) or is_unbound(ctx.principal)
        _only(may_end, "end or remove a key of this person")
    for one in added:
        was = next((other for other in gone if _part(other, "kid") == _part(one, "kid")), None)
        if was is not None and _part(was, "ended"):
            raise Conflict("The key has ended and stays so: make a new one.", code="business-rule")
        if was is None or _but_ended(was) != _but_ended(one):
            _only(is_self(ctx.principal, change.key), "add a key to this person, or change one")
        _check(one, change.type)
    if len({_part(one, "kid") for one in after}) < len(after):
        raise Unprocessable("A key is listed once.", expression=[f"{change.type}.extension"])


def is_self(principal: Principal, person: str) -> bool:
    """Whether the caller is this person; where nobody signs in, everybody is."""
    return principal.user == person or (principal.is_open and principal is not SYSTEM)


async def standing(ctx: Context, kids: Iterable[str]) -> dict[str, bool]:
    """Of these thumbprints those that are of a person of this server, and whether the key has not ended."""
    wanted, found = sorted(set(kids)), dict[str, bool]()
    people = [write.resource for write in ctx.unit.writes.values() if write.type in PEOPLE] if ctx.unit else []
    for type_ in PEOPLE:
        people += await find(ctx, type_, f"encryption-key={','.join(wanted)}")
    for key in (key for person in people if person is not None for key in _keys(person)):
        if (kid := _part(key, "kid")) in wanted:  # a search looks past the case of letters
            found[kid] = found.get(kid, False) or not _part(key, "ended")
    return found


def _only(may: bool, what: str) -> None:
    if not may:
        raise Forbidden(f"The caller may not {what}.")


def _keys(person: Json) -> list[Json]:
    return [one for one in person.get("extension", ()) if one.get("url") == URL]


def _but_ended(key: Json) -> Json:
    return key | {"extension": [one for one in key.get("extension", ()) if one.get("url") != "ended"]}


def _part(key: Json, name: str) -> str:
    parts = [one for one in key.get("extension", ()) if one.get("url") == name]
    return str(parts[0].get(_PARTS[name], "")) if parts else ""


def _check(key: Json, type_: str) -> None:
    try:
        parts = [(one["url"], set(one) - {"url"}) for one in key.get("extension", ())]
        names = sorted(name for name, _ in parts)
        if names not in (sorted(_PARTS), sorted(_PARTS.keys() - {"ended"})):
            raise Broken("A key has kid, jwk and created, each once, and ended when it has.")
        if set(key) != {"url", "extension"} or any(said != {_PARTS[name]} for name, said in parts):
            raise Broken("A key has kid and jwk as string, created and ended as dateTime, and nothing else.")
        if thumbprint(_jwk(_part(key, "jwk"))) != _part(key, "kid"):
            raise Broken("The kid of a key is its thumbprint (RFC 7638, SHA-256).")
    except Broken as broken:
        raise Unprocessable(str(broken), expression=[f"{type_}.extension"]) from None


def _jwk(text: str) -> Any:
    try:
        return json.decode(text.encode())
    except ValueError:
        raise Broken("The key is no JWK.") from None
