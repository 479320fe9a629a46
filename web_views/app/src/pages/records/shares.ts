/** Who has a record, how much of it and until when, by its sharing Consents: docs/workflows/records.md */

import type { Bundle, Consent, DocumentReference, FhirResource, ParametersParameter, Patient, Reference } from "fhir/r4"
import { codeIn, SYSTEM } from "../../fhir/codes"
import { keyOf, matches, resolved } from "../../fhir/bundle"
import type { Party } from "../../fhir/directory"

export const SHARING = "http://fhir-server.example/ig/StructureDefinition/sharing-consent"

export type Level = "full" | "limited" | "emergency"
export const LEVELS: { value: Level; label: string; description: string }[] = [
  { value: "limited", label: "Limited", description: "To read, unless it carries a confidential label." },
  { value: "full", label: "Full", description: "To read, also what is confidential; to write a new version of the content; to share it on." },
  { value: "emergency", label: "Emergency", description: "To read, if it is a patient summary or an advance directive without a confidential label." },
]
export const levelText = (level: string | undefined) => LEVELS.find((one) => one.value === level)?.label ?? level ?? "Unknown"

export type Share = { id: string; actor: Reference; level: string | undefined; given?: string; until?: string; by?: Reference }

/** The shares of a search for Consents that are not over, one for each who has the record. */
export function sharesOf(found: Bundle<FhirResource> | undefined, record: string, now: Date = new Date()): Share[] {
  return matches(found)
    .flatMap((one) => (one.resourceType === "Consent" ? [one] : []))
    .filter((consent) => namesRecord(consent, record) && !isOver(consent.provision?.period?.end, now))
    .flatMap((consent) => (consent.provision?.actor ?? []).map(({ reference }) => shareOf(consent, reference)))
}

const shareOf = (consent: Consent, actor: Reference): Share => ({
  id: `${consent.id ?? ""}/${keyOf(actor) ?? ""}`,
  actor,
  level: codeIn(consent.provision?.action, SYSTEM.shareLevel),
  given: consent.dateTime,
  until: consent.provision?.period?.end,
  by: consent.performer?.[0],
})

/** A record that is shared with somebody; the patient, where they may see who it is. */
export type Received = { share: Share; record: DocumentReference; patient?: Patient }

/** What a search for Consents with their records says is shared with one of these ("Practitioner/7"), and is open. */
export function receivedOf(found: Bundle<FhirResource>, mine: readonly string[], now: Date = new Date()): Received[] {
  return matches(found)
    .flatMap((one) => (one.resourceType === "Consent" && !isOver(one.provision?.period?.end, now) ? [one] : []))
    .flatMap((consent) => {
      const actor = consent.provision?.actor?.find(({ reference }) => mine.includes(keyOf(reference) ?? ""))
      return (consent.provision?.data ?? []).flatMap(({ reference }) => {
        const record = resolved(found, "DocumentReference", reference)
        if (actor === undefined || record === undefined) return []
        return [{ share: shareOf(consent, actor.reference), record, patient: resolved(found, "Patient", record.subject) }]
      })
    })
}

const namesRecord = (consent: Consent, record: string) =>
  consent.status === "active" && (consent.provision?.data ?? []).some(({ reference }) => keyOf(reference) === record)

/** Whether a FHIR date or dateTime is past: a date ends with its day. */
export function isOver(end: string | undefined, now: Date): boolean {
  if (end === undefined) return false
  if (end.includes("T")) return new Date(end) < now
  const [year = 0, month = 12, day] = end.split("-").map(Number)
  return new Date(year, day === undefined ? month : month - 1, (day ?? 0) + 1) <= now
}

export type Sharing = { whom?: Party; level: Level; until: string }
export const blank: Sharing = { level: "limited", until: "" }

/** What $share is given. */
export function parametersOf(sharing: Sharing): ParametersParameter[] {
  return [
    { name: "actor", valueReference: { reference: sharing.whom?.reference } },
    { name: "level", valueCode: sharing.level },
    ...(sharing.until === "" ? [] : [{ name: "period", valuePeriod: { end: sharing.until } }]),
  ]
}
