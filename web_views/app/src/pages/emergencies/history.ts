/** What happened, out of the versions of an emergency's Flag and Tasks. */

import type { Flag, Task } from "fhir/r4"
import { hasCode, SYSTEM } from "../../fhir/codes"
import { escalations, placeOf, progressOf, sinceOf, type Progress } from "./emergency"

/** `who` is a reference, where the record says it. */
export type Happening = { at: string; what: string; who?: Task["owner"] }

const TIMES = ["", "Escalated: everybody is told", "Escalated for the second time", "Escalated for the third time"]
const PROGRESS: Record<Progress, string> = {
  notified: "was asked", "en-route": "is on the way", "on-scene": "is on the scene", finished: "has finished", declined: "cannot come",
}

/** Versions of everything, in any order; what happened, the first first. */
export function happenings(flags: Flag[], tasks: Task[]): Happening[] {
  const ids = [...new Set(tasks.map(({ id }) => id))]
  const versions = ids.map((id) => tasks.filter((task) => task.id === id).sort(byVersion))
  const all = [ofFlag([...flags].sort(byVersion)), ...versions.map(ofTask)].flat()
  return all.sort((one, other) => one.at.localeCompare(other.at))
}

function ofFlag(versions: Flag[]): Happening[] {
  return versions.flatMap((flag, place): Happening[] => {
    const before = versions[place - 1]
    const at = flag.meta?.lastUpdated ?? ""
    if (before === undefined) return [{ at: sinceOf(flag), what: "raised it", who: flag.author }]
    if (before.status !== flag.status)
      return [{ at: flag.period?.end ?? at, what: flag.status === "inactive" ? "Resolved" : "Entered in error" }]
    if (JSON.stringify(placeOf(before)) !== JSON.stringify(placeOf(flag))) return [{ at, what: "The place is another" }]
    return [{ at, what: "Changed" }]
  })
}

function ofTask(versions: Task[]): Happening[] {
  return versions.flatMap((task, place): Happening[] => {
    const before = versions[place - 1]
    const at = task.lastModified ?? task.meta?.lastUpdated ?? ""
    if (hasCode(task.code, SYSTEM.taskKind, "emergency")) {
      const level = escalations(task)
      return level > escalations(before) ? [{ at, what: TIMES[level] ?? "Escalated" }] : []
    }
    const progress = progressOf(task)
    return progress === undefined || progress === progressOf(before) ? [] : [{ at, what: PROGRESS[progress], who: task.owner }]
  })
}

const byVersion = (one: Flag | Task, other: Flag | Task) => Number(one.meta?.versionId ?? 0) - Number(other.meta?.versionId ?? 0)
