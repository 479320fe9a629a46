"""What interactions, operations and workflows do to resources: the one façade over storage and search.

Inside a transaction Bundle every function sees the unit's own pending writes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

from fhir_server import auditing, json
from fhir_server.access import prohibitions
from fhir_server.access.principal import SYSTEM, Principal, is_server
from fhir_server.access.visibility import condition, is_open_to
from fhir_server.context import Context, FhirRequest, FhirResponse
from fhir_server.criterion import Criterion, Match
from fhir_server.encryption import sensitive
from fhir_server.outcomes import (
    FhirError,
    Forbidden,
    Gone,
    Invalid,
    Issue,
    NotFound,
    PreconditionFailed,
    TooLarge,
    Unprocessable,
    operation_outcome,
)
from fhir_server.registry import registry
from fhir_server.storage.repository import Repository
from fhir_server.storage.stored import Stored, from_micros
from fhir_server.storage.unit_of_work import Guard, UnitOfWork, Write
from fhir_server.summary import SUBSETTED
from fhir_server.validation import Level

Json = dict[str, Any]

OWN_BYTES = 65_536  # by which the server itself may exceed the size of a resource
MAX_VERSION_DIGITS = 18  # what the database counts with has 64 bits


async def current(ctx: Context, type_: str, id_: str) -> Stored | None:
    """The current version as this request sees it, a deletion included; None when there never was one."""
    if ctx.unit is not None:
        key = f"{type_}/{id_}"
        if key in ctx.unit.writes:
            return ctx.unit.writes[key].pending()
        if key in ctx.unit.known:
            return ctx.unit.known[key]
    return await ctx.repository.read(ctx.principal, type_, id_)


def there(found: Stored | None, type_: str | None) -> Stored:
    """What was found, when it is there: else NotFound (404), or Gone (410) for what was deleted."""
    if found is None:
        raise NotFound(f"There is no {type_} with this id.")
    if found.deleted:
        raise Gone(f"This {type_} was deleted.")
    return found


async def version(ctx: Context, type_: str, id_: str, number: int) -> Stored | None:
    """One version as this request may see it, a deletion included; None when there is none of that number."""
    found = await ctx.repository.history.vread(ctx.principal, type_, id_, number)
    return None if found is None else (await withhold(ctx.principal, ctx.repository, [found]))[0]


async def withhold(principal: Principal, repository: Repository, versions: Sequence[Stored]) -> list[Stored]:
    """The versions, each without what its type's rules (registry.withheld) keep back from the caller."""
    asked = {one.key for one in versions if one.type in registry.withheld and not one.deleted}
    if principal.is_open or not asked:
        return list(versions)
    today = await repository.read_many(SYSTEM, asked)
    return [_withheld(principal, one, today.get(one.key)) if one.key in asked else one for one in versions]


def _withheld(principal: Principal, one: Stored, today: Stored | None) -> Stored:
    if one.deleted or (today is not None and today.version == one.version):
        return one
    current = today.resource() if today is not None and not today.deleted else None
    shown = registry.withheld[one.type](principal, one.resource(), current)
    return replace(one, text=json.encode(shown).decode(), content=None)


async def base(ctx: Context, type_: str, id_: str, action: str = "u") -> Stored | None:
    """The current version that is about to be changed or deleted ("u", "d"); None when there is none to see.

    Raises Forbidden (403) when the caller may see it and not do that.
    """
    if condition(ctx.principal, type_, action) == condition(ctx.principal, type_, "r"):
        return await current(ctx, type_, id_)
    found = await current(ctx, type_, id_)
    if ctx.unit is not None and f"{type_}/{id_}" in ctx.unit.writes:
        return found
    allowed = await ctx.repository.read(ctx.principal, type_, id_, action)
    if allowed is None and found is not None:
        if found.deleted:  # what comes in its place is a new one, and judged as that
            return found
        raise Forbidden(f"The caller may not change this {type_}.")
    return allowed


def is_limited(ctx: Context, type_: str) -> bool:
    """Whether there may be resources of the type that the caller does not know of."""
    return any(condition(ctx.principal, type_, action) != {} for action in "ru")


