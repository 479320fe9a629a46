"""The provisions of one Consent, for one caller: what they forbid, and what they open.

https://hl7.org/fhir/R4/consent-definitions.html#Consent.provision

What fits a provision is known from two sides: what may fit it (`may`) and what surely does (`sure`). They differ where
a provision says what this server cannot tell, so that a denial can take the one and an exception to it the other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from fhir_server.access.formulas import Formula, all_of, among, any_of, none_of
from fhir_server.access.labels import label_keys, with_below
from fhir_server.definitions import RESOURCE_TYPES
from fhir_server.search.fields import DATE_SLOT, fields
from fhir_server.search.keys import fit, wide
from fhir_server.search.types import date, reference, token

Json = dict[str, Any]

MAX_DEPTH = 2  # nested provisions below the root
MAX_PROVISIONS = 100  # of one Consent
# What the provisions of one Consent name altogether, and those of one patient: it is a part of everybody's queries.
MAX_WEIGHT, MAX_PATIENT_WEIGHT = 500, 1000
_LISTS = ("action", "actor", "purpose", "class", "securityLabel", "code", "data")

ACTION = "http://terminology.hl7.org/CodeSystem/consentaction"
REASON = "http://terminology.hl7.org/CodeSystem/v3-ActReason"
RESOURCE_TYPE = "http://hl7.org/fhir/resource-types"
# An action, too: how much a share opens, the most first; a share that does not say is limited. ig/input/fsh/record.fsh
SHARING = "http://fhir-server.example/ig/CodeSystem/share-level"
LEVELS = ("full", "limited", "emergency")

# What may not be seen may not be changed either; leave to see is no leave to change.
_DENIED = {"access": "rusd", "use": "rusd", "disclose": "rusd", "collect": "c", "correct": "ud"}
_PERMITTED = {"access": "rs", "use": "rs", "disclose": "rs", "collect": "c", "correct": "u"}
# Participations by which an actor receives; to be the custodian or the author of data is to be given nothing.
_RECEIVING = frozenset({"PRCP", "IRCP", "GRANTEE", "DELEGATEE"})
_ACTORS = frozenset(
    {"Practitioner", "PractitionerRole", "Organization", "CareTeam", "Patient", "RelatedPerson", "Device"}
)
# Who somebody is has no date, code or author: a denial of some years of data leaves the person in sight.
_IDENTITIES = frozenset({"Patient", "Person", "RelatedPerson"})
_CODES = ("combo-code", "code", "vaccine-code", "type")
_AUTHORS = ("author", "recorder", "asserter", "assessor", "sender", "requester", "source", "prescriber", "enterer")
_PERFORMERS = ("performer", "attester", "collector", "operator", "participant")


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, as Consents name them.

    `names` are references: the user, their PractitionerRoles, Organizations and CareTeams, the Device that a client
    is registered as. `client` is its client_id, `purpose` a v3-ActReason; "" is a purpose that nobody knows.
    """

    names: frozenset[str] = frozenset()
    client: str = ""
    purpose: str = "TREAT"


@dataclass(frozen=True, slots=True)
class Values:
    """What an element of a provision names; `vague` when it names more than is understood."""

    known: tuple[Any, ...]
    vague: bool = False


