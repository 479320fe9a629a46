"""The clinic itself: who is there, and that nobody is without a token."""

from __future__ import annotations

import httpx

from tests.workflows.clinic import SECONDS, Clinic


async def test_everybody_reads_with_a_token_of_their_own(clinic: Clinic) -> None:
    patient = clinic.patient()
    async with clinic.acting("dora") as dora, clinic.acting("ann") as ann:
        assert (await dora.get(patient))["id"] == patient.partition("/")[2]
        await ann.get(patient, expect=404)


async def test_without_a_token_nothing_is_told(clinic: Clinic) -> None:
    async with httpx.AsyncClient(timeout=SECONDS) as http:
        assert (await http.get(f"{clinic.base}/Patient/ann")).status_code == 401


async def test_sockets_connect(clinic: Clinic) -> None:
    async with clinic.acting("dora") as dora, dora.connect() as ear:
        assert "users" in await ear.ask("user:online")
