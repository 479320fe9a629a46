/** What is typed of a new referral, and the ServiceRequest that it becomes. */

import type { Encounter, ServiceRequest } from "fhir/r4"
import type { Party } from "../../fhir/directory"
import { CATEGORY } from "./referral"

export type Urgency = NonNullable<ServiceRequest["priority"]>
export const URGENCIES: { value: Urgency; label: string }[] = [
  { value: "routine", label: "Routine" },
  { value: "urgent", label: "Urgent" },
  { value: "asap", label: "As soon as possible" },
  { value: "stat", label: "At once" },
]
export const urgencyText = (value: string | undefined) => URGENCIES.find((one) => one.value === value)?.label ?? value

/** `key` is made once for a form: sent twice, it is one referral. */
export type Asked = { key: string; whom?: Party; what: string; urgency: Urgency; why: string; documents: string[] }
export const blank = (): Asked => ({ key: crypto.randomUUID(), what: "", urgency: "routine", why: "", documents: [] })

export type Missing = Partial<Record<"whom" | "what", string>>

export function missingIn(asked: Asked): Missing {
  return {
    ...(asked.whom === undefined ? { whom: "Choose whom you ask." } : {}),
    ...(asked.what.trim() === "" ? { what: "Say what you ask for." } : {}),
  }
}

const URI = "urn:ietf:rfc:3986"
export const ifNoneExist = (asked: Asked) => `identifier=${URI}|urn:uuid:${asked.key}`

export function requestOf(asked: Asked, patient: string, encounter?: Encounter): ServiceRequest {
  return {
    resourceType: "ServiceRequest",
    identifier: [{ system: URI, value: `urn:uuid:${asked.key}` }],
    status: "active",
    intent: "order",
    category: [{ coding: [CATEGORY] }],
    priority: asked.urgency,
    code: { text: asked.what.trim() },
    subject: { reference: patient },
    ...(encounter === undefined ? {} : { encounter: { reference: `Encounter/${encounter.id ?? ""}` } }),
    performer: [{ reference: asked.whom?.reference, display: asked.whom?.display }],
    ...(asked.why.trim() === "" ? {} : { reasonCode: [{ text: asked.why.trim() }] }),
    ...(asked.documents.length === 0 ? {} : { supportingInfo: asked.documents.map((reference) => ({ reference })) }),
  }
}
