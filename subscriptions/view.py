"""One change as all subscriptions look at it: parsed and indexed once, and only when somebody asks."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from functools import cached_property
from typing import Any

from fhir_server.change import Change
from fhir_server.encryption.index import reduced
from fhir_server.search.extract import extract
from fhir_server.storage.stored import Stored

Json = dict[str, Any]


class View:
    """A change with its resources and search documents, made when first asked for and shared by all who judge it.

    `verdicts` remembers what was judged already, by whatever judged it.
    """

    def __init__(self, change: Change, base_url: str) -> None:
        self.change = change
        self.base_url = base_url
        self.verdicts: dict[Hashable, bool] = {}

    @property
    def type(self) -> str:
        """The resource type that changed."""
        return self.change.type

    @cached_property
    def after(self) -> Json | None:
        """The resource as it is now; None when it was deleted."""
        return None if self.change.after.deleted else self.change.after.resource()

    @cached_property
    def before(self) -> Json | None:
        """The resource as it was; None when it is new, or came back from its deletion."""
        before = self.change.before
        return None if before is None or before.deleted else before.resource()

    @cached_property
    def after_document(self) -> Mapping[str, Any] | None:
        """What searches would find the present version by."""
        return None if self.after is None else self._document(self.change.after, self.after)

    @cached_property
    def before_document(self) -> Mapping[str, Any] | None:
        """What searches would have found the version before by."""
        if self.before is None or self.change.before is None:
            return None
        return self._document(self.change.before, self.before)

    @cached_property
    def document(self) -> Mapping[str, Any]:
        """What filters are held against: the present version, of a deletion the one before; {} where there is none.

        Of what is sensitive it has no more than searches know: that an event was made would tell what it says.
        """
        is_there = not self.change.after.deleted
        stored = self.change.after if is_there else self.change.before
        found = self.after_document if is_there else self.before_document
        if found is None or stored is None or not stored.sealed:
            return found or {}
        return reduced(stored.type, dict(found)) | self._envelope(stored)

    @cached_property
    def keys(self) -> frozenset[str]:
        """The search keys of that version, and "Type/id" itself: where a filter's `keys` are to be looked up."""
        return frozenset((*self.document.get("k", ()), self.change.key))

    def _document(self, stored: Stored, resource: Json) -> Mapping[str, Any]:
        return extract(resource, base_url=self.base_url).document() | self._envelope(stored)

    def _envelope(self, stored: Stored) -> Json:
        return {"_id": stored.key, "ty": stored.type, "v": stored.version, "t": stored.created, "u": stored.updated}
