"""The demo clinic as transaction Bundles with readable, fixed ids, the same for the same anchor date.

https://hl7.org/fhir/R4/http.html#transaction
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

from fhir_server.demo.chart import chart
from fhir_server.demo.codes import Json
from fhir_server.demo.house import house
from fhir_server.demo.patients import PATIENTS
from fhir_server.demo.work import work

ANCHOR = date(2025, 6, 2)  # a Monday; the "today" of the data unless another day is asked for


def bundles(anchor: date = ANCHOR) -> list[Json]:
    """The clinic, each patient with their chart, the work at hand; every entry is an update (PUT) of `Type/demo-…`."""
    charts = (_transaction(chart(person, anchor)) for person in PATIENTS)
    return [_transaction(house(anchor)), *charts, _transaction(work(anchor))]


def _transaction(resources: Iterable[Json]) -> Json:
    entries = [
        {
            "fullUrl": f"https://rowan-bay.example/fhir/{resource['resourceType']}/{resource['id']}",
            "resource": resource,
            "request": {"method": "PUT", "url": f"{resource['resourceType']}/{resource['id']}"},
        }
        for resource in resources
    ]
    return {"resourceType": "Bundle", "type": "transaction", "entry": entries}
