import type { Bundle, BundleEntry, FhirResource, PractitionerRole } from "fhir/r4"
import { expect, test } from "vitest"
import { fits, parties } from "./directory"

const role: PractitionerRole = {
  resourceType: "PractitionerRole", id: "r", practitioner: { reference: "Practitioner/p" },
  organization: { reference: "Organization/o", display: "Heart house" }, specialty: [{ text: "Cardiology" }],
}
const person = { resourceType: "Practitioner" as const, id: "p", name: [{ given: ["Ingrid"], family: "Sølberg" }] }
const bundle = (...entry: BundleEntry<FhirResource>[]): Bundle<FhirResource> => ({ resourceType: "Bundle", type: "searchset", entry })

test("somebody found in a role is one party, with what they do and where", () => {
  const roles = bundle({ resource: role }, { resource: person, search: { mode: "include" } })
  const found = parties([roles, roles, bundle({ resource: person })])
  expect(found).toEqual([{ reference: "PractitionerRole/r", display: "Ingrid Sølberg", about: "Cardiology · Heart house" }])
})

test("every word counts, whatever its accents", () => {
  const one = { reference: "Practitioner/1", display: "Tomáš Havel", about: "General practice" }
  expect(fits(one, "havel tomas")).toBe(true)
  expect(fits(one, "tomas cardio")).toBe(false)
})
