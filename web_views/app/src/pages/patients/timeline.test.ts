import type { Bundle, FhirResource } from "fhir/r4"
import { expect, test } from "vitest"
import { timeline } from "./timeline"

const bundle = (...resources: FhirResource[]): Bundle<FhirResource> => ({
  resourceType: "Bundle",
  type: "searchset",
  entry: resources.map((resource) => ({ resource })),
})
const subject = { reference: "Patient/1" }

test("newest first, whatever the type and the precision", () => {
  const found = timeline([
    bundle(
      { resourceType: "Condition", id: "c", subject, onsetDateTime: "2024", code: { text: "Asthma" } },
      { resourceType: "Condition", id: "d", subject, code: { text: "No date" } },
    ),
    undefined,
    bundle({ resourceType: "Encounter", id: "e", status: "planned", subject, class: { code: "VR" }, period: { start: "2026-03-01T10:00:00Z" } }),
    bundle({ resourceType: "Encounter", id: "f", status: "finished", subject, class: { code: "VR" }, partOf: { reference: "Encounter/e" }, period: { start: "2026-03-01T11:00:00Z" } }),
  ])
  expect(found.map(({ key, kind, link }) => [key, kind, link])).toEqual([
    ["Encounter/f", "Call", "/consultations/f"],
    ["Encounter/e", "Case", "/cases/e"],
    ["Condition/c", "Problem", undefined],
  ])
})
