"""A stored version of a resource, its envelope and its JSON text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from fhir_server import json

Json = dict[str, Any]


@dataclass(slots=True)
class Stored:
    """One version of one resource. Times are microseconds since 1970 (UTC).

    `text` is the JSON exactly as it is returned, empty for a deletion. `keys` and `sort` are filled
    only by searches that ask for them.
    """

    type: str
    id: str
    version: int
    updated: int
    created: int = 0
    text: str = ""
    deleted: bool = False
    keys: list[str] | None = None
    sort: dict[str, Any] | None = None
    method: str = ""
    updated_then: int = 0  # when it was found by an earlier state: the stamp of that
    contained: list[dict[str, Any]] | None = None
    envelope: Mapping[str, Any] | None = None  # what conditions are held against, where it was asked for
    content: Json | None = None  # set while a write is pending, when no text exists yet
    sealed: bool = False  # whether it is sensitive, and lies encrypted in the database
    lock: str = ""  # the id of the key under which it lay when it was read

    @property
    def key(self) -> str:
        return f"{self.type}/{self.id}"

    def resource(self) -> Json:
        """The resource as a fresh dict that the caller may change."""
        decoded: Json = json.decode(self.text) if self.content is None else json.decode(json.encode(self.content))
        return decoded

    def last_modified(self) -> datetime:
        return from_micros(self.updated)


def from_document(document: Mapping[str, Any]) -> Stored:
    """The Stored of a `resource` or `version` document."""
    get = document.get
    of = get("r")  # of a version; a resource has the keys of its ranges there
    type_, _, id_ = (of if isinstance(of, str) else document["_id"]).partition("/")
    return Stored(
        type_,
        id_,
        document["v"],
        document["u"],
        get("t", 0),
        get("j", ""),
        bool(get("d")),
        get("k"),
        get("s"),
        get("m", ""),
        contained=get("c"),
        envelope=document if "ty" in document else None,
        sealed="ek" in document,
        lock=get("ek", ""),
    )


def from_micros(micros: int) -> datetime:
    return datetime.fromtimestamp(micros / 1_000_000, UTC)


def instant(micros: int) -> str:
    """A FHIR instant with milliseconds: 2026-11-20T20:51:15.123Z."""
    seconds, rest = divmod(micros, 1_000_000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest // 1000:03d}Z"
