/** A call as an Encounter within its case: made, entered, left, ended. Profile: ig/input/fsh/consultation.fsh */

import type { Encounter, EncounterParticipant } from "fhir/r4"
import { keyOf, referenceTo } from "../../fhir/bundle"
import { concept, hasCode, SYSTEM } from "../../fhir/codes"
import type { PatchStep } from "../../fhir/server"

const SERVICE = "http://hl7.org/fhir/5.0/StructureDefinition/extension-Encounter.virtualService"
export const VIDEO = `${SYSTEM.consultation}|video`

/** The calls of a case that go on; as a search, and as the condition under which none is made beside them. */
export const runningIn = (of: Encounter) => ({ "part-of": referenceTo(of), type: VIDEO, status: "in-progress" })

export const isCall = (one: Encounter) => hasCode(one.type, SYSTEM.consultation, "video")
export const isRunning = (one: Encounter) => one.status === "in-progress"

const isMine = (mine: readonly string[]) => (one: EncounterParticipant) => mine.includes(keyOf(one.individual) ?? "")
const isWithin = (one: EncounterParticipant) => one.period?.start !== undefined && one.period.end === undefined
const isAsked = (one: EncounterParticipant) => one.period?.start === undefined

/** A call that begins now. Who works on the case is asked to come: named, and without a period until they do. */
export function opened(of: Encounter, mine: readonly string[], now: string): Encounter {
  const others = (of.participant ?? []).filter(
    (one) => one.individual !== undefined && (one.period?.end ?? "9999") > now && !isMine(mine)(one),
  )
  return {
    resourceType: "Encounter",
    extension: [{
      url: SERVICE,
      extension: [
        { url: "_datatype", valueString: "VirtualServiceDetail" },
        { url: "channelType", valueCoding: { system: SYSTEM.meeting, code: "built-in" } },
      ],
    }],
    status: "in-progress",
    class: { system: SYSTEM.act, code: "VR", display: "virtual" },
    type: [concept(SYSTEM.consultation, "video", "Video")],
    priority: of.priority,
    subject: of.subject,
    participant: [
      { period: { start: now }, individual: { reference: mine[0] } },
      ...others.map(({ individual }) => ({ individual })),
    ],
    period: { start: now },
    partOf: { reference: referenceTo(of) },
  }
}

/** That I am there now; nothing when it is known. */
export function entered(call: Encounter, mine: readonly string[], now: string): PatchStep[] {
  const there = call.participant ?? []
  if (there.some((one) => isMine(mine)(one) && isWithin(one))) return []
  const asked = there.findIndex((one) => isMine(mine)(one) && isAsked(one))
  const me = { ...there[asked], individual: there[asked]?.individual ?? { reference: mine[0] }, period: { start: now } }
  return [participants(asked < 0 ? [...there, me] : there.with(asked, me))]
}

/** That I have gone; with the last one the call is over. */
export function left(call: Encounter, mine: readonly string[], isAlone: boolean, now: string): PatchStep[] {
  if (!isRunning(call)) return []
  const there = (call.participant ?? []).map((one) => (isMine(mine)(one) && isWithin(one) ? gone(one, now) : one))
  return isAlone || !there.some(isWithin) ? ended({ ...call, participant: there }, now) : [participants(there)]
}

/** That it is over: for those who are still there, and without those who never came. */
export function ended(call: Encounter, now: string): PatchStep[] {
  if (!isRunning(call)) return []
  const came = (call.participant ?? []).filter((one) => !isAsked(one)).map((one) => (isWithin(one) ? gone(one, now) : one))
  return [
    { op: "replace", path: "/status", value: "finished" },
    { op: "add", path: "/period", value: { start: call.period?.start ?? now, end: now } },
    came.length > 0 ? participants(came) : { op: "remove", path: "/participant" },
  ]
}

const gone = (one: EncounterParticipant, now: string) => ({ ...one, period: { ...one.period, end: now } })
const participants = (value: EncounterParticipant[]): PatchStep => ({ op: "add", path: "/participant", value })
