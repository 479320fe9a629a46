import type { Bundle, Task } from "fhir/r4"
import { expect, test } from "vitest"
import { statesOf, stepsOf } from "./referral"

const dora = { self: ["Practitioner/dora"], houses: [], known: true }
const sara = { self: ["Practitioner/sara", "PractitionerRole/sara"], houses: ["Organization/clinic"], known: true }
const saul = { self: ["Practitioner/saul"], houses: ["Organization/clinic"], known: true }
const task = (status: Task["status"], owner: string, answered?: string): Task => ({
  resourceType: "Task", status, intent: "order", requester: { reference: "Practitioner/dora" }, owner: { reference: owner },
  extension: answered === undefined ? undefined : [{
    url: "http://hl7.org/fhir/5.0/StructureDefinition/extension-Task.performer",
    extension: [{ url: "actor", valueReference: { reference: answered } }],
  }],
})

test("who was asked answers, who asks may cancel until work has begun", () => {
  expect(stepsOf(task("requested", "PractitionerRole/sara"), sara)).toEqual(["accept", "reject"])
  expect(stepsOf(task("accepted", "PractitionerRole/sara"), sara)).toEqual(["start", "complete"])
  expect(stepsOf(task("accepted", "PractitionerRole/sara"), dora)).toEqual(["cancel"])
  expect(stepsOf(task("in-progress", "PractitionerRole/sara"), dora)).toEqual([])
  expect(stepsOf(task("completed", "PractitionerRole/sara"), sara)).toEqual([])
  expect(stepsOf(task("requested", "PractitionerRole/sara"), saul)).toEqual([])
})

test("the first of a house answers for it, and from then on nobody else of it", () => {
  expect(stepsOf(task("requested", "Organization/clinic"), saul)).toEqual(["accept", "reject"])
  expect(stepsOf(task("accepted", "Organization/clinic", "Practitioner/saul"), saul)).toEqual(["start", "complete"])
  expect(stepsOf(task("accepted", "Organization/clinic", "Practitioner/saul"), sara)).toEqual([])
})

test("nobody answers their own referral to their own house", () => {
  expect(stepsOf(task("requested", "Organization/clinic"), { ...dora, houses: ["Organization/clinic"] })).toEqual(["cancel"])
})

test("a state is in the history once, when it began", () => {
  const version = (versionId: string, one: Task): { resource: Task } => ({ resource: { ...one, meta: { versionId }, lastModified: versionId } })
  const rejected = { ...task("rejected", "Organization/clinic", "Practitioner/saul"), statusReason: { text: "On leave" } }
  const history: Bundle = {
    resourceType: "Bundle", type: "history",
    entry: [version("3", rejected), version("2", task("requested", "Organization/clinic")), version("1", task("requested", "Organization/clinic"))],
  }
  expect(statesOf(history)).toEqual([
    { status: "requested", at: "1", who: { reference: "Practitioner/dora" }, said: undefined },
    { status: "rejected", at: "3", who: { reference: "Practitioner/saul" }, said: "On leave" },
  ])
})
