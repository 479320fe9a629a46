"""Point 7, live: whoever subscribes is told exactly what they may read at that moment, over every channel.

Two patients with records that name one another and a third with nothing; patients by scopes of both versions, a proxy,
a specialist with one patient in their care, a service with granular scopes. After every write, each notification's
focus, references and resources are held against a GET with the same token and against the oracle of tests/leak; and
what may be read and matches must have come, with what the topic includes.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any

import pytest
import pytest_asyncio

from fhir_server.access import Principal
from fhir_server.access.principal import SYSTEM
from fhir_server.access.scopes import resource_scopes
from fhir_server.config import Settings
from fhir_server.storage.stored import Stored
from smart_auth.subscribers import Subscribers
from subscriptions import channel as sending
from subscriptions.matcher import Matcher
from subscriptions.shape import Shapes
from tests.leak.oracle import Oracle
from tests.leak.world import SECRET
from tests.subscriptions.audience import (
    EMAIL,
    PATIENCE,
    PING,
    REST_HOOK,
    SOCKETIO,
    WEBSOCKET,
    Audience,
    Caller,
    Ear,
    Listener,
    Told,
    audience,
)
from tests.subscriptions.topic_samples import R5, basic, part

pytestmark = pytest.mark.asyncio(loop_scope="module")

Json = dict[str, Any]
A, B, C = "Patient/a", "Patient/b", "Patient/c"
CATEGORY = "http://terminology.hl7.org/CodeSystem/observation-category"
LAB, VITAL = "laboratory", "vital-signs"
OWN = "user/Subscription.cruds"
WRITES = 150
DOCTOR = Caller("doctor", "user/*.rs user/Subscription.cruds", "Practitioner/doctor", "specialist")
CALLERS = [
    Caller("everything", "system/*.cruds"),
    Caller("patient a", f"patient/*.rs {OWN}", A, "patient", A),
    Caller("patient b v1", "patient/*.read user/Subscription.*", B, "patient", B),
    Caller("granular a", f"patient/Observation.rs?category={CATEGORY}|{LAB} patient/Patient.rs {OWN}", A, "patient", A),
    DOCTOR,
    Caller("proxy of b", f"user/*.rs {OWN}", "RelatedPerson/b-mother", "proxy"),
    Caller("patient c", f"patient/*.rs {OWN}", C, "patient", C),
    Caller("lab", f"system/Observation.rs?category={CATEGORY}|{LAB} system/Subscription.cruds"),
]
RESULTS, VISITS = "http://leak.example/topic/results", "http://leak.example/topic/visits"
LABS = f"Observation?category={LAB}"
TYPES = {RESULTS: {"Observation"}, VISITS: {"Encounter", "DiagnosticReport"}}
INCLUDES = {"Observation": ("subject", "encounter", "hasMember"), "DiagnosticReport": ("result", "encounter")}
NARROW = {"granular a", "lab"}  # who may read Observations, and no visits


# ---- the world ---------------------------------------------------------------------------------------


def ref(key: str) -> Json:
    return {"reference": key}


def made(key: str, **content: Any) -> Json:
    type_, _, id_ = key.partition("/")
    return {"resourceType": type_, "id": id_, **content}


def visit(key: str, patient: str) -> Json:
    kind = {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB"}
    return made(key, status="in-progress", **{"class": kind}, subject=ref(patient))


def observation(key: str, patient: str, category: str = LAB, **more: Any) -> Json:
    kind = [{"coding": [{"system": CATEGORY, "code": category}]}]
    return made(key, status="final", category=kind, code={"text": "x"}, subject=ref(patient), **more)


def report(key: str, patient: str, *results: str, **more: Any) -> Json:
    found = {"result": [ref(one) for one in results]} if results else {}
    return made(key, status="final", code={"text": "x"}, subject=ref(patient), **found, **more)


def topics() -> list[Json]:
    """One of Observations and what they refer to, one of visits and reports."""

    def trigger(type_: str) -> Json:
        return part(f"{R5}resourceTrigger", [part("resource", type_)])

    def shape(type_: str, *includes: str, back: str = "") -> Json:
        parts = [part("resource", type_), *(part("include", f"{type_}:{one}") for one in includes)]
        return part(f"{R5}notificationShape", [*parts, *([part("revInclude", back)] if back else [])])

    first = shape("Observation", "subject", "encounter", "has-member", back="DiagnosticReport:result")
    second = shape("DiagnosticReport", "result", "encounter")
    return [
        basic(first, url=RESULTS, trigger=[part("resource", "Observation")]) | {"id": "results"},
        basic(trigger("DiagnosticReport"), second, url=VISITS) | {"id": "visits"},
    ]


WORLD = [
    *(made(key, active=True) for key in (A, B, C)),
    made("Practitioner/doctor", active=True),
    made("RelatedPerson/b-mother", active=True, patient=ref(B)),
    made("CareTeam/a-team", status="active", subject=ref(A), participant=[{"member": ref("Practitioner/doctor")}]),
    visit("Encounter/a-visit", A),
    visit("Encounter/b-visit", B),
    observation("Observation/a-old", A),
    observation("Observation/b-old", B),
    report("DiagnosticReport/a-old", A, "Observation/o1", "Observation/o2", "Observation/b-old"),
    report("DiagnosticReport/b-old", B, "Observation/o1", "Observation/o3", "Observation/a-old"),
]
# What each subscribes to: channel, criteria, level ("" is R4's own form), MIME type.
WANTED = [
    (SOCKETIO, RESULTS, "full-resource", ""),
    (SOCKETIO, VISITS, "full-resource", ""),
    (WEBSOCKET, RESULTS, "id-only", ""),
    (PING, LABS, "", ""),
    (REST_HOOK, LABS, "", "application/fhir+json"),
    (REST_HOOK, VISITS, "full-resource", ""),
    (EMAIL, RESULTS, "full-resource", "text/plain;attach=application/fhir+json"),
]


class Writer:
    """Generates writes that move what there is between the patients, label it, and have it name the other's."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)

    def next(self, current: dict[str, Json]) -> tuple[str, Json | None]:
        """The key and the new content; None deletes."""
        pick = self._random.choice
        type_ = pick(["Observation"] * 4 + ["DiagnosticReport", "Encounter"])
        key = f"{type_}/{'o' if type_ == 'Observation' else 'x'}{self._random.randrange(8 if type_[0] == 'O' else 3)}"
        if key in current and self._random.random() < 0.2:
            return key, None
        if key in current and self._random.random() < 0.15:
            label = {} if "meta" in current[key] else {"meta": {"security": [SECRET]}}
            return key, {**{name: value for name, value in current[key].items() if name != "meta"}, **label}
        patient = pick([A, B])
        more: Json = {"meta": {"security": [SECRET]}} if self._random.random() < 0.15 else {}
        if type_ == "Encounter":
            return key, visit(key, patient) | more
        if self._random.random() < 0.5:
            more["encounter"] = ref(pick(["Encounter/a-visit", "Encounter/b-visit", "Encounter/x0", "Encounter/x1"]))
        others = [f"Observation/{pick(['a-old', 'b-old', 'o1', 'o2', 'o3', 'o4'])}" for _ in range(pick([0, 1, 2]))]
        if type_ == "DiagnosticReport":
            return key, report(key, patient, *others, **more)
        if others:
            more["hasMember"] = [ref(one) for one in others]
        if self._random.random() < 0.2:
            more["performer"] = [ref(pick([A, B, C, "Practitioner/doctor"]))]
        return key, observation(key, patient, pick([LAB, LAB, VITAL]), **more)