async def match(ctx: Context, type_: str, criterion: str) -> Match:
    """The one resource that fits the criterion; with none, a guard that makes a create exactly one.

    Raises MultipleMatches (412) when several fit.
    """
    one = Criterion.of(type_, criterion, base_url=ctx.base_url)
    await one.search(ctx.repository, ctx.principal)
    if not one.found:
        # The guard is read before the search that counts: whoever creates in between moves it.
        one.seen = await ctx.repository.guard(one.guard_id)
        await one.search(ctx.repository, ctx.principal)
    return one.match({})


async def find_matches(ctx: Context, type_: str, criterion: str, *, limit: int) -> list[Stored]:
    """Current resources that fit a conditional criterion, at most `limit`."""
    one = Criterion.of(type_, criterion, base_url=ctx.base_url)
    await one.search(ctx.repository, ctx.principal, limit=limit)
    return one.found


async def check(ctx: Context, resource: Json, *, expect_type: str) -> None:
    """Raise Unprocessable (422) with every error, as far as the server's level looks for them.

    What is but a part of a resource is refused, too.
    """
    issues = await judge(ctx, resource, expect_type=expect_type)
    errors = [issue for issue in issues if issue.severity in ("error", "fatal")]
    if not errors and expect_type in registry.checks:
        errors = [issue for issue in registry.checks[expect_type](resource) if issue.severity == "error"]
    if errors:
        raise Unprocessable(issues=errors)
    if is_subset(resource):
        # Stored over the whole resource, what _summary or _elements left of it would lose the rest.
        raise Unprocessable(
            "A resource tagged SUBSETTED is a part and cannot be stored.", expression=[f"{expect_type}.meta.tag"]
        )


async def judge(
    ctx: Context,
    resource: Any,
    *,
    expect_type: str | None,
    level: Level | None = None,
    profiles: Sequence[str] = (),
    thorough: bool = False,
) -> list[Issue]:
    """What the server's validator says of a resource (see fhir_server.validation.Validator.check)."""

    async def other(type_: str, id_: str) -> Json | None:
        stored = await current(ctx, type_, id_)
        return stored.resource() if stored is not None and not stored.deleted else None

    return await ctx.validator.check(
        resource,
        other,
        expect_type=expect_type,
        level=level,
        profiles=profiles,
        thorough=thorough,
        moment=ctx.state if ctx.unit is not None else None,
    )


async def write(ctx: Context, change: Write, guard: Guard | None = None) -> None:
    """Make one write: at once, or with the rest of the Bundle when the request is part of a transaction.

    Raises Lost when the resource changed under an exact write, or the guard was taken.
    """
    unit = ctx.unit or UnitOfWork()
    change.find_by(ctx.base_url)
    await admit(ctx, change, unit)
    change.prepare()
    # What the server adds to what was as large as it may be, must not fail: that an emergency is over, or a care.
    most = ctx.settings.max_resource_bytes + (OWN_BYTES if is_server(ctx.principal) else 0)
    if change.resource is not None and change.size() > most:
        raise TooLarge(f"A resource may not exceed {ctx.settings.max_resource_bytes} bytes.")
    unit.add(change, guard)
    auditing.of_write(ctx, unit, change)
    if ctx.unit is None:
        await ctx.repository.commit(unit)


async def admit(ctx: Context, change: Write, unit: UnitOfWork) -> None:
    """Raise Forbidden (403) unless the caller may make the write, and what the rules of its type raise.

    What was there is judged first, so that rules tell nobody of what they may not see; what there will be last, as
    the rules leave it.
    """
    await _authorize_before(ctx, change)
    if rules := registry.rules.get(change.type):
        change.exact = change.exact or change.base is not None  # what was judged is what is changed
        for rule in rules.values():
            await rule(ctx, change, unit)
        change.find_by(ctx.base_url)
    await _authorize_after(ctx, change)


async def _authorize_before(ctx: Context, change: Write) -> None:
    """Raise Forbidden (403) unless the write is open to the caller by what is there."""
    principal, before = ctx.principal, change.base
    if principal.is_open or before is None or before.deleted:
        return
    change.exact = True  # what was judged is what is changed
    if not await ctx.repository.history.is_open(principal, before, _action(change)):
        raise _refused(change)


