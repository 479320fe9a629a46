"""The URLs below /ig, which mirror the guide's canonical URLs: /ig/StructureDefinition/tele-case."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

import ig
from fhir_server.rest.document import HEADERS
from fhir_server.rest.guide.artifacts import Artifact, Guide, load
from fhir_server.rest.guide.pages import artifact_page, index_page, narrative_page
from fhir_server.rest.router import Router

_HTML = {**HEADERS, "Cache-Control": "no-cache"}
_FILE = {"Cache-Control": "no-cache", "X-Content-Type-Options": "nosniff"}
_archive = cache(ig.archive)


@cache
def _guide() -> Guide:
    return load(ig.package_folder(), ig.pages_folder())


def guide_routes(base_of: Callable[[Request], str]) -> Router:
    """The routes; `base_of` gives the base URL of the FHIR API. Unknown names answer 404."""
    router = Router()

    @router.get("/ig")
    def index(request: Request) -> Response:
        return HTMLResponse(index_page(_guide(), base_of(request)), headers=_HTML)

    @router.get("/ig/package.tgz")
    def package(_: Request) -> Response:
        disposition = f'attachment; filename="{ig.package_name()}.tgz"'
        return Response(
            _archive(), media_type="application/gzip", headers={**_FILE, "Content-Disposition": disposition}
        )

    @router.get("/ig/{page}.html")
    def narrative(request: Request) -> Response:
        page = request.path_params["page"]
        if page not in _guide().pages:
            raise HTTPException(404)
        return HTMLResponse(narrative_page(_guide(), page, base_of(request)), headers=_HTML)

    @router.get("/ig/{kind}/{name}.json")
    def source(request: Request) -> Response:
        return Response(_artifact(request).text, media_type="application/fhir+json", headers=_FILE)

    @router.get("/ig/{kind}/{name}")
    def artifact(request: Request) -> Response:
        return HTMLResponse(artifact_page(_guide(), _artifact(request), base_of(request)), headers=_HTML)

    return router


def _artifact(request: Request) -> Artifact:
    found = _guide().artifacts.get((request.path_params["kind"], request.path_params["name"]))
    if found is None:
        raise HTTPException(404)
    return found
