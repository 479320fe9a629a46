"""`fhir-server demo`: the demo clinic, loaded once; running it again changes nothing."""

from __future__ import annotations

import asyncio
from datetime import date
from typing import TYPE_CHECKING, Annotated, Any

import structlog
import typer

from fhir_server.cli._sign_ins import FILE, make_sign_ins
from fhir_server.cli.options import DataDir, settings_with
from fhir_server.config import Settings
from fhir_server.context import Context, FhirRequest
from fhir_server.demo.clinic import ANCHOR, bundles
from fhir_server.json import decode, encode
from fhir_server.outcomes import Gone, NotFound
from fhir_server.storage.embedded import database_uri

if TYPE_CHECKING:
    from fhir_server.main import Server

Json = dict[str, Any]


def demo(
    data_dir: DataDir = None,
    today: Annotated[bool, typer.Option("--today", help="Count dates from today instead of 2 June 2025.")] = False,
    restore: Annotated[bool, typer.Option("--restore", help="Undo changes and deletions of what is there.")] = False,
    if_empty: Annotated[bool, typer.Option("--if-empty", help="Do nothing on a server with other data.")] = False,
) -> None:
    """Load the demo clinic: 20 invented patients with their charts, staff, departments and appointments."""
    settings = settings_with(data_dir=data_dir)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger("error"))  # one line of its own is enough
    with database_uri(settings) as uri:
        chosen = settings.model_copy(update={"mongodb_uri": uri})
        anchor = date.today() if today else ANCHOR
        written = asyncio.run(_load(chosen, anchor, restore=restore, if_empty=if_empty))
    typer.echo(f"Demo clinic: {written} resources written." if written else "Demo clinic: nothing to do.")


async def _load(settings: Settings, anchor: date, *, restore: bool, if_empty: bool) -> int:
    from fhir_server.main import running  # not at the top: every other command would wait for it
    from smart_auth.service import SmartAuth

    async with running(settings) as server:
        written = await load_demo(server, anchor, restore=restore, if_empty=if_empty)
        if not settings.open and not await _wanted(server.context(), _first(anchor), restore=False):
            auth = SmartAuth(settings, server.database, server.repository)
            await auth.prepare()
            if await make_sign_ins(auth, server.context(), settings.data_dir):
                typer.echo(f"Demo sign-ins: {settings.data_dir.resolve() / FILE}")
        return written


async def load_demo(server: Server, anchor: date = ANCHOR, *, restore: bool = False, if_empty: bool = False) -> int:
    """Write what is missing of the demo clinic and answer how many resources that were; raises FhirError.

    What a user changed or deleted stays so, unless `restore`. With `if_empty` a database that holds resources and
    no demo clinic is left alone; a load that was interrupted is completed.
    """
    ctx = server.context()
    if if_empty and await _has_data(server) and await _wanted(ctx, _first(anchor), restore=False):
        return 0
    written = 0
    for bundle in bundles(anchor):
        wanted = await asyncio.gather(*(_wanted(ctx, entry["resource"], restore) for entry in bundle["entry"]))
        entries = [entry for entry, needed in zip(bundle["entry"], wanted, strict=True) if needed]
        if entries:
            await ctx.dispatch(ctx, FhirRequest("POST", "", body=decode(encode(bundle | {"entry": entries}))))
            written += len(entries)
    return written


# What the server's own guide brings, and others may.
_OF_GUIDES = frozenset(
    {
        "Basic",
        "CapabilityStatement",
        "CodeSystem",
        "ConceptMap",
        "ImplementationGuide",
        "NamingSystem",
        "OperationDefinition",
        "Questionnaire",
        "SearchParameter",
        "StructureDefinition",
        "ValueSet",
    }
)


async def _has_data(server: Server) -> bool:
    """Whether there is more than a guide brings."""
    return bool((await server.counts()).keys() - _OF_GUIDES)


def _first(anchor: date) -> Json:
    """The resource that is written first: when it is there, a load was begun."""
    first: Json = bundles(anchor)[0]["entry"][0]["resource"]
    return first


async def _wanted(ctx: Context, resource: Json, restore: bool) -> bool:
    """Whether a resource is to be written: it was never there, or differs and `restore` is asked for."""
    path = f"{resource['resourceType']}/{resource['id']}"
    try:
        response = await ctx.dispatch(ctx, FhirRequest("GET", path, accept="application/fhir+json"))
    except NotFound:
        return True
    except Gone:
        return restore
    found = decode(response.text) if response.text is not None else response.resource or {}
    return restore and _content(found) != _content(decode(encode(resource)))


def _content(resource: Json) -> Json:
    """The resource without what the server says of it."""
    labels = resource.get("meta", {}).get("security", [])
    return {name: value for name, value in resource.items() if name != "lastModified"} | {"meta": labels}
