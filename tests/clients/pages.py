"""The apps' own web server on loopback: their pages, their public keys, and the place users come back to."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
FILES = {
    "/launch.html": HERE / "web" / "launch.html",
    "/app.html": HERE / "web" / "app.html",
    "/fhirclient.js": HERE / "node_modules" / "fhirclient" / "build" / "fhir-client.js",
}
BACK = "/back"  # where apps without pages of their own let the browser arrive
TYPES = {".html": "text/html; charset=utf-8", ".js": "text/javascript", ".json": "application/json"}


class Pages:
    """What is served under `origin`; `documents` by path, `visits` how often each was asked for."""

    def __init__(self, origin: str) -> None:
        self.origin = origin
        self.back = origin + BACK
        self.visits: Counter[str] = Counter()
        self._documents: dict[str, tuple[bytes, dict[str, str]]] = {}

    def publish(self, path: str, document: Any, **headers: str) -> str:
        """Serve JSON at `path` from now on; the URL. A header is named with underscores: cache_control="no-store"."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self._documents[path] = (json.dumps(document).encode(), named)
        return self.origin + path

    def find(self, path: str) -> tuple[bytes, dict[str, str]] | None:
        """Body and headers of a path; None when there is nothing."""
        self.visits[path] += 1
        if path in self._documents:
            body, headers = self._documents[path]
            return body, {"Content-Type": TYPES[".json"], **headers}
        if path == BACK:
            return b"<!doctype html><title>Back</title><h1>Back in the app</h1>", {"Content-Type": TYPES[".html"]}
        if path in FILES:
            return FILES[path].read_bytes(), {"Content-Type": TYPES[FILES[path].suffix]}
        return None


@contextmanager
def serving() -> Iterator[Pages]:
    """A page server on a free port for as long as the block lasts."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = pages.find(self.path.partition("?")[0])
            body, headers = found or (b"", {})
            self.send_response(200 if found else 404)
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing: pytest's output is for failures."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        pages = Pages(f"http://127.0.0.1:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield pages
        finally:
            server.shutdown()
            thread.join()
