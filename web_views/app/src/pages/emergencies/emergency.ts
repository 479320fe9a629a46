/** An emergency as it stands: its Flag, the Task that carries its state, one Task for each who answers. */

import type { Bundle, Flag, Location, Patient, Task } from "fhir/r4"
import { keyOf, ofType, referenceTo, resolved } from "../../fhir/bundle"
import { codeIn, hasCode, SYSTEM } from "../../fhir/codes"
import { PRIORITIES, PRIORITY, type Gravity } from "./kinds"

export type Progress = "notified" | "en-route" | "on-scene" | "finished" | "declined"
export type Emergency = { flag: Flag; patient?: Patient; task?: Task; responders: Task[] }

const DETAIL = "http://hl7.org/fhir/StructureDefinition/flag-detail"
const GRAVEST: Gravity[] = ["PH", "PM", "PL"]
const PROGRESS: readonly Progress[] = ["notified", "en-route", "on-scene", "finished", "declined"]

export const isEmergency = (flag: Flag) => hasCode(flag.category, SYSTEM.flagCategory, "emergency")
export const isActive = ({ flag }: Emergency) => flag.status === "active"

/** What pages of a search hold: Flags, and with them their patients and Tasks. */
export function emergenciesOf(bundles: Bundle[]): Emergency[] {
  return bundles.flatMap((bundle) =>
    ofType(bundle, "Flag").filter(isEmergency).map((flag) => {
      const tasks = ofType(bundle, "Task").filter((task) => keyOf(task.focus) === referenceTo(flag))
      return {
        flag,
        patient: resolved(bundle, "Patient", flag.subject),
        task: tasks.find((task) => hasCode(task.code, SYSTEM.taskKind, "emergency")),
        responders: tasks.filter((task) => hasCode(task.code, SYSTEM.taskKind, "respond")).sort(byBeginning),
      }
    }),
  )
}

/** The gravest first, of those the newest; what is over comes last. */
export const inOrder = (all: Emergency[]): Emergency[] =>
  [...all].sort((one, other) =>
    Number(isActive(other)) - Number(isActive(one)) ||
    GRAVEST.indexOf(gravityOf(one.flag)) - GRAVEST.indexOf(gravityOf(other.flag)) ||
    sinceOf(other.flag).localeCompare(sinceOf(one.flag)),
  )

/** What says none is grave. */
export function gravityOf(flag: Flag): Gravity {
  const code = codeIn(flag.extension?.find(({ url }) => url === PRIORITY)?.valueCodeableConcept, PRIORITIES)
  return GRAVEST.find((one) => one === code) ?? "PH"
}

export const sinceOf = (flag: Flag) => flag.period?.start ?? flag.meta?.lastUpdated ?? ""
export const deadlineOf = (task: Task | undefined) => task?.restriction?.period?.end

/** How often it was told to everybody because nobody had answered: 0 to 3. */
export const escalations = (task: Task | undefined) => Number(codeIn(task?.businessStatus, SYSTEM.escalation) ?? 0)

export function progressOf(task: Task | undefined): Progress | undefined {
  const code = codeIn(task?.businessStatus, SYSTEM.responder)
  return PROGRESS.find((one) => one === code)
}

/** Somebody's own part: the one that lasts, else their last. */
export function partOf({ responders }: Emergency, user: string): Task | undefined {
  const own = responders.filter((task) => keyOf(task.owner) === user)
  return own.find((task) => progressOf(task) !== "finished") ?? own.at(-1)
}

/** Where it is: a Location that the Flag contains (a position), or a reference to one. */
export function placeOf(flag: Flag): { here?: Location; reference?: string; display?: string } {
  for (const { valueReference } of flag.extension?.filter(({ url }) => url === DETAIL) ?? []) {
    const here = flag.contained?.find((one): one is Location =>
      one.resourceType === "Location" && `#${one.id ?? ""}` === valueReference?.reference)
    if (here !== undefined) return { here }
    const reference = keyOf(valueReference)
    if (reference?.startsWith("Location/")) return { reference, display: valueReference?.display }
  }
  return {}
}

const byBeginning = (one: Task, other: Task) => (one.authoredOn ?? "").localeCompare(other.authoredOn ?? "")
