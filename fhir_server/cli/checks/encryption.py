"""What encryption at rest must find: the master key that wraps the keys of patients."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from pymongo import MongoClient

from fhir_server.cli.checks.finding import Finding, fail, ok, warn
from fhir_server.config import Settings
from fhir_server.encryption.keyring import NAME
from fhir_server.encryption.master import Master, file, master
from fhir_server.outcomes import FhirError

Client = MongoClient[dict[str, Any]]
_SUBJECT = "Patients' keys"
_LOOKED_AT = 1000


def patient_keys(client: Client, settings: Settings) -> Finding:
    """Whether the master key is there and opens them; nothing is made here."""
    rows = list(client[f"{settings.database}_system"][NAME].find({"w": {"$exists": True}}).limit(_LOOKED_AT))
    if not rows:
        return ok(_SUBJECT, "none yet; the first sensitive resource makes one")
    try:
        held = master(settings)
        asyncio.run(_open(held, rows))
    except (RuntimeError, ValueError, FhirError) as problem:
        advice = "Bring the master key back: FHIR_MASTER_KEY, FHIR_MASTER_KEY_FILE or master.key in the data directory."
        return fail(_SUBJECT, f"cannot be opened: {problem}", advice)
    old = sum(not held.is_current(bytes(row["w"])) for row in rows)
    if old:
        return warn(_SUBJECT, f"{old} wrapped by an older master key", "Run `fhir-server key rewrap`.")
    if (path := _open_to_others(settings)) is not None:
        return warn(_SUBJECT, f"{path} can be read by others than its owner", f"Run `chmod 600 {path}`.")
    return ok(_SUBJECT, f"{len(rows)}{' or more' if len(rows) == _LOOKED_AT else ''}, opened by the master key")


def _open_to_others(settings: Settings) -> Path | None:
    """The file of the master key, where it is one and its mode lets others read it."""
    if settings.master_key or settings.master_key_service:
        return None
    path = file(settings)
    return path if path.stat().st_mode & 0o077 else None


async def _open(held: Master, rows: list[dict[str, Any]]) -> None:
    for row in rows:
        await held.unwrap(bytes(row["w"]), row["_id"])