# ---- the judge ---------------------------------------------------------------------------------------


@dataclass
class Court:
    """The listeners, what there is, and what was found."""

    people: Audience
    listeners: list[Listener]
    token: str  # of who writes
    current: dict[str, Json] = field(default_factory=dict)  # as it was written
    read: dict[tuple[str, str], tuple[int, Json]] = field(default_factory=dict)  # by token and key
    oracles: dict[str, Oracle] = field(default_factory=dict)
    findings: list[str] = field(default_factory=list)
    told: int = 0
    included: int = 0
    patience: float = PATIENCE  # seconds

    async def write(self, key: str, content: Json | None) -> Json | None:
        """What was there before; returns when the engine has numbered whatever events it is."""
        before = self.current.get(key)
        method = "PUT" if content is not None else "DELETE"
        counts = await self._counts(self.listeners[0])
        answer = await self.people.ask(self.token, method, key, content)
        assert answer.status in (200, 201, 204), answer.text
        if content is None:
            self.current.pop(key, None)
        else:
            self.current[key] = content
        self.read = {known: answer for known, answer in self.read.items() if known[1] != key}
        ear = self._witness(key)
        assert await self.people.until(lambda: len(ear.told) > counts[ear.id]), "nobody heard of it at all"
        return before

    async def judge(self, key: str, content: Json | None) -> None:
        """Write it, and hold whatever is told against what may be read."""
        ids = [ear.id for one in self.listeners for ear in one.ears.values()]
        had = await self.people.rows(ids)
        heard = {ear.id: len(ear.told) for one in self.listeners for ear in one.ears.values()}
        before = await self.write(key, content)
        has = await self.people.rows(ids)

        async def of(who: Listener) -> None:
            may_read = await self._may_read(who, key, content, before)
            for ear in who.ears.values():
                wanted = int(may_read and matches(ear, key, content))
                counted = has[ear.id]["count"] - had[ear.id]["count"]
                if counted != wanted:
                    self._find(who, ear, key, "is not counted" if wanted else "is counted, and may not be read")
                if not await self._comes(ear, heard[ear.id] + min(wanted, counted)):
                    self._find(who, ear, key, "is not told")
                for one in ear.told[heard[ear.id] :]:
                    await self._check(who, ear, one, key, content)
                if len(ear.told) > heard[ear.id] + wanted:
                    self._find(who, ear, key, "is told too often")

        await asyncio.gather(*map(of, self.listeners))

    async def _comes(self, ear: Ear, times: int) -> bool:
        """Whether the ear was told so often in time."""
        return len(ear.told) >= times or await self.people.until(lambda: len(ear.told) >= times, self.patience)

    async def settle(self) -> None:
        """Return once everybody was told of everything."""
        ears = [ear for one in self.listeners for ear in one.ears.values()]
        counts = {id_: row["count"] for id_, row in (await self.people.rows([ear.id for ear in ears])).items()}
        if not await self.people.until(lambda: all(len(ear.told) >= counts[ear.id] for ear in ears)):
            late = [
                (one.caller.name, ear.channel, len(ear.told), counts[ear.id], sorted(one.gone))
                for one in self.listeners
                for ear in one.ears.values()
                if len(ear.told) < counts[ear.id]
            ]
            raise AssertionError(late)

    async def _counts(self, who: Listener) -> dict[str, int]:
        return {one.id: len(one.told) for one in who.ears.values()}

    def _witness(self, key: str) -> Ear:
        """Where who may read everything hears of it first."""
        ears = self.listeners[0].ears.values()
        return next(one for one in ears if one.channel == SOCKETIO and key.split("/")[0] in TYPES.get(one.criteria, ()))

    def _find(self, who: Listener, ear: Ear, key: str, what: str) -> None:
        self.findings.append(f"{who.caller.name}, {ear.channel}, {ear.criteria}: {key} {what}")

    async def _get(self, who: Listener, key: str) -> tuple[int, Json]:
        """What a GET with the token says; of what nobody has written since, what it said before."""
        known = self.read.get((who.token, key))
        if known is None:
            answer = await self.people.ask(who.token, "GET", key)
            known = self.read[who.token, key] = answer.status, answer.body
        return known

    async def _may_read(self, who: Listener, key: str, content: Json | None, before: Json | None) -> bool:
        """Whether it can be read, a deletion as gone; REST and the oracle have to agree."""
        status, _ = await self._get(who, key)
        may_read = status == (200 if content is not None else 410)
        shown = content or before
        assert shown is not None
        if may_read != self.oracle(who.caller).allows(shown, "r"):
            self.findings.append(f"{who.caller.name}: REST answers {status} for {key}, the oracle says otherwise")
        return may_read

    def oracle(self, caller: Caller) -> Oracle:
        known = self.oracles.get(caller.name)
        if known is None:
            known = self.oracles[caller.name] = self._oracle(caller)
        return known

    def _oracle(self, caller: Caller) -> Oracle:
        panel = {A: "care-team"} if caller is DOCTOR else {}
        own = frozenset(
            {B if caller.role == "proxy" else caller.patient} if caller.role in ("patient", "proxy") else ()
        )
        who = Principal(
            caller.name,
            scopes=resource_scopes(caller.scopes),
            patient=caller.patient,
            user=caller.fhir_user,
            roles=(caller.role,) if caller.role else (),
            own=own,
            panel=panel,
        )
        return Oracle(who, caller.scopes, self.current)

    async def _check(self, who: Listener, ear: Ear, told: Told, key: str, content: Json | None) -> None:
        self.told += 1
        if told.bundle is not None and ear.content != "empty" and told.foci != [key]:
            self._find(who, ear, key, f"is not the focus, but {told.foci}")
        for one in told.keys:
            status, _ = await self._get(who, one)
            if status != 200 and not (one == key and content is None and status == 410):
                self._find(who, ear, one, f"is told, and GET answers {status}")
        oracle = self.oracle(who.caller)
        for resource in told.resources:
            _, body = await self._get(who, f"{resource['resourceType']}/{resource['id']}")
            if body != resource:
                self._find(who, ear, resource["id"], "is not as it can be read")
            if not oracle.allows(resource, "r"):
                self._find(who, ear, resource["id"], "is told, and the oracle forbids it")
        if told.is_whole:
            wanted = await self._included(who, key, content) if ear.criteria in TYPES else set()
            self.included += len(wanted)
            if told.contexts != wanted:
                self._find(who, ear, key, f"came with {told.contexts} and not with {wanted}")

    async def _included(self, who: Listener, key: str, content: Json | None) -> set[str]:
        """What the topic has along with the focus, as far as it can be read."""
        if content is None:
            return set()
        found: set[str] = set()
        for name in INCLUDES.get(content["resourceType"], ()):
            values = content.get(name, [])
            found |= {one["reference"] for one in (values if isinstance(values, list) else [values])}
        if content["resourceType"] == "Observation":
            found |= {other for other, one in self.current.items() if ref(key) in one.get("result", ())}
        return {one for one in found - {key} if (await self._get(who, one))[0] == 200}


