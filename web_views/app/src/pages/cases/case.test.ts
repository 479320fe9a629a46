import type { Encounter } from "fhir/r4"
import { describe, expect, it } from "vitest"
import { added, CANCELLED_FOR, cancelledFor, isOpen, joining, openedAt, patchOf, stepsFrom, workersOf } from "./case"

const CASE: Encounter = { resourceType: "Encounter", id: "1", status: "planned", class: { code: "VR" } }

describe("the steps of a case", () => {
  it.each([
    ["planned", ["in-progress", "cancelled"]],
    ["triaged", ["in-progress", "cancelled"]],
    ["in-progress", ["finished", "onleave"]],
    ["onleave", ["in-progress", "finished"]],
    ["finished", []],
    ["cancelled", []],
    ["entered-in-error", []],
  ] as const)("from %s", (status, next) => {
    expect(stepsFrom(status).map(({ to }) => to)).toEqual(next)
    expect(isOpen({ ...CASE, status })).toBe(next.length > 0)
  })

  it("says why it was cancelled", () => {
    const patch = patchOf(CASE, { to: "cancelled", label: "" }, "Entered twice")
    const extension = [{ url: CANCELLED_FOR, valueCodeableConcept: { text: "Entered twice" } }]
    expect(patch[1]).toEqual({ op: "add", path: "/extension", value: extension })
    expect(cancelledFor({ ...CASE, extension })).toBe("Entered twice")
  })
})

describe("who works on a case", () => {
  const participant = [
    { individual: { reference: "Practitioner/a" }, period: { start: "2026-01-01", end: "2026-01-02" } },
    { individual: { reference: "https://x.example/fhir/PractitionerRole/b" } },
    { individual: { reference: "Practitioner/a" }, period: { start: "2026-01-03" } },
    { individual: { reference: "Practitioner/a" } },
  ]
  it("is who has not left, each once, with their place", () => {
    const found = workersOf({ ...CASE, participant })
    expect(found.map(({ key, place }) => [key, place])).toEqual([["PractitionerRole/b", 1], ["Practitioner/a", 2]])
  })
  it("joins a list that is there, or begins one; an open case is assigned then", () => {
    expect(added({ ...CASE, participant }, "participant", 1)).toEqual({ op: "add", path: "/participant/-", value: 1 })
    expect(joining(CASE, "Practitioner/a")).toEqual([
      { op: "add", path: "/participant", value: [{ individual: { reference: "Practitioner/a" } }] },
      { op: "replace", path: "/status", value: "triaged" },
    ])
    expect(joining({ ...CASE, status: "in-progress" }, "Practitioner/a")).toHaveLength(1)
  })
})

it("was opened at the first moment that it knows of", () => {
  const meta = { lastUpdated: "2026-01-05T00:00:00Z" }
  const statusHistory = [{ status: "planned" as const, period: { start: "2026-01-02T10:00:00+02:00" } }]
  expect(openedAt({ ...CASE, meta })).toBe(meta.lastUpdated)
  expect(openedAt({ ...CASE, meta, statusHistory, period: { start: "2026-01-02T09:00:00Z" } })).toBe("2026-01-02T10:00:00+02:00")
})
