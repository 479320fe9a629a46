"""Which resources of this server a stored resource refers to."""

from __future__ import annotations

import re
from collections.abc import Iterable

from fhir_server.search.types.reference import local
from fhir_server.storage.stored import Stored

# In JSON text a quotation mark within a string is escaped, so this is a property and never narrative.
_LINK = re.compile(r'"(reference|url)":"([^"\\]+)"')
_ID = re.compile(r"[A-Za-z0-9\-.]{1,64}")


def targets(rows: Iterable[Stored], base_url: str) -> dict[str, None]:
    """The "Type/id" of every reference in these resources, and of attachments kept as Binary, in order, each once."""
    found: dict[str, None] = {}
    for row in rows:
        for kind, link in _LINK.findall(row.text):
            here = local(link, base_url + "/")
            if here is None or not _ID.fullmatch(here[0].partition("/")[2]):
                continue
            if kind == "reference" or here[0].startswith("Binary/"):
                found[here[0]] = None
    return found
