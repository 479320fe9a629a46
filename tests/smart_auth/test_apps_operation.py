"""`$apps`: what can be opened from here, and nothing else of what is registered."""

from __future__ import annotations

import pytest

from fhir_server.context import FhirRequest
from fhir_server.outcomes import FhirError
from tests.smart_auth.test_launch_context import DOCTOR, PATIENT, Desk, desk, settings

__all__ = ["desk", "settings"]


async def test_apps_with_a_launch_url(desk: Desk) -> None:
    context = desk.context(DOCTOR)
    answer = await context.dispatch(context, FhirRequest("GET", "$apps"))
    assert answer.resource is not None
    told = [{part["name"]: part["valueString"] for part in one["part"]} for one in answer.resource["parameter"]]
    assert told == [{"client": "app", "name": "App"}]


async def test_not_for_patients(desk: Desk) -> None:
    context = desk.context(PATIENT)
    with pytest.raises(FhirError) as refused:
        await context.dispatch(context, FhirRequest("GET", "$apps"))
    assert refused.value.status == 403
