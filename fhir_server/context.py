"""What one request carries, from the HTTP layer (or a Bundle entry) down to storage."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from fhir_server.access import Principal
from fhir_server.audit.entry import Agent, Entry
from fhir_server.config import Settings
from fhir_server.storage.repository import Repository
from fhir_server.storage.unit_of_work import UnitOfWork, Write
from fhir_server.validation import Validator

Json = dict[str, Any]


@dataclass(slots=True)
class FhirRequest:
    """One interaction as asked for: method, URL below the base, headers that FHIR gives a meaning, content.

    `path` is relative to the base, still percent-encoded, without query ("Patient/1/_history/2", "" for the base).
    `query` holds the decoded pairs in order. `body` is the decoded JSON object, the list of a JSON
    Patch, the raw bytes of a Binary, or None.
    """

    method: str
    path: str
    query: list[tuple[str, str]] = field(default_factory=list)
    body: Any = None
    content_type: str | None = None  # media type without parameters, lower case
    accept: str | None = None  # only Binary reads look at it: raw content or FHIR JSON
    if_match: str | None = None
    if_none_match: str | None = None
    if_modified_since: datetime | None = None
    if_none_exist: str | None = None
    prefer_return: str | None = None  # minimal | representation | OperationOutcome
    prefer_handling: str | None = None  # strict | lenient
    security_context: str | None = None  # X-Security-Context of a raw Binary

    # Filled in by the dispatcher from method and path
    interaction: str = ""
    type: str | None = None
    id: str | None = None
    version: str | None = None
    operation: str | None = None
    compartment: tuple[str, str] | None = None  # ("Patient", "123")

    # A Bundle entry's own id, chosen before the entry runs so that references to it can be rewritten
    assigned_id: str | None = None

    def instance(self) -> tuple[str, str]:
        """Type and id, of a request that the URL grammar found to name both."""
        assert self.type is not None
        assert self.id is not None
        return self.type, self.id


@dataclass(slots=True)
class FhirResponse:
    """What an interaction answers; the HTTP layer turns it into status, headers and bytes.

    At most one of `text` (a resource's JSON exactly as stored), `resource` (to be encoded) and `raw`
    (content of a Binary under `content_type`) is set.
    """

    status: int = 200
    text: bytes | None = None
    resource: Json | None = None
    raw: bytes | None = None
    content_type: str | None = None
    version: int | None = None  # ETag W/"version"
    last_modified: datetime | None = None
    location: str | None = None  # relative to the base: "Patient/1/_history/2"
    outcome: Json | None = None  # an OperationOutcome that Bundle entries carry beside the resource
    headers: dict[str, str] = field(default_factory=dict)
    write: Write | None = None  # status, ETag, Location and content follow from it once it is durable


@dataclass(slots=True)
class Context:
    """The caller and the server's parts, as interactions and operations need them."""

    principal: Principal
    repository: Repository
    validator: Validator
    settings: Settings
    base_url: str  # absolute, no trailing slash: "http://127.0.0.1:8080/fhir"
    dispatch: Callable[[Context, FhirRequest], Awaitable[FhirResponse]]
    secret: bytes = b""  # signs what callers hand back, such as page cursors
    request_id: str = ""
    unit: UnitOfWork | None = None  # set inside a transaction Bundle: writes gather here
    state: dict[str, Any] = field(default_factory=dict)
    agent: Agent | None = None  # who asks, for the audit trail; None: nobody is told
    notes: list[Entry] = field(default_factory=list)  # what is to be recorded before the answer goes out
