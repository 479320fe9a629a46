/** What is typed of a new case, and the transaction that opens it: each resource once, however often it is sent. */

import type { BundleEntry, Encounter, FhirResource, Identifier, Observation } from "fhir/r4"
import { concept, SYSTEM } from "../../fhir/codes"
import { PRIORITIES } from "./case"

export type Symptom = { id: string; what: string; more: string }
export type Form = {
  id: string // made when the form is sent first, and kept until it arrived
  patient?: { reference: string; name: string }
  reason: string
  symptoms: Symptom[]
  priority: string
  mine: boolean
}

export const emptyForm = (): Form => ({ id: "", reason: "", symptoms: [emptySymptom()], priority: "R", mine: true })
export const emptySymptom = (): Symptom => ({ id: crypto.randomUUID(), what: "", more: "" })

export type Problems = { patient?: string; reason?: string }

/** What is missing before the case can be opened. */
export function problemsOf(form: Form): Problems {
  return {
    ...(form.patient === undefined && { patient: "Choose the patient." }),
    ...(form.reason.trim() === "" && { reason: "Say in a few words why." }),
  }
}

const URI = "urn:ietf:rfc:3986"
const urn = (id: string) => `urn:uuid:${id}`
export const identifierOf = (id: string): Identifier => ({ system: URI, value: urn(id) })
/** The search of `If-None-Exist` that finds what was made with this id. */
export const once = (id: string) => new URLSearchParams({ identifier: `${URI}|${urn(id)}` }).toString()

/** A symptom as an Observation: what it is, and what the patient tells of it. */
export function observed(symptom: Symptom, patient: string, now: string): Observation {
  return {
    resourceType: "Observation",
    identifier: [identifierOf(symptom.id)],
    status: "final",
    code: { text: symptom.what.trim() },
    subject: { reference: patient },
    effectiveDateTime: now,
    ...(symptom.more.trim() !== "" && { valueString: symptom.more.trim() }),
  }
}

/** The transaction: the case last, after the symptoms that it refers to. `user` takes it on when it is theirs. */
export function opening(form: Form, user: string, now: string): BundleEntry[] {
  const patient = form.patient?.reference ?? ""
  const symptoms = form.symptoms.filter(({ what }) => what.trim() !== "")
  const encounter: Encounter = {
    resourceType: "Encounter",
    identifier: [identifierOf(form.id)],
    status: form.mine ? "triaged" : "planned",
    class: { system: SYSTEM.act, code: "VR", display: "virtual" },
    priority: concept(SYSTEM.priority, form.priority, PRIORITIES.find(({ value }) => value === form.priority)?.label),
    subject: { reference: patient, display: form.patient?.name },
    reasonCode: [{ text: form.reason.trim() }],
    ...(form.mine && { participant: [{ individual: { reference: user } }] }),
    ...(symptoms.length > 0 && {
      reasonReference: symptoms.map((one) => ({ reference: urn(one.id), display: one.what.trim() })),
    }),
  }
  return [...symptoms.map((one) => posted(observed(one, patient, now), one.id)), posted(encounter, form.id)]
}

const posted = (resource: FhirResource, id: string): BundleEntry => ({
  fullUrl: urn(id),
  resource,
  request: { method: "POST", url: resource.resourceType, ifNoneExist: once(id) },
})
