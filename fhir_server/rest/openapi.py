"""OpenAPI 3.1 of the FHIR API, generated from the CapabilityStatement: one source, two languages.

https://spec.openapis.org/oas/v3.1.0
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from fhir_server.registry import Operation

Json = dict[str, Any]

_RESOURCE_RESULT = {"200": "Resource", "default": "Failure"}
_WRITTEN = {"200": "Resource", "201": "Created", "default": "Failure"}


def openapi(statement: Json, base_url: str, *, operations: Mapping[str, Operation] | None = None) -> Json:
    """The description of everything in the statement; `operations` say at which levels theirs may be called."""
    rest = statement["rest"][0]
    schemes = security_schemes(rest.get("security", {}))
    build = _Builder(operations or {}, [{name: []} for name in schemes])
    for resource in rest["resource"]:
        build.type(resource)
    build.system(rest)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": statement["title"],
            "version": statement["software"]["version"],
            "description": "FHIR R4 (4.0.1) REST API: https://hl7.org/fhir/R4/http.html",
        },
        "servers": [{"url": base_url}],
        "tags": [{"name": resource["type"]} for resource in rest["resource"]],
        "paths": build.paths,
        "components": {
            **_COMPONENTS,
            "parameters": {**_PARAMETERS, **build.parameters},
            **({"securitySchemes": schemes} if schemes else {}),
        },
    }


def security_schemes(security: Json) -> Json:
    """How a caller comes by a token, at the URLs that the statement's `rest.security` names; nothing in open mode."""
    found = [one["extension"] for one in security.get("extension", ()) if one["url"].endswith("/oauth-uris")]
    uris = {one["url"]: one["valueUri"] for one in (found[0] if found else ())}
    if not uris:
        return {}
    people = {
        "authorizationUrl": uris["authorize"],
        "tokenUrl": uris["token"],
        "refreshUrl": uris["token"],
        "scopes": {**_IDENTITY, **_scopes("patient", "the patient in context"), **_scopes("user", "what the user may")},
    }
    services = {"tokenUrl": uris["token"], "scopes": _scopes("system", "everything")}
    return {
        "SMART": {
            "type": "oauth2",
            "description": _FLOWS,
            "flows": {"authorizationCode": people, "clientCredentials": services},
        },
        "Bearer": {"type": "http", "scheme": "bearer", "description": "An access token, however it was come by."},
    }


def _scopes(level: str, about: str) -> Json:
    """The widest scopes of a level: every one within them can be asked for."""
    return {
        f"{level}/*.{letters}": f"{verb} {about}" for letters, verb in (("rs", "Read"), ("cruds", "Read and write"))
    }


_FLOWS = (
    "SMART App Launch 2.2. The authorization code needs PKCE (S256) from every client, and `aud`, which is the base "
    "URL of this API. Backend services sign in with private_key_jwt. Any scope within those listed may be asked for: "
    "patient/Observation.rs, user/Condition.r?category=…"
)
_IDENTITY = {
    "openid": "An id_token",
    "fhirUser": "Who the user is",
    "launch/patient": "A patient in context",
    "offline_access": "A refresh token that lasts",
}


