"""Compiles the published FHIR R4 bundles into the package data of fhir_server.definitions."""
