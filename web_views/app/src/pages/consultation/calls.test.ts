import type { Encounter } from "fhir/r4"
import { describe, expect, it } from "vitest"
import type { PatchStep } from "../../fhir/server"
import { ended, entered, left, opened } from "./calls"

const DORA = ["Practitioner/dora", "PractitionerRole/dora-1"]
const NICK = ["Practitioner/nick"]
const [NINE, TEN, ELEVEN] = ["2026-03-04T09:00:00Z", "2026-03-04T10:00:00Z", "2026-03-04T11:00:00Z"]
const person = (reference: string, period?: { start?: string; end?: string }) => ({ individual: { reference }, period })

const ofCase: Encounter = {
  resourceType: "Encounter",
  id: "case",
  status: "in-progress",
  class: { code: "VR" },
  subject: { reference: "Patient/1" },
  participant: [person("PractitionerRole/dora-1"), person("Practitioner/nick", { start: NINE }), person("Practitioner/dan", { end: NINE })],
}
const call = opened(ofCase, DORA, TEN)

/** The Encounter after a patch, as the server makes it. */
function after(one: Encounter, steps: PatchStep[]): Encounter {
  const made = { ...one } as Encounter & Record<string, unknown>
  for (const step of steps)
    if (step.op === "remove") delete made[step.path.slice(1)]
    else Object.assign(made, { [step.path.slice(1)]: step.value })
  return made
}
const spans = (one: Encounter) => (one.participant ?? []).map(({ individual, period }) => [individual?.reference, period?.start, period?.end])

describe("a call", () => {
  it("is part of the case, with me in it and who works on the case asked to come", () => {
    expect(call).toMatchObject({ status: "in-progress", partOf: { reference: "Encounter/case" }, period: { start: TEN } })
    expect(spans(call)).toEqual([["Practitioner/dora", TEN, undefined], ["Practitioner/nick", undefined, undefined]])
  })

  it("notes when somebody comes, once", () => {
    const now = after(call, entered(call, NICK, ELEVEN))
    expect(spans(now)[1]).toEqual(["Practitioner/nick", ELEVEN, undefined])
    expect(entered(now, NICK, ELEVEN)).toEqual([])
  })

  it("takes in who was not asked, and who comes again", () => {
    const guest = after(call, entered(call, ["Practitioner/sara"], ELEVEN))
    expect(spans(guest)).toHaveLength(3)
    const back = after(after(guest, left(guest, DORA, false, ELEVEN)), [])
    expect(spans(after(back, entered(back, DORA, ELEVEN))).filter(([who]) => who === "Practitioner/dora")).toHaveLength(2)
  })

  it("goes on when one of two leaves", () => {
    const two = after(call, entered(call, NICK, TEN))
    const one = after(two, left(two, DORA, false, ELEVEN))
    expect(one.status).toBe("in-progress")
    expect(spans(one)).toEqual([["Practitioner/dora", TEN, ELEVEN], ["Practitioner/nick", TEN, undefined]])
  })

  it("is over with the last one, and forgets who never came", () => {
    const over = after(call, left(call, DORA, false, ELEVEN))
    expect(over).toMatchObject({ status: "finished", period: { start: TEN, end: ELEVEN } })
    expect(spans(over)).toEqual([["Practitioner/dora", TEN, ELEVEN]])
  })

  it("is over when nobody is in the room, whatever a lost browser left behind", () => {
    const two = after(call, entered(call, NICK, TEN))
    expect(spans(after(two, left(two, DORA, true, ELEVEN)))[1]).toEqual(["Practitioner/nick", TEN, ELEVEN])
  })

  it("is not ended twice", () => {
    const over = after(call, ended(call, ELEVEN))
    expect([ended(over, ELEVEN), left(over, DORA, true, ELEVEN)]).toEqual([[], []])
  })
})
