import type { Bundle, FhirResource } from "fhir/r4"
import { describe, expect, it } from "vitest"
import { colleagues, personOf } from "./seek"

describe("staff", () => {
  const among: Bundle<FhirResource> = {
    resourceType: "Bundle",
    type: "searchset",
    entry: [
      { resource: { resourceType: "Practitioner", id: "i", name: [{ text: "Dr. I" }] } },
      { resource: { resourceType: "PractitionerRole", id: "r", practitioner: { reference: "Practitioner/i" }, specialty: [{ text: "Cardiology" }] } },
      { resource: { resourceType: "PractitionerRole", id: "duty", code: [{ text: "Surgeon on call" }] } },
    ],
  }
  it("are found once, with what they are; a role without a person stands for itself", () => {
    expect(colleagues(among, among, undefined)).toEqual([
      { reference: "Practitioner/i", name: "Dr. I", about: "Cardiology" },
      { reference: "PractitionerRole/duty", name: "Surgeon on call", about: "On duty" },
    ])
  })
  it("are the persons behind their roles", () => {
    expect(personOf(among, "PractitionerRole/r")).toMatchObject({ person: { id: "i" }, role: { id: "r" } })
    expect(personOf(among, "Practitioner/i").role).toBeUndefined()
  })
})
