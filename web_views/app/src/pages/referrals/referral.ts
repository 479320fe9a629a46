/** A referral as its Task tells it, and who may take which step: docs/workflows/referrals.md */

import type { Bundle, Reference, ServiceRequest, Task } from "fhir/r4"
import { keyOf, ofType } from "../../fhir/bundle"
import { SYSTEM } from "../../fhir/codes"
import type { Names } from "../../session/names"

export const CATEGORY = { system: SYSTEM.snomed, code: "3457005", display: "Patient referral" }
export const FULFILL = `${SYSTEM.taskCode}|fulfill`
export const STATES = [
  { value: "requested", label: "Requested" },
  { value: "accepted", label: "Accepted" },
  { value: "in-progress", label: "In progress" },
  { value: "completed", label: "Completed" },
  { value: "rejected", label: "Rejected" },
  { value: "cancelled", label: "Cancelled" },
]
export const OPEN = ["requested", "accepted", "in-progress"]
const PERFORMER = "http://hl7.org/fhir/5.0/StructureDefinition/extension-Task.performer" // R5's, by the server

export type Step = "accept" | "reject" | "start" | "complete" | "cancel"

const OWNERS: Partial<Record<Task["status"], Step[]>> = {
  requested: ["accept", "reject"],
  accepted: ["start", "complete"],
  "in-progress": ["complete"],
}

export const isOver = (task: Task) => !OPEN.includes(task.status)
export const isReferral = (task: Task) => keyOf(task.focus)?.startsWith("ServiceRequest/") ?? false
export const isHouse = (reference: Reference | undefined) => /^(Organization|HealthcareService)\//.test(keyOf(reference) ?? "")

/** Who of the house that was asked has answered for it. */
export const answeredBy = (task: Task): Reference | undefined =>
  task.extension?.find(({ url }) => url === PERFORMER)?.extension?.[0]?.valueReference

/** The steps that are the user's now; the server has the last word. */
export function stepsOf(task: Task, me: Names): Step[] {
  const mine = (reference: Reference | undefined) => [...me.self, ...me.houses].includes(keyOf(reference) ?? "")
  const asks = mine(task.requester)
  const answered = answeredBy(task)
  const mayAnswer =
    mine(task.owner) &&
    (answered === undefined || me.self.includes(keyOf(answered) ?? "")) &&
    !(asks && isHouse(task.owner)) // whoever refers to their own house does not answer for it
  const mayCancel = asks && (task.status === "requested" || task.status === "accepted")
  return [...(mayAnswer ? (OWNERS[task.status] ?? []) : []), ...(mayCancel ? (["cancel"] as const) : [])]
}

export type State = { status: Task["status"]; at: string | undefined; who?: Reference; said?: string }

/** Every state that the referral was in, the first one first, of the versions of its task. */
export function statesOf(history: Bundle | undefined): State[] {
  const versions = ofType(history, "Task").sort((one, other) => Number(one.meta?.versionId) - Number(other.meta?.versionId))
  const began = versions.filter((task, place) => task.status !== versions[place - 1]?.status)
  return began.map((task) => ({
    status: task.status,
    at: task.lastModified ?? task.meta?.lastUpdated,
    who: task.status === "requested" || task.status === "cancelled" ? task.requester : answeredBy(task) ?? personOf(task),
    said: task.statusReason?.text,
  }))
}

/** Who was asked in person, and so is the one who answers. */
const personOf = (task: Task) => (isHouse(task.owner) ? undefined : task.owner)

export type Pair = { task?: Task; request?: ServiceRequest }

/** Requests with the tasks that came along, as far as the user may see these. */
export function pairsOf(bundle: Bundle | undefined): Pair[] {
  const tasks = ofType(bundle, "Task")
  return ofType(bundle, "ServiceRequest").map((request) => ({
    request,
    task: tasks.find((task) => keyOf(task.focus) === `ServiceRequest/${request.id ?? ""}`),
  }))
}

const REQUEST_STATES: Partial<Record<ServiceRequest["status"], string>> = {
  draft: "Draft",
  active: "Open",
  completed: "Completed",
  revoked: "Rejected or cancelled",
  "entered-in-error": "Withdrawn",
}
/** What a request tells of the state to whom its task is not shown. */
export const requestState = (request: ServiceRequest) => REQUEST_STATES[request.status] ?? request.status
