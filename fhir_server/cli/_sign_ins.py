"""The demo clinic's sign-ins: random passwords, made at the first start and kept beside the data for its owner."""

from __future__ import annotations

import json
import os
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from fhir_server.context import Context, FhirRequest

if TYPE_CHECKING:
    from smart_auth.service import SmartAuth

FILE = "demo-sign-ins.json"  # in the data directory, readable by its owner only


class SignIn(NamedTuple):
    """Somebody of the demo clinic who may sign in."""

    login: str
    name: str
    role: str
    fhir_user: str


SIGN_INS = (
    SignIn("doctor", "Dr. Adaeze Nwosu", "doctor", "Practitioner/demo-adaeze-nwosu"),
    SignIn("nurse", "Joan Whitaker", "nurse", "Practitioner/demo-joan-whitaker"),
    SignIn("patient", "Lucía Moreno Vega", "patient", "Patient/demo-lucia-moreno"),
    SignIn("administrator", "Administrator", "administrator", "Practitioner/administrator"),
)
ADMINISTRATOR = {
    "resourceType": "Practitioner",
    "id": "administrator",
    "active": True,
    "name": [{"text": "Administrator"}],
}


async def make_sign_ins(auth: SmartAuth, ctx: Context, data_dir: Path) -> bool:
    """Add who is not there yet; False when everybody was."""
    from smart_auth.users import User

    missing = [one for one in SIGN_INS if await auth.users.get(one.login) is None]
    if not missing:
        return False
    fresh = {one.login: secrets.token_urlsafe(12) for one in missing}
    _write(data_dir / FILE, read_sign_ins(data_dir) | fresh)  # first: nobody is there whose password is lost
    for one in missing:
        if one.role == "administrator":
            await ctx.dispatch(ctx, FhirRequest("PUT", one.fhir_user, body=dict(ADMINISTRATOR)))
        user = User(one.login, one.name, fhir_user=one.fhir_user, roles=(one.role,))
        await auth.users.add(user, fresh[one.login])
    return True


def read_sign_ins(data_dir: Path) -> dict[str, str]:
    """Login → password of the demo users; empty where there are none."""
    try:
        found = json.loads((data_dir / FILE).read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return {str(login): str(password) for login, password in found.items()}


def _write(path: Path, passwords: dict[str, str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix(".new")
    fresh.unlink(missing_ok=True)  # whatever its mode was
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        json.dump(passwords, file, indent=1)
    fresh.replace(path)