class _Builder:
    """Collects paths and the search parameters they share."""

    def __init__(self, operations: Mapping[str, Operation], security: list[Json]) -> None:
        self.paths: Json = {}
        self.parameters: Json = {}
        self._operations = operations
        self._security = security

    def type(self, resource: Json) -> None:
        """The paths of one resource type."""
        name = resource["type"]
        codes = {interaction["code"] for interaction in resource.get("interaction", ())}
        search = [self._search_parameter(name, parameter) for parameter in resource.get("searchParam", ())]
        for path, method, code, operation in self._of_type(name, search):
            if code in codes:
                self._add(path, method, name, f"{name}_{operation['operationId']}", operation)
        for operation in resource.get("operation", ()):
            self._operation_of(name, operation["name"])

    def system(self, rest: Json) -> None:
        """The paths of the whole server."""
        codes = {interaction["code"] for interaction in rest.get("interaction", ())}
        about = _call("", "What the server can do", [], "Resource")
        self._add("/metadata", "get", "System", "capabilities", about, public=True)
        if self._security:
            found = _call("", "How apps sign their users in", [], {"200": "Discovery"})
            self._add("/.well-known/smart-configuration", "get", "System", "smart_configuration", found, public=True)
        if "transaction" in codes:
            call = _call("", "Run a batch or transaction Bundle", ["Prefer"], "Resource", body="Resource")
            self._add("/", "post", "System", "bundle", call)
        if "search-system" in codes:
            common = [self._search_parameter("Resource", parameter) for parameter in rest.get("searchParam", ())]
            call = _call("", "Search all types", [*common, *_RESULTS], "Resource")
            self._add("/", "get", "System", "search", call)
        if "history-system" in codes:
            call = _call("", "Changes of all resources", _HISTORY, "Resource")
            self._add("/_history", "get", "System", "history", call)
        for operation in rest.get("operation", ()):
            self._operation("", "System", operation["name"])

    def _of_type(self, name: str, search: list[str]) -> Iterator[tuple[str, str, str, Json]]:
        one = f"/{name}/{{id}}"
        yield f"/{name}", "get", "search-type", _call("search", f"Search {name}", [*search, *_RESULTS], "Resource")
        yield f"/{name}/_search", "post", "search-type", _call("search_post", "Search by form", [], "Resource", "Form")
        yield f"/{name}", "post", "create", _call("create", f"Create a {name}", _CREATE, _WRITTEN, "Resource")
        yield (
            f"/{name}",
            "put",
            "update",
            _call("update_where", f"Update the {name} that a search finds", _WHERE, _WRITTEN, "Resource"),
        )
        yield (
            f"/{name}",
            "patch",
            "patch",
            _call("patch_where", f"Patch the {name} that a search finds", _WHERE, _WRITTEN, "Patch"),
        )
        yield (
            f"/{name}",
            "delete",
            "delete",
            _call("delete_where", f"Delete the {name} that a search finds", _WHERE, "Deleted"),
        )
        yield one, "get", "read", _call("read", f"Read a {name}", ["id", *_READ], "Resource")
        yield one, "put", "update", _call("update", "Update, or create under this id", _UPDATE, _WRITTEN, "Resource")
        yield one, "patch", "patch", _call("patch", "Change parts", _UPDATE, _WRITTEN, "Patch")
        yield one, "delete", "delete", _call("delete", "Delete, keeping the history", ["id", "If-Match"], "Deleted")
        history = ["id", *_HISTORY]
        yield f"{one}/_history", "get", "history-instance", _call("history", "Its versions", history, "Resource")
        version = f"{one}/_history/{{version}}"
        yield version, "get", "vread", _call("vread", "One version", ["id", "version", *_FORM], "Resource")
        yield f"/{name}/_history", "get", "history-type", _call("changes", "Changes of the type", _HISTORY, "Resource")

    def _operation_of(self, type_: str, name: str) -> None:
        """The operation at the levels it has for this type."""
        declared = self._operations.get(name)
        if declared is None or not {"*", type_}.isdisjoint(declared.types):
            self._operation(f"/{type_}", type_, name)
        if declared is not None and not {"*", type_}.isdisjoint(declared.instances):
            self._operation(f"/{type_}/{{id}}", type_, name, "_one", ["id"])

    def _operation(self, path: str, tag: str, name: str, level: str = "", names: list[str] | None = None) -> None:
        call = _call("", f"${name}", names or [], "Resource", body="Resource")
        key = f"{tag}_{name}{level}".replace("-", "_")
        self._add(f"{path}/${name}", "post", tag, f"{key}_post", call)
        declared = self._operations.get(name)
        if declared is None or not declared.affects_state:
            self._add(f"{path}/${name}", "get", tag, key, _call("", f"${name}", names or [], "Resource"))

    def _search_parameter(self, type_: str, parameter: Json) -> str:
        """The component of this search parameter; those that types share are listed once."""
        key = re.sub(
            r"[^A-Za-z0-9._-]", "_", parameter.get("definition", f"{type_}-{parameter['name']}").split("/")[-1]
        )
        self.parameters.setdefault(
            key,
            {
                "name": parameter["name"],
                "in": "query",
                "description": f"{parameter['type']}: {parameter.get('documentation', parameter['name'])}",
                "schema": {"type": "string"},
            },
        )
        return key

    def _add(self, path: str, method: str, tag: str, operation_id: str, call: Json, *, public: bool = False) -> None:
        call = {**call, "operationId": operation_id, "tags": [tag]}
        if self._security:
            call["security"] = [] if public else self._security
        if self._security and not public:
            call["responses"] = {**call["responses"], **_REFUSALS}
        self.paths.setdefault(path, {})[method] = call


def _call(operation_id: str, summary: str, names: list[str], results: str | Json, body: str = "") -> Json:
    if isinstance(results, str):
        results = {"204" if results == "Deleted" else "200": results, "default": "Failure"}
    call: Json = {"operationId": operation_id, "summary": summary}
    if names:
        call["parameters"] = [{"$ref": f"#/components/parameters/{name}"} for name in names]
    if body:
        call["requestBody"] = {"$ref": f"#/components/requestBodies/{body}"}
    call["responses"] = {status: {"$ref": f"#/components/responses/{name}"} for status, name in results.items()}
    return call


_REFUSALS = {
    "401": {"$ref": "#/components/responses/SignInRequired"},
    "403": {"$ref": "#/components/responses/Forbidden"},
}


