"""Holds every answer of the house against the oracle, three ways:

- nothing too much: every resource in an answer, and every change, is one that the oracle allows the caller;
- nothing shows through: the same caller gets the same answer from a twin where the hidden resources do not exist
  (status, body, totals, order, ETag, what a write changed);
- nothing too few: anybody on that twin, without any access control, gets no more than the caller got.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from fhir_server.access import Principal
from fhir_server.access.scopes import resource_scopes
from fhir_server.definitions import RESOURCE_TYPES
from tests.leak.oracle import Oracle
from tests.leak.stage import Answer, Ask, House, Stage, call, following, normal
from tests.leak.world import BASE

Json = dict[str, Any]
PAGES = 80
PATIENCE = 60  # seconds for one request, everywhere
TOLD = ("etag", "last-modified", "location", "content-type", "x-security-context")
# Read-only questions that limited callers are refused as such, whatever there is: docs/access.md.
REFUSED = {"explain", "administration"}
CONDITIONAL = {
    "conditional_create",
    "conditional_update",
    "conditional_patch",
    "conditional_delete",
    "conditional_reference",
}
READS = {"read", "head", "read_part", "vread", "if_none_match", "if_modified_since", "history_of_one"}
SEARCHES = {
    "search",
    "search_posted",
    "search_ids",
    "search_system",
    "count",
    "total",
    "sort",
    "chain",
    "chain_counted",
    "has",
    "has_and_chain",
    "filter",
    "contained",
    "text",
    "missing",
    "compartment",
    "compartment_whole",
    "compartment_posted",
    "history_of_type",
}
_ACTION = {"POST": "c", "PUT": "uc", "PATCH": "u", "DELETE": "d"}


@dataclass(frozen=True)
class Caller:
    """Somebody with scopes, as both sides are told of them."""

    name: str
    scopes: str
    patient: str = ""
    user: str = ""
    roles: tuple[str, ...] = ()
    own: frozenset[str] = frozenset()
    panel: tuple[tuple[str, str], ...] = ()
    emergency: frozenset[str] = frozenset()
    organizations: frozenset[str] = frozenset()

    def principal(self) -> Principal:
        return Principal(
            self.name,
            scopes=resource_scopes(self.scopes),
            client="app",
            patient=self.patient,
            user=self.user,
            roles=self.roles,
            own=self.own,
            panel=dict(self.panel),
            emergency=self.emergency,
            organizations=self.organizations,
        )

    @property
    def is_even(self) -> bool:
        """Whether what may be read is what may be searched, so that one twin serves for both."""
        return not self.name.startswith("uneven")


A, B, C = "Patient/a", "Patient/b", "Patient/c"
LAB = "category=http://terminology.hl7.org/CodeSystem/observation-category|laboratory"
CALLERS = [
    Caller("v1 read a", "patient/*.read", A),
    Caller("v2 read a", "patient/*.rs", A),
    Caller("v2 all a", "patient/*.cruds", A),
    Caller("v1 all b", "patient/*.*", B),
    Caller("v2 all c", "patient/*.cruds", C),
    Caller(
        "granular a",
        f"patient/Observation.cruds?{LAB} patient/Patient.rs patient/Condition.rs?category=problem-list-item",
        A,
    ),
    Caller("types a", "patient/Observation.rs patient/Patient.rs patient/Practitioner.rs patient/Binary.rs", A),
    Caller("system read", "system/*.rs"),
    Caller(
        "system granular", f"system/Observation.cruds?{LAB} system/Patient.rs system/Binary.rs system/Provenance.rs"
    ),
    Caller(
        "system types", "system/Binary.rs system/Bundle.rs system/Group.rs system/List.rs system/Practitioner.cruds"
    ),
    Caller("user patient a", "user/*.cruds", user=A, roles=("patient",), own=frozenset({A})),
    Caller("user proxy b", "user/*.rs", user="RelatedPerson/b-mother", roles=("proxy",), own=frozenset({B})),
    Caller("patient level with user a", "patient/*.cruds", A, user=A, roles=("patient",), own=frozenset({A})),
    Caller("user doctor", "user/*.cruds", user="Practitioner/doctor", roles=("doctor",), panel=((B, "referral"),)),
    Caller("user nurse", "user/*.cruds", user="Practitioner/nurse", roles=("nurse",)),
    Caller(
        "user nurse in emergency", "user/*.rs", user="Practitioner/nurse", roles=("nurse",), emergency=frozenset({B})
    ),
    Caller(
        "user specialist",
        "user/*.cruds",
        user="Practitioner/other",
        roles=("specialist",),
        panel=((A, "referral"), (B, "limited")),
    ),
    Caller("user paramedic", "user/*.cruds", user="Practitioner/other", roles=("paramedic",), emergency=frozenset({A})),
    Caller("user receptionist", "user/*.cruds", user="Practitioner/other", roles=("receptionist",)),
    Caller(
        "user laboratory",
        "user/*.cruds",
        user="Practitioner/other",
        roles=("laboratory-technician",),
        organizations=frozenset({"Organization/lab"}),
    ),
    Caller("user pharmacist", "user/*.rs", user="Practitioner/other", roles=("pharmacist",)),
    Caller("user administrator", "user/*.cruds", user="Practitioner/other", roles=("administrator",)),
    Caller("user observer", "user/*.rs", user="RelatedPerson/a-mother", roles=("observer",)),
    Caller("user two roles", "user/*.cruds", user=A, roles=("patient", "observer"), own=frozenset({A})),
    Caller("doctor on patient b", "patient/*.cruds", B, user="Practitioner/doctor", roles=("doctor",)),
    Caller(
        "nurse granular",
        f"user/Observation.rs?{LAB} user/Patient.rs user/Communication.rs",
        user="Practitioner/nurse",
        roles=("nurse",),
    ),
    Caller(
        "uneven a",
        "patient/Observation.s patient/Condition.r patient/Encounter.rs patient/Patient.r patient/List.s"
        " patient/Practitioner.r",
        A,
    ),
    Caller(
        "uneven writes a",
        f"patient/Observation.rs patient/Observation.u?{LAB} patient/Condition.rs patient/Condition.c patient/Task.rud",
        A,
    ),
    Caller(
        "uneven deletes a",
        f"patient/Observation.rds?{LAB} patient/Observation.rs patient/Patient.rs patient/Communication.cs",
        A,
    ),
    # Fails closed.
    Caller("no patient", "patient/*.cruds"),
    Caller("no scopes", "openid launch offline_access"),
    Caller("user without role", "user/*.cruds", user=A),
    Caller("system as user", "system/*.cruds", user="Practitioner/doctor", roles=("doctor",)),
]


@dataclass(frozen=True)
class Finding:
    """Something that is not as the oracle says."""

    caller: str
    ask: str
    what: str
    detail: str = ""

    def __str__(self) -> str:
        return f"{self.what}\n    as {self.caller}: {self.ask}\n    {self.detail[:1500]}"


@dataclass
class Referee:
    """Judges the requests of one caller."""

    stage: Stage
    caller: Caller
    others: dict[str, Oracle]
    findings: list[Finding] = field(default_factory=list)
    compared: int = 0
    shown: int = 0
    answered: Counter[str] = field(default_factory=Counter)  # by kind: how often with success

    def __post_init__(self) -> None:
        self.oracle = self.others[self.caller.name]

    async def judge(self, ask: Ask) -> None:
        """Send one request everywhere and note what is wrong."""
        try:
            async with asyncio.timeout(PATIENCE):
                if ask.writes and ask.kind not in ("batch_read", "transaction_read", "administration"):
                    await self._write(ask)
                else:
                    await self._read(ask)
        except TimeoutError:
            self._note(ask, f"no answer within {PATIENCE} seconds")

    def _note(self, ask: Ask, what: str, detail: str = "") -> None:
        self.findings.append(Finding(self.caller.name, str(ask), what, detail))

    # ---- reading

    async def _read(self, ask: Ask) -> None:
        house, token = self.stage.house, self.caller.name
        answers = await follow(house, ask, token)
        self.answered[ask.kind] += answers[0].status < 400
        for answer in answers:
            if answer.status >= 500:
                self._note(ask, "an unexpected failure", answer.content.decode()[:500])
            self._sound(ask, answer, self.oracle)
        await self._with_another_token(ask, answers[0])
        changes = house.restore()
        if ask.kind == "administration" and "administrator" in self.caller.roles:
            return  # who may erase
        if changes:
            self._note(ask, "a read that changes something")
        if ask.kind == "explain" and answers[0].status == 200 and "administrator" in self.caller.roles:
            return  # administrators are told what the database did, with its times
        here = told(answers)
        self._same(ask, here, told(await follow(self.stage.twins["any"], ask, token)), "what is hidden shows through")
        await self._complete(ask, answers[0].status, here)

    async def _complete(self, ask: Ask, status: int, here: list[str]) -> None:
        twin = self._twin(ask)
        if ask.kind in REFUSED or twin is None:
            return
        refused = self._is_refused(ask)
        if refused is not None:
            if refused != (status == 403):
                self._note(
                    ask,
                    f"refused though open: {status}" if status == 403 else f"open though no scope allows it: {status}",
                )
                return
            if refused:
                return
        if ask.kind == "history_count" and "/" not in ask.path.removesuffix("/_history") and status == 400:
            return  # types and everything are not counted for limited callers
        there = told(await follow(twin, ask, None))
        if ask.kind in ("batch_read", "transaction_read"):
            return
        self._same(ask, here, there, "something is missing, or too much")

    def _twin(self, ask: Ask) -> House | None:
        """Where anybody gets what the caller should get; None where reading and searching are mixed and differ."""
        if ask.kind in SEARCHES or ask.kind in ("history_of_all", "history_of_type"):
            return self.stage.twins["s"]
        if self.caller.is_even:
            return self.stage.twins["any"]
        return self.stage.twins["r"] if ask.kind in READS else None

    def _is_refused(self, ask: Ask) -> bool | None:
        """Whether no resource at all could be open to this request (403); None where several types are concerned."""
        parts = ask.path.split("/")
        if parts[0] not in RESOURCE_TYPES or "$" in ask.path or ask.kind in ("compartment_whole", "batch_read"):
            return None
        type_, action = parts[0], "r"
        if len(parts) == 1 or parts[1] in ("_search", "_history"):
            action = "s"
        elif len(parts) > 2 and parts[2] != "_history":
            type_, action = parts[2], "s"
        return not self.oracle.opens(type_, action) if type_ in RESOURCE_TYPES else None

    async def _with_another_token(self, ask: Ask, answer: Answer) -> None:
        """A next link is of use to nobody else."""
        url = answer.link("next") if ask.pages else None
        if url is None:
            return
        for name, oracle in self.others.items():
            if name != self.caller.name and name.startswith(("v1", "v2")):
                taken = await call(self.stage.house.named, following(ask, url), name)
                self._sound(ask, taken, oracle, by=name)

    def _sound(self, ask: Ask, answer: Answer, oracle: Oracle, by: str = "") -> None:
        for where, action, found in resources_in(ask, answer):
            key = f"{found.get('resourceType')}/{found.get('id')}"
            contents = self.stage.chronicle.versions.get(key)
            if contents is None:
                continue  # made for this answer: Parameters, the Bundle itself, contained resources
            number = int(found.get("meta", {}).get("versionId") or len(contents))
            self.shown += 1
            if not any(self.stage.chronicle.shown(oracle, key, number, one) for one in action):
                self._note(
                    ask,
                    f"{key} version {number} is shown to {by or self.caller.name} ({where})",
                    answer.content.decode()[:300],
                )

    # ---- writing

    async def _write(self, ask: Ask) -> None:
        house, twin, token = self.stage.house, self.stage.twins["any"], self.caller.name
        answer = await call(house.named, ask, token)
        self.answered[ask.kind] += answer.status < 400
        changes = house.restore()
        if answer.status >= 500:
            self._note(ask, "an unexpected failure", answer.content.decode()[:500])
        self._sound_or_written(ask, answer, changes)
        for key, content in changes:
            if problem := self._problem(key, content):
                self._note(ask, f"written without leave: {problem}", f"{answer.status} {json.dumps(content)[:600]}")
        if answer.status >= 400 and changes:
            self._note(ask, "refused, and something changed all the same")
        told_here = told([answer], written=True) + described(changes)
        other = await call(twin.named, ask, token)
        told_there = told([other], written=True) + described(twin.restore())
        self._same(ask, told_here, told_there, "what is hidden shows through a write")
        await self._write_completely(ask, answer, changes, told_here)

    def _sound_or_written(self, ask: Ask, answer: Answer, changes: list[tuple[str, Json | None]]) -> None:
        """What is shown is allowed, or is what the caller has just written."""
        before = len(self.findings)
        self._sound(ask, answer, self.oracle)
        fresh = self.findings[before:]
        mine = {key for key, _ in changes}
        self.findings[before:] = [one for one in fresh if one.what.split(" ")[0] not in mine]

    def _problem(self, key: str, content: Json | None) -> str:
        """Why the oracle would not have this change; empty when it is fine."""
        before = self.stage.chronicle.today.get(key)
        if before is not None and not self.oracle.allows(before, "d" if content is None else "u"):
            return f"{key} was not the caller's"
        if content is not None and not self.oracle.allows(content, "u" if before is not None else "c"):
            return f"{key} is not what the caller may write"
        return ""

    async def _write_completely(
        self, ask: Ask, answer: Answer, changes: list[tuple[str, Json | None]], here: list[str]
    ) -> None:
        """What anybody could do on the twin the caller can do here if the oracle has no objection, else nothing."""
        if ask.kind in ("batch_write", "transaction_write", "transaction_mixed", "meta_change"):
            return
        if ask.kind in CONDITIONAL and not self.caller.is_even:
            return
        twin = self.stage.twins["any"]
        other = await call(twin.open, ask)
        possible = twin.restore()
        problems = [problem for key, content in possible if (problem := self._problem(key, content))]
        type_ = ask.path.partition("/")[0] or "Observation"
        limited = not self.oracle.opens_all(type_, "r") or not self.oracle.opens_all(type_, "u")
        names_one = "/" in ask.path or "id" in (ask.body or {})
        chosen = ask.method == "PUT" and names_one and limited and any(not twin.holds(key) for key, _ in possible)
        if problems or chosen:
            if answer.status < 400 or changes:
                self._note(ask, f"done, though {'; '.join(problems) or 'the caller cannot choose ids'}")
        elif not any(self.oracle.opens(type_, one) for one in _ACTION[ask.method]):
            if answer.status != 403:
                self._note(ask, f"no scope allows it, and yet {answer.status}")
        elif ask.kind in CONDITIONAL and not self.oracle.opens(type_, "s"):
            pass
        elif answer.status in (403, 404) and other.status >= 400:
            pass  # two reasons to refuse; either is told
        else:
            there = told([other], written=True) + described(possible)
            self._same(ask, here, there, "a write that should have been possible")

    # ---- comparing

    def _same(self, ask: Ask, here: list[str], there: list[str], what: str) -> None:
        self.compared += 1
        if here != there:
            self._note(ask, what, difference(here, there))


async def follow(house: House, ask: Ask, token: str | None) -> list[Answer]:
    """The answer, and those of its next links if the request pages."""
    app = house.named if token is not None else house.open
    answers = [await call(app, ask, token)]
    while ask.pages and (url := answers[-1].link("next")) and len(answers) < PAGES:
        answers.append(await call(app, following(ask, url), token))
    return answers


def told(answers: list[Answer], *, written: bool = False) -> list[str]:
    """What the answers say, in a form in which equal ones are equal."""
    found: list[str] = []
    for answer in answers:
        headers = {name: normal(answer.headers[name].encode()) for name in TOLD if name in answer.headers}
        if written:
            headers.pop("last-modified", None)
        found.append(f"{answer.status} {headers}")
        body = answer.body
        if not isinstance(body, dict) or body.get("resourceType") != "Bundle":
            found.append(normal(answer.content, written=written))
            continue
        entries = body.pop("entry", [])
        body.pop("timestamp", None)
        texts = [
            (one.get("search", {}).get("mode"), normal(json.dumps(one).encode(), written=written)) for one in entries
        ]
        found.append(normal(json.dumps(body).encode()))
        found += [text for mode, text in texts if mode != "include"]
        # Included resources have no order.
        found += sorted(text for mode, text in texts if mode == "include")
    return found


def described(changes: list[tuple[str, Json | None]]) -> list[str]:
    return sorted(normal(f"{key} {json.dumps(content)}".encode(), written=True) for key, content in changes)


def difference(here: list[str], there: list[str]) -> str:
    only_here = [one[:400] for one in here if one not in there]
    only_there = [one[:400] for one in there if one not in here]
    return f"here only: {only_here[:3]}\n    there only: {only_there[:3]}"


def resources_in(ask: Ask, answer: Answer) -> Iterator[tuple[str, str, Json]]:
    """Each resource of an answer, where it stands, and the actions any of which must be open on it."""
    body = answer.body
    if not isinstance(body, dict):
        return
    if body.get("resourceType") == "Bundle" and body.get("type") in (
        "searchset",
        "history",
        "document",
        "batch-response",
        "transaction-response",
    ):
        yield from _entries(ask, body)
    elif body.get("resourceType") not in ("OperationOutcome", "Parameters", None):
        yield "the answer", "rs" if ask.writes else "r", body


def _entries(ask: Ask, bundle: Json) -> Iterator[tuple[str, str, Json]]:
    searched = bundle["type"] == "searchset"
    for index, entry in enumerate(bundle.get("entry", ())):
        resource, mode = entry.get("resource"), entry.get("search", {}).get("mode")
        if resource is None or resource["resourceType"] == "OperationOutcome":
            continue
        if resource["resourceType"] == "Bundle" and bundle["type"].endswith("-response") and "id" not in resource:
            yield from _entries(ask, resource)
            continue
        action = "rs"
        if searched and not ask.path.rpartition("/")[2].startswith("$"):
            action = "s" if mode == "match" or ask.kind == "revinclude" else "r" if ask.kind == "include" else "rs"
        elif bundle["type"] == "history" and ask.kind.startswith("history"):
            action = "r" if ask.kind == "history_of_one" else "s"
        url = entry.get("fullUrl", "")
        held = resource
        if "#" in url:  # a contained resource stands for what contains it
            type_, _, id_ = url.partition("#")[0].removeprefix(f"{BASE}/").partition("/")
            held = {"resourceType": type_, "id": id_}
        yield f"entry {index}, {mode}", action, held
