"""The views at /app: one page for every address below it, its scripts beside it, nothing from elsewhere."""

from __future__ import annotations

import mimetypes
from pathlib import Path

from starlette.datastructures import Headers
from starlette.responses import HTMLResponse, Response
from starlette.types import Receive, Scope, Send

# Libraries set styles by script and in attributes; scripts come from here alone. `data:` are icons within sheets,
# `blob:` are pictures and files that were read with a token.
CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; "
    "font-src 'self' data:; connect-src 'self'; media-src 'self' blob:; frame-src blob:; manifest-src 'self'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": CSP,
    "Permissions-Policy": "camera=(self), microphone=(self), geolocation=(self), display-capture=(self)",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
FOREVER = "public, max-age=31536000, immutable"  # names of built files hold a hash of their content
ENCODINGS = (("br", ".br"), ("gzip", ".gz"))  # what the build writes beside each file
NOT_BUILT = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Views are not built</title>
<h1>The views are not built</h1><p>Run <code>make views</code> (it needs Node), then load this page again.</p>"""


class Views:
    """The ASGI application of a folder that the build wrote; what is no file is the page, which knows its addresses."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder.resolve()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        path = scope["path"].removeprefix(scope.get("root_path", "")).lstrip("/")
        answer = self._answer(scope["method"], path, Headers(scope=scope))
        await answer(scope, receive, send)

    def _answer(self, method: str, path: str, headers: Headers) -> Response:
        if method not in ("GET", "HEAD"):
            return Response(status_code=405, headers={"Allow": "GET, HEAD"})
        if not (self._folder / "index.html").is_file():
            return HTMLResponse(NOT_BUILT, 503, headers=HEADERS)
        found = self._file(path)
        if found is None and path.startswith("assets/"):
            return Response("There is no such file.", 404, headers=HEADERS, media_type="text/plain")
        return self._send(found or self._folder / "index.html", path if found else "", headers)

    def _file(self, path: str) -> Path | None:
        """The file of a path, if it is one of the folder's."""
        found = (self._folder / path).resolve()
        return found if found.is_file() and found.is_relative_to(self._folder) else None

    def _send(self, file: Path, path: str, headers: Headers) -> Response:
        kind = mimetypes.guess_type(file.name)[0] or "application/octet-stream"
        more = {"Cache-Control": FOREVER if path.startswith("assets/") else "no-cache", "Vary": "Accept-Encoding"}
        accepted = {one.partition(";")[0].strip() for one in headers.get("accept-encoding", "").split(",")}
        for encoding, ending in ENCODINGS:
            packed = file.with_name(file.name + ending)
            if encoding in accepted and packed.is_file():
                file, more["Content-Encoding"] = packed, encoding
                break
        return Response(file.read_bytes(), headers=HEADERS | more, media_type=kind)