def matches(ear: Ear, key: str, content: Json | None) -> bool:
    """Whether such a change is one for the subscription, whoever it is."""
    type_ = key.partition("/")[0]
    if ear.criteria in TYPES:
        return type_ in TYPES[ear.criteria]
    if content is None or not ear.criteria.startswith(f"{type_}?"):
        return False
    return type_ != "Observation" or content["category"][0]["coding"][0]["code"] == LAB


# ---- everybody listens -------------------------------------------------------------------------------


async def listening(people: Audience, caller: Caller, wanted: list[tuple[str, str, str, str]] = WANTED) -> Listener:
    who = await people.sign_in(caller)
    for channel, criteria, content, mime in wanted:
        if caller.name not in NARROW or criteria in (RESULTS, LABS):
            await people.subscribe(who, channel, criteria, content, mime)
    await people.open_sockets(who)
    return who


@pytest.fixture(scope="module")
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"open": False})


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def court(settings: Settings) -> AsyncIterator[Court]:
    async with audience(settings) as people:
        writer = await people.sign_in(Caller("writer", "system/*.cruds"))
        await people.auth.put(*WORLD)
        for topic in topics():
            answer = await people.ask(writer.token, "PUT", f"Basic/{topic['id']}", topic)
            assert answer.status == 201, answer.text
        current = {f"{one['resourceType']}/{one['id']}": one for one in WORLD}
        everything, *others = CALLERS
        waiting = [listening(people, everything, WANTED[:2]), *(listening(people, one) for one in others)]
        listeners = await asyncio.gather(*waiting)
        yield Court(people, listeners, writer.token, current)