@dataclass(frozen=True, slots=True)
class Provision:
    """A provision that may concern the caller now. None in an element: it limits nothing."""

    denies: bool | None  # None: as that in which it stands
    certain: bool  # whether it surely concerns the caller
    names_caller: bool  # whether an actor is the caller
    actions: Values | None = None  # letters
    types: Values | None = None
    labels: Values | None = None  # (system, code)
    codes: Values | None = None  # (system, code)
    dates: Values | None = None  # (first, last) microsecond
    data: Values | None = None  # (meaning, "Type/id")
    parts: tuple[Provision, ...] = ()

    def is_whole(self) -> bool:
        """Whether it is about everything there is of the patient, to whatever end."""
        limits = (self.actions, self.types, self.labels, self.codes, self.dates, self.data)
        return all(one is None for one in limits)

    def may(self, type_: str, action: str) -> Formula:
        """What may fit, parts aside."""
        return all_of(self._criteria(type_, action, sure=False))

    def sure(self, type_: str, action: str) -> Formula:
        """What surely fits, parts aside."""
        return all_of(self._criteria(type_, action, sure=True)) if self.certain else False

    def _criteria(self, type_: str, action: str, *, sure: bool) -> Iterator[Formula]:
        criteria: tuple[tuple[Values | None, Callable[[tuple[Any, ...]], Formula]], ...] = (
            (self.actions, lambda known: action in known),
            (self.types, lambda known: type_ in known),
            (self.labels, lambda known: _labelled(type_, known)),
            (self.codes, lambda known: _coded(type_, known, sure=sure)),
            (self.dates, lambda known: _dated(type_, known, sure=sure)),
            (self.data, lambda known: _named(type_, known, sure=sure)),
        )
        if type_ in _IDENTITIES and (self.codes or self.dates):
            yield False
        for values, formula in criteria:
            if values is not None:
                yield True if values.vague and not sure else formula(values.known)

    def denied(self, type_: str, action: str, otherwise: bool) -> Formula:
        """What may be denied, in what `otherwise` is (True) or is not denied."""
        inside = self._inside(type_, action, otherwise)
        outside = none_of([self.sure(type_, action)]) if otherwise else False
        return any_of((all_of((self.may(type_, action), inside)), outside))

    def _inside(self, type_: str, action: str, otherwise: bool) -> Formula:
        own = otherwise if self.denies is None else self.denies
        parts = [all_of((one.may(type_, action), one._inside(type_, action, own))) for one in self.parts]
        rest = none_of(one.sure(type_, action) for one in self.parts) if own else False
        return any_of((*parts, rest))

    def opened(self, type_: str, action: str, named: bool = False) -> Formula:
        """What it surely permits the caller by name."""
        named = named or self.names_caller
        own = [True] if named and self.denies is False else []
        parts = [one.opened(type_, action, named) for one in self.parts]
        return all_of((self.sure(type_, action), any_of([*own, *parts])))

    def walk(self) -> Iterator[Provision]:
        yield self
        for one in self.parts:
            yield from one.walk()


# ---- from JSON --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads provisions for a caller at a moment (microseconds); `base` is the server's URL with a slash behind.

    `links` says what resources refer to, for data "related" to them: "Type/id" → "Type/id"s.
    """

    caller: Caller
    now: int
    base: str = "\0"
    links: Mapping[str, Iterable[str]] | None = None

    def read(self, provision: Json, depth: int = 0) -> Provision | None:
        """The provision; None when it does not concern the caller now."""
        denies = {"deny": True, "permit": False}.get(provision.get("type", ""))
        if "modifierExtension" in provision:
            # It may mean anything: a denial of everything, no permission.
            return Provision(denies, False, False) if denies else None
        static = [self._period(provision), self._actor(provision, denies), self._purpose(provision, denies)]
        if False in static:
            return None
        found = Provision(
            denies,
            None not in static,
            static[1] is True and "actor" in provision,
            self._values(_limiting(provision, denies), "action", lambda one: _actions(one, denies)),
            self._values(provision, "class", lambda one: _class(one, denies)),
            self._values(provision, "securityLabel", lambda one: _label(one, denies)),
            self._values(provision, "code", _concept),
            self._dates(provision),
            self._values(provision, "data", self._data),
        )
        return self._with_parts(found, provision.get("provision", []), depth)

    def _with_parts(self, found: Provision, nested: list[Json], depth: int) -> Provision:
        if nested and depth >= MAX_DEPTH:
            return replace(found, certain=False)  # deeper than is looked at: exceptions that nobody knows
        parts = (self.read(one, depth + 1) for one in nested)
        return replace(found, parts=tuple(one for one in parts if one is not None))

    def _values(self, provision: Json, name: str, understand: Callable[[Json], Iterable[Any] | None]) -> Values | None:
        """What the element's items come to; an item of which `understand` knows nothing is vague."""
        given = provision.get(name)
        if not given:
            return None
        known: dict[Any, None] = {}
        vague = False
        for one in given:
            found = understand(one)
            if found is None:
                vague = True
                continue
            for value in found:
                vague = vague or value is None
                known.update({value: None} if value is not None else {})
        return Values(tuple(known), vague)

    def names_caller(self, provision: Json) -> bool:
        """Whether an actor of the provision itself is the caller."""
        return "actor" in provision and self._actor(provision, True) is True

    # What concerns the caller is True, what does not False, and what cannot be told None.

    def _period(self, provision: Json) -> bool | None:
        span = period(provision.get("period"))
        return None if span is None else span[0] <= self.now <= span[1]

    def _actor(self, provision: Json, denies: bool | None) -> bool | None:
        verdicts = [self._is_caller(one, denies) for one in provision.get("actor", ())]
        return _some(verdicts) if verdicts else True

    def _is_caller(self, actor: Json, denies: bool | None) -> bool | None:
        who = actor.get("reference", {})
        here = reference.local(who.get("reference", ""), self.base)
        if here is not None and here[0].partition("/")[0] in _ACTORS:
            known = here[0] in self.caller.names
        elif who.get("type") == "Device" and (client := who.get("identifier", {}).get("value")):
            known = client == self.caller.client
        elif ":" in who.get("reference", "") and "identifier" not in who:
            known = False  # somebody elsewhere
        else:
            return None
        roles = {coding.get("code") for coding in actor.get("role", {}).get("coding", ())}
        receives = bool(roles & _RECEIVING) or denies is not False
        return known if receives or not known else None

    def _purpose(self, provision: Json, denies: bool | None) -> bool | None:
        verdicts = [self._serves(one, denies) for one in provision.get("purpose", ())]
        return _some(verdicts) if verdicts else True

    def _serves(self, purpose: Json, denies: bool | None) -> bool | None:
        system, code = purpose.get("system", REASON if denies else ""), purpose.get("code")
        if system != REASON or not code or not self.caller.purpose:
            return None
        return (REASON, self.caller.purpose) in with_below(REASON, code)

    def _dates(self, provision: Json) -> Values | None:
        if "dataPeriod" not in provision:
            return None
        span = period(provision["dataPeriod"])
        return Values((span,)) if span is not None else Values((), True)

    def _data(self, data: Json) -> Iterable[Any] | None:
        """Pairs of meaning and reference; None in them where there is more that is not known."""
        target = data.get("reference", {}).get("reference", "")
        here = reference.local(target, self.base)
        if here is None:
            return [] if ":" in target else None
        meaning = data.get("meaning")
        if meaning in ("instance", "dependents", "authoredby"):
            return [(meaning, here[0])]
        if meaning != "related":
            return None
        linked = (self.links or {}).get(here[0])
        if linked is None:
            return [("instance", here[0]), None]
        return [("instance", one) for one in (here[0], *linked)]


