"""What e-mails of the sign-in pages link to."""

from __future__ import annotations

from fhir_server.config import Settings


def root_for_mail(settings: Settings) -> str:
    """Where links lead: as configured or where we listen, never what a request's Host says."""
    base_url = settings.base_url or f"http://{settings.host}:{settings.port}/fhir"
    return base_url.rstrip("/").removesuffix("/fhir")
