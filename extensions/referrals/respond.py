"""Task/$respond: answering a task with less to send than a PATCH of its status; ig/input/fsh/referral.fsh."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fhir_server import api
from fhir_server.context import Context, FhirRequest, FhirResponse
from fhir_server.definitions import OperationParameter
from fhir_server.interactions.create import ATTEMPTS
from fhir_server.operations.input import Input, read
from fhir_server.outcomes import Conflict, ValueWrong
from fhir_server.registry import operation
from fhir_server.storage.unit_of_work import Lost, UnitOfWork, Write
from workflow.codes import GUIDE

Json = dict[str, Any]

PARAMETERS = (
    OperationParameter("action", "in", min=1, type="code"),
    OperationParameter("reason", "in", type="CodeableConcept"),
    OperationParameter("output", "in", max=None, type="Reference"),
)
STATUS: Mapping[str, str] = {
    "accept": "accepted",
    "reject": "rejected",
    "start": "in-progress",
    "complete": "completed",
}


@operation("respond", instances=("Task",), affects_state=True, definition=f"{GUIDE}/OperationDefinition/respond")
async def respond(ctx: Context, request: FhirRequest) -> FhirResponse:
    """Take the step that the action means, by the rules of the task's kind; answers the task as it is then.

    An answer that was given already is no new one: it changes nothing, for those who could have given it.
    """
    given = read(request, PARAMETERS)
    if given.one("action") not in STATUS:
        raise ValueWrong(f"Parameter 'action' is one of {', '.join(STATUS)}.")
    type_, id_ = request.instance()
    for attempt in range(ATTEMPTS):
        async with ctx.repository.turns.of(f"{type_}/{id_}", attempt):
            base = api.there(await api.base(ctx, type_, id_), "Task")
            task = base.resource()
            write = Write("PATCH", type_, id_, _answered(task, given), base, exact=True)
            if task["status"] == STATUS[given.one("action")]:
                unit = ctx.unit or UnitOfWork()
                await api.admit(ctx, write, unit)  # who came second, or may not, is told so
                try:
                    if ctx.unit is None:  # of an emergency, each who says so answers it: rules write that
                        await ctx.repository.commit(unit)
                except Lost:
                    continue
                return FhirResponse(resource=task, version=base.version)
            await api.check(ctx, write.resource or {}, expect_type=type_)
            try:
                await api.write(ctx, write)
            except Lost:
                continue
            return FhirResponse(write=write)
    raise Conflict("The task is being changed too often; try again.")


def _answered(task: Json, given: Input) -> Json:
    answered = {**task, "status": STATUS[given.one("action")]}
    if (reason := given.one("reason")) is not None:
        answered["statusReason"] = reason
    if outputs := given.all("output"):
        results = [{"type": {"text": "result"}, "valueReference": one} for one in outputs]
        answered["output"] = [*task.get("output", ()), *results]
    return answered
