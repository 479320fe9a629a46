"""The implementation guide at /ig: narrative, one page per artifact, JSON of each, and the package to install."""

from fhir_server.rest.guide.routes import guide_routes

__all__ = ["guide_routes"]
