"""`fhir-server key`: the keys that sign id_tokens, the master key, and the keys of patients."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from fhir_server.cli._accounts import record, with_accounts
from fhir_server.cli.options import DataDir, settings_with
from fhir_server.config import Settings

if TYPE_CHECKING:
    from fhir_server.main import Server
    from smart_auth.service import SmartAuth


def key(
    action: Annotated[
        Literal["rotate", "list", "rotate-master", "rewrap", "rotate-patients"], typer.Argument(help="What to do.")
    ],
    patient: Annotated[str, typer.Option(help="Of rotate-patients: one only, by id.")] = "",
    data_dir: DataDir = None,
) -> None:
    """Make keys anew: what signs id_tokens, the master key, or the keys of patients. All of it while servers run.

    rotate: sign with a new key from now on (the old one stays published until its last token is over); list: those
    keys. rotate-master: a new master key on top of its file, and rewrap. rewrap: every patient's key and the signing
    key under the master key in use, after which older lines of the file can go. rotate-patients: new keys for
    patients, and all that is sensitive sealed under them; an interrupted run goes on where it stopped.
    """
    settings = settings_with(data_dir=data_dir)
    work = _ACTIONS[action]

    async def task(auth: SmartAuth, server: Server) -> list[str]:
        said = await work(auth, server, settings, patient)
        if action != "list":
            what = said[0].removeprefix("New key: ") if action == "rotate" else patient
            await record(server, settings, "key", f"{action} {what}".strip())
        return said

    for line in with_accounts(settings, task):
        typer.echo(line)


async def _rotate(auth: SmartAuth, server: Server, settings: Settings, patient: str) -> list[str]:
    return [f"New key: {await auth.keys.rotate()}"]


async def _list(auth: SmartAuth, server: Server, settings: Settings, patient: str) -> list[str]:
    return [str(one["kid"]) for one in (await auth.keys.jwks())["keys"]]


async def _rotate_master(auth: SmartAuth, server: Server, settings: Settings, patient: str) -> list[str]:
    from fhir_server.encryption.master import file
    from fhir_server.encryption.sealing import rotate_file

    if settings.master_key or settings.master_key_service:
        raise ValueError("the master key is not a file here: put a new one in front, restart, and `key rewrap`.")
    rotate_file(file(settings))
    return [f"New master key on top of {file(settings)}.", *await _rewrap(auth, server, settings, patient)]


async def _rewrap(auth: SmartAuth, server: Server, settings: Settings, patient: str) -> list[str]:
    await auth.keys.prepare()
    return [f"Wrapped anew: {await server.database.keyring.rewrap():,} keys of patients."]


async def _rotate_patients(auth: SmartAuth, server: Server, settings: Settings, patient: str) -> list[str]:
    from fhir_server.storage.rotation import rotate_patients

    of = f"Patient/{patient.removeprefix('Patient/')}" if patient else ""
    count = await rotate_patients(server.database, of)
    return [f"Sealed anew: {count:,} versions."]


_Work = Callable[["SmartAuth", "Server", Settings, str], Awaitable[list[str]]]
_ACTIONS: dict[str, _Work] = {
    "rotate": _rotate,
    "list": _list,
    "rotate-master": _rotate_master,
    "rewrap": _rewrap,
    "rotate-patients": _rotate_patients,
}
