"""A FhirApp with a dispatch of our own, called as an ASGI server would."""

from __future__ import annotations

import io
import json
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from fhir_server.access import Principal
from fhir_server.config import Settings
from fhir_server.context import Context, FhirRequest, FhirResponse
from fhir_server.rest.app import FhirApp
from fhir_server.rest.logs import RequestLog
from fhir_server.storage.repository import Repository
from fhir_server.validation import Validator

Message = MutableMapping[str, Any]
HOST = "localhost:8080"
BASE = f"http://{HOST}/fhir"


@dataclass
class Answer:
    """What came back over the wire."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""

    def json(self) -> Any:
        return json.loads(self.body)

    def issue(self) -> dict[str, Any]:
        """The first issue of an OperationOutcome."""
        outcome = self.json()
        assert outcome["resourceType"] == "OperationOutcome", outcome
        return dict(outcome["issue"][0])


class Server:
    """Remembers the FhirRequest it was given and answers what it is told to."""

    def __init__(self, answer: FhirResponse | Exception | None = None, **choices: Any) -> None:
        settings = choices.pop("settings", None) or Settings(port=8080, open=True)
        self.answer = answer or FhirResponse(resource={"resourceType": "Basic"})
        self.seen: FhirRequest | None = None
        self.context: Context | None = None
        self.logged = io.BytesIO()
        self._settings = settings
        self.app = FhirApp(self._context, self._dispatch, settings, log=RequestLog(self.logged), **choices)

    def _context(self, base_url: str, request_id: str, principal: Principal) -> Context:
        repository = cast(Repository, None)  # the HTTP layer hands the context on and never looks into it
        validator = cast(Validator, None)
        return Context(
            principal, repository, validator, self._settings, base_url, self._dispatch, request_id=request_id
        )

    async def _dispatch(self, ctx: Context, request: FhirRequest) -> FhirResponse:
        self.context, self.seen = ctx, request
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    async def call(
        self, method: str, url: str, headers: dict[str, str] | None = None, body: bytes | Sequence[bytes] = b""
    ) -> Answer:
        chunks = [body] if isinstance(body, bytes) else list(body)
        messages: list[Message] = [
            {"type": "http.request", "body": chunk, "more_body": i + 1 < len(chunks)} for i, chunk in enumerate(chunks)
        ]
        return await self.exchange(method, url, headers or {}, _feed(messages))

    async def exchange(
        self, method: str, url: str, headers: dict[str, str], receive: Callable[[], Awaitable[Message]]
    ) -> Answer:
        path, _, query = url.partition("?")
        answer = Answer()

        async def send(message: Message) -> None:
            if message["type"] == "http.response.start":
                answer.status = message["status"]
                answer.headers = {name.decode(): value.decode("latin-1") for name, value in message["headers"]}
            else:
                answer.body += message["body"]

        sent = {"host": HOST, **{name.lower(): value for name, value in headers.items()}}
        scope: Message = {
            "type": "http",
            "method": method,
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "headers": [(name.encode(), value.encode("latin-1")) for name, value in sent.items()],
            "client": ("127.0.0.1", 50000),
            "server": ("127.0.0.1", 8080),
        }
        await self.app(scope, receive, send)
        return answer


def _feed(messages: list[Message]) -> Callable[[], Awaitable[Message]]:
    waiting = iter(messages)

    async def receive() -> Message:
        return next(waiting, {"type": "http.disconnect"})

    return receive
