"""A Subscription as the engine and the channels read it.

https://hl7.org/fhir/R4/subscription.html · https://hl7.org/fhir/uv/subscriptions-backport/STU1.1/
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, get_args

from fhir_server.definitions import RESOURCE_TYPES
from fhir_server.outcomes import Issue, Unprocessable
from subscriptions import address, payload
from subscriptions.extensions import (
    CHANNEL_TYPE,
    CONTENT,
    FILTER,
    HEARTBEAT,
    MAX_COUNT,
    OURS,
    TIMEOUT,
    Extensions,
)

Json = dict[str, Any]
Content = Literal["empty", "id-only", "full-resource"]

STATUSES = ("requested", "active", "error", "off")
MAX_CRITERIA = 2000  # characters, of criteria and of each filter
MAX_FILTERS = 20
# Bounds of the numbers a subscriber may choose, both included: seconds, seconds, events.
BOUNDS = {HEARTBEAT: (1, 604_800), TIMEOUT: (1, 300), MAX_COUNT: (1, 1000)}

_CANONICAL = re.compile(r"(?:https?://|urn:)[^\s|#]+(?:\|[^\s|#]+)?")
_CRITERIA = re.compile(r"([A-Z][A-Za-z]*)(?:\?.*)?")
_FILTER = re.compile(r"(?:([A-Z][A-Za-z]*)[?.])?([a-z_][^=?\s]*=.+)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class FilterBy:
    """One filter: criteria on a type of the topic ("Encounter", "patient=Patient/1"). Filters are ANDed."""

    type: str  # "" is every type of the topic's
    criteria: str


@dataclass(frozen=True, slots=True)
class Subscription:
    """A Subscription that was found valid. Times are microseconds since 1970, seconds where it says so.

    A topic-based one has `topic`; R4's own has `criteria` ("Observation?code=…") and no topic. `channel` is the name
    of a file in channels/: rest-hook, websocket, email, message, socketio. `content` is what a notification carries;
    "" for R4's own form, which sends the resource itself where there is a payload, else nothing (`is_plain`).
    """

    id: str
    version: int
    status: str  # requested, active, error, off
    channel: str
    topic: str = ""
    criteria: str = ""
    filters: tuple[FilterBy, ...] = ()
    endpoint: str = ""
    payload: str = ""  # MIME type of channel.payload
    content: Content | Literal[""] = ""
    headers: tuple[str, ...] = ()
    heartbeat: int = 0  # seconds; 0: none asked for
    timeout: int = 0  # seconds that one delivery may take; 0: the server's own choice
    max_count: int = 1  # events in one notification
    end: int = 0
    contact: tuple[str, ...] = ()
    error: str = ""

    @property
    def is_plain(self) -> bool:
        """Whether notifications have R4's own form: no Bundle, but an empty message or the resource itself."""
        return not self.content

    @property
    def level(self) -> Content:
        """What a notification Bundle may tell, R4's own form included."""
        return self.content or ("full-resource" if self.payload else "empty")


def parse(resource: Json) -> Subscription:
    """The Subscription of a resource, stored or to be stored, as far as it can be judged without its topic.

    An `end` that has passed is for the caller to judge. Raises Unprocessable (422) with all that is wrong.
    """
    read = _Reading(resource)
    found = read.subscription()
    if read.issues:
        raise Unprocessable(issues=read.issues)
    return found


