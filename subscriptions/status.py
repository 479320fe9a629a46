"""What the server changes of a Subscription itself: its status, and what went wrong.

https://hl7.org/fhir/R4/subscription-definitions.html#Subscription.status
"""

from __future__ import annotations

from typing import Literal

import structlog

from fhir_server.access.principal import SYSTEM
from fhir_server.audit.entry import Agent
from fhir_server.auditing import entry_of
from fhir_server.storage.repository import Repository
from fhir_server.storage.unit_of_work import Lost, UnitOfWork, Write

log = structlog.get_logger(__name__)

Status = Literal["active", "error", "off"]

_SERVER = Agent(SYSTEM.name)  # who writes, as the audit trail names it

# What may follow what. Nothing follows off: only who subscribed turns a subscription on again, by asking for it.
_FROM: dict[str, frozenset[str]] = {
    "active": frozenset({"requested", "error"}),
    "error": frozenset({"requested", "active"}),
    "off": frozenset({"requested", "active", "error"}),
}


async def change_status(repository: Repository, id_: str, version: int, status: Status, error: str = "") -> bool:
    """Write the status on top of this very version; whether it was written.

    A Subscription that somebody changed meanwhile stays as they want it. `error` is for people and holds no content
    of any resource. Raises Unavailable.
    """
    stored = await repository.read(SYSTEM, "Subscription", id_)
    if stored is None or stored.deleted or stored.version != version:
        return False
    resource = stored.resource()
    if resource.get("status") not in _FROM[status]:
        return False
    resource["status"] = status
    resource.pop("error", None)
    resource.pop("_error", None)
    if error:
        resource["error"] = error
    write = Write("PUT", "Subscription", id_, resource, stored, exact=True)
    write.find_by(repository.history.base_url)
    write.prepare()
    unit = UnitOfWork()
    unit.add(write)
    unit.audit.append(entry_of(_SERVER, write))
    try:
        await repository.commit(unit)
    except Lost:
        return False
    log.info("the status of a subscription has changed", subscription=id_, status=status, reason=error)
    return True
