"""Is a code in a value set: the question of bindings, answered without expanding anything."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import Protocol

from fhir_server.access.principal import SYSTEM
from fhir_server.outcomes import FhirError, Invalid
from fhir_server.storage.repository import Repository
from fhir_server.terminology.cache import era_of
from fhir_server.terminology.effort import Effort
from fhir_server.terminology.expansion import ExpandRequest
from fhir_server.terminology.judge import Answer, Judge, Key, entered
from fhir_server.terminology.resolve import Resolver
from fhir_server.terminology.versions import Versions


class Membership(Enum):
    """`NO` only when every part of the value set that could have the code is known."""

    YES = "yes"
    NO = "no"
    UNKNOWN_SYSTEM = "unknown-system"  # the codes of a code system are not on this server
    UNKNOWN_VALUE_SET = "unknown-value-set"
    TOO_COSTLY = "too-costly"


_ORDER = (Membership.YES, Membership.UNKNOWN_VALUE_SET, Membership.TOO_COSTLY, Membership.UNKNOWN_SYSTEM)


class CodingLike(Protocol):
    """What has these texts, empty where nothing is said."""

    @property
    def system(self) -> str: ...
    @property
    def version(self) -> str: ...
    @property
    def code(self) -> str: ...


async def member(
    repository: Repository, value_set: str, codings: Sequence[CodingLike], *, code_only: bool = False
) -> Membership:
    """Whether any of the codings is in the value set of this canonical URL, as the server itself sees it.

    `code_only`: codes without a system are of any system of the value set (elements of type code, string, uri).
    Remembered until a definition changes.
    """
    era = await era_of(repository)
    wanted = [(value_set, one.system, one.code, code_only) for one in codings]
    answers = {key: era.answers.get(key) for key in wanted}
    missing = [key for key, answer in answers.items() if answer is None]
    if missing and Membership.YES not in answers.values():
        found = await _judged(repository, value_set, [(key[1], key[2]) for key in missing], code_only)
        for key in missing:
            answers[key] = found[key[1], key[2]]
            era.answers.put(key, answers[key])
    return next((one for one in _ORDER if one in answers.values()), Membership.NO)


async def _judged(repository: Repository, value_set: str, keys: list[Key], code_only: bool) -> dict[Key, Membership]:
    resolver = Resolver(repository, SYSTEM, "")
    judge = Judge(resolver, Versions(resolver, ExpandRequest()), Effort())
    try:
        found = (await resolver.value_set(value_set)).definition
        within = entered(found, value_set, ())
        systems = await judge.systems(found, within) if code_only else {}
        # A code alone stands for itself in each system of the value set, and in those of imports that are not known.
        spread = {
            key: [key, *((url, key[1]) for url in systems)] if code_only and not key[0] else [key] for key in keys
        }
        answer = await judge.definition(found, {one for some in spread.values() for one in some}, within)
    except FhirError as reason:
        return dict.fromkeys(keys, _meaning(reason))
    return {key: _of(answer, some) for key, some in spread.items()}


def _of(answer: Answer, keys: list[Key]) -> Membership:
    if not answer.yes.isdisjoint(keys):
        return Membership.YES
    reasons = [answer.unknown[key] for key in keys if key in answer.unknown]
    return _meaning(reasons[0]) if reasons else Membership.NO


def _meaning(reason: FhirError) -> Membership:
    if isinstance(reason, Invalid) and reason.code == "not-found":
        return Membership.UNKNOWN_VALUE_SET
    return Membership.TOO_COSTLY if reason.code == "too-costly" else Membership.UNKNOWN_SYSTEM
