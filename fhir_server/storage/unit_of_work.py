"""What is to be written together: all of a unit's writes happen, or none.

A unit gathers writes and guards; the Flusher commits units, many in one transaction.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from fhir_server import json
from fhir_server.encryption.index import reduced
from fhir_server.encryption.keyring import Key
from fhir_server.encryption.seal import seal
from fhir_server.encryption.sensitive import is_labelled
from fhir_server.search import registry
from fhir_server.search.extract import extract
from fhir_server.storage.stored import Stored, instant

Json = dict[str, Any]


class Lost(Exception):
    """A write found another version than it expected, or a guard was taken by someone else."""

    def __init__(self, key: str, current: Stored | None = None) -> None:
        super().__init__(key)
        self.key = key
        self.current = current


@dataclass(slots=True)
class Write:
    """One new version of one resource; `resource` None deletes it.

    `base` is the state this write was made from (None: no such resource). With `exact`, any other
    state at the flush loses; without, the write goes on top of whatever is there by then.
    After the flush `version`, `updated` and `text` say what was written, and `created` whether
    the resource is new (or came back from deletion).
    """

    method: str
    type: str
    id: str
    resource: Json | None
    base: Stored | None = None
    exact: bool = False
    index: Json = field(default_factory=dict)  # what searches find it by: fields of the stored document
    # By which search parameters and for which base URL `find_by` made the index; -1 when somebody else did.
    generation: int = -1
    base_url: str = ""
    # Of what is sensitive: the "Patient/x" under whose key it goes (storage/protection.py), and that key at the flush.
    owner: str = ""
    lock: Key | None = None

    version: int = 0
    updated: int = 0
    stamp: int = 0
    text: str = ""
    created: bool = False
    _head: str = ""
    _tail: str = ""
    _secret: bytes = b""

    @property
    def key(self) -> str:
        return f"{self.type}/{self.id}"

    def find_by(self, base_url: str) -> None:
        """Make the index from the resource, by the search parameters that there are now."""
        if self.resource is not None:
            self.generation, self.base_url = registry.generation(), base_url
            self.index = extract(self.resource, base_url=base_url).document()
            if self.owner or is_labelled(self.resource):
                self.index = reduced(self.type, self.index)

    def renew(self) -> None:
        """Make the index again if the search parameters have changed since."""
        if self.generation not in (-1, registry.generation()):
            self.find_by(self.base_url)

    def prepare(self) -> None:
        """Encode what does not depend on the flush; versionId and lastUpdated are filled in by it."""
        if self.resource is None:
            return
        meta = {k: v for k, v in self.resource.get("meta", {}).items() if k not in ("versionId", "lastUpdated")}
        rest = {k: v for k, v in self.resource.items() if k not in ("resourceType", "id", "meta")}
        self._head = f'{{"resourceType":"{self.type}","id":"{self.id}","meta":{{"versionId":"'
        tail = "," + json.encode(meta)[1:-1].decode() if meta else ""
        self._tail = f'"{tail}}}' + ("," + json.encode(rest)[1:].decode() if rest else "}")

    def size(self) -> int:
        """Length of the JSON text in characters, without the stamps."""
        return len(self._head) + len(self._tail)

    def seal(self, now: Callable[[int], int], creation: Callable[[], int]) -> None:
        """Give the write its version and stamps, on top of `base`."""
        base = self.base
        self.version = base.version + 1 if base else 1
        self.updated = now(base.updated if base else 0)
        self.stamp = base.created if base else creation()
        self.created = self.resource is not None and (base is None or base.deleted)
        if self.resource is not None:
            self.text = f'{self._head}{self.version}","lastUpdated":"{instant(self.updated)}{self._tail}'
            if self.lock is not None:
                self._secret = seal(self.lock.cipher, f"{self.key}/{self.version}", self.text)

    def envelope(self) -> Json:
        """The document of the `resource` collection; a deletion keeps counting but has no keys."""
        document: Json = {
            "_id": self.key,
            "ty": self.type,
            "v": self.version,
            "t": self.stamp,
            "u": self.updated,
        }
        if self.resource is None:
            document["d"] = True
            return document
        document.update(self.index)
        self._put_text(document)
        return document

    def history(self, nonce: str) -> Json:
        """The insert-only document of the `version` collection."""
        document: Json = {
            "_id": f"{self.key}/{self.version}",
            "r": self.key,
            "ty": self.type,
            "v": self.version,
            "u": self.updated,
            "t": self.stamp,
            "m": self.method,
            "n": nonce,
        }
        if self.resource is None:
            document["d"] = True
        else:
            self._put_text(document)
        return document

    def _put_text(self, document: Json) -> None:
        if self.lock is None:
            document["j"] = self.text
        else:
            document["e"], document["ek"] = self._secret, self.lock.id

    def pending(self) -> Stored:
        """This write as later steps of the same unit see it."""
        base = self.base
        return Stored(
            self.type,
            self.id,
            (base.version if base else 0) + 1,
            base.updated if base else 0,
            base.created if base else 0,
            deleted=self.resource is None,
            keys=self.index.get("k"),
            sort=self.index.get("s"),
            content=self.resource,
            sealed=self.resource is not None and is_labelled(self.resource),
        )


@dataclass(slots=True)
class Guard:
    """Makes a conditional write exactly one: `seen` is the counter read before the search that found nothing."""

    id: str
    seen: int


@dataclass(slots=True)
class UnitOfWork:
    """Writes by key in the order they came, the guards they stand under, and markers to set with them.

    `audit` are the entries of the audit trail that become durable with the writes, or not at all.
    """

    writes: dict[str, Write] = field(default_factory=dict)
    guards: dict[str, Guard] = field(default_factory=dict)
    markers: list[tuple[str, Json]] = field(default_factory=list)
    known: dict[str, Stored | None] = field(default_factory=dict)  # prefetched current versions
    audit: list[Any] = field(default_factory=list)  # fhir_server.audit.Entry

    def add(self, write: Write, guard: Guard | None = None) -> None:
        """Of several writes of one resource the last remains, on top of what there was before the unit."""
        if (earlier := self.writes.get(write.key)) is not None:
            write.base, write.exact = earlier.base, write.exact or earlier.exact
        self.writes[write.key] = write
        if guard is not None:
            self.guards[guard.id] = guard
