"""With an outside authorization server, apps are told its endpoints or none."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from fhir_server import json
from fhir_server.config import Settings
from smart_auth import outside_discovery
from tests.smart_auth.endpoints import ORIGIN, world

GOOD = {"authorization_endpoint": "https://as.example/a", "token_endpoint": "https://as.example/t"}


@asynccontextmanager
async def serving(document: dict[str, Any], path: str) -> AsyncIterator[str]:
    """A server on loopback with this document, whose issuer is answered unless the document names one."""
    issuer = ""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked = (await reader.readuntil(b"\r\n\r\n")).split(b" ")[1].decode()
        body = json.encode({"issuer": issuer, **document})
        status = b"200 OK" if asked == path else b"404 Not Found"
        writer.write(b"HTTP/1.1 %s\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s" % (status, len(body), body))
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    issuer = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/realm"
    try:
        yield issuer
    finally:
        server.close()


@pytest.mark.parametrize(
    "path", ["/realm/.well-known/openid-configuration", "/.well-known/oauth-authorization-server/realm"]
)
async def test_its_endpoints_are_named(path: str) -> None:
    document = {**GOOD, "revocation_endpoint": 7, "grant_types_supported": ["authorization_code"], "other": "x"}
    async with serving(document, path) as issuer:
        found = await outside_discovery.find(issuer)
    wanted = {"issuer": issuer, **GOOD, "grant_types_supported": ["authorization_code"]}
    assert found == {**wanted, "capabilities": list(outside_discovery.CAPABILITIES)}


@pytest.mark.parametrize("document", [{"issuer": "https://other.example"}, {"issuer": None}])
async def test_anothers_document_is_not_taken(document: dict[str, Any]) -> None:
    async with serving({**GOOD, **document}, "/realm/.well-known/openid-configuration") as issuer:
        assert "token_endpoint" not in await outside_discovery.find(issuer)


async def test_nothing_of_ours_is_named_instead(settings: Settings) -> None:
    async with serving(GOOD, "/elsewhere") as issuer:
        chosen = {"port": 8080, "base_url": None, "open": False}
        outside = {"external_issuer": issuer, "external_jwks_uri": f"{issuer}/keys"}
        async with world(settings.model_copy(update={**chosen, **outside})) as made:
            await made.auth.start()
            found = (await made.http.get("/.well-known/smart-configuration")).json()
            await made.auth.stop()
    assert ORIGIN not in str(found)
    assert found["capabilities"]