def provisions(provision: Json) -> Iterator[Json]:
    """A provision as JSON, and all within it."""
    waiting = [provision]
    while waiting:
        one = waiting.pop()
        yield one
        waiting += one.get("provision", ())


def weight(provision: Json) -> int:
    """How many provisions these are, and values (codings, actors, references) they name."""
    found = list(provisions(provision))
    listed = (item for one in found for name in _LISTS for item in one.get(name, ()))
    return len(found) + sum(max(1, len(item.get("coding", ()))) for item in listed)


def period(given: Json | None) -> tuple[int, int] | None:
    """First and last microsecond of a Period; None when it cannot be read."""
    given = given or {}
    try:
        low = date.period(given["start"])[0] if "start" in given else -(2**62)
        high = date.period(given["end"])[1] if "end" in given else 2**62
    except (ValueError, TypeError, OverflowError):
        return None
    return low, high


def _some(verdicts: list[bool | None]) -> bool | None:
    """Whether any is so."""
    return True if True in verdicts else None if None in verdicts else False


def levels(provision: Json) -> set[str]:
    """The levels of sharing that a provision or one within it names."""
    actions = [action for one in provisions(provision) for action in one.get("action", ())]
    return {level for action in actions if (level := _level(action))}


def _level(concept: Json) -> str:
    """The level of sharing that an action is; "" when it is something else."""
    codes = {one.get("code") for one in concept.get("coding", ()) if one.get("system") == SHARING}
    return next((level for level in reversed(LEVELS) if level in codes), "")


def _limiting(provision: Json, denies: bool | None) -> Json:
    """A provision with those of its actions that limit a permission: how far a level goes, is the roles' to say."""
    actions = provision.get("action", ())
    if denies is not False:
        return provision
    return {"action": [one for one in actions if not _level(one) or _has_system(one, ACTION)]}


def _has_system(concept: Json, system: str) -> bool:
    return any(one.get("system") == system for one in concept.get("coding", ()))


def _actions(concept: Json, denies: bool | None) -> Iterable[str | None] | None:
    for coding in concept.get("coding", ()):
        code = coding.get("code")
        if coding.get("system", ACTION if denies else "") == ACTION and code in _DENIED:
            return _DENIED[code] if denies else [*_PERMITTED[code], *_open(denies)]
    return None


