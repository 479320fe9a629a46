"""A FHIR server in memory, just enough for the load program, and able to be wrong in one way at a time."""

from __future__ import annotations

import json
import re
import unicodedata
from typing import Any
from urllib.parse import parse_qsl

Json = dict[str, Any]
BASE = "/fhir"


class StandIn:
    """An ASGI application; `fault` names what it does wrong, "" nothing."""

    def __init__(self, fault: str = "") -> None:
        self.fault = fault
        self.store: dict[tuple[str, str], Json] = {}
        self.versions: dict[tuple[str, str], int] = {}
        self.throttle = 1 if fault == "throttled" else 0
        self.seen: list[tuple[str, str]] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        path = scope["path"].removeprefix(BASE).strip("/")
        query = parse_qsl(scope["query_string"].decode())
        status, headers, content = self.answer(scope["method"], path, query, body)
        raw = json.dumps(content).encode() if content is not None else b""
        lines = [(k.encode(), v.encode()) for k, v in headers.items()]
        if self.fault != "chunked":
            lines.append((b"content-length", str(len(raw)).encode()))
        await send({"type": "http.response.start", "status": status, "headers": lines})
        half = len(raw) // 2
        await send({"type": "http.response.body", "body": raw[:half], "more_body": True})
        await send({"type": "http.response.body", "body": raw[half:]})

    def answer(
        self, method: str, path: str, query: list[tuple[str, str]], body: bytes
    ) -> tuple[int, Json, Json | None]:
        self.seen.append((method, path))
        # So often that it comes in a tenth of a second on any machine; four or eight who ask in turn all get through.
        if self.throttle and len(self.seen) % 5 == 0:
            return 429, {"retry-after": "0"}, None
        kind, _, id = path.partition("/")
        resource: Any = json.loads(body) if body else None
        match method:
            case "POST" if not kind:
                return 200, {}, self.transaction(resource)
            case "POST":
                return self.create(kind, resource)
            case "PUT":
                return self.update(kind, id, resource)
            case "DELETE":
                if self.fault != "undead":
                    self.store.pop((kind, id), None)
                return 204, {}, None
            case _ if id:
                found = self.read(kind, id)
                return (200, {}, found) if found else (404, {}, {"resourceType": "OperationOutcome"})
            case _:
                return 200, {}, self.search(kind, query)

    def create(self, kind: str, resource: Json) -> tuple[int, Json, Json]:
        id = f"s{len(self.versions) + 1}"
        self.versions[kind, id] = 1
        stored = resource | {"id": id, "meta": {"versionId": "1"}}
        if self.fault != "forgetful" or len(self.versions) < 1400:
            self.store[kind, id] = stored
        status = 200 if self.fault == "create-200" else 201
        return status, {"location": f"http://x{BASE}/{kind}/{id}/_history/1"}, stored

    def update(self, kind: str, id: str, resource: Json) -> tuple[int, Json, Json]:
        self.versions[kind, id] += 1
        stored = resource | {"meta": {"versionId": str(self.versions[kind, id])}}
        if self.fault != "lost-update":
            self.store[kind, id] = stored
        return 200, {}, stored

    def read(self, kind: str, id: str) -> Json | None:
        found = self.store.get((kind, id))
        if found is None:
            return None
        if self.fault == "another-id":
            return found | {"id": "someone-else"}
        if self.fault == "poor":
            return {"resourceType": kind, "id": id}
        return found

    def transaction(self, bundle: Json) -> Json:
        entries = []
        for entry in bundle["entry"]:
            status, headers, stored = self.create(entry["request"]["url"], entry["resource"])
            if self.fault == "import-loses":
                self.store.pop((stored["resourceType"], stored["id"]), None)
            entries.append({"response": {"status": f"{status} Created", "location": headers["location"]}})
        return {"resourceType": "Bundle", "type": "transaction-response", "entry": entries}

    def search(self, kind: str, query: list[tuple[str, str]]) -> Json:
        count = next((int(v) for k, v in query if k == "_count"), 20)
        found = [r for (t, _), r in list(self.store.items()) if t == kind]
        matches = [r for r in found if self.fault == "unfiltered" or all(fits(r, k, v) for k, v in query)]
        if self.fault == "empty" and len(query) > 1:
            matches = []
        entries = [{"resource": r, "search": {"mode": "match"}} for r in matches[:count]]
        if any(k == "_include" for k, _ in query) and self.fault != "no-include":
            wanted = {m["encounter"]["reference"] for m in matches[:count]}
            included = [self.store[tuple(ref.split("/"))] for ref in sorted(wanted)]
            entries += [{"resource": r, "search": {"mode": "include"}} for r in included]
        if self.fault == "drops-first" and len(query) > 1:
            entries = entries[1:] or entries
        more = [{"relation": "next", "url": f"http://x{BASE}?cursor=1"}] if len(matches) > count else []
        return {"resourceType": "Bundle", "type": "searchset", "link": more, "entry": entries}


def fits(resource: Json, name: str, value: str) -> bool:
    """Does a resource fit one parameter, for the five searches of the load program."""
    match name:
        case "name":
            parts = [p for n in resource["name"] for p in (n["family"], *n["given"])]
            return any(plain(p).startswith(plain(value)) for p in parts)
        case "patient" | "subject":
            return bool(re.fullmatch(f"(Patient/)?{value.split('/')[-1]}", resource["subject"]["reference"]))
        case "code":
            return has(resource["code"], value)
        case "category":
            return any(has(c, value) for c in resource["category"])
        case "date":
            day, when = value[2:], resource["effectiveDateTime"][:10]
            return bool(when >= day) if value.startswith("ge") else bool(when < day)
        case "identifier":
            return value in {f"{i['system']}|{i['value']}" for i in resource["identifier"]}
    return True


def has(concept: Json, value: str) -> bool:
    return value in {f"{c['system']}|{c['code']}" for c in concept["coding"]}


def plain(text: str) -> str:
    return "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c)).casefold()
