import os, asyncio
from pathlib import Path
import pytest
OUT = Path("/tmp/shots"); OUT.mkdir(exist_ok=True)
from tests.smart_auth.visitor import PASSWORD

SCOPES = "openid fhirUser launch/patient offline_access patient/Patient.rs patient/Observation.rs patient/Condition.rs patient/MedicationRequest.cruds patient/Encounter.read patient/DocumentReference.rs"

def shoot(page, name):
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        for width in (1100, 375):
            page.set_viewport_size({"width": width, "height": 800})
            page.screenshot(path=str(OUT / f"{name}-{scheme}-{width}.png"), full_page=True)
    page.emulate_media(color_scheme="light"); page.set_viewport_size({"width": 1100, "height": 800})

def test_look(page, clinic):
    page.goto(clinic.authorize_url(SCOPES))
    shoot(page, "login")
    page.get_by_label("User name").fill("ana")
    page.get_by_label("Password", exact=True).fill("wrong")
    page.get_by_role("button", name="Sign in").click()
    shoot(page, "login-wrong")
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    shoot(page, "consent")
    page.get_by_text("Only some kinds").first.click()
    shoot(page, "consent-kinds")
    page.get_by_role("button", name="Allow").click()
    page.wait_for_url("**/callback*")
    page.goto(clinic.root + "/auth/apps")
    shoot(page, "apps")
    page.goto(clinic.root + "/auth/account")
    shoot(page, "account")
    page.get_by_role("link", name="Set it up").click()
    shoot(page, "set-up")
    page.goto(clinic.root + "/auth/logout")
    shoot(page, "logout")
    page.get_by_role("button", name="Sign out").click()
    shoot(page, "signed-out")
    page.goto(clinic.authorize_url("launch/patient launch/encounter patient/*.rs user/*.rs"))
    page.get_by_label("User name").fill("diaz")
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    shoot(page, "consent-doctor")
    page.get_by_role("button", name="Allow").click()
    shoot(page, "patient")
    page.get_by_role("button", name="Ana").click()
    shoot(page, "encounter")
    page.get_by_role("button", name="Check-up e1").click()
    page.wait_for_url("**/callback*")
    page.context.clear_cookies()
    page.goto(clinic.root + "/auth/login?next=/auth/invitations")
    page.get_by_label("User name").fill("root")
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    shoot(page, "invitations")
    page.goto(clinic.root + "/auth/reset")
    shoot(page, "reset")
    page.goto(clinic.root + "/auth/authorize?client_id=nobody")
    shoot(page, "error")
