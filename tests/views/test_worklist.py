"""The worklist: what is mine, by state and priority, and live."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.views.conftest import People
from tests.views.people import calling, shot
from tests.workflows.clinic import DORA, Clinic, case


def test_a_case_appears_and_changes_by_itself(clinic: Clinic, people: People) -> None:
    dora = people("dora")
    page = dora.sign_in("worklist?order=changed")
    patient = clinic.patient("lena")
    with calling(clinic, "dora") as http:
        made = http.post("/Encounter", json=case(patient, DORA)).json()
        row = page.get_by_role("listitem").filter(has_text=made["identifier"][0]["value"])
        expect(row).to_be_visible()
        expect(row).to_contain_text("Urgent")
        steps = [{"op": "replace", "path": "/status", "value": "in-progress"}]
        http.patch(f"/Encounter/{made['id']}", json=steps, headers={"Content-Type": "application/json-patch+json"})
        expect(row).to_contain_text("In progress")
    shot(page, "worklist")


def test_what_was_missed_comes_with_the_connection(clinic: Clinic, people: People) -> None:
    dora = people("dora")
    page = dora.sign_in("worklist?order=changed")
    dora.cut()
    with calling(clinic, "dora") as http:
        made = http.post("/Encounter", json=case(clinic.patient("milo"), DORA)).json()
    dora.mend()
    row = page.get_by_role("listitem").filter(has_text=made["identifier"][0]["value"])
    expect(row).to_have_count(1)
