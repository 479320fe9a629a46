"""The URLs below /ig, which mirror the guide's canonical URLs: /ig/StructureDefinition/tele-case."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from fastapi import APIRouter, HTTPException, Request, Response
from fastapi.responses import HTMLResponse

import ig
from fhir_server.rest.document import HEADERS
from fhir_server.rest.guide.artifacts import Artifact, Guide, load
from fhir_server.rest.guide.pages import artifact_page, index_page, narrative_page

_HTML = {**HEADERS, "Cache-Control": "no-cache"}
_FILE = {"Cache-Control": "no-cache", "X-Content-Type-Options": "nosniff"}
_archive = cache(ig.archive)


@cache
def _guide() -> Guide:
    return load(ig.package_folder(), ig.pages_folder())


def guide_routes(base_of: Callable[[Request], str]) -> APIRouter:
    """The routes; `base_of` gives the base URL of the FHIR API. Unknown names answer 404."""
    router = APIRouter()

    @router.get("/ig")
    def index(request: Request) -> Response:
        return HTMLResponse(index_page(_guide(), base_of(request)), headers=_HTML)

    @router.get("/ig/package.tgz")
    def package() -> Response:
        disposition = f'attachment; filename="{ig.package_name()}.tgz"'
        return Response(
            _archive(), media_type="application/gzip", headers={**_FILE, "Content-Disposition": disposition}
        )

    @router.get("/ig/{page}.html")
    def narrative(request: Request, page: str) -> Response:
        if page not in _guide().pages:
            raise HTTPException(404)
        return HTMLResponse(narrative_page(_guide(), page, base_of(request)), headers=_HTML)

    @router.get("/ig/{kind}/{name}.json")
    def source(kind: str, name: str) -> Response:
        return Response(_artifact(kind, name).text, media_type="application/fhir+json", headers=_FILE)

    @router.get("/ig/{kind}/{name}")
    def artifact(request: Request, kind: str, name: str) -> Response:
        return HTMLResponse(artifact_page(_guide(), _artifact(kind, name), base_of(request)), headers=_HTML)

    return router


def _artifact(kind: str, name: str) -> Artifact:
    found = _guide().artifacts.get((kind, name))
    if found is None:
        raise HTTPException(404)
    return found