async def test_point_7_everybody_is_told_exactly_what_they_may_read(court: Court) -> None:
    writer = Writer(7)
    for _ in range(WRITES):
        await court.judge(*writer.next(court.current))
    assert court.findings == []
    assert court.told > 5 * WRITES
    assert court.included > WRITES
    heard = {who.caller.name: sum(len(ear.told) for ear in who.ears.values()) for who in court.listeners}
    assert {name for name, times in heard.items() if not times} == set(), heard


# ---- it ends in the middle of the stream -------------------------------------------------------------

FOLLOWED = [
    (SOCKETIO, RESULTS, "full-resource", ""),
    (WEBSOCKET, RESULTS, "full-resource", ""),
    (PING, LABS, "", ""),
    (REST_HOOK, RESULTS, "full-resource", ""),
    (EMAIL, RESULTS, "full-resource", "text/plain;attach=application/fhir+json"),
]
MY_APP = "user/Subscription.cruds patient/Patient.rs"  # what is left to an app that is narrowed


def of_a(name: str) -> Caller:
    return Caller(name, f"patient/*.rs {OWN}", A, "patient", A)


async def token_is_revoked(court: Court, who: Listener) -> None:
    assert await court.people.auth.tokens.revoke_token(who.token, who.client)


async def grant_is_revoked(court: Court, who: Listener) -> None:
    assert await court.people.auth.tokens.revoke_client(who.client)


