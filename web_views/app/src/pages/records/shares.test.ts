import type { Bundle, Consent, FhirResource } from "fhir/r4"
import { expect, test } from "vitest"
import { SYSTEM } from "../../fhir/codes"
import { blank, isOver, parametersOf, receivedOf, sharesOf } from "./shares"

const consent = (id: string, more: Partial<Consent> = {}, end?: string): { resource: Consent } => ({
  resource: {
    resourceType: "Consent", id, status: "active", scope: {}, category: [],
    provision: {
      period: { start: "2026-01-01", end },
      actor: [{ role: {}, reference: { reference: "Practitioner/sara" } }],
      action: [{ coding: [{ system: SYSTEM.shareLevel, code: "limited" }] }],
      data: [{ meaning: "instance", reference: { reference: "DocumentReference/1" } }],
    },
    ...more,
  },
})
const now = new Date(2026, 5, 15, 12)

test("who has the record now", () => {
  const found: Bundle<FhirResource> = {
    resourceType: "Bundle", type: "searchset",
    entry: [consent("a"), consent("b", { status: "inactive" }), consent("c", {}, "2026-06-14"), consent("d", { provision: {} })],
  }
  const shares = sharesOf(found, "DocumentReference/1", now)
  expect(shares.map(({ id, level }) => [id, level])).toEqual([["a/Practitioner/sara", "limited"]])
})

test("what is shared with me, once the record comes with it", () => {
  const record = { resourceType: "DocumentReference" as const, id: "1", status: "current" as const, content: [], subject: { reference: "Patient/p" } }
  const found: Bundle<FhirResource> = {
    resourceType: "Bundle", type: "searchset",
    entry: [
      { ...consent("a"), search: { mode: "match" } }, { ...consent("over", {}, "2026-06-14"), search: { mode: "match" } },
      { resource: record, search: { mode: "include" } },
    ],
  }
  const received = receivedOf(found, ["Practitioner/sara"], now)
  expect(received.map(({ share, record, patient }) => [share.id, record.id, patient])).toEqual([["a/Practitioner/sara", "1", undefined]])
  expect(receivedOf(found, ["Practitioner/nick"], now)).toEqual([])
  expect(receivedOf({ ...found, entry: found.entry?.slice(0, 2) }, ["Practitioner/sara"], now)).toEqual([])
})

test("a day lasts until its end, a month until its last day", () => {
  expect(isOver("2026-06-15", now)).toBe(false)
  expect(isOver("2026-06-14", now)).toBe(true)
  expect(isOver("2026-06", now)).toBe(false)
  expect(isOver("2026-05", now)).toBe(true)
  expect(isOver("2025", now)).toBe(true)
  expect(isOver(undefined, now)).toBe(false)
})

test("without an end there is no period", () => {
  const whom = { reference: "Practitioner/sara", display: "Sara", about: "" }
  expect(parametersOf({ ...blank, whom }).map(({ name }) => name)).toEqual(["actor", "level"])
  expect(parametersOf({ ...blank, whom, until: "2099-12-31" })[2]).toEqual({ name: "period", valuePeriod: { end: "2099-12-31" } })
})
