"""Who may do what: pure functions over principals, scopes and compartments. No I/O."""

from fhir_server.access.principal import Principal

__all__ = ["Principal"]
