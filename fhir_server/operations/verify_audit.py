"""The proof that the audit trail is as it was written: an operation of this server's own. docs/audit.md"""

from __future__ import annotations

from typing import Any

from fhir_server import auditing
from fhir_server.access import Principal
from fhir_server.access.consents import OFFICER
from fhir_server.audit.key import read_keys
from fhir_server.audit.store import Store
from fhir_server.audit.trail import KEY, WITNESS
from fhir_server.audit.verify import Verification
from fhir_server.context import Context, FhirRequest, FhirResponse
from fhir_server.operations.input import read
from fhir_server.outcomes import Forbidden
from fhir_server.registry import operation

Json = dict[str, Any]


@operation("verify-audit", system=True)
async def verify_audit(ctx: Context, request: FhirRequest) -> FhirResponse:
    """Walk the whole audit trail, for its keepers only. Answers how much there is, and where it was tampered with."""
    if not (ctx.principal.is_administrator or _is_officer(ctx.principal)):
        raise Forbidden("Only administrators and privacy officers may verify the audit trail.")
    read(request, ())
    await auditing.settle(ctx)
    folder = ctx.settings.data_dir
    keys = read_keys(ctx.settings.audit_key_file or folder / KEY)
    report = await Verification(Store(ctx.repository.database), keys, folder / WITNESS).run()
    found: list[Json] = [{"name": "ok", "valueBoolean": report.ok}]
    for name in ("anchors", "chains", "groups", "entries", "unsigned"):
        found.append({"name": name, "valueInteger": getattr(report, name)})
    if report.last_anchor is not None:
        number, sealed = report.last_anchor
        parts: list[Json] = [{"name": "number", "valueInteger": number}, {"name": "hash", "valueString": sealed}]
        found.append({"name": "lastAnchor", "part": parts})
    for one in report.breaks:
        parts = [
            {"name": "chain", "valueString": one.chain},
            {"name": "sequence", "valueInteger": one.sequence},
            {"name": "what", "valueString": one.what},
        ]
        found.append({"name": "break", "part": parts})
    return FhirResponse(resource={"resourceType": "Parameters", "parameter": found})


def _is_officer(principal: Principal) -> bool:
    """Whether it is a privacy officer, by an app that may read everything."""
    everything = any(scope.level == "user" and scope.type == "*" and "r" in scope.actions for scope in principal.scopes)
    return everything and OFFICER in principal.roles
