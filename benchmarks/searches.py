"""Five searches, with values taken from resources that are really there.

https://hl7.org/fhir/R4/search.html
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode, urlsplit

import msgspec

from benchmarks import checks
from benchmarks.client import Answer
from benchmarks.load import Call, Script
from benchmarks.session import Unusable
from benchmarks.workloads import Workload

Json = dict[str, Any]
PAGE, PAGES, QUERIES = 200, 5, 200


class Query(NamedTuple):
    """What to ask, the resource the values are from, and whether a match fits."""

    params: dict[str, str | list[str]]
    source: str
    fits: Callable[[Json], bool]


class Search(Workload):
    """A search of one type: a subclass says which and makes a query from a resource."""

    kind: str
    include: str | None = None  # the reference element that _include follows

    def query(self, resource: Json) -> Query | None:
        """A query that finds this resource, None when it has no value for it."""
        raise NotImplementedError

    async def prepare(self) -> None:
        """Sample the server's own data."""
        found = [query for resource in await self.sample() if (query := self.query(resource))]
        if not found:
            raise Unusable(f"{self.name}: the server has no {self.kind} to take values from")
        dice = self.session.dice(self.name)
        self.calls = [self.call(query) for query in dice.sample(found, min(QUERIES, len(found)))]

    async def sample(self) -> list[Json]:
        """Up to PAGES pages of the type's resources."""
        url: str | None = f"{self.kind}?_count={PAGE}"
        found: list[Json] = []
        for _ in range(PAGES):
            answer = await self.session.fetch(url or "")
            if answer.status != 200:
                raise Unusable(f"GET {self.kind}: the server answers {answer.status}")
            found += [e["resource"] for e in answer.json().get("entry", [])]
            url = msgspec.json.decode(answer.body, type=checks.Bundle).next()
            if url is None:
                break
            parts = urlsplit(url)  # stays on this server, whatever host the link names
            url = f"{parts.path or self.session.target.path + '/'}?{parts.query}"
        return found

    def call(self, query: Query) -> Call:
        path = f"{self.kind}?{urlencode(query.params, doseq=True, quote_via=quote)}&_count=20"

        def judge(answer: Answer, thorough: bool) -> str | None:
            fits = query.fits if thorough else None
            return checks.search(answer, self.kind, query.source, fits, self.include)

        return Call(self.session.target.request("GET", path), judge)

    def scripts(self) -> list[Script]:
        return [self.script(worker) for worker in range(self.connections)]

    def script(self, worker: int) -> Iterator[Call]:
        dice = self.session.dice(self.name, worker)
        while True:
            yield dice.choice(self.calls)


class Name(Search):
    name, kind = "search-name", "Patient"

    def query(self, resource: Json) -> Query | None:
        families = [name["family"] for name in resource.get("name", []) if "family" in name]
        if not families or "," in families[0]:
            return None
        start = families[0][:5].strip()
        return Query({"name": start}, resource["id"], lambda found: checks.named(found, start))


class PatientCode(Search):
    name, kind = "search-patient-code", "Observation"

    def query(self, resource: Json) -> Query | None:
        coding = first_coding(resource.get("code"))
        subject, patient = checks.located(resource.get("subject", {}).get("reference"))
        if subject != "Patient" or coding is None:
            return None
        system, code = coding

        def fits(found: Json) -> bool:
            whose = checks.located(found.get("subject", {}).get("reference"))
            return whose == ("Patient", patient) and checks.coded(found.get("code"), system, code)

        return Query({"patient": patient, "code": f"{system}|{code}"}, resource["id"], fits)


class CategoryDate(Search):
    name, kind = "search-category-date", "Observation"

    def query(self, resource: Json) -> Query | None:
        category = first_coding((resource.get("category") or [None])[0])
        when = checks.instant(resource.get("effectiveDateTime"))
        if category is None or when is None:
            return None
        start = when.replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=15)
        end = start + timedelta(days=30)
        system, code = category

        def fits(found: Json) -> bool:
            of_category = any(checks.coded(c, system, code) for c in found.get("category", []))
            return of_category and checks.within(found, start, end)

        dates = [f"ge{start:%Y-%m-%d}", f"lt{end:%Y-%m-%d}"]
        return Query({"category": f"{system}|{code}", "date": dates}, resource["id"], fits)


class ReferenceInclude(Search):
    name, kind, include = "search-reference-include", "Condition", "encounter"

    def query(self, resource: Json) -> Query | None:
        subject = checks.located(resource.get("subject", {}).get("reference"))
        if subject[0] != "Patient" or "reference" not in resource.get("encounter", {}):
            return None
        params: dict[str, str | list[str]] = {"subject": "/".join(subject), "_include": "Condition:encounter"}

        def fits(found: Json) -> bool:
            return checks.located(found.get("subject", {}).get("reference")) == subject

        return Query(params, resource["id"], fits)


class Identifier(Search):
    name, kind = "search-identifier", "Patient"

    def query(self, resource: Json) -> Query | None:
        known = [i for i in resource.get("identifier", []) if i.get("system") and i.get("value")]
        if not known:
            return None
        system, value = known[0]["system"], known[0]["value"]

        def fits(found: Json) -> bool:
            return any((i.get("system"), i.get("value")) == (system, value) for i in found.get("identifier", []))

        return Query({"identifier": f"{system}|{value}"}, resource["id"], fits)


def first_coding(concept: Json | None) -> tuple[str, str] | None:
    """System and code of a concept's first complete coding."""
    for coding in (concept or {}).get("coding", []):
        if coding.get("system") and coding.get("code"):
            return coding["system"], coding["code"]
    return None


SEARCHES: tuple[type[Search], ...] = (Name, PatientCode, CategoryDate, ReferenceInclude, Identifier)
