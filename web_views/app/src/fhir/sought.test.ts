import { describe, expect, it } from "vitest"
import { patientQuery, soughtBy } from "./sought"

describe("what is typed of a patient", () => {
  it.each([
    ["ash rob", { _filter: 'name sw "ash" and name sw "rob"' }],
    ["1990-07-22", { birthdate: "1990-07-22" }],
    ["rob 1990", { _filter: 'name sw "rob"', birthdate: "1990" }],
    ["RB-00018", { identifier: "RB-00018" }],
    ['o"neil', { _filter: 'name sw "oneil"' }],
    ["  ", {}],
  ])("%s", (typed, query) => expect(JSON.parse(JSON.stringify(patientQuery(typed)))).toEqual({ ...query, _count: 12 }))

  it("finds by way of a reference", () => expect(soughtBy("ash", "patient.")._filter).toBe('patient.name sw "ash"'))
})
