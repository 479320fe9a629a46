"""A sharing Consent: which records it shares, with whom, how much, and until when.

https://hl7.org/fhir/R4/consent.html and the guide's profile sharing-consent
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from fhir_server.access.principal import SYSTEM
from fhir_server.access.provisions import LEVELS, levels, period, provisions
from fhir_server.context import Context
from fhir_server.outcomes import BusinessRule
from fhir_server.search.compile import compile
from fhir_server.search.parse import conditional
from fhir_server.search.types.reference import local
from fhir_server.storage.stored import Stored
from fhir_server.storage.unit_of_work import Guard, UnitOfWork
from workflow.codes import ACT_CODE, ACT_REASON, GUIDE, PARTICIPATION, SHARE_LEVEL, coding, concept
from workflow.making import instant

Json = dict[str, Any]
RECORD = "DocumentReference"
MOST = 500  # active Consents about one record
TOO_MANY = f"A record has up to {MOST} active consents."
_SCOPE = ("http://terminology.hl7.org/CodeSystem/consentscope", "patient-privacy")


@dataclass(frozen=True, slots=True)
class Share:
    """What an active Consent gives: `records` and `actors` are "Type/id", `end` is microseconds since 1970."""

    records: frozenset[str] = frozenset()
    actors: frozenset[str] = frozenset()
    level: str = ""
    end: int = 2**62
    is_now: bool = False  # whether its period has begun and is not over


NOTHING = Share()


def here(ctx: Context, reference: Json | None) -> str:
    """The "Type/id" that a Reference means on this server; "" for anything else."""
    found = local(str((reference or {}).get("reference", "")), f"{ctx.base_url}/")
    return found[0] if found is not None else ""


def records(ctx: Context, provision: Json) -> frozenset[str]:
    """The records that a provision itself is about."""
    named = (here(ctx, one.get("reference")) for one in provision.get("data", ()))
    return frozenset(one for one in named if one.startswith(f"{RECORD}/"))


def actors(ctx: Context, provision: Json) -> frozenset[str]:
    """Whom a provision itself is about."""
    return frozenset(here(ctx, one.get("reference")) for one in provision.get("actor", ())) - {""}


def nests(ctx: Context, consent: Json) -> bool:
    """Whether it names records, and permits somebody something in a provision within."""
    within = list(provisions(consent.get("provision", {})))[1:]
    named = any(records(ctx, one) for one in provisions(consent.get("provision", {})))
    return named and any(one.get("type") == "permit" for one in within)


def share(ctx: Context, consent: Json | None) -> Share:
    """What a Consent gives; NOTHING when it is not active, or shares no record with anybody."""
    root = (consent or {}).get("provision", {})
    if not consent or consent.get("status") != "active" or root.get("type") != "permit":
        return NOTHING
    named, whom = records(ctx, root), actors(ctx, root)
    if not named or not whom:
        return NOTHING
    given = levels(root)
    level = next((one for one in reversed(LEVELS) if one in given), "limited")  # the least, as access reads it
    span = period(root.get("period"))
    now = int(datetime.now(UTC).timestamp() * 1_000_000)
    return Share(named, whom, level, span[1] if span else 0, span is not None and span[0] <= now <= span[1])


async def found(ctx: Context, record: str, patient: str) -> list[Stored]:
    """The active Consents of the patient that name the record, as this request sees them, whoever may.

    Those of other patients open nothing of it. Raises BusinessRule (422) when they are too many.
    """
    wanted = compile(conditional("Consent", f"data={record}&patient={patient}&status=active", ctx.base_url)).filter
    rows = list(await ctx.repository.find(SYSTEM, wanted, limit=MOST + 1))
    if len(rows) > MOST:
        raise BusinessRule(TOO_MANY)
    if ctx.unit is None:
        return rows
    pending = {key: one for key, one in ctx.unit.writes.items() if one.type == "Consent"}
    new = [(one.pending(), one.resource) for one in pending.values() if one.resource]
    named = [row for row, consent in new if consent.get("status") == "active" and _names(ctx, consent, record, patient)]
    return [row for row in rows if row.key not in pending] + named


async def shares_of(ctx: Context, record: Json) -> list[Stored]:
    """As `found`, of a record that is at hand."""
    return await found(ctx, f"{RECORD}/{record['id']}", here(ctx, record.get("subject")))


def _names(ctx: Context, consent: Json, record: str, patient: str) -> bool:
    return here(ctx, consent.get("patient")) == patient and record in records(ctx, consent.get("provision", {}))


async def hold(ctx: Context, unit: UnitOfWork, record: str) -> None:
    """Let one unit at a time share the record or end a share: what was read behind this is so when it is committed."""
    guard = f"shares of {record}"
    if guard not in unit.guards:
        unit.guards[guard] = Guard(guard, await ctx.repository.guard(guard))


def consent(id_: str, record: str, patient: str, performer: str, terms: Json) -> Json:
    """The Consent of the guide's profile; `terms` are its actor, level, purpose and perhaps period."""
    now = datetime.now(UTC).replace(microsecond=0)
    role = concept((PARTICIPATION, "IRCP"))
    made: Json = {
        "resourceType": "Consent",
        "id": id_,
        "meta": {"profile": [f"{GUIDE}/StructureDefinition/sharing-consent"]},
        "status": "active",
        "scope": concept(_SCOPE),
        "category": [concept((ACT_CODE, "INFA"))],
        "patient": {"reference": patient},
        "dateTime": instant(now),
        "policyRule": concept((ACT_CODE, "OPTIN")),
        "provision": {
            "type": "permit",
            "period": terms.get("period") or {"start": instant(now)},
            "actor": [{"role": role, "reference": {"reference": terms["actor"]}}],
            "action": [concept((SHARE_LEVEL, terms["level"]))],
            "purpose": [coding(ACT_REASON, terms["purpose"])],
            "data": [{"meaning": "instance", "reference": {"reference": record}}],
        },
    }
    return {**made, "performer": [{"reference": performer}]} if performer else made
