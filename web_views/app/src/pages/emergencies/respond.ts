import type { Flag, Task } from "fhir/r4"
import { referenceTo } from "../../fhir/bundle"
import { concept, SYSTEM } from "../../fhir/codes"
import type { FhirServer } from "../../fhir/server"
import { partOf, progressOf, type Emergency, type Progress } from "./emergency"

export type Answer = Exclude<Progress, "notified">

/** What one may say next of oneself; the server has the same table. */
export function answersFrom(progress: Progress | undefined): Answer[] {
  switch (progress) {
    case "en-route": return ["on-scene", "finished", "declined"]
    case "on-scene": return ["finished"]
    case "declined":
    case "finished": return ["en-route", "on-scene"]
    default: return ["en-route", "on-scene", "declined"]
  }
}

/** Say how far one is, in a Task of one's own: one for each person, however often it is tried. */
export async function answer(server: FhirServer, user: string, emergency: Emergency, wanted: Answer): Promise<void> {
  const { flag, task } = emergency
  if (task === undefined) throw new Error("This emergency has no Task yet. Try again in a moment.")
  const own = partOf(emergency, user)
  const businessStatus = concept(SYSTEM.responder, wanted)
  const part = own !== undefined && progressOf(own) !== "finished" ? own : await server.create<Task>({
    resourceType: "Task",
    partOf: [{ reference: referenceTo(task) }],
    status: STATUS[wanted],
    businessStatus,
    intent: "order",
    code: concept(SYSTEM.taskKind, "respond"),
  }, openPartOf(flag, user))
  if (progressOf(part) !== wanted)
    await server.patch<Task>(referenceTo(part), [{ op: "replace", path: "/businessStatus", value: businessStatus }])
}

/** It is over; or it never was one. */
export const end = (server: FhirServer, flag: Flag, status: "inactive" | "entered-in-error") =>
  server.patch<Flag>(referenceTo(flag), [{ op: "replace", path: "/status", value: status }])

const STATUS = { "en-route": "in-progress", "on-scene": "in-progress", finished: "completed", declined: "rejected" } as const
const openPartOf = (flag: Flag, user: string) =>
  `focus=${referenceTo(flag)}&owner=${user}&code=${encodeURIComponent(`${SYSTEM.taskKind}|respond`)}&status:not=completed`