def _parameter(name: str, where: str, about: str, **schema: Any) -> Json:
    required = {"required": True} if where == "path" else {}
    return {"name": name, "in": where, "description": about, "schema": {"type": "string", **schema}, **required}


_ID = {"pattern": "^[A-Za-z0-9.-]{1,64}$"}
_TOTALS = {"enum": ["none", "estimate", "accurate"]}
_SUMMARIES = {"enum": ["true", "text", "data", "count", "false"]}
_FORM = ["_format", "_pretty", "_summary", "_elements"]
_READ = ["If-None-Match", "If-Modified-Since", *_FORM]
_UPDATE = ["id", "If-Match", "Prefer"]
_WHERE = ["condition", "Prefer"]
_CREATE = ["If-None-Exist", "Prefer"]
_HISTORY = ["_since", "_at", "_count", "_format", "_pretty"]
_RESULTS = ["_count", "_sort", "_include", "_revinclude", "_total", *_FORM]
# Any search parameters: the properties of this object are parameters of their own (style form, exploded).
_CONDITION: Json = {
    "name": "condition",
    "in": "query",
    "required": True,
    "description": "The search parameters of this type",
    "style": "form",
    "explode": True,
    "schema": {"type": "object", "minProperties": 1, "additionalProperties": {"type": "string"}},
}
_PARAMETERS: Json = {
    "condition": _CONDITION,
    **{
        p["name"]: p
        for p in (
            _parameter("id", "path", "Logical id", **_ID),
            _parameter("version", "path", "Version id", **_ID),
            _parameter("_format", "query", "json, xml or html; goes before the Accept header"),
            _parameter("_pretty", "query", "Indented JSON", enum=["true", "false"]),
            _parameter("_summary", "query", "Only a part of each resource", **_SUMMARIES),
            _parameter("_elements", "query", "Comma list of elements to return"),
            _parameter("_count", "query", "Entries per page; 0 for the count alone", pattern="^[0-9]{1,6}$"),
            _parameter("_sort", "query", "Comma list of search parameters, - before one for descending"),
            _parameter("_include", "query", "Type:parameter of references to follow"),
            _parameter("_revinclude", "query", "Type:parameter of references that point here"),
            _parameter("_total", "query", "How exact the total is", **_TOTALS),
            _parameter("_since", "query", "Only what changed at or after this instant", format="date-time"),
            _parameter("_at", "query", "Only what was current at this time"),
            _parameter("If-Match", "header", 'The version this change is based on: W/"3"'),
            _parameter("If-None-Match", "header", 'The version the caller has: W/"3"'),
            _parameter("If-Modified-Since", "header", "When the caller last read it, an HTTP date"),
            _parameter("If-None-Exist", "header", "Create only when this search finds nothing"),
            _parameter(
                "Prefer", "header", "return=minimal | representation | OperationOutcome; handling=strict | lenient"
            ),
        )
    },
}


def _content(schema: str, *media: str) -> Json:
    return {name: {"schema": {"$ref": f"#/components/schemas/{schema}"}} for name in media}


_FHIR = ("application/fhir+json", "application/fhir+xml")
_COMPONENTS: Json = {
    "schemas": {
        "Resource": {
            "type": "object",
            "required": ["resourceType"],
            "properties": {"resourceType": {"type": "string"}, "id": {"type": "string"}},
        },
        "Form": {"type": "object", "additionalProperties": {"type": "string"}},
        "JsonPatch": {"type": "array", "items": {"type": "object", "required": ["op", "path"]}},
    },
    "requestBodies": {
        "Resource": {"content": _content("Resource", *_FHIR)},
        "Form": {"content": _content("Form", "application/x-www-form-urlencoded")},
        "Patch": {"content": {**_content("JsonPatch", "application/json-patch+json"), **_content("Resource", *_FHIR)}},
    },
    "responses": {
        "Resource": {"description": "A resource or Bundle", "content": _content("Resource", *_FHIR)},
        "Created": {"description": "Created; Location has the version", "content": _content("Resource", *_FHIR)},
        "Deleted": {"description": "Deleted"},
        "Failure": {"description": "An OperationOutcome", "content": _content("Resource", *_FHIR)},
        "SignInRequired": {
            "description": "There is no access token, or it is unknown, expired or revoked",
            "headers": {"WWW-Authenticate": {"description": "Bearer", "schema": {"type": "string"}}},
            "content": _content("Resource", *_FHIR),
        },
        "Forbidden": {
            "description": "Scopes, roles or consents do not open this to the caller",
            "content": _content("Resource", *_FHIR),
        },
        "Discovery": {
            "description": "A JSON document",
            "content": {"application/json": {"schema": {"type": "object"}}},
        },
    },
}