async def scope_is_taken(court: Court, who: Listener) -> None:
    client = await court.people.auth.clients.get(who.client)
    assert client is not None
    await court.people.auth.clients.update(replace(client, scopes=MY_APP))


async def user_is_deactivated(court: Court, who: Listener) -> None:
    await court.people.auth.users.set_active(who.caller.name.replace(" ", "-"), False)


async def consent_denies(court: Court, who: Listener) -> None:
    """The patient lets this doctor see nothing any more."""
    scope = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "patient-privacy"}]}
    actor = {"role": {"text": "reader"}, "reference": ref(who.caller.fhir_user)}
    about: Json = {"status": "active", "scope": scope, "category": [{"text": "x"}], "policyRule": {"text": "x"}}
    denied = made("Consent/no", **about, patient=ref(A), provision={"type": "deny", "actor": [actor]})
    del denied["id"]
    answer = await court.people.ask(court.token, "POST", "Consent", denied)
    assert answer.status == 201, answer.text


async def care_ends(court: Court, who: Listener) -> None:
    team = made("CareTeam/new", status="inactive", subject=ref(A), participant=[{"member": ref("Practitioner/new")}])
    answer = await court.people.ask(court.token, "PUT", "CareTeam/new", team)
    assert answer.status == 200, answer.text


EVERY, WEBSOCKETS = {SOCKETIO, WEBSOCKET, PING}, {WEBSOCKET, PING}
DENIED = replace(DOCTOR, name="denied", fhir_user="Practitioner/denied")
NEW = replace(DOCTOR, name="new", fhir_user="Practitioner/new")
# What happens, to whom, and which of their sockets are dropped by it though nothing else happens.
ENDS: dict[str, tuple[Callable[[Court, Listener], Awaitable[None]], Caller, set[str]]] = {
    "token": (token_is_revoked, of_a("one token"), EVERY),
    "grant": (grant_is_revoked, of_a("one grant"), EVERY),
    "scope": (scope_is_taken, of_a("one scope"), {WEBSOCKET}),  # what a token was issued with lasts as long as it
    "user": (user_is_deactivated, of_a("one user"), EVERY),
    "consent": (consent_denies, DENIED, set()),
    "care": (care_ends, NEW, WEBSOCKETS),
}


@dataclass
class After:
    """What a listener had heard when it ended, and what they hear afterwards."""

    who: Listener
    counts: set[int] = field(default_factory=set)  # of their subscriptions, in the end
    answer: int = 0  # of a GET

    @property
    def hook(self) -> Ear:
        (found,) = (ear for ear in self.who.ears.values() if ear.channel == REST_HOOK)
        return found

    @property
    def others(self) -> list[Ear]:
        return [ear for ear in self.who.ears.values() if ear is not self.hook]


