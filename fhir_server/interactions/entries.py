"""The entries of a batch or transaction as requests, and their responses as entries.

https://hl7.org/fhir/R4/bundle.html#Bundle.entry.request
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl

from fhir_server import json
from fhir_server.context import Context, FhirRequest, FhirResponse
from fhir_server.outcomes import FhirError, Invalid, Issue, Malformed, TooLarge, operation_outcome
from fhir_server.storage.stored import instant

Json = dict[str, Any]

# The order in which a transaction's entries take effect: https://hl7.org/fhir/R4/http.html#trules
ORDER = {"DELETE": 0, "POST": 1, "PUT": 2, "PATCH": 2, "GET": 3, "HEAD": 3}


@dataclass(slots=True)
class Entry:
    """One entry: its place, the request it stands for and, later, what came of it."""

    index: int
    full_url: str | None
    request: FhirRequest
    response: FhirResponse | None = None

    @property
    def path(self) -> str:
        return f"Bundle.entry[{self.index}]"

    @property
    def order(self) -> int:
        return ORDER[self.request.method]


def read_entries(ctx: Context, bundle: Json) -> list[Entry]:
    """The entries in the order they stand.

    One that is malformed fails alone in a batch; of a transaction every such entry is named (400).
    """
    listed = bundle.get("entry", [])
    if not isinstance(listed, list):
        raise Malformed("entry is a list.", expression=["Bundle.entry"])
    if len(listed) > ctx.settings.max_bundle_entries:
        raise TooLarge(f"A Bundle may have {ctx.settings.max_bundle_entries} entries.", expression=["Bundle.entry"])
    entries: list[Entry] = []
    issues: list[Issue] = []
    for index, item in enumerate(listed):
        try:
            entries.append(_entry(ctx, index, item))
        except FhirError as error:
            if bundle.get("type") == "batch":
                entries.append(Entry(index, None, FhirRequest("GET", ""), failed(error)))
            else:
                issues.extend(error.at(f"Bundle.entry[{index}]").issues)
    if issues:
        raise Invalid(issues=issues)
    return entries


def _entry(ctx: Context, index: int, item: Any) -> Entry:
    if not isinstance(item, dict):
        raise Malformed("An entry is an object.")
    full_url = item.get("fullUrl")
    if full_url is not None and (not isinstance(full_url, str) or not full_url):
        raise Invalid("fullUrl is a string.")
    asked = item.get("request")
    if not isinstance(asked, dict):
        raise Invalid("The entry has no request.")
    method, url = asked.get("method"), asked.get("url")
    if not isinstance(method, str) or method not in ORDER:
        raise Invalid("request.method is GET, HEAD, POST, PUT, PATCH or DELETE.")
    if not isinstance(url, str) or not url:
        raise Invalid("request.url is missing.")
    body = item.get("resource")
    if body is not None and not isinstance(body, dict):
        raise Malformed("resource is an object.")
    if method in ("POST", "PUT", "PATCH") and body is None and "$" not in url:
        raise Invalid(f"A {method} entry needs a resource.")
    path, _, query = url.removeprefix(ctx.base_url + "/").lstrip("/").partition("?")
    request = FhirRequest(
        method=method,
        path=path,
        query=_query(query),
        body=_patch_body(body) if method == "PATCH" else body,
        content_type="application/fhir+json",
        accept="application/fhir+json",
        if_match=_text(asked, "ifMatch"),
        if_none_match=_text(asked, "ifNoneMatch"),
        if_modified_since=_instant(_text(asked, "ifModifiedSince")),
        if_none_exist=_text(asked, "ifNoneExist"),
    )
    return Entry(index, full_url, request)


def _patch_body(body: Json | None) -> Any:
    """A JSON Patch travels in an entry as a Binary: https://hl7.org/fhir/R4/http.html#patch."""
    import base64

    if body is not None and body.get("resourceType") == "Binary":
        media, data = body.get("contentType"), body.get("data")
        if not isinstance(media, str) or media.partition(";")[0] != "application/json-patch+json":
            raise Invalid("A Binary as a patch has the content type application/json-patch+json.")
        try:
            return json.decode(base64.b64decode(data if isinstance(data, str) else "", validate=True))
        except ValueError:
            raise Malformed("The Binary does not hold a JSON Patch.") from None
    return body


def _query(text: str) -> list[tuple[str, str]]:
    try:
        pairs = parse_qsl(text, keep_blank_values=True, errors="strict")
    except UnicodeDecodeError:
        raise Invalid("The query of request.url is not percent-encoded UTF-8.") from None
    if any("\0" in name or "\0" in value for name, value in pairs):
        raise Invalid("The query of request.url contains a NUL character.")
    return pairs


def _text(asked: Json, name: str) -> str | None:
    value = asked.get(name)
    if value is not None and (not isinstance(value, str) or not value):
        raise Invalid(f"request.{name} is a string.")
    return value


def _instant(value: str | None) -> datetime | None:
    if value is None:
        return None
    try:
        parsed = datetime.fromisoformat(value)
    except ValueError:
        parsed = None
    if parsed is None or parsed.tzinfo is None:
        raise Invalid("request.ifModifiedSince is an instant.")
    return parsed


def response_entry(ctx: Context, entry: Entry) -> bytes:
    """The entry of the response Bundle as JSON bytes, a stored resource spliced in as it is."""
    response = entry.response
    assert response is not None
    answer: Json = {"status": f"{response.status} {_PHRASES.get(response.status, '')}".strip()}
    if response.location is not None:
        answer["location"] = f"{ctx.base_url}/{response.location}"
    if response.version is not None:
        answer["etag"] = f'W/"{response.version}"'
    if response.last_modified is not None:
        answer["lastModified"] = instant(round(response.last_modified.timestamp() * 1_000_000))
    resource, outcome = response.resource, response.outcome
    if resource is not None and resource["resourceType"] == "OperationOutcome":
        resource, outcome = None, resource  # what Prefer: return=OperationOutcome asked for
    if outcome is not None:
        answer["outcome"] = outcome
    parts = []
    if response.location is not None:
        parts.append(b'"fullUrl":' + json.encode(f"{ctx.base_url}/{response.location.partition('/_history')[0]}"))
    if entry.request.method == "HEAD":
        pass
    elif response.text is not None:
        parts.append(b'"resource":' + response.text)
    elif resource is not None:
        parts.append(b'"resource":' + json.encode(resource))
    parts.append(b'"response":' + json.encode(answer))
    return b"{" + b",".join(parts) + b"}"


def failed(error: FhirError) -> FhirResponse:
    """The response of a batch entry that was refused."""
    return FhirResponse(error.status, outcome=operation_outcome(error.issues), headers=error.headers)


def response_bundle(ctx: Context, kind: str, entries: list[Entry]) -> bytes:
    """The batch-response or transaction-response, entries in the order of the request."""
    head = b'{"resourceType":"Bundle","type":"' + kind.encode() + b'-response"'
    ordered = sorted(entries, key=lambda entry: entry.index)
    if not ordered:
        return head + b"}"
    return head + b',"entry":[' + b",".join(response_entry(ctx, entry) for entry in ordered) + b"]}"


_PHRASES = {
    200: "OK",
    201: "Created",
    204: "No Content",
    304: "Not Modified",
    400: "Bad Request",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    409: "Conflict",
    410: "Gone",
    412: "Precondition Failed",
    413: "Content Too Large",
    422: "Unprocessable Content",
    501: "Not Implemented",
    503: "Service Unavailable",
}