async def _authorize_after(ctx: Context, change: Write) -> None:
    """Raise Forbidden (403) unless the write is open to the caller by what there will be.

    So nothing moves into or out of what a caller may write. Some things nobody may write, whatever is open to them.
    """
    principal, before = ctx.principal, change.base
    if principal.is_open:
        return
    action, document = _action(change), {**change.index, "_id": change.key, "ty": change.type}
    if change.type in prohibitions.TYPES:
        there = None if before is None else {} if before.deleted else before.resource()
        if prohibitions.prohibited(principal, action, there, change.resource, document):
            raise _refused(change)
    if change.resource is None:
        return
    if before is not None and before.sealed:
        _check_disclosure(principal, before.resource(), change.resource)
    if change.type == "Binary":
        context = _context(ctx, change)
        if not await ctx.repository.history.binary_is_open(principal, change.pending(), action, context):
            raise _refused(change)
    elif not is_open_to(principal, action, document):
        raise _refused(change)


def _context(ctx: Context, binary: Write) -> Stored | None:
    """The securityContext of a Binary, when the caller writes it in the same transaction, and may."""
    reference = (binary.resource or {}).get("securityContext", {}).get("reference", "")
    key = reference.removeprefix(f"{ctx.base_url}/").partition("/_history/")[0]
    found = ctx.unit.writes.get(key) if ctx.unit is not None else None
    if found is None or found.resource is None:
        return None
    document = {**found.index, "_id": found.key, "ty": found.type}
    return found.pending() if is_open_to(ctx.principal, _action(found), document) else None


def _check_disclosure(principal: Principal, before: Json, after: Json) -> None:
    """Raise Forbidden (403) where something sensitive would be laid open by somebody who may not."""
    if sensitive.discloses(before, after) and not sensitive.may_disclose(principal, before):
        raise Forbidden("What is sensitive stays so, unless its author or custodian, or a privacy officer, says.")


def _action(change: Write) -> str:
    is_new = change.base is None or change.base.deleted
    return {"POST": "c", "DELETE": "d", "PATCH": "u"}.get(change.method) or ("c" if is_new else "u")


def _refused(change: Write) -> FhirError:
    return Forbidden(f"The caller may not {_VERBS[_action(change)]} this {change.type}.")


_VERBS = {"c": "create", "u": "change", "d": "delete"}


def complete(request: FhirRequest, response: FhirResponse) -> FhirResponse:
    """Fill in what is known only once the write is durable: status, ETag, Location, and what Prefer asks for."""
    if request.interaction == "delete" and request.prefer_return == "OperationOutcome":
        response.status, response.resource = 200, operation_outcome([])
    change = response.write
    if change is None:
        return response
    response.version = change.version
    response.last_modified = from_micros(change.updated)
    if change.resource is None:
        return response
    if response.status == 200 and change.created:
        response.status = 201
    response.location = f"{change.key}/_history/{change.version}"
    if request.prefer_return == "OperationOutcome":
        check = registry.checks.get(change.type)
        response.resource = operation_outcome(check(change.resource) if check is not None else [])
    elif request.prefer_return != "minimal":
        response.text = change.text.encode()
    return response


def is_subset(resource: Json) -> bool:
    """Whether a valid resource carries the tag of a part: https://hl7.org/fhir/R4/search.html#elements."""
    tags = resource.get("meta", {}).get("tag", ())
    return any(tag.get("code") == SUBSETTED["code"] and tag.get("system") == SUBSETTED["system"] for tag in tags)


def parse_etag(value: str) -> int:
    """The version number in `W/"3"`; `"3"` and `3` are taken too. Raises Invalid (400)."""
    text = value.strip().removeprefix("W/").strip('"')
    if not text.isascii() or not text.isdigit() or len(text) > MAX_VERSION_DIGITS:
        raise Invalid('If-Match and If-None-Match take a version as W/"3".')
    return int(text)


def check_if_match(request: FhirRequest, stored: Stored | None) -> bool:
    """Whether If-Match was given; raises PreconditionFailed (412) when it names another version."""
    if request.if_match is None:
        return False
    if request.if_match.strip() == "*":
        fits = stored is not None and not stored.deleted
    else:
        fits = stored is not None and not stored.deleted and stored.version == parse_etag(request.if_match)
    if not fits:
        raise PreconditionFailed("If-Match does not name the current version.")
    return True


def criterion_of(request: FhirRequest) -> str:
    """The criterion of a conditional interaction, as a query string; Invalid (400) when there is none."""
    pairs = [(name, value) for name, value in request.query if name not in ("_format", "_pretty")]
    if not pairs:
        raise Invalid(f"{request.method} {request.type} needs an id or a search criterion.")
    return urlencode(pairs)


def nothing() -> FhirResponse:
    """204: done, and nothing to show."""
    return FhirResponse(204)
