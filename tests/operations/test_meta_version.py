"""The meta operations of one version, called as the URL grammar will once it knows `_history/[version]/$meta`."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from fhir_server import api
from fhir_server.config import Settings
from fhir_server.context import FhirRequest
from fhir_server.main import running
from fhir_server.operations.meta import meta
from fhir_server.operations.meta_add import meta_add
from fhir_server.outcomes import FhirError
from fhir_server.storage.unit_of_work import Write


async def test_the_meta_of_a_version(settings: Settings) -> None:
    async with running(settings) as server:
        ctx = server.context()
        for code in ("first", "second"):
            resource = {"resourceType": "Basic", "id": "v", "code": {"text": "x"}, "meta": {"tag": [{"code": code}]}}
            await api.write(ctx, Write("PUT", "Basic", "v", resource, await api.current(ctx, "Basic", "v")))
        request = FhirRequest("GET", "Basic/v/_history/1/$meta", type="Basic", id="v", version="1", operation="meta")
        answer = (await meta(ctx, request)).resource
        assert answer is not None
        assert answer["parameter"][0]["valueMeta"]["versionId"] == "1"
        assert answer["parameter"][0]["valueMeta"]["tag"] == [{"code": "first"}]
        request.version = "7"
        with pytest.raises(FhirError):
            await meta(ctx, request)
        body = {"resourceType": "Parameters", "parameter": [{"name": "meta", "valueMeta": {"tag": [{"code": "x"}]}}]}
        add = FhirRequest("POST", "", body=body, type="Basic", id="v", version="1", operation="meta-add")
        with pytest.raises(FhirError, match="past"):
            await meta_add(ctx, add)


async def test_sixty_who_label_one_resource_at_once(settings: Settings) -> None:
    """Who was overtaken tries again in turn: nobody is sent away, and no label is lost."""

    def labelled(code: str) -> dict[str, Any]:
        return {"resourceType": "Parameters", "parameter": [{"name": "meta", "valueMeta": {"tag": [{"code": code}]}}]}

    async with running(settings) as server:
        ctx = server.context()
        await api.write(ctx, Write("PUT", "Basic", "v", {"resourceType": "Basic", "id": "v", "code": {"text": "x"}}))
        codes = [f"c{number}" for number in range(60)]
        requests = (
            FhirRequest("POST", "", body=labelled(code), type="Basic", id="v", operation="meta-add") for code in codes
        )
        await asyncio.gather(*(meta_add(ctx, one) for one in requests))
        stored = await api.current(ctx, "Basic", "v")
        assert stored is not None
        assert sorted(one["code"] for one in stored.resource()["meta"]["tag"]) == sorted(codes)
