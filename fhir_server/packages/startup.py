"""The packages that the configuration names, installed before the server answers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import structlog

from fhir_server.context import Context
from fhir_server.outcomes import FhirError
from fhir_server.packages.install import install_file
from fhir_server.storage.database import Database

log = structlog.get_logger(__name__)


async def install_configured(ctx: Context, database: Database, paths: str, guides: Sequence[Path] = ()) -> None:
    """Install these guides and the packages of FHIR_PACKAGES, a comma list of .tgz files.

    What is there already costs a checksum.

    Raises RuntimeError, naming the file, when one cannot be installed: who names a guide counts on it.
    """
    for path in (*guides, *(Path(one.strip()) for one in paths.split(",") if one.strip())):
        try:
            report = await install_file(ctx, database, path)
        except (FhirError, OSError) as error:
            reason = str(error) if isinstance(error, FhirError) else type(error).__name__
            raise RuntimeError(f"Package {path.name} cannot be installed: {reason}") from None
        if not report.already:
            log.info("package installed", package=report.name, version=report.version, created=report.total("created"))
        for refusal in report.refused:
            log.warning("package resource refused", package=report.name, file=refusal.path, reason=refusal.reasons[0])
