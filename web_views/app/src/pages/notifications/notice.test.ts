import type { Bundle, Communication, FhirResource } from "fhir/r4"
import { expect, test } from "vitest"
import { casesOf, caseText, isAlert, pageOf } from "./notice"

const about = (...references: string[]): Communication => ({
  resourceType: "Communication", status: "in-progress", about: references.map((reference) => ({ reference })),
})

test("a notification opens what it is about", () => {
  expect(pageOf(about("Encounter/1"))).toBe("/cases/1")
  expect(pageOf(about("https://ehr.example/fhir/Task/2/_history/3"))).toBe("/referrals/2")
  expect(pageOf(about("Flag/3"))).toBe("/emergencies/3")
  expect(pageOf(about("Basic/1", "DocumentReference/4"))).toBe("/records/4")
  expect(pageOf(about())).toBeUndefined()
})

test("an alert is told by its category", () => {
  const category = [{ coding: [{ system: "http://terminology.hl7.org/CodeSystem/communication-category", code: "alert" }] }]
  expect(isAlert({ ...about(), category })).toBe(true)
  expect(isAlert(about())).toBe(false)
})

test("which case it is, as far as one may see it", () => {
  const number = { system: "http://fhir-server.example/ig/sid/case-number", value: "CASE-2026-00017" }
  const found: Bundle<FhirResource> = {
    resourceType: "Bundle", type: "searchset",
    entry: [
      { resource: { resourceType: "Encounter", id: "1", status: "planned", class: {}, identifier: [number], subject: { reference: "Patient/p" } } },
      { resource: { resourceType: "Patient", id: "p", name: [{ given: ["Rosa"], family: "Test" }] } },
    ],
  }
  const notices = [about("Encounter/1"), about("Encounter/2", "Task/3"), about("Encounter/1")]
  expect(casesOf(notices)).toEqual(["1", "2"])
  expect(notices.map((one) => caseText(one, found))).toEqual(["CASE-2026-00017 · Rosa Test", undefined, "CASE-2026-00017 · Rosa Test"])
  expect(caseText(about("Encounter/1"), undefined)).toBeUndefined()
})
