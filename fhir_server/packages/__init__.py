"""FHIR packages as ordinary stored resources, with a record of which package owns which: docs/packages.md."""
