"""A FHIR R4 server on MongoDB."""

import gc

from fhir_server.without import without

__version__ = "0.1.0"

# What is imported stays, and resources are trees: looking for cycles took a twentieth of a start, a sixth of a load.
gc.set_threshold(50_000, 20, 50)

with without("rich"):  # for the tracebacks of its console, which our logs never have
    import structlog  # noqa: F401
