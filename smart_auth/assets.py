"""The style sheet, the script and the mark, held in memory under a version that changes with them."""

from __future__ import annotations

import hashlib
from pathlib import Path

from starlette.responses import Response

_TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}


class Assets:
    """The files of a folder; `version` tells one state of them from another."""

    def __init__(self, folder: Path) -> None:
        self.files = {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.suffix in _TYPES}
        self.version = hashlib.sha256(b"".join(self.files.values())).hexdigest()[:12]

    def answer(self, name: str) -> Response:
        """The file; 404 when there is none of this name."""
        if name not in self.files:
            return Response(status_code=404)
        headers = {"Cache-Control": "public, max-age=86400", "X-Content-Type-Options": "nosniff"}
        return Response(self.files[name], media_type=_TYPES[Path(name).suffix], headers=headers)


ASSETS = Assets(Path(__file__).parent / "static")