def _open(denies: bool | None) -> list[None]:
    """What has no type of its own holds both: it permits no more than a permission, and may deny more."""
    return [None] if denies is None else []


def _class(coding: Json, denies: bool | None) -> Iterable[str] | None:
    known = coding.get("system", RESOURCE_TYPE if denies else "") == RESOURCE_TYPE
    return [coding["code"]] if known and coding.get("code") in RESOURCE_TYPES else None


def _label(coding: Json, denies: bool | None) -> Iterable[Any] | None:
    system, code = coding.get("system", ""), coding.get("code")
    if not code:
        return None
    if denies:
        return with_below(system, code) if system else [("*", code)]
    return [(system, code), *_open(denies)] if system else None


def _concept(concept: Json) -> Iterable[Any] | None:
    codings = [(one.get("system", ""), one["code"]) for one in concept.get("coding", ()) if one.get("code")]
    return codings or None


# ---- as conditions ----------------------------------------------------------------------------------------


def _labelled(type_: str, labels: tuple[tuple[str, str], ...]) -> Formula:
    numbers = [source.number for source in fields(type_)["_security"].sources]
    anywhere = [fit(f"{number}={token.fold(code)}") for number in numbers for system, code in labels if system == "*"]
    return among([*label_keys(type_, [one for one in labels if one[0] != "*"]), *anywhere])


def _coded(type_: str, codes: tuple[tuple[str, str], ...], *, sure: bool) -> Formula:
    """By the main code of the type; where a resource has none that is coded, it may be any."""
    names = [name for name in _CODES if name in fields(type_) and fields(type_)[name].parameter.type == "token"]
    if not names:
        return not sure
    field = fields(type_)[names[0]]
    with_code = among(token.coded(field, codes).keys)
    if sure:
        return with_code
    numbers = [source.number for source in field.sources]
    uncoded = among(f"{number}=" for number in numbers)
    bare = none_of({"k": {"$elemMatch": {"$gte": f"{number}=", "$lt": f"{number}>"}}} for number in numbers)
    return any_of((with_code, uncoded, bare))


def _dated(type_: str, spans: tuple[tuple[int, int], ...], *, sure: bool) -> Formula:
    """By the main date of the type: within the span for sure, or touching it; without a date it may be any."""
    keys = _clinical_date(type_)
    if keys is None:
        return not sure
    if not spans:
        return False
    ((low, high),) = spans
    if sure:
        return {"r": {"$elemMatch": {"k": {"$in": list(keys)}, "lo": {"$gte": low}, "hi": {"$lte": high}}}}
    touching = {"r": {"$elemMatch": {"k": {"$in": list(keys)}, "lo": {"$lte": high}, "hi": {"$gte": low}}}}
    return any_of((touching, {"r.k": {"$nin": list(keys)}}))


@cache
def _clinical_date(type_: str) -> tuple[str, ...] | None:
    """The range keys of the date that the type is sorted by."""
    for one in fields(type_).values():
        if one.sorts and one.ascending == DATE_SLOT and one.parameter.type == "date" and not one.many:
            return one.parameter.number, wide(one.parameter.number)
    return None


def _named(type_: str, data: tuple[tuple[str, str], ...], *, sure: bool) -> Formula:
    """The resources named, those that refer to them, or what somebody wrote."""
    ids = [target for meaning, target in data if meaning != "authoredby" and target.startswith(f"{type_}/")]
    formulas: list[Formula] = [{"_id": {"$in": ids}} if ids else False]
    dependents = [target for meaning, target in data if meaning == "dependents"]
    formulas.append(among(f"{number}>{target}" for number in _references(type_) for target in dependents))
    authors = [target for meaning, target in data if meaning == "authoredby"]
    if authors and type_ not in _IDENTITIES:
        names = _AUTHORS if sure else _AUTHORS + _PERFORMERS
        numbers = _references(type_, names)
        formulas.append(among(f"{number}>{who}" for number in numbers for who in authors) if numbers else not sure)
    return any_of(formulas)


@cache
def _references(type_: str, names: tuple[str, ...] = ()) -> tuple[str, ...]:
    """The numbers of the reference parameters of the type, or of those with these names."""
    found = [one for code, one in fields(type_).items() if code in names or not names]
    own = [one for one in found if one.parameter.type == "reference" and not one.parameter.custom]
    return tuple(dict.fromkeys(source.number for one in own for source in one.sources))