class _Reading:
    """One pass over the resource that gathers what is wrong with it."""

    def __init__(self, resource: Json) -> None:
        self._resource = resource
        self._channel: Json = channel if isinstance(channel := resource.get("channel"), dict) else {}
        self._extensions = Extensions(resource)
        self.issues = self._extensions.issues

    def subscription(self) -> Subscription:
        meta = self._resource.get("meta")
        version = meta.get("versionId") if isinstance(meta, dict) else None
        topic, criteria = self._criteria()
        mime, content = self._payload(topic)
        return Subscription(
            id=str(self._resource.get("id", "")),
            version=int(version) if isinstance(version, str) and version.isascii() and version.isdigit() else 0,
            status=self._status(),
            channel=self._channel_name(),
            topic=topic,
            criteria=criteria,
            filters=self._filters(topic),
            endpoint=self._endpoint(),
            payload=mime,
            content=content,
            headers=self._headers(),
            heartbeat=self._number(HEARTBEAT, "heartbeat period", 0),
            timeout=self._number(TIMEOUT, "timeout", 0),
            max_count=self._number(MAX_COUNT, "number of events in a notification", 1),
            end=self._end(),
            contact=self._contact(),
            error=_text(self._resource, "error"),
        )

    def _refuse(self, text: str, expression: str, code: str = "value") -> None:
        self.issues.append(Issue(code, text, (f"Subscription.{expression}",)))

    def _status(self) -> str:
        status = _text(self._resource, "status")
        if status not in STATUSES:
            self._refuse(f"The status is one of {', '.join(STATUSES)}.", "status", "code-invalid")
        return status

    def _criteria(self) -> tuple[str, str]:
        """The topic's canonical URL, or R4's own criteria; the other is ""."""
        text = _text(self._resource, "criteria")
        if len(text) > MAX_CRITERIA:
            self._refuse(f"Criteria have up to {MAX_CRITERIA} characters.", "criteria", "too-long")
        elif _CANONICAL.fullmatch(text):
            return text, ""
        elif (found := _CRITERIA.fullmatch(text)) and found[1] in RESOURCE_TYPES:
            return "", text
        else:
            self._refuse("Criteria are the canonical URL of a topic, or a search such as 'Patient?…'.", "criteria")
        return "", ""

    def _filters(self, topic: str) -> tuple[FilterBy, ...]:
        texts: list[str] = self._extensions.all(FILTER)
        if texts and not topic:
            self._refuse("Only criteria that name a topic have filters.", "criteria")
        if len(texts) > MAX_FILTERS:
            self._refuse(f"There are up to {MAX_FILTERS} filters.", "criteria", "too-costly")
        filters = []
        for text in texts[:MAX_FILTERS]:
            found = _FILTER.fullmatch(text) if len(text) <= MAX_CRITERIA else None
            if found is None or (found[1] or "Patient") not in RESOURCE_TYPES:
                self._refuse(
                    "A filter is 'parameter=value', 'Type?parameter=value' or 'Type.parameter=value'.", "criteria"
                )
            else:
                filters.append(FilterBy(found[1] or "", found[2]))
        return tuple(filters)

    def _channel_name(self) -> str:
        type_, custom = _text(self._channel, "type"), self._extensions.one(CHANNEL_TYPE)
        if type_ not in address.SCHEMES:
            self._refuse("The server has no channel of this type.", "channel.type", "not-supported")
        elif custom is None:
            return type_
        elif custom.get("system") == OURS and isinstance(code := custom.get("code"), str) and code:
            return code
        else:
            self._refuse(
                f"A channel that R4 does not have is named by a code of {OURS}.", "channel.type", "not-supported"
            )
        return ""

    def _endpoint(self) -> str:
        endpoint = _text(self._channel, "endpoint")
        schemes, needed = address.SCHEMES.get(_text(self._channel, "type"), (frozenset(), False))
        if not endpoint:
            if needed:
                self._refuse("This channel needs an endpoint.", "channel.endpoint", "required")
        elif schemes and (problem := address.endpoint_problem(endpoint, schemes)):
            self._refuse(problem, "channel.endpoint")
        return endpoint

    def _payload(self, topic: str) -> tuple[str, Content | Literal[""]]:
        mime, content = _text(self._channel, "payload"), self._extensions.one(CONTENT)
        where = "channel.payload"
        if mime and (problem := payload.problem(mime, _text(self._channel, "type"))):
            self._refuse(problem, where, "not-supported")
        if content is None:
            if topic:
                self._refuse(
                    "A topic's subscription says how much a notification carries, and its MIME type.", where, "required"
                )
            return mime, ""
        if not mime:
            self._refuse("The payload has no MIME type.", where, "required")
        if content not in get_args(Content):
            self._refuse(f"Notifications carry one of {', '.join(get_args(Content))}.", where, "not-supported")
            return mime, ""
        return mime, content

    def _headers(self) -> tuple[str, ...]:
        given = self._channel.get("header")
        headers = [one for one in given if isinstance(one, str)] if isinstance(given, list) else []
        if len(headers) > address.MAX_HEADERS:
            self._refuse(f"There are up to {address.MAX_HEADERS} headers.", "channel.header", "too-costly")
        if headers and _text(self._channel, "type") not in ("rest-hook", "message"):
            self._refuse("Only messages over HTTP have headers.", "channel.header", "not-supported")
        for index, header in enumerate(headers[: address.MAX_HEADERS]):
            if problem := address.header_problem(header):
                self._refuse(problem, f"channel.header[{index}]")
        return tuple(headers)

    def _number(self, url: str, what: str, default: int) -> int:
        given = self._extensions.one(url)
        if given is None:
            return default
        low, high = BOUNDS[url]
        if not low <= given <= high:
            self._refuse(f"The {what} is from {low} to {high}.", "channel")
        return int(given)

    def _end(self) -> int:
        text = _text(self._resource, "end")
        if not text:
            return 0
        try:
            moment = datetime.fromisoformat(text)
            return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1_000_000)
        except (ValueError, OverflowError):
            self._refuse("The end is an instant.", "end")
        return 0

    def _contact(self) -> tuple[str, ...]:
        given = self._resource.get("contact")
        contacts = given if isinstance(given, list) else []
        return tuple(value for one in contacts if isinstance(one, dict) and (value := _text(one, "value")))


def _text(node: Json, name: str) -> str:
    value = node.get(name)
    return value if isinstance(value, str) else ""
