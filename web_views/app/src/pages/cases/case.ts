/** What a case is, and the steps it can take: docs/workflows/cases.md */

import type { Encounter, EncounterParticipant } from "fhir/r4"
import { keyOf } from "../../fhir/bundle"
import { codeIn, SYSTEM, textOf } from "../../fhir/codes"
import type { PatchStep } from "../../fhir/server"

export const CANCELLED_FOR = "http://hl7.org/fhir/StructureDefinition/encounter-reasonCancelled"
export const PRIORITIES = [
  { value: "EM", label: "Emergency" },
  { value: "UR", label: "Urgent" },
  { value: "R", label: "Routine" },
]

export type Status = Encounter["status"]
export type Step = { to: Status; label: string; ends?: true }

const START: Step = { to: "in-progress", label: "Start work" }
const FINISH: Step = { to: "finished", label: "Finish", ends: true }
const CANCEL: Step = { to: "cancelled", label: "Cancel case", ends: true }
const STEPS: Partial<Record<Status, Step[]>> = {
  planned: [START, CANCEL],
  triaged: [START, CANCEL],
  "in-progress": [FINISH, { to: "onleave", label: "Put on hold" }],
  onleave: [{ to: "in-progress", label: "Resume" }, FINISH],
}

/** The steps from a state, the likeliest first. */
export const stepsFrom = (status: Status): Step[] => STEPS[status] ?? []
export const isOpen = (of: Encounter) => STEPS[of.status] !== undefined

export const numberOf = (of: Encounter) => of.identifier?.find((one) => one.system === SYSTEM.caseNumber)?.value
export const priorityOf = (of: Encounter) => codeIn(of.priority, SYSTEM.priority)
export const reasonOf = (of: Encounter) => textOf(of.reasonCode?.[0]) ?? of.reasonReference?.[0]?.display
export const cancelledFor = (of: Encounter) =>
  textOf(of.extension?.find(({ url }) => url === CANCELLED_FOR)?.valueCodeableConcept)

/** When the case was opened, as far as it tells: the first moment that it knows of. */
export function openedAt(of: Encounter): string | undefined {
  const known = [
    of.period?.start,
    ...(of.statusHistory ?? []).map(({ period }) => period.start),
    ...(of.participant ?? []).map(({ period }) => period?.start),
    of.meta?.lastUpdated,
  ].filter((one) => one !== undefined)
  return known.sort((one, other) => Date.parse(one) - Date.parse(other))[0]
}

export type Worker = { key: string; part: EncounterParticipant; place: number }

/** Who works on the case now, each once: their reference, and where in `participant` they stand. */
export function workersOf(of: Encounter, now: number = Date.now()): Worker[] {
  const found = (of.participant ?? []).flatMap((part, place): Worker[] => {
    const key = keyOf(part.individual)
    const over = part.period?.end !== undefined && Date.parse(part.period.end) < now
    return key === undefined || over ? [] : [{ key, part, place }]
  })
  return found.filter((one, place) => found.findIndex(({ key }) => key === one.key) === place)
}

/** A JSON Patch step that puts one more into a list that may not be there yet. */
export function added(of: Encounter, list: "participant" | "diagnosis" | "reasonReference" | "extension", value: unknown): PatchStep {
  return of[list] === undefined
    ? { op: "add", path: `/${list}`, value: [value] }
    : { op: "add", path: `/${list}/-`, value }
}

/** The patch that takes a step; a cancellation says why. */
export function patchOf(of: Encounter, step: Step, why?: string): PatchStep[] {
  const status: PatchStep = { op: "replace", path: "/status", value: step.to }
  return why === undefined ? [status] : [status, added(of, "extension", { url: CANCELLED_FOR, valueCodeableConcept: { text: why } })]
}

/** The patch by which somebody takes a case that nobody works on: it is assigned then. */
export function joining(of: Encounter, user: string): PatchStep[] {
  const steps = [added(of, "participant", { individual: { reference: user } })]
  return of.status === "planned" ? [...steps, { op: "replace", path: "/status", value: "triaged" }] : steps
}
