"""The audit trail: who did what to which resource, append-only and bound together by hashes: docs/audit.md."""

from fhir_server.audit.entry import Agent, Entry
from fhir_server.audit.trail import Trail

__all__ = ["Agent", "Entry", "Trail"]