@pytest.fixture(scope="module")
def patient() -> Iterator[None]:
    """The server waits for the answers of rest-hooks as long as the test holds them back."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("SECONDS", "MOST_SECONDS"):
            patch.setattr(sending, name, 600)
        yield


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def ended(court: Court, patient: None) -> dict[str, After]:
    """Everything that can end, in the middle of one stream of events about one resource.

    Two are told; of the third the rest-hooks, which are busy with the second, are to be told afterwards.
    """
    people, key = court.people, "Observation/stream"
    for caller in (DENIED, NEW):
        team = made(f"CareTeam/{caller.name}", status="active", subject=ref(A))
        member = {"participant": [{"member": ref(caller.fhir_user)}]}
        await people.auth.put(made(caller.fhir_user, active=True), team | member)
    listeners = await asyncio.gather(*(listening(people, caller, FOLLOWED) for _, caller, _ in ENDS.values()))
    found = {what: After(who) for what, who in zip(ENDS, listeners, strict=True)}
    hooks, others = [one.hook for one in found.values()], [ear for one in found.values() for ear in one.others]

    async def heard(ears: list[Ear], times: int) -> None:
        if not await people.until(lambda: all(len(ear.told) == times for ear in ears)):
            raise AssertionError({f"{ear.channel} {len(ear.told)}" for ear in ears})

    await court.write(key, observation(key, A, hasMember=[ref("Observation/b-old")]))
    await heard([*hooks, *others], 1)
    people.held.clear()
    try:
        await court.write(key, observation(key, A))
        await heard([*hooks, *others], 2)
        await court.write(key, observation(key, A, note=[{"text": "numbered before, to be delivered after"}]))
        await heard(others, 3)
        await asyncio.gather(*(act(court, found[what].who) for what, (act, _, _) in ENDS.items()))
    finally:
        people.held.set()
    await court.write(key, observation(key, A, note=[{"text": "secret"}]))
    await court.settle()  # who is told later may not see it any more: the next write makes it another patient's
    await court.write(key, observation(key, B, hasMember=[ref("Observation/a-old")]))
    for one in found.values():
        one.counts = {row["count"] for row in (await people.rows(one.who.ears)).values()}
        one.answer = (await people.ask(one.who.token, "GET", key)).status
        await _at_rest(people, one.hook)
    await court.settle()
    return found


@pytest.mark.parametrize("what", ENDS)
async def test_point_7_what_ends_ends_with_the_very_next_event(
    court: Court, ended: dict[str, After], what: str
) -> None:
    after, dropped = ended[what], ENDS[what][2]
    assert after.counts == {3}
    assert await court.people.until(lambda: after.who.gone >= dropped), f"only {after.who.gone} were dropped"
    assert [len(ear.told) for ear in after.others] == [3] * len(after.others)
    assert len(after.hook.told) == 2, "what was numbered before is told after"
    told = {key for ear in after.who.ears.values() for one in ear.told for key in one.keys}
    assert told == {"Observation/stream", A}  # nothing of the other patient came along
    assert after.answer in (401, 403, 404)


async def _at_rest(people: Audience, ear: Ear) -> None:
    """Return once nothing of it is to be delivered any more."""
    async with asyncio.timeout(PATIENCE):
        while True:
            row = (await people.rows([ear.id]))[ear.id]
            if row["status"] == "off" or row["sent"] == row["count"]:
                return
            await asyncio.sleep(0.02)


# ---- a hole would be found ---------------------------------------------------------------------------


async def _as_the_system(*_: Any) -> Principal:
    return SYSTEM


async def _may_see(*_: Any) -> bool:
    return True


_judge = Matcher._may_see
_include = Shapes.included


async def _hardly_sees(self: Matcher, principal: Principal, view: Any) -> bool:
    return not principal.own and await _judge(self, principal, view)


async def _include_all(self: Shapes, topic: Any, focus: Stored, principal: Principal) -> list[Stored]:
    return await _include(self, topic, focus, SYSTEM)


_HOLES: dict[str, tuple[type, str, Any, str]] = {
    "numbers": (Matcher, "_may_see", _may_see, "is counted, and may not be read"),
    "too few": (Matcher, "_may_see", _hardly_sees, "is not counted"),
    "includes": (Shapes, "included", _include_all, "is told, and GET answers 404"),
    "rights": (Subscribers, "again", _as_the_system, "is told, and GET answers 404"),
}


@pytest.mark.parametrize("hole", _HOLES)
async def test_a_hole_would_be_found(court: Court, hole: str, monkeypatch: pytest.MonkeyPatch) -> None:
    owner, name, instead, found = _HOLES[hole]
    monkeypatch.setattr(owner, name, instead)
    monkeypatch.setattr(court, "patience", 0.5)
    writer = Writer(11)
    for _ in range(30):
        await court.judge(*writer.next(court.current))
        if any(found in one for one in court.findings):
            break
    findings, court.findings = court.findings, []
    assert any(found in one for one in findings), findings
